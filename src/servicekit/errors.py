"""Errors that every program tells apart; apart from their causes, so that who only tells them imports no database."""


class DatabaseAway(Exception):
    """The database does not answer; nothing was changed."""
