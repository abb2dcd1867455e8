"""Wake-ups within one process: they carry no data, follow the commit, and losing one costs only time.

`notices` carries them from process to process.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from uuid import uuid4

from orchestrator.domain.team import TeamKey

Steps = tuple[Mapping[str, Any], ...]


class Signals:
    """Who wants to know when a team is to be looked at, and when a run moves."""

    def __init__(self) -> None:
        #: Tells this process from the others.
        self.origin = uuid4().hex
        self._on_team: list[Callable[[TeamKey], None]] = []
        self._run_waiters: dict[str, set[asyncio.Event]] = {}
        self._steps: dict[str, Steps] = {}

    def on_team(self, listener: Callable[[TeamKey], None]) -> None:
        """Have `listener` called with each team that is to be looked at."""
        self._on_team.append(listener)

    def team_changed(self, key: TeamKey) -> None:
        """What is wanted of a team has changed."""
        for listener in self._on_team:
            listener(key)

    def run_moved(self, run_id: str, steps: Steps | None = None) -> None:
        """A run has made a step; `None`: it has ended, or waits, as the store says."""
        if steps is None:
            self._steps.pop(run_id, None)
        else:
            self._steps[run_id] = steps
        for event in self._run_waiters.get(run_id, ()):
            event.set()

    def steps_of(self, run_id: str) -> Steps | None:
        """The steps of a pass that is under way here and not yet written down."""
        return self._steps.get(run_id)

    @contextlib.asynccontextmanager
    async def watching_run(self, run_id: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set each time the run moves; the watcher clears it before it looks."""
        event = asyncio.Event()
        waiters = self._run_waiters.setdefault(run_id, set())
        waiters.add(event)
        try:
            yield event
        finally:
            waiters.discard(event)
            if not waiters:
                self._run_waiters.pop(run_id, None)
