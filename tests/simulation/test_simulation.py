"""Ten thousand random steps: requests, faults, deaths, changes by hand; what must hold does, after each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.simulation import quiet, simulate
from tests.simulation.virtual_time import run

SEEDS, STEPS = range(1, 21), 500


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


@pytest.mark.parametrize("seed", SEEDS)
def test_what_must_hold_holds_after_every_step(tmp_path: Path, seed: int) -> None:
    run(simulate(tmp_path, seed, STEPS))


def test_a_seed_is_the_same_history_every_time(tmp_path: Path) -> None:
    histories = set()
    for time in range(2):
        folder = tmp_path / str(time)
        folder.mkdir()
        histories.add(run(simulate(folder, 99, 80)))

    assert len(histories) == 1
