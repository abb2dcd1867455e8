"""The steps of a run: when each began, how long it took, what became of it."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from orchestrator.cluster.errors import ClusterError
from orchestrator.domain.team import TeamKey
from orchestrator.store.signals import Signals

log = structlog.get_logger()


class Journal:
    """Writes down the steps of one pass; a step done again replaces its earlier self and counts its attempts."""

    def __init__(
        self,
        key: TeamKey,
        run_id: str | None,
        earlier: tuple[Mapping[str, Any], ...],
        result: Mapping[str, Any],
        *,
        signals: Signals,
        clock: Callable[[], float],
    ) -> None:
        self._key = key
        self._run_id = run_id
        self._steps: dict[str, dict[str, Any]] = {str(step["name"]): dict(step) for step in earlier}
        #: What the run answers; a pass completes it even when it then has to wait.
        self.result: dict[str, Any] = dict(result)
        self._signals = signals
        self._clock = clock

    @property
    def steps(self) -> tuple[Mapping[str, Any], ...]:
        """The steps in the order of their first attempt."""
        return tuple(self._steps.values())

    @contextlib.asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """One step; an error ends it as failed and goes on its way."""
        began = self._clock()
        step: dict[str, Any] = {
            "name": name,
            "status": "running",
            "started_at": datetime.fromtimestamp(began, UTC).isoformat(),
            "duration_ms": None,
        }
        attempts = int(self._steps.get(name, {}).get("attempts", 0)) + 1
        self._steps[name] = step | {"attempts": attempts}
        self._announce()
        try:
            yield
        except Exception as error:
            self._end(name, began, status="failed", error=_words(error))
            raise
        self._end(name, began, status="succeeded")

    def _end(self, name: str, began: float, **outcome: str) -> None:
        duration_ms = round((self._clock() - began) * 1000)
        self._steps[name] = self._steps[name] | {"duration_ms": duration_ms} | outcome
        self._announce()
        log.info("step_ended", team=str(self._key), step=name, duration_ms=duration_ms, **outcome)

    def _announce(self) -> None:
        if self._run_id is not None:
            self._signals.run_moved(self._run_id, self.steps)


def _words(error: Exception) -> str:
    return error.message if isinstance(error, ClusterError) else str(error)
