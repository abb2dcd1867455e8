"""The Config Service over HTTP."""
