"""What the statements of this package share.

Statements are made once and given their values as parameters: building one costs as much as running it.
"""

from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

#: A row whose columns the statement names.
AnyRow = Row[*tuple[Any, ...]]


def insert_new(connection: Connection, table: Table, returning: Column[str]) -> Any:
    """An `INSERT … ON CONFLICT DO NOTHING` in the words of the connection's database.

    Args:
        connection: whose database is meant.
        table: where to.
        returning: the column to answer of each row that was new.
    """
    return _insert_new(connection.dialect.name, table, returning)


@cache
def _insert_new(dialect: str, table: Table, returning: Column[str]) -> Any:
    module = sqlite if dialect == "sqlite" else postgresql
    return module.insert(table).on_conflict_do_nothing().returning(returning)
