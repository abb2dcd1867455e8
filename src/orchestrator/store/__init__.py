"""Wanted state, reported state and the audit trail in SQL."""
