"""The HTTP API: handlers adapt, one call does the work."""
