"""What controllers do with time, on a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devcluster.controllers import Controllers
from devcluster.registry import Registry
from tests.integration.devcluster.cluster import NAMESPACE, Cluster, container, give_namespace
from tests.integration.devcluster.conftest import in_background


@dataclass
class MovableClock:
    moment: datetime = datetime(2026, 3, 1, 1, 59, 50, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, **amount: int) -> None:
        self.moment += timedelta(**amount)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def registry(clock: MovableClock) -> AsyncIterator[Registry]:
    registry = Registry(now=clock)
    give_namespace(registry)
    async with in_background(Controllers(registry, clock).run()):
        yield registry


def nightly(**spec: Any) -> dict[str, Any]:
    pods = {"spec": {"restartPolicy": "Never", "containers": [container("pass")]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": NAMESPACE},
        "spec": {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": pods}}, **spec},
    }


async def jobs(registry: Registry, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        if len(found := registry.list("Job", NAMESPACE)) == count:
            return found
        async for _ in registry.watch(["Job"]):
            if len(found := registry.list("Job", NAMESPACE)) == count:
                return found
    raise AssertionError("a watch never ends by itself")


async def settled(registry: Registry) -> None:
    """Wait until controllers have seen everything so far: they answer a new namespace after it."""
    made = registry.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "probe-"}}, manager="test"
    )
    name = made["metadata"]["name"]
    async with asyncio.timeout(10):
        async for event in registry.watch(["ServiceAccount"]):
            if event.object["metadata"]["namespace"] == name:
                return


async def test_a_job_is_started_when_it_is_due_and_no_sooner(registry: Registry, clock: MovableClock) -> None:
    registry.create(nightly(timeZone="UTC"), manager="test")
    await settled(registry)
    assert registry.list("Job", NAMESPACE) == []
    clock.pass_by(seconds=10)
    (job,) = await jobs(registry, 1)
    due = datetime(2026, 3, 1, 2, tzinfo=UTC)
    assert job["metadata"]["name"] == f"nightly-{int(due.timestamp()) // 60}"
    annotations = job["metadata"]["annotations"]
    assert annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] == "2026-03-01T02:00:00Z"
    cluster = Cluster(registry, None)
    found = await cluster.until(
        "CronJob", "nightly", lambda obj: "lastScheduleTime" in (obj.get("status") or {})
    )
    assert found["status"]["lastScheduleTime"] == "2026-03-01T02:00:00Z"
    assert [each["name"] for each in found["status"]["active"]] == [job["metadata"]["name"]]


@pytest.mark.parametrize(("policy", "running"), [("Forbid", 1), ("Allow", 2)])
async def test_the_next_job_waits_if_two_may_not_run(
    registry: Registry, clock: MovableClock, policy: str, running: int
) -> None:
    registry.create(nightly(concurrencyPolicy=policy), manager="test")
    clock.pass_by(seconds=10)
    await jobs(registry, 1)
    clock.pass_by(days=1)
    if running == 1:
        await settled(registry)
    assert len(await jobs(registry, running)) == running


async def test_a_running_job_is_replaced(registry: Registry, clock: MovableClock) -> None:
    registry.create(nightly(concurrencyPolicy="Replace"), manager="test")
    clock.pass_by(seconds=10)
    (before,) = await jobs(registry, 1)
    clock.pass_by(days=1)
    async with asyncio.timeout(10):
        async for _ in registry.watch(["Job"]):
            names = [each["metadata"]["name"] for each in registry.list("Job", NAMESPACE)]
            if len(names) == 1 and names != [before["metadata"]["name"]]:
                return


async def test_what_was_missed_for_too_long_is_not_made_up(registry: Registry, clock: MovableClock) -> None:
    registry.create(nightly(startingDeadlineSeconds=60), manager="test")
    clock.pass_by(hours=3)
    await settled(registry)
    assert registry.list("Job", NAMESPACE) == []
