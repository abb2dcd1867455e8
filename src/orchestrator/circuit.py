"""A dependency that does not answer is not asked again by everybody, but by one, now and then.

The libraries for this either open on any exception, refusals included, or know nothing of a `Retry-After` and tell
nobody when the dependency is back; the whole of it is smaller than their adapters would be.
Source: https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from prometheus_client import Gauge

from orchestrator.errors import DependencyAway

log = structlog.get_logger()

#: Failures in a row that open the circuit.
FAILURES = 5
#: Pauses between two attempts of the one that looks whether the dependency is back: doubling, in seconds.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 5.0
#: The longest pause that a dependency may ask for, in seconds.
LONGEST_RETRY_AFTER_S = 60.0

OPEN = Gauge("orchestrator_circuit_open", "1 while a dependency is not asked.", ["dependency"])


class Circuit:
    """Closed: everybody may ask. Open: nobody but the one who looks whether the dependency is back.

    Args:
        dependency: its name, as `DependencyAway` says it.
        monotonic: a clock in seconds.
        jitter: a random number between 0 and 1.
    """

    def __init__(
        self,
        dependency: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._dependency = dependency
        self._monotonic = monotonic
        self._jitter = jitter
        self._failures = 0
        self._cause = ""
        self._since: datetime | None = None
        self._not_before = 0.0
        self._opened = asyncio.Event()
        self._on_closed: list[Callable[[], None]] = []
        OPEN.labels(dependency).set(0)

    @property
    def is_open(self) -> bool:
        """Whether nobody is to ask."""
        return self._since is not None

    def on_closed(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when the dependency is back."""
        self._on_closed.append(listener)

    def must_be_closed(self) -> None:
        """For whoever is about to ask; once a pause is over, one is let through to see whether it is back.

        Raises:
            DependencyAway: the circuit is open.
        """
        if self._since is None:
            return
        left_s = self._not_before - self._monotonic()
        if left_s <= 0:
            self._not_before = self._monotonic() + LAST_PAUSE_S
        else:
            since = f"{self._since:%Y-%m-%dT%H:%M:%SZ}"
            raise DependencyAway(
                self._dependency, f"{self._cause}; not asked since {since}", retry_after_s=left_s
            )

    def answered(self) -> None:
        """The dependency gave an answer, a refusal perhaps."""
        self._failures = 0
        if self._since is None:
            return
        self._since = None
        self._opened.clear()
        OPEN.labels(self._dependency).set(0)
        log.info("circuit_closed", dependency=self._dependency)
        for listener in self._on_closed:
            listener()

    def failed(self, cause: str, *, retry_after_s: float | None = None) -> None:
        """The dependency gave no answer, or asked not to be asked for a while."""
        self._failures += 1
        self._cause = cause
        if retry_after_s:
            pause_s = min(retry_after_s, LONGEST_RETRY_AFTER_S)
        else:
            doubled = FIRST_PAUSE_S * 2.0 ** max(0, min(self._failures - FAILURES, 10))
            pause_s = min(LAST_PAUSE_S, doubled) * (0.5 + self._jitter() / 2)
        self._not_before = self._monotonic() + pause_s
        if self._since is None and (self._failures >= FAILURES or retry_after_s):
            self._since = datetime.now(UTC)
            self._opened.set()
            OPEN.labels(self._dependency).set(1)
            log.warning("circuit_opened", dependency=self._dependency, cause=cause)

    async def watch_over(self, ask: Callable[[], Awaitable[object]]) -> None:
        """While the circuit is open, ask now and then, until cancelled; so that it closes when nobody else asks.

        Args:
            ask: something cheap; its answer is told to `answered` or `failed` by whoever sends it.
        """
        while True:
            await self._opened.wait()
            await asyncio.sleep(max(0.0, self._not_before - self._monotonic()))
            try:
                await ask()
            except DependencyAway as error:
                log.info("still_away", dependency=self._dependency, cause=error.cause)
