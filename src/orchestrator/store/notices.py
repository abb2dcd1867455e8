"""Wake-ups between processes over PostgreSQL's LISTEN and NOTIFY; without them each finds out at its next look.

A notice is sent with the commit it tells of and carries no data. SQLite has none: there it is one process.
Source: https://www.postgresql.org/docs/current/sql-notify.html
"""

import asyncio
import random
from collections.abc import Callable

import asyncpg  # type: ignore[import-untyped]  # it brings none
import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.domain.team import TeamKey
from orchestrator.store.signals import Signals
from servicekit.database import Database

log = structlog.get_logger()

CHANNEL = "orchestrator"
#: Pauses before the next attempt to listen, in seconds: doubling from the first to the last.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0
#: A connection that says nothing is asked this often whether it is still there, in seconds.
CHECK_S = 15.0

_NOTIFY = sa.text("SELECT pg_notify(:channel, :payload)")


class Notice(msgspec.Struct, omit_defaults=True):
    """What has moved."""

    #: The process that says so: it knows already.
    origin: str
    team: tuple[str, str] | None = None
    run_id: str | None = None


async def team_changed(connection: AsyncConnection, signals: Signals, key: TeamKey) -> None:
    """Tell the other processes, once this transaction is committed, that a team is to be looked at."""
    await _send(connection, Notice(signals.origin, team=(key.org_id, key.team_node_id)))


async def run_moved(connection: AsyncConnection, signals: Signals, run_id: str) -> None:
    """Tell the other processes, once this transaction is committed, that a run has moved."""
    await _send(connection, Notice(signals.origin, run_id=run_id))


async def _send(connection: AsyncConnection, notice: Notice) -> None:
    if connection.dialect.name == "postgresql":
        payload = msgspec.json.encode(notice).decode()
        await connection.execute(_NOTIFY, {"channel": CHANNEL, "payload": payload})


class Listener:
    """Passes on what other processes tell, over a connection of its own, for as long as `run` does."""

    def __init__(
        self, database: Database, signals: Signals, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._database = database
        self._signals = signals
        self._jitter = jitter

    async def run(self) -> None:
        """Listen until cancelled; a connection that breaks is made again."""
        if self._database.is_sqlite:
            return
        failures = 0
        while True:
            try:
                connection = await asyncpg.connect(self._dsn())
                try:
                    await connection.add_listener(CHANNEL, self._told)
                    failures = 0
                    while True:
                        await asyncio.sleep(CHECK_S)
                        async with asyncio.timeout(CHECK_S):
                            await connection.execute("SELECT 1")
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                failures += 1
                log.warning("not_listening", cause=type(error).__name__)
            pause = min(LAST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 10))
            await asyncio.sleep(pause / 2 + pause / 2 * self._jitter())

    def _dsn(self) -> str:
        return self._database.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def _told(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        try:
            notice = msgspec.json.decode(payload, type=Notice)
        except msgspec.DecodeError:
            # Another version's, or somebody else's: the next look finds out what there is.
            log.info("notice_not_understood")
            return
        if notice.origin == self._signals.origin:
            return
        if notice.team is not None:
            self._signals.team_changed(TeamKey(*notice.team))
        if notice.run_id is not None:
            self._signals.run_moved(notice.run_id)
