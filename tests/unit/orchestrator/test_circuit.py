"""A dependency that does not answer is not asked again by everybody."""

import asyncio

import pytest

from orchestrator.circuit import FAILURES, LAST_PAUSE_S, Circuit
from orchestrator.errors import DependencyAway


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_circuit(clock: Clock) -> Circuit:
    return Circuit("cluster", monotonic=clock, jitter=lambda: 1.0)


def open_it(circuit: Circuit) -> None:
    for _ in range(FAILURES):
        circuit.must_be_closed()
        circuit.failed("ConnectError")


async def test_it_opens_after_failures_in_a_row_and_says_since_when() -> None:
    circuit = a_circuit(Clock())
    for _ in range(FAILURES - 1):
        circuit.failed("ConnectError")
    circuit.answered()
    open_it(circuit)

    with pytest.raises(
        DependencyAway, match=r"cluster is away: ConnectError; not asked since \d{4}-"
    ) as away:
        circuit.must_be_closed()

    assert away.value.retry_after_s == pytest.approx(0.5)


async def test_one_is_let_through_after_the_pause_and_its_answer_closes_it() -> None:
    clock, back = Clock(), []
    circuit = a_circuit(clock)
    circuit.on_closed(lambda: back.append(clock.now))
    open_it(circuit)
    clock.now += 0.5

    circuit.must_be_closed()
    with pytest.raises(DependencyAway):
        circuit.must_be_closed()
    circuit.answered()

    circuit.must_be_closed()
    assert back == [clock.now]


async def test_pauses_grow_and_have_an_end() -> None:
    clock = Clock()
    circuit = a_circuit(clock)
    open_it(circuit)
    pauses = []
    for _ in range(8):
        circuit.failed("ConnectError")
        with pytest.raises(DependencyAway) as away:
            circuit.must_be_closed()
        pauses.append(away.value.retry_after_s)

    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_PAUSE_S


async def test_whoever_asks_for_a_pause_gets_it_at_once() -> None:
    clock = Clock()
    circuit = a_circuit(clock)

    circuit.failed("429 too many requests", retry_after_s=7)

    with pytest.raises(DependencyAway) as away:
        circuit.must_be_closed()
    assert away.value.retry_after_s == 7
    clock.now += 7
    circuit.must_be_closed()


async def test_somebody_looks_after_it_while_nobody_asks() -> None:
    circuit = Circuit("cluster", jitter=lambda: 0.0)
    asked = asyncio.Event()

    async def ask() -> None:
        circuit.answered()
        asked.set()

    watching = asyncio.create_task(circuit.watch_over(ask))
    open_it(circuit)
    await asyncio.wait_for(asked.wait(), 15)
    watching.cancel()

    assert not circuit.is_open
