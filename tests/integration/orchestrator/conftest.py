"""The whole control plane over HTTP, against the dev cluster's API server and a real database."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest
import pytest_asyncio

from devcluster.server import DevCluster, DevClusterSettings
from orchestrator.settings import Settings
from tests import real_cluster
from tests.integration.orchestrator.world import World
from tests.postgresql import run_sql


class _InThread:
    """A dev cluster on an event loop of its own, so that it outlives the loop of a single test."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        # No controllers and no node: exactly the API server that the recordings were made with.
        settings = DevClusterSettings(
            data_dir=self._folder,
            kubeconfig=self.kubeconfig,
            keeps_state=False,
            runs_controllers=False,
            runs_node=False,
        )
        async with DevCluster(settings):
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30), "the dev cluster did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """How to reach one API server that all tests of the session share, each in a namespace of its own."""
    if real_cluster.is_given():
        with real_cluster.real_cluster() as given:
            yield given
        return
    with _InThread(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.kubeconfig


def _settings(database_url: str, kubeconfig: Path, folder: Path) -> Settings:
    return Settings(
        database_url=database_url,
        data_dir=folder,
        kubeconfig=str(kubeconfig),
        namespace=f"t-{uuid4().hex[:12]}",
        auto_migrate=True,
        lease="1s",
        call_timeout="5s",
        shared_agent_url="http://shared-agent.test:8000",
    )


@pytest.fixture
def settings(database_url: str, kubeconfig: Path, tmp_path: Path) -> Settings:
    return _settings(database_url, kubeconfig, tmp_path)


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """A control plane that runs, and everything around it that a test may look at."""
    async with World.start(settings) as world:
        yield world


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_settings(
    request: pytest.FixtureRequest, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of a control plane that a whole module shares, on both databases."""
    folder = tmp_path_factory.mktemp("shared")
    if request.param == "sqlite":
        yield _settings(f"sqlite:///{folder}/test.db", kubeconfig, folder)
        return
    uri: str = request.getfixturevalue("postgresql_uri")
    name = f"test_{uuid4().hex}"
    run_sql(uri, f"CREATE DATABASE {name}")
    yield _settings(uri.replace("/postgres?", f"/{name}?"), kubeconfig, folder)
    run_sql(uri, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world(shared_settings: Settings) -> AsyncIterator[World]:
    """A control plane that a whole module shares: for tests that look at teams of their own, or change nothing.

    Such a module runs on one event loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
    """
    async with World.start(shared_settings) as world:
        yield world
