"""One side's client process: provisions the teams it is told to and says how long each took.

It reads a `Batch` per line from standard input and writes a `Timed` per line to standard output, both as JSON.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import uvloop

from bench.teams import objects_of, request_body, team_key
from orchestrator.cluster.client import Cluster
from orchestrator.concurrency import together
from orchestrator.runtime import platform_of
from orchestrator.settings import Settings

#: No answer takes this long unless something is broken, in seconds.
TIMEOUT_S = 60

#: Provisions a team; answers how many objects it has.
Provision = Callable[[], Awaitable[int]]


class Batch(msgspec.Struct):
    """Teams to provision.

    Attributes:
        first: number of the first team.
        count: how many.
        callers: how many of them at the same time.
        fresh_shapes: every team's objects are of a shape that the cluster has not seen yet.
    """

    first: int
    count: int
    callers: int
    fresh_shapes: bool = False


#: Makes ready, off the clock, what provisioning the team of a number takes.
Prepare = Callable[[Batch, int], Provision]


class Timed(msgspec.Struct):
    """What a batch took.

    Attributes:
        wall_s: from the first team's start to the last one's end.
        cpu_s: time on a CPU of this process in between.
        each_ms: one entry per team.
        objects: how many objects each team has.
    """

    wall_s: float
    cpu_s: float
    each_ms: list[float]
    objects: int


async def run(batch: Batch, prepare: Prepare) -> Timed:
    """Provision the teams of a batch.

    Raises:
        RuntimeError: one could not be provisioned, or they do not all have the same objects.
    """
    work = iter([prepare(batch, number) for number in range(batch.first, batch.first + batch.count)])
    each_ms: list[float] = []
    objects: set[int] = set()

    async def call(work: Iterator[Provision]) -> None:
        for provision in work:
            began = time.perf_counter()
            objects.add(await provision())
            each_ms.append((time.perf_counter() - began) * 1000)

    began, cpu_began = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call(work) for _ in range(batch.callers)))
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    if len(objects) != 1:
        raise RuntimeError(f"teams of one batch have different numbers of objects: {sorted(objects)}")
    return Timed(wall_s=wall_s, cpu_s=cpu_s, each_ms=each_ms, objects=objects.pop())


def bare(cluster: Cluster, settings: Settings) -> Prepare:
    """Server-side applies of the same objects, one team's side by side, and nothing else."""
    platform = platform_of(settings)

    def prepare(_batch: Batch, number: int) -> Provision:
        manifests = objects_of(team_key("bare", number), number, platform)

        async def provision() -> int:
            return len(await together(cluster.apply(manifest, force=False) for manifest in manifests))

        return provision

    return prepare


def through_orchestrator(http: httpx2.AsyncClient) -> Prepare:
    """The API's own call, which answers when everything stands."""

    def prepare(batch: Batch, number: int) -> Provision:
        cpu = f"{100 + number}m" if batch.fresh_shapes else None
        body = request_body(team_key("full", number), number, cpu=cpu)

        async def provision() -> int:
            response = await http.post("/api/v1/admin/provision/team", json=body)
            answer: dict[str, Any] = response.json()
            if response.status_code != httpx2.codes.OK or answer["team_token"] is None:
                raise RuntimeError(f"provisioning answered {response.status_code}: {answer}")
            return len(answer["resources"])

        return provision

    return prepare


async def answer(prepare: Prepare) -> None:
    """Run a batch per line of standard input until it ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        batch = msgspec.json.decode(line, type=Batch)
        timed = await run(batch, prepare)
        print(msgspec.json.encode(timed).decode(), flush=True)


async def main(side: str) -> None:
    """Be the client process of a side."""
    settings = Settings()
    if side == "bare":
        cluster = Cluster.connect(settings.kubeconfig, timeout=timedelta(seconds=TIMEOUT_S))
        await cluster.ensure_namespace(settings.namespace)
        try:
            await answer(bare(cluster, settings))
        finally:
            await cluster.close()
        return
    headers = {"Authorization": f"Bearer {os.environ['ORCHESTRATOR_ADMIN_TOKEN']}"}
    base_url = f"http://{settings.host}:{settings.port}"
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx2.AsyncClient(
        base_url=base_url, headers=headers, timeout=TIMEOUT_S, limits=limits, trust_env=False
    ) as http:
        await answer(through_orchestrator(http))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["bare", "orchestrator"])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args().side))
