"""Wait for a run, whoever works on it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from orchestrator.store import runs
from orchestrator.store.runs import RunRecord
from orchestrator.store.signals import Signals
from servicekit.database import Database
from servicekit.problems import NotFound

#: How often to look at a run that another process may be working on, in seconds.
LOOK_EVERY_S = 0.5


class RunWatch:
    """Looks at runs when they move."""

    def __init__(self, database: Database, signals: Signals) -> None:
        self._database = database
        self._signals = signals

    async def get(self, run_id: str) -> RunRecord:
        """The run as it is.

        Raises:
            NotFound: there is none of that id.
        """
        async with self._database.reading() as connection:
            run = await runs.get(connection, run_id)
        if run is None:
            raise NotFound(what=f"Run {run_id}")
        return run

    async def follow(self, run_id: str) -> AsyncIterator[RunRecord]:
        """The run each time it has moved; the last one has ended."""
        async with self._signals.watching_run(run_id) as moved:
            while True:
                moved.clear()
                run = await self.get(run_id)
                live = self._signals.steps_of(run_id)
                yield replace(run, steps=live) if live is not None and not run.ended else run
                if run.ended:
                    return
                try:
                    await asyncio.wait_for(moved.wait(), LOOK_EVERY_S)
                except TimeoutError:
                    continue

    async def wait(self, run: RunRecord, seconds: float) -> RunRecord:
        """The run once it has ended, or as it is after that long.

        Args:
            run: as it was just kept or read.
            seconds: how long to wait.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        async with self._signals.watching_run(run.id) as moved:
            while not run.ended and (left := deadline - loop.time()) > 0:
                # A step made here is no reason to ask the database: only the end is, and that clears the steps.
                await self._moved(run.id, moved, min(left, LOOK_EVERY_S))
                moved.clear()
                run = await self.get(run.id)
        return run

    async def _moved(self, run_id: str, moved: asyncio.Event, seconds: float) -> None:
        """Return when the run has come to an end of a pass, or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await moved.wait()
                    if self._signals.steps_of(run_id) is None:
                        return
                    moved.clear()
        except TimeoutError:
            return
