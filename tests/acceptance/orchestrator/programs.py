"""Starts the programs, and says what tests ask of them over HTTP."""

import asyncio
import contextlib
import os
import random
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from orchestrator.cli.children import Child, Children, until
from orchestrator.cli.demo_parts import Layout, Parts, own_environment
from orchestrator.cli.kubectl import Cluster

PATIENCE_S = 60.0
#: A cluster whose controllers work, but where nobody runs pods: they would cost more than all that is looked at.
_CLUSTER_WITHOUT_NODE = """
import asyncio, sys
from pathlib import Path
from devcluster.server import DevClusterSettings, serve
folder, kubeconfig = map(Path, sys.argv[1:])
asyncio.run(serve(DevClusterSettings(data_dir=folder, kubeconfig=kubeconfig, runs_node=False)))
"""


def lasting_port() -> int:
    """A free port that stays free while its program is away: no client's end of a connection ever gets it."""
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(first_of_clients // 2, first_of_clients)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Programs:
    """One installation, its programs started one by one."""

    def __init__(self, layout: Layout, children: Children, http: httpx2.AsyncClient) -> None:
        self.layout = layout
        self.http = http
        self._children = children
        self._parts = Parts(layout, children)

    async def start_cluster(self) -> None:
        """The dev cluster with its node."""
        await self._ready(await self._parts.dev_cluster(), self._cluster_answers)

    async def start_cluster_without_node(self) -> None:
        words = (sys.executable, "-c", _CLUSTER_WITHOUT_NODE)
        folders = (str(self.layout.data_dir / "cluster"), str(self.layout.kubeconfig))
        child = await self._children.start(
            "dev-cluster", (*words, *folders), own_environment(dict(os.environ)), self.layout.data_dir
        )
        await self._ready(child, self._cluster_answers)

    async def start_orchestrator(self) -> Child:
        child = await self._parts.orchestrator()
        await self._ready(child, lambda: self._answers("/readyz"))
        return child

    async def start_shared_agent(self) -> None:
        await self._ready(
            await self._parts.shared_agent(), lambda: self._answers(f"{self.layout.agent_url}/health")
        )

    def cluster(self) -> Cluster:
        return Cluster(self.layout.kubeconfig, "incidentfox", kubectl=None)

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self.http.post(f"/api/v1/admin{path}", json=body, headers={"Prefer": "wait=60"})

    async def _ready(self, child: Child, check: Callable[[], Awaitable[bool]]) -> None:
        async def ready_or_ended() -> bool:
            return child.ended.done() or await check()

        if not await until(ready_or_ended, within_s=PATIENCE_S) or child.ended.done():
            raise child.failure(f"{child.name} did not get ready.")

    async def _cluster_answers(self) -> bool:
        if not await asyncio.to_thread(self.layout.kubeconfig.exists):
            return False
        cluster = self.cluster()
        try:
            return await cluster.is_ready()
        finally:
            await cluster.close()

    async def _answers(self, url: str) -> bool:
        try:
            return (await self.http.get(url)).is_success
        except httpx2.TransportError:
            return False


async def eventually(check: Callable[[], Awaitable[bool]], what: str) -> None:
    assert await until(check, within_s=PATIENCE_S), f"{what}: not within {PATIENCE_S:.0f} s"
