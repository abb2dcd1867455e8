"""Notice what happens to managed objects, and have their team looked at."""

import asyncio
import time
from collections.abc import Callable

import structlog

from orchestrator.cluster.client import Cluster
from orchestrator.cluster.informers import Informers
from orchestrator.domain.team import TeamKey

log = structlog.get_logger()

#: Wake-ups of one team in a row that are passed on at once.
HOT_WAKES = 10
#: A team whose objects nobody has changed for this long has peace, in seconds.
CALM_S = 60.0


class Damper:
    """Passes wake-ups on, but the more seldom the more often one team's objects are changed against us.

    Somebody who changes an object as often as we put it back would otherwise have us apply without pause.

    Args:
        wake: told the team.
        later: calls a function after some seconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        wake: Callable[[TeamKey], None],
        *,
        later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float],
    ) -> None:
        self._wake = wake
        self._later = later
        self._clock = clock
        self._recent: dict[TeamKey, tuple[int, float]] = {}
        self._held: set[TeamKey] = set()

    def __call__(self, team: TeamKey) -> None:
        """Wake the team, now or once it has been left in peace for a while."""
        now = self._clock()
        times, last = self._recent.get(team, (0, now))
        times = times + 1 if now - last < CALM_S else 1
        self._recent[team] = (times, now)
        if times <= HOT_WAKES:
            self._wake(team)
        elif team not in self._held:
            self._held.add(team)
            pause = min(CALM_S / 2, 2.0 ** (times - HOT_WAKES))
            log.warning("objects_fought_over", team=str(team), wakes=times, pause_s=pause)
            self._later(pause, lambda: self._release(team))

    def _release(self, team: TeamKey) -> None:
        self._held.discard(team)
        self._wake(team)

    def forget_calm(self) -> None:
        """Drop what is remembered of teams that have been left in peace."""
        now = self._clock()
        self._recent = {team: seen for team, seen in self._recent.items() if now - seen[1] < CALM_S}


class DriftWatch:
    """Watches every managed kind for as long as `run` does."""

    def __init__(self, cluster: Cluster, *, namespace: str, wake: Callable[[TeamKey], None]) -> None:
        self._damper = Damper(
            wake,
            later=lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call),
            clock=time.monotonic,
        )
        #: What the watches know.
        self.informers = Informers(cluster, namespace=namespace, wake=self._damper)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tidy())
            group.create_task(self.informers.run())

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(CALM_S)
            self._damper.forget_calm()
