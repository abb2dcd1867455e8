"""A claim on a team for some time, and its end: nothing is changed outside by somebody whose claim has run out."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

#: The share of a lease after which its holder stops: what it has sent by then still arrives within the lease.
_USABLE = 0.8


class LeaseLostError(Exception):
    """The team may be somebody else's by now."""


class Lease:
    """Held from the moment before it was asked for, so that its holder gives up before anybody else may begin.

    Args:
        seconds: how long it lasts without being renewed.
        monotonic: a clock in seconds that goes on while the process is stopped.
    """

    def __init__(self, seconds: float, *, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._until = 0.0

    def renewed(self, asked_at: float) -> None:
        """The claim was taken, or prolonged, by a statement sent at that time."""
        self._until = asked_at + self._seconds * _USABLE

    @property
    def left_s(self) -> float:
        """For how long something may still be done, in seconds."""
        return max(0.0, self._until - self._monotonic())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Bind what is done inside, by tasks started there too, to the lease."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)


_CURRENT: ContextVar[Lease | None] = ContextVar("lease", default=None)


def must_be_held() -> None:
    """For whoever is about to change something outside; what is done under no lease is not asked.

    Raises:
        LeaseLostError: the lease of the pass that this belongs to has run out.
    """
    lease = _CURRENT.get()
    if lease is not None and not lease.left_s:
        raise LeaseLostError
