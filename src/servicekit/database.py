"""One way to a SQL database: an engine with sane settings and a unit of work, the only place that commits."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from servicekit.errors import DatabaseAway
from servicekit.sqlite import READ_ONLY, open_sqlite

#: How long to wait for a connection to PostgreSQL, in seconds.
CONNECT_TIMEOUT_S = 5


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
            self.engine: AsyncEngine = open_sqlite(self.url)
        else:
            self.url = self.url.set(drivername="postgresql+asyncpg")
            self.engine = create_async_engine(
                self.url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                connect_args={"timeout": CONNECT_TIMEOUT_S},
            )

        self._reader = self.engine.execution_options(**{READ_ONLY: True})

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
