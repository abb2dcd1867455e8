import asyncio
from contextlib import AsyncExitStack

import pytest

from agent_runtime.capacity import Capacity
from agent_runtime.errors import RuntimeBusy, TeamBusy

ACME, GLOBEX = ("acme", "pay"), ("globex", "pay")


async def test_a_request_waits_for_a_slot_and_then_gives_up() -> None:
    capacity = Capacity(total=1, patience_s=0.01)
    async with capacity.slot():
        with pytest.raises(RuntimeBusy):
            await capacity.slot().__aenter__()
    async with capacity.slot():
        pass


async def test_a_slot_that_becomes_free_in_time_is_taken() -> None:
    capacity = Capacity(total=1)
    order: list[str] = []

    async def second() -> None:
        async with capacity.slot():
            order.append("second")

    async with capacity.slot():
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_one_team_cannot_take_the_slots_of_others() -> None:
    capacity = Capacity(per_team=2)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(capacity.team_slot(ACME))
        with pytest.raises(TeamBusy):
            await stack.enter_async_context(capacity.team_slot(ACME))
        await stack.enter_async_context(capacity.team_slot(GLOBEX))
    async with capacity.team_slot(ACME):
        pass


async def test_a_request_that_fails_gives_its_slots_back() -> None:
    capacity = Capacity(total=1, per_team=1, patience_s=0.01)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            async with capacity.slot(), capacity.team_slot(ACME):
                raise ValueError("broken")
