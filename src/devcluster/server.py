"""Runs a dev cluster: API server, controllers and node in one event loop."""

import asyncio
import contextlib
import secrets
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
import uvicorn
import yaml

from devcluster.api import TOKEN_PREFIX, create_app
from devcluster.asgi import ASGIApp
from devcluster.controllers import Controllers
from devcluster.faults import Faults
from devcluster.journal import FileJournal
from devcluster.node import Node
from devcluster.objects import Clock, utc_now
from devcluster.proxy import ServiceProxy
from devcluster.registry import Registry

log = structlog.get_logger(__name__)

_USER = "devcluster-admin"
_NAMESPACES = ("default", "kube-system", "kube-public")
#: How long open requests get when the cluster stops; watches are told, so only hanging clients need it.
_STOP_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DevClusterSettings:
    """How a dev cluster runs."""

    #: Where state, pods and the kubeconfig are; nothing else may use it.
    data_dir: Path
    host: str = "127.0.0.1"
    #: 0 takes a free port.
    port: int = 0
    #: Where the kubeconfig goes; `kubeconfig` in the data directory if None.
    kubeconfig: Path | None = None
    #: The bearer token; a new one at every start if None.
    token: str | None = None
    #: Whether objects survive a restart.
    keeps_state: bool = True
    #: Whether Deployments make pods, CronJobs make Jobs, and deleting collects what is owned.
    runs_controllers: bool = True
    #: Whether pods run, as processes of this machine.
    runs_node: bool = True


class DevCluster:
    """A running dev cluster, for tests and demos: `async with DevCluster(settings) as cluster`.

    Attributes:
        registry: the objects.
        url: where the API server is, without a slash at the end.
        token: the bearer token that may everything.
        kubeconfig_path: a file for kubectl and other clients.
        faults: spoils calls to the API server, on request; there once the cluster has started.
    """

    def __init__(self, settings: DevClusterSettings, *, now: Clock = utc_now) -> None:
        self._settings = settings
        self._now = now
        self._stack = contextlib.AsyncExitStack()
        self.token = settings.token or secrets.token_urlsafe(24)
        self.kubeconfig_path = settings.kubeconfig or settings.data_dir / "kubeconfig"
        self.url = ""
        self.registry = Registry(now=now)
        self.faults: Faults
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start everything; the API server answers when this returns."""
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything; pods are stopped too, objects stay in the state file."""
        await self._stack.aclose()

    async def wait(self) -> None:
        """Wait until a part of the cluster fails.

        Raises:
            Exception: why it did.
        """
        if not self._tasks:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        settings = self._settings
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.keeps_state:
            journal = FileJournal(settings.data_dir / "state.jsonl")
            self.registry = Registry(journal=journal, now=self._now)
            journal.load(self.registry.store)
            stack.callback(journal.close)
        for namespace in _NAMESPACES:
            if self.registry.find("Namespace", None, namespace) is None:
                obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
                self.registry.create(obj, manager="devcluster")
        node = (
            Node(self.registry, data_dir=settings.data_dir, clock=self._now) if settings.runs_node else None
        )
        proxy = await stack.enter_async_context(ServiceProxy(self.registry)) if node else None
        app = create_app(
            self.registry,
            tokens={self.token: _USER},
            pod_logs=node.logs if node else None,
            service_proxy=proxy,
        )
        self.faults = Faults(app)
        self.url = await stack.enter_async_context(_serving(self.faults, self.registry, settings))
        write_kubeconfig(self.kubeconfig_path, url=self.url, token=self.token)
        if node:
            self._run(stack, "node", node.run())
        if settings.runs_controllers:
            self._run(stack, "controllers", Controllers(self.registry, self._now).run())

    def _run(self, stack: contextlib.AsyncExitStack, name: str, work: Any) -> None:
        task = asyncio.create_task(work, name=f"devcluster-{name}")
        self._tasks.append(task)
        stack.push_async_callback(_cancelled, task)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class _Server(uvicorn.Server):
    """uvicorn that says when it is up, without its own handling of signals, which is the owner's business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave signals alone."""
        yield


@contextlib.asynccontextmanager
async def _serving(app: ASGIApp, registry: Registry, settings: DevClusterSettings) -> AsyncIterator[str]:
    """Serve an app; its address once it answers."""
    listening = socket.create_server((settings.host, settings.port))
    # asyncio does so itself only for sockets that name their protocol; without it every answer waits 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_STOP_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]), name="devcluster-api")
    try:
        up = asyncio.create_task(server.is_up.wait())
        await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            up.cancel()
            await task
        port = listening.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        registry.store.end_subscriptions()
        await task
        listening.close()


def write_kubeconfig(path: Path, *, url: str, token: str) -> None:
    """Write a kubeconfig; readable by its owner only, since it holds the token.

    The token is also a part of the server's path: kubectl sends none over plain HTTP.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "devcluster", "cluster": {"server": f"{url}{TOKEN_PREFIX}{token}"}}],
        "users": [{"name": _USER, "user": {"token": token}}],
        "contexts": [
            {
                "name": "devcluster",
                "context": {"cluster": "devcluster", "user": _USER, "namespace": "default"},
            }
        ],
        "current-context": "devcluster",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))


async def serve(settings: DevClusterSettings) -> None:
    """Run a dev cluster until SIGINT or SIGTERM.

    Raises:
        Exception: a part of the cluster failed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with DevCluster(settings) as cluster:
            log.info("devcluster_ready", url=cluster.url, kubeconfig=str(cluster.kubeconfig_path))
            stopped = asyncio.create_task(stop.wait())
            failed = asyncio.create_task(cluster.wait())
            await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                await failed
            for task in (stopped, failed):
                task.cancel()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
