"""The loop: teams that are due are reconciled, woken by a commit and by time."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from orchestrator.domain.team import TeamKey
from orchestrator.reconciler.team import TeamReconciler
from orchestrator.store import runs, teams
from orchestrator.store.signals import Signals
from servicekit.database import Database
from servicekit.errors import DatabaseAway

log = structlog.get_logger()

#: How often to ask the database for teams that are due, in seconds; wake-ups make it rare that one waits that long.
LOOK_EVERY_S = 0.5
#: How many teams are woken in a second when what they waited for is back.
WAKES_A_SECOND = 200
#: How often expired idempotency keys are dropped, in seconds.
TIDY_EVERY_S = 600.0


class Reconciler:
    """Works on due teams until it is stopped.

    Args:
        workers: teams worked on at the same time.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        database: Database,
        teams_reconciler: TeamReconciler,
        signals: Signals,
        workers: int,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._team = teams_reconciler
        self._workers = workers
        self._clock = clock
        self._queue: asyncio.Queue[TeamKey] = asyncio.Queue()
        #: Queued and not yet begun; one entry a team, however often it is woken.
        self._waiting: set[TeamKey] = set()
        #: Under way; a team woken meanwhile is looked at once more afterwards.
        self._under_way: set[TeamKey] = set()
        self._again: set[TeamKey] = set()
        self._wakings: set[asyncio.Task[None]] = set()
        signals.on_team(self.wake)

    def wake(self, key: TeamKey) -> None:
        """Have a team looked at as soon as a worker is free."""
        if key in self._under_way:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._queue.put_nowait(key)

    async def run(self) -> None:
        """Work until cancelled; passes under way are then ended where they are, and their leases handed back."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._every(LOOK_EVERY_S, self._wake_due))
                group.create_task(self._every(TIDY_EVERY_S, self._tidy))
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            with contextlib.suppress(DatabaseAway):
                await self._team.hand_back()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._waiting.discard(key)
            self._under_way.add(key)
            try:
                await self._reconcile(key)
            finally:
                self._under_way.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.wake(key)

    async def _reconcile(self, key: TeamKey) -> None:
        try:
            await self._team.reconcile(key)
        except DatabaseAway as error:
            log.warning("database_away", team=str(key), cause=str(error))
            # While our own claim lasts the team counts as being worked on: nobody else would look at it so soon.
            asyncio.get_running_loop().call_later(LOOK_EVERY_S, self.wake, key)
        except Exception:
            # One team's bug must not stop the others.
            log.exception("reconcile_failed", team=str(key))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do a piece of work again and again; what goes wrong once is tried again the next time."""
        while True:
            try:
                await work()
            except DatabaseAway as error:
                log.warning("database_away", work=work.__name__, cause=str(error))
            except Exception:
                log.exception("work_failed", work=work.__name__)
            await asyncio.sleep(seconds)

    def wake_waiting(self) -> None:
        """A dependency is back: have a look at those who may have waited for it, not all at the same moment."""
        task = asyncio.ensure_future(self._wake_waiting())
        self._wakings.add(task)
        task.add_done_callback(self._wakings.discard)

    async def _wake_waiting(self) -> None:
        try:
            async with self._database.reading() as connection:
                waiting = await teams.waiting(connection)
        except DatabaseAway as error:
            log.warning("database_away", work="wake_waiting", cause=str(error))
            return
        loop = asyncio.get_running_loop()
        for number, key in enumerate(waiting):
            loop.call_later(number / WAKES_A_SECOND, self.wake, key)

    async def _wake_due(self) -> None:
        async with self._database.reading() as connection:
            due = await teams.due(connection, now=self._clock(), limit=self._workers * 4)
        for key in due:
            self.wake(key)

    async def _tidy(self) -> None:
        async with self._database.unit_of_work() as connection:
            await runs.forget_expired_keys(connection, now=self._clock())
