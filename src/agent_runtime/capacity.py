"""How many requests run at once: bounded in all, and bounded per team so that none starves the others."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent_runtime.errors import RuntimeBusy, TeamBusy


class Capacity:
    """Slots for running requests.

    Args:
        total: requests running at once.
        per_team: of which one team may have this many.
        patience_s: how long a request waits for a free slot, in seconds.
    """

    def __init__(self, *, total: int = 32, per_team: int = 8, patience_s: float = 5.0) -> None:
        self._slots = asyncio.Semaphore(total)
        self._per_team = per_team
        self._patience_s = patience_s
        self._running: Counter[tuple[str, str]] = Counter()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of all slots.

        Raises:
            RuntimeBusy: none became free in time.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise RuntimeBusy from error
        try:
            yield
        finally:
            self._slots.release()

    @asynccontextmanager
    async def team_slot(self, team: tuple[str, str]) -> AsyncIterator[None]:
        """Hold one of the team's slots.

        Raises:
            TeamBusy: the team uses all of its own.
        """
        if self._running[team] >= self._per_team:
            raise TeamBusy(self._per_team)
        self._running[team] += 1
        try:
            yield
        finally:
            self._running[team] -= 1
            if not self._running[team]:
                del self._running[team]
