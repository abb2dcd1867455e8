"""Figures out of measurements: percentiles, ratios, and whether a target is met. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: The contract's targets (section 8).
THROUGHPUT_AT_LEAST = 0.8
TIME_AT_MOST = 1.5


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([4.0, 1.0, 3.0, 2.0], 0.95)
    (2.0, 4.0)
    """
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds of a run."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value per round."""
        return cls(min(values), statistics.median(values), max(values))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure, both sides, round by round.

    Attributes:
        name: what is measured.
        unit: of both sides' values.
        bare: a value per round.
        orchestrator: a value per round, of the same rounds.
        target: bound of the ratio of the second to the first; `None`: shown without one.
        at_least: whether the bound is a lower one.
    """

    name: str
    unit: str
    bare: Sequence[float]
    orchestrator: Sequence[float]
    target: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> Spread:
        """The orchestrator's value through the bare loop's of the same round, so that noise hits both alike."""
        pairs = zip(self.orchestrator, self.bare, strict=True)
        return Spread.of([ours / theirs for ours, theirs in pairs])

    @property
    def met(self) -> bool | None:
        """Whether the median round keeps the target; `None` without one."""
        if self.target is None:
            return None
        median = self.ratio.median
        return median >= self.target if self.at_least else median <= self.target
