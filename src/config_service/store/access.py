"""How the store's functions run: plain functions over a connection, each call one transaction or one read.

They are written without `await` so that one hand-over to the database serves a whole transaction. On SQLite
there is none at all: a statement takes some 15 µs, handing it to a thread and its result back some 300 µs, and a
thread waits for the interpreter's lock after each of its statements, for up to 5 ms while the loop is busy.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it brings none
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from servicekit.database import CONNECT_TIMEOUT_S, Database
from servicekit.errors import DatabaseAway
from servicekit.problems import Unavailable
from servicekit.sqlite import SQLITE_BUSY_TIMEOUT_MS, STANDSTILL_MS, TRY_AGAIN_S, is_busy

T = TypeVar("T")

#: PostgreSQL's words for "somebody else was faster": serialization failure, deadlock, a reference or a key
#: that was looked up and has changed since. Looking again sees what they did.
_RACES: Final = frozenset({"40001", "40P01", "23503", "23505"})
#: Classes of its words for "not now": no connection, no resources, shutting down.
_AWAY: Final = frozenset({"08", "53", "57"})
_ATTEMPTS: Final = 5
#: Connections kept open when the database's own pool does not say.
_POOL_SIZE: Final = 10


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
    """The fastest way to `database`; closing it closes this too.

    Raises:
        ValueError: a SQLite database in memory has one connection; readers and writers need their own.
    """
    if not database.is_sqlite:
        return PostgresAccess(database)
    if database.url.database in {None, "", ":memory:"}:
        message = "The Config Service needs a SQLite database in a file."
        raise ValueError(message)
    return SqliteAccess(database)


class PostgresAccess:
    """Over connections of its own, which are not asked for a sign of life before each use.

    Asking costs three round trips for a read that needs one. Instead, what meets a connection that broke
    while it lay idle is done again on a new one.
    """

    def __init__(self, database: Database) -> None:
        pool = database.engine.pool
        size = pool.size() if isinstance(pool, QueuePool) else _POOL_SIZE
        self._engine = create_async_engine(
            database.url,
            pool_size=size,
            max_overflow=size,
            connect_args={"timeout": CONNECT_TIMEOUT_S},
        )
        self._autocommit = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(database.engine.sync_engine, "engine_disposed", self._close)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """See `Access.read`."""

        async def attempt() -> T:
            async with self._autocommit.connect() as connection:
                return await connection.run_sync(query)

        return await _again_if_raced(attempt)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """See `Access.write`."""

        async def attempt() -> T:
            async with self._engine.connect() as connection:
                result = await connection.run_sync(change)
                try:
                    await connection.commit()
                except DBAPIError as error:
                    # Whether it was kept cannot be known: never done again from here.
                    raise DatabaseAway(type(error).__name__) from error
                return result

        return await _again_if_raced(attempt)

    def _close(self, _engine: Engine) -> None:
        self._engine.sync_engine.dispose()


async def _again_if_raced(attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat what lost a race or met a broken connection; nothing of it was kept."""
    for _ in range(_ATTEMPTS):
        try:
            return await attempt()
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None) or ""
            if state in _RACES or error.connection_invalidated:
                continue
            if state[:2] in _AWAY or isinstance(error, InterfaceError):
                raise DatabaseAway(type(error).__name__) from error
            raise
        except (OSError, PoolTimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # The driver's own errors come from connecting only; statements wrap them.
            raise DatabaseAway(type(error).__name__) from error
    what = "What others are changing at the same time"
    raise Unavailable(what)


class SqliteAccess:
    """Over Python's own driver, at once and in the loop's own thread.

    With write-ahead logging a reader never waits for a writer, and a commit is a write without `fsync`, so neither is
    slower than other code that runs between two awaits. Only becoming the writer may take time, and is awaited.
    """

    def __init__(self, database: Database) -> None:
        url = database.url.set(drivername="sqlite")
        self._readers = _sqlite_engine(url)
        self._writers = _sqlite_engine(url)
        event.listen(self._writers, "begin", _begin_immediate)
        event.listen(database.engine.sync_engine, "engine_disposed", self._close)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """See `Access.read`."""
        with _away_if_locked(), self._readers.connect() as connection:
            return query(connection)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """See `Access.write`."""
        give_up_at = time.monotonic() + SQLITE_BUSY_TIMEOUT_MS / 1000
        while True:
            with _away_if_locked(), self._writers.connect() as connection:
                if _begun(connection, patient=time.monotonic() < give_up_at):
                    result = change(connection)
                    connection.commit()
                    return result
            await asyncio.sleep(TRY_AGAIN_S)

    def _close(self, _engine: Engine) -> None:
        self._readers.dispose()
        self._writers.dispose()


def _begun(connection: Connection, *, patient: bool) -> bool:
    """Whether this is the writer now; `False`: another one is, and it is worth trying again.

    Raises:
        sqlalchemy.exc.OperationalError: it has taken too long, or is not to be had at all.
    """
    try:
        connection.begin()
    except OperationalError as error:
        if patient and is_busy(error):
            return False
        raise
    return True


@contextmanager
def _away_if_locked() -> Iterator[None]:
    """SQLite: its file is locked for too long, or cannot be read or written."""
    try:
        yield
    except (PoolTimeoutError, OperationalError) as error:
        raise DatabaseAway(type(error).__name__) from error


def _sqlite_engine(url: Any) -> Engine:
    engine = create_engine(url, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _on_connect)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        # The change to WAL needs the file for itself for a moment, so here the wait is longer.
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={STANDSTILL_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
