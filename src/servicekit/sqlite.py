"""SQLite for an event loop: statements run at once, in the loop's own thread, and only waiting is awaited.

A statement takes some 15 µs; handing it to a thread and its result back takes some 300 µs, and an async driver
does that for the statement, its rows and its cursor. With write-ahead logging a reader waits for nobody, and a
commit is a write without `fsync` (`synchronous=NORMAL`), so the one thing worth awaiting is another writer's
end. That is what `BEGIN IMMEDIATE` asks for, before anything is done.
"""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, create_engine, event, pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

#: How long a writer waits for another one's end, in milliseconds (SQLite has one writer at a time).
SQLITE_BUSY_TIMEOUT_MS = 10_000
#: How long anything else may wait for a lock while the event loop stands still, in milliseconds: only another
#: process that repairs the file after a crash holds such a lock.
STANDSTILL_MS = 20
#: Pause between two attempts to become the writer, in seconds.
TRY_AGAIN_S = 0.002
#: Option of a connection that only reads.
READ_ONLY = "read_only"
_DRIVER = "inline"


class InlineSqlite(SQLiteDialect_pysqlite):
    """Python's own driver, called from coroutines."""

    driver = _DRIVER
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        """A pool whose waiting does not block the loop; a database in memory has one connection."""
        return pool.AsyncAdaptedQueuePool if cls._is_url_file_db(url) else pool.StaticPool


class _Cursor(sqlite3.Cursor):
    """A cursor with what SQLAlchemy's asyncio layer expects of one."""

    def execute(self, *statement: Any) -> Self:
        """Execute at once; a driver that awaits nothing would be taken for a blocking one, and refused."""
        super().execute(*statement)
        await_only(_nothing())
        return self

    def executemany(self, *statement: Any) -> Self:
        """See `execute`."""
        super().executemany(*statement)
        await_only(_nothing())
        return self

    async def _async_soft_close(self) -> None:
        """Rows are read when they are asked for; there is nothing to fetch beforehand."""


class _Connection(sqlite3.Connection):
    def cursor(self, *_factory: Any) -> Any:
        """A cursor of our own kind."""
        return super().cursor(_Cursor)


async def _nothing() -> None:
    """Done at once: whoever awaits it does not give way."""


registry.register(f"sqlite.{_DRIVER}", __name__, InlineSqlite.__name__)


def open_sqlite(url: URL) -> AsyncEngine:
    """An engine for the file of `url`, whose folder is made when it is not there."""
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url.set(drivername=f"sqlite+{_DRIVER}"),
        connect_args={"check_same_thread": False, "factory": _Connection},
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return AsyncEngine(engine)


def is_busy(error: OperationalError) -> bool:
    """Whether somebody else is writing just now."""
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    """WAL so that readers never wait; transactions are begun by us alone.

    Source: https://docs.sqlalchemy.org/en/21/dialects/sqlite.html (pysqlite transaction control),
    https://www.sqlite.org/wal.html.
    """
    connection.isolation_level = None
    # The change to WAL needs the file for itself for a moment, so here the wait is longer.
    for pragma in (
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        f"busy_timeout={STANDSTILL_MS}",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _on_begin(connection: Connection) -> None:
    """BEGIN IMMEDIATE so that a writer never fails halfway; what only reads takes no lock."""
    if connection.get_execution_options().get(READ_ONLY, False):
        connection.exec_driver_sql("BEGIN")
        return
    give_up_at = time.monotonic() + SQLITE_BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if not is_busy(error) or time.monotonic() > give_up_at:
                raise
        else:
            return
        await_only(asyncio.sleep(TRY_AGAIN_S))
