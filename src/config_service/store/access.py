"""How the store's functions run: plain functions over a connection, each call one transaction or one read.

They are written without `await` so that one hand-over to the database serves a whole transaction. On SQLite
that matters: a statement takes some 15 µs, handing it to a thread some 300 µs, and an async driver does that
four times for every statement.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from servicekit.database import SQLITE_BUSY_TIMEOUT_MS, Database, DatabaseAway
from servicekit.problems import Unavailable

T = TypeVar("T")

#: PostgreSQL's words for "somebody else was faster": serialization failure, deadlock, a reference or a key
#: that was looked up and has changed since. Looking again sees what they did.
_RACES: Final = frozenset({"40001", "40P01", "23503", "23505"})
_ATTEMPTS: Final = 5


class Access(Protocol):
    """Runs functions over a connection."""

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run `query`, outside of any transaction: every statement sees what is committed.

        Raises:
            DatabaseAway: the database does not answer.
        """

    async def write(self, change: Callable[[Connection], T]) -> T:
        """Run `change` as one transaction: kept when it returns, undone when it raises.

        Raises:
            DatabaseAway: the database does not answer; nothing was changed.
        """


def open_access(database: Database) -> Access:
    """The fastest way to `database`; closing it closes this too."""
    in_file = database.is_sqlite and database.url.database not in {None, "", ":memory:"}
    return SqliteAccess(database) if in_file else AsyncAccess(database)


class AsyncAccess:
    """Over the database's own async driver: PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reads = _Autocommit(database)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """See `Access.read`."""
        async with self._reads.unit_of_work() as connection:
            return await connection.run_sync(query)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """See `Access.write`."""
        for _ in range(_ATTEMPTS):
            try:
                async with self._database.unit_of_work() as connection:
                    return await connection.run_sync(change)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _RACES:
                    raise
        what = "A row that others are changing"
        raise Unavailable(what)


class SqliteAccess:
    """Over Python's own driver: reads at once, writes one after the other in a thread of their own.

    With write-ahead logging a reader never waits for a writer, so reading is no slower than any other code
    that runs between two awaits. A writer may wait for the lock, hence the thread.
    """

    def __init__(self, database: Database) -> None:
        url = database.url.set(drivername="sqlite")
        self._readers = _sqlite_engine(url)
        self._writers = _sqlite_engine(url)
        event.listen(self._writers, "begin", _begin_immediate)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="config-writer")
        event.listen(database.engine.sync_engine, "engine_disposed", self._close)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """See `Access.read`."""
        with _away_if_broken(), self._readers.connect() as connection:
            return query(connection)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """See `Access.write`."""
        # Shielded: a caller who hangs up must not see a write half-reported, and the thread ends it anyway.
        return await asyncio.shield(
            asyncio.get_running_loop().run_in_executor(self._thread, self._write, change)
        )

    def _write(self, change: Callable[[Connection], T]) -> T:
        with _away_if_broken(), self._writers.begin() as connection:
            return change(connection)

    def _close(self, _engine: Engine) -> None:
        self._readers.dispose()
        self._writers.dispose()


class _Autocommit(Database):
    """The pool of another `Database`, each statement on its own: two round trips less for a read."""

    def __init__(self, database: Database) -> None:
        self.url = database.url
        self.is_sqlite = database.is_sqlite
        self.engine = (
            database.engine
            if self.is_sqlite
            else database.engine.execution_options(isolation_level="AUTOCOMMIT")
        )


@contextmanager
def _away_if_broken() -> Iterator[None]:
    try:
        yield
    except (OSError, PoolTimeoutError, InterfaceError, OperationalError) as error:
        raise DatabaseAway(type(error).__name__) from error


def _sqlite_engine(url: Any) -> Engine:
    engine = create_engine(url, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _on_connect)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
