import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from devcluster.controllers import Controllers
from devcluster.node import Node
from devcluster.objects import utc_now
from devcluster.pods.context import NodeConfig
from devcluster.registry import Registry
from devcluster.server import DevCluster, DevClusterSettings
from tests.integration.devcluster.cluster import Cluster, give_namespace

#: Containers come back fast, so that tests of restarts end fast.
QUICK = NodeConfig(first_back_off_s=0.01, longest_back_off_s=0.05)


@pytest_asyncio.fixture
async def api_server(tmp_path):
    """An API server alone, as it was when the recordings were made."""
    settings = DevClusterSettings(data_dir=tmp_path / "devcluster", runs_controllers=False, runs_node=False)
    async with DevCluster(settings) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def client(api_server):
    headers = {"Authorization": f"Bearer {api_server.token}"}
    async with httpx2.AsyncClient(base_url=api_server.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def registry() -> Registry:
    """Objects without a server, with the namespace that tests use."""
    registry = Registry()
    give_namespace(registry)
    return registry


@contextlib.asynccontextmanager
async def in_background(running: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(running)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def cluster(registry: Registry, tmp_path: Path) -> AsyncIterator[Cluster]:
    """Node and controllers on an empty namespace."""
    node = Node(registry, data_dir=tmp_path, config=QUICK)
    async with in_background(node.run()), in_background(Controllers(registry, utc_now).run()):
        yield Cluster(registry, node)


@pytest.fixture
async def node_only(registry: Registry, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A node without controllers."""
    node = Node(registry, data_dir=tmp_path, config=QUICK)
    async with in_background(node.run()):
        yield Cluster(registry, node)


@pytest.fixture
def start_node(registry: Registry, tmp_path: Path) -> Callable[[], Any]:
    """A node that the test starts and ends itself; always on the same directory."""

    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Cluster]:
        node = Node(registry, data_dir=tmp_path, config=QUICK)
        async with in_background(node.run()):
            yield Cluster(registry, node)

    return start
