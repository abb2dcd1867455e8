"""Provisioning against a bare loop that applies the same objects with the same client (contract, section 8).

Both sides are measured in one run against one API server, in turns, so that noise hits both alike.
"""

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.caller import Batch, Timed
from bench.figures import THROUGHPUT_AT_LEAST, TIME_AT_MOST, Comparison, Spread, percentile
from bench.processes import Bench, Client, started

CALLERS = 16
LEAST_ROUNDS = 2
#: Every team of every side has a number of its own; the two sides' numbers are apart because a Slack channel
#: belongs to one team.
_FIRST = {"bare": 100_000, "full": 500_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much to measure.

    Attributes:
        seconds: no round begins that would probably not end within this time.
        rounds: how often the sides take turns at most; the first two rounds always count.
        alone: teams that one caller provisions, per side and round.
        crowd: teams that 16 callers provision, per side and round.
        fresh: teams of a new shape each, which the orchestrator alone provisions at the end.
    """

    seconds: float
    rounds: int
    alone: int
    crowd: int
    fresh: int


FULL = Size(seconds=150, rounds=9, alone=50, crowd=200, fresh=10)
QUICK = Size(seconds=22, rounds=3, alone=15, crowd=64, fresh=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One batch of one side, with the CPU time that each process spent on it."""

    timed: Timed
    cluster_cpu_s: float
    orchestrator_cpu_s: float

    @property
    def teams_per_s(self) -> float:
        """Throughput."""
        return len(self.timed.each_ms) / self.timed.wall_s

    def cpu_ms_a_team(self) -> dict[str, float]:
        """CPU time a team by process."""
        teams = len(self.timed.each_ms)
        seconds = {
            "client": self.timed.cpu_s,
            "orchestrator": self.orchestrator_cpu_s,
            "dev cluster": self.cluster_cpu_s,
        }
        return {name: spent * 1000 / teams for name, spent in seconds.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything a run has measured, a sample per round."""

    objects: int
    alone: dict[str, list[Sample]]
    crowd: dict[str, list[Sample]]
    fresh: Sample


class _Side:
    """A client with the numbers of the teams it has not provisioned yet."""

    def __init__(self, name: str, client: Client, bench: Bench) -> None:
        self.name = name
        self._client = client
        self._bench = bench
        self._next = _FIRST[name]

    def run(self, count: int, callers: int, *, fresh_shapes: bool = False) -> Sample:
        batch = Batch(first=self._next, count=count, callers=callers, fresh_shapes=fresh_shapes)
        self._next += count
        cluster, orchestrator = self._bench.cluster, self._bench.orchestrator
        before = cluster.cpu_s(), orchestrator.cpu_s()
        timed = self._client.run(batch)
        return Sample(
            timed=timed,
            cluster_cpu_s=cluster.cpu_s() - before[0],
            orchestrator_cpu_s=orchestrator.cpu_s() - before[1],
        )


def measure(size: Size, console: Console) -> Measured:
    """Start everything, measure, stop everything.

    Raises:
        bench.processes.Broken: a process did not do its part.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _progress(size, console) as begin:
        begin("start and warm up")
        with started(Path(folder)) as bench:
            sides = [_Side("bare", bench.bare, bench), _Side("full", bench.full, bench)]
            for side in sides:
                # Connections, compiled statements, and the first dry run of the shape.
                side.run(CALLERS, 1)
                side.run(CALLERS * 2, CALLERS)
            began_at = time.monotonic()
            alone: dict[str, list[Sample]] = {side.name: [] for side in sides}
            crowd: dict[str, list[Sample]] = {side.name: [] for side in sides}
            for number in range(size.rounds):
                if number >= LEAST_ROUNDS and (time.monotonic() - began_at) * (1 + 1 / number) > size.seconds:
                    break
                # Who comes first changes from round to round.
                for side in sides if number % 2 == 0 else reversed(sides):
                    begin(f"round {number + 1}: {side.name}, one caller")
                    alone[side.name].append(side.run(size.alone, 1))
                for side in sides if number % 2 == 0 else reversed(sides):
                    begin(f"round {number + 1}: {side.name}, {CALLERS} callers")
                    crowd[side.name].append(side.run(size.crowd, CALLERS))
            begin("shapes that need a dry run")
            fresh = sides[1].run(size.fresh, 1, fresh_shapes=True)
        objects = {sample.timed.objects for samples in alone.values() for sample in samples}
    assert len(objects) == 1, f"the sides do not have the same objects: {objects}"
    return Measured(objects=objects.pop(), alone=alone, crowd=crowd, fresh=fresh)


def compared(measured: Measured) -> list[Comparison]:
    """The figures of the contract first, then what helps to understand them."""
    alone, crowd = measured.alone, measured.crowd

    def each(share: float, side: str) -> list[float]:
        return [percentile(sample.timed.each_ms, share) for sample in alone[side]]

    def rates(side: str) -> list[float]:
        return [sample.teams_per_s for sample in crowd[side]]

    return [
        Comparison(
            f"throughput, {CALLERS} callers", "teams/s", rates("bare"), rates("full"),
            target=THROUGHPUT_AT_LEAST, at_least=True,
        ),
        Comparison("time, one caller, p50", "ms", each(0.5, "bare"), each(0.5, "full"), target=TIME_AT_MOST),
        Comparison("time, one caller, p95", "ms", each(0.95, "bare"), each(0.95, "full")),
    ]  # fmt: skip


def report(measured: Measured, console: Console) -> None:
    """Print the figures, and say of each target whether it is met."""
    table = Table(title=f"Provisioning a dedicated team with a pipeline: {measured.objects} objects")
    for column in ("figure", "bare loop", "orchestrator", "ratio (min to max)", "target"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for item in compared(measured):
        bare, ours, ratio = Spread.of(item.bare), Spread.of(item.orchestrator), item.ratio
        table.add_row(
            item.name,
            f"{bare.median:.1f} {item.unit}",
            f"{ours.median:.1f} {item.unit}",
            f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
            verdict(item),
        )
    console.print(table)
    fresh_ms = percentile(measured.fresh.timed.each_ms, 0.5)
    console.print(f"One caller, a shape that needs a dry run first, p50: {fresh_ms:.1f} ms")
    spent = Table(title="CPU time a team, in ms (median round)")
    for column in ("process", "bare, 1", "orchestrator, 1", f"bare, {CALLERS}", f"orchestrator, {CALLERS}"):
        spent.add_column(column, justify="left" if column == "process" else "right")
    columns = [cpu_ms(samples) for group in (measured.alone, measured.crowd) for samples in group.values()]
    for process in columns[0]:
        spent.add_row(process, *(f"{column[process]:.1f}" for column in columns))
    console.print(spent)


def verdict(item: Comparison) -> str:
    """The target in words, and whether it is met."""
    if item.target is None:
        return ""
    bound = "at least" if item.at_least else "at most"
    return f"{bound} {item.target}: {'met' if item.met else 'MISSED'}"


def cpu_ms(samples: Sequence[Sample]) -> dict[str, float]:
    """The median CPU time a team by process."""
    rounds = [sample.cpu_ms_a_team() for sample in samples]
    return {name: Spread.of([spent[name] for spent in rounds]).median for name in rounds[0]}


def as_json(measured: Measured, size: Size, seconds: float) -> dict[str, Any]:
    """The run for machines: every round's figures."""
    return {
        "benchmark": "provisioning",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "machine": {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()},
        "size": {
            "rounds": len(measured.crowd["bare"]),
            "alone": size.alone,
            "crowd": size.crowd,
            "callers": CALLERS,
        },
        "objects_a_team": measured.objects,
        "figures": [
            {
                "name": item.name,
                "unit": item.unit,
                "bare": list(item.bare),
                "orchestrator": list(item.orchestrator),
                "ratio": asdict(item.ratio),
                "target": item.target,
                "met": item.met,
            }
            for item in compared(measured)
        ],
        "fresh_shape_p50_ms": percentile(measured.fresh.timed.each_ms, 0.5),
        "cpu_ms_a_team": {
            f"{side}, {callers}": cpu_ms(samples)
            for callers, group in ((1, measured.alone), (CALLERS, measured.crowd))
            for side, samples in group.items()
        },
    }


@contextmanager
def _progress(size: Size, console: Console) -> Iterator[Callable[[str], None]]:
    """A bar with a step per batch; the function begins the next one and says what it is."""
    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=size.rounds * 4 + 2)
        began = False

        def begin(what: str) -> None:
            nonlocal began
            progress.update(task, advance=1 if began else 0, description=what)
            began = True
            if not console.is_terminal:
                console.print(what)

        yield begin
