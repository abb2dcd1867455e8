"""Clients of the programs that the orchestrator speaks to."""
