"""What the statements of this package share."""

from typing import Any

from sqlalchemy import Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

#: A row whose columns the statement names.
AnyRow = Row[*tuple[Any, ...]]


def insert_new(connection: Connection, table: Table, *returning: Any) -> Any:
    """An `INSERT … ON CONFLICT DO NOTHING` in the words of the connection's database.

    Args:
        connection: whose database is meant.
        table: where to.
        returning: the columns to answer of each row that was new.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing().returning(*returning)
