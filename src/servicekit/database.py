"""One way to a SQL database: an engine with sane settings and a unit of work, the only place that commits."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

#: How long a writer waits for another one's lock, in milliseconds (SQLite has one writer at a time).
SQLITE_BUSY_TIMEOUT_MS = 10_000
#: How long to wait for a connection to PostgreSQL, in seconds.
CONNECT_TIMEOUT_S = 5


class DatabaseAway(Exception):
    """The database does not answer; nothing was changed."""


class Database:
    """An engine and its unit of work.

    Args:
        url: `sqlite:///path`, `postgresql://…`, or the same with an async driver named.
        pool_size: connections kept open (PostgreSQL only; SQLite has one writer and cheap readers).
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self.url = self.url.set(drivername="sqlite+aiosqlite")
            if self.url.database and self.url.database != ":memory:":
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine: AsyncEngine = create_async_engine(self.url)
            _tune_sqlite(self.engine)
        else:
            self.url = self.url.set(drivername="postgresql+asyncpg")
            self.engine = create_async_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                connect_args={"timeout": CONNECT_TIMEOUT_S},
            )

        self._reader = self.engine.execution_options(read_only=True)

    def unit_of_work(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction: commits when the block ends, rolls back when it raises.

        Raises:
            DatabaseAway: the database cannot be reached or broke off.
        """
        return self._transaction(self.engine)

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction that only reads, and so waits for no writer.

        Raises:
            DatabaseAway: the database cannot be reached or broke off.
        """
        return self._transaction(self._reader)

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with engine.begin() as connection:
                yield connection
        except (OSError, PoolTimeoutError, InterfaceError, OperationalError) as error:
            raise DatabaseAway(type(error).__name__) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseAway(type(error).__name__) from error
            raise

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _tune_sqlite(engine: AsyncEngine) -> None:
    """WAL so that readers never wait, and BEGIN IMMEDIATE so that a writer never fails halfway.

    Source: https://docs.sqlalchemy.org/en/21/dialects/sqlite.html (pysqlite transaction control),
    https://www.sqlite.org/wal.html.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Any) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
