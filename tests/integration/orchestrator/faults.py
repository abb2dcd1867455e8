"""Doors that count what goes through them and fail on demand, and an installation that outlives its processes."""

import asyncio
import enum
import hashlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import httpx2
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from config_service.runtime import create_app as create_config_service
from config_service.store.migrate import MIGRATIONS as CONFIG_MIGRATIONS
from config_service.store.tables import metadata as config_tables
from devcluster.api import create_app as create_api_server
from devcluster.registry import Registry
from orchestrator.clients.config_service import ConfigService
from orchestrator.cluster.client import Cluster
from orchestrator.domain.rollout import is_available
from orchestrator.domain.team import TeamKey
from orchestrator.runtime import ControlPlane, Doors, control_plane
from orchestrator.settings import Settings
from orchestrator.store.migrate import MIGRATIONS
from orchestrator.store.runs import RunStatus
from orchestrator.store.tables import metadata as orchestrator_tables
from orchestrator.store.tables import runs, teams
from servicekit.database import Database
from servicekit.errors import DatabaseAway
from tests.integration.orchestrator.world import ADMIN_TOKEN, World

#: What time and an orderly end bring about and no request: it comes at any moment and would shift the count.
_HOUSEKEEPING = frozenset({"Reconciler._tidy", "TeamReconciler.hand_back"})
_BEARER = "the-clusters-token"
#: How often to look whether somebody waits for time to pass, in seconds.
TICK_S = 0.01


class Fault(enum.Enum):
    """What happens to one operation."""

    #: It never arrived.
    REFUSED = "error before"
    #: It took effect, and its answer was lost.
    ANSWER_LOST = "error after"
    #: It never arrived, and nobody said so until the deadline.
    HANG = "hang"
    #: It took effect, and the process that asked is no more.
    KILLED = "process killed"
    #: It took effect twice, as when something on the way sends it again.
    TWICE = "sent twice"


class Plan:
    """Counts the operations of one process, and decides which of them fail.

    Args:
        fault_of: asked once for every operation, with its name.
    """

    def __init__(self, fault_of: Callable[[str], Fault | None] = lambda _name: None) -> None:
        self._fault_of = fault_of
        #: Every operation that was begun, in order.
        self.names: list[str] = []
        #: Those that failed.
        self.failed: list[str] = []
        self.killed = asyncio.Event()

    async def begin(self, name: str) -> Fault | None:
        """Count an operation; raises and returns nothing once the process was killed."""
        await self.must_live()
        if name.rsplit(maxsplit=1)[-1] in _HOUSEKEEPING:
            return None
        self.names.append(name)
        fault = self._fault_of(name)
        if fault is not None:
            self.failed.append(name)
        return fault

    def story_ends(self) -> None:
        """Nothing fails from here on, and nothing counts: what follows is not what was asked."""
        self._fault_of = lambda _name: None

    async def must_live(self) -> None:
        """Return while the process lives; a dead one never gets any further."""
        if self.killed.is_set():
            await asyncio.Event().wait()

    async def die(self) -> None:
        """Kill the process, here and now."""
        self.killed.set()
        await self.must_live()


class Nth:
    """A single fault, at the n-th remote call or commit; reads of the own database do not count."""

    def __init__(self, number: int, fault: Fault) -> None:
        self._left = number
        self._fault = fault

    def __call__(self, name: str) -> Fault | None:
        if name.startswith("read "):
            return None
        self._left -= 1
        return self._fault if self._left == 0 else None


class Once:
    """A single fault, the first time that an operation of that name is tried."""

    def __init__(self, name: str, fault: Fault) -> None:
        self._name: str | None = name
        self._fault = fault

    def __call__(self, name: str) -> Fault | None:
        if name != self._name:
            return None
        self._name = None
        return self._fault


class EachOnce:
    """A fault for every operation when it is first tried, reads of the own database too."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._seen: set[str] = set()

    def __call__(self, name: str) -> Fault | None:
        if name in self._seen:
            return None
        self._seen.add(name)
        return self._fault


class FaultyHttp:
    """What `Cluster` and `ConfigService` use of an HTTP client."""

    def __init__(self, http: httpx2.AsyncClient, door: str, plan: Plan) -> None:
        self._http = http
        self._door = door
        self._plan = plan

    async def request(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        # A Secret's content is new each time, and yet it is the same call.
        told = {
            name: repr(arguments[name])
            for name in sorted(arguments)
            if "/secrets/" not in path or name == "params"
        }
        digest = hashlib.sha256(repr(told).encode()).hexdigest()[:6]
        fault = await self._plan.begin(f"{self._door} {method} {path} {digest}")
        if fault is Fault.REFUSED:
            raise httpx2.ConnectError("refused")
        if fault is Fault.HANG:
            # The deadline is the client's own; the test does not wait for it.
            raise httpx2.ReadTimeout("no answer")
        response = await self._http.request(method, path, **arguments)
        await self._plan.must_live()
        if fault is Fault.KILLED:
            await self._plan.die()
        if fault is Fault.ANSWER_LOST:
            raise httpx2.ReadError("connection lost")
        if fault is Fault.TWICE:
            response = await self._http.request(method, path, **arguments)
        return response

    async def post(self, path: str, **arguments: Any) -> httpx2.Response:
        return await self.request("POST", path, **arguments)


class FaultyDatabase:
    """What the control plane uses of a database."""

    def __init__(self, database: Database, plan: Plan) -> None:
        self._database = database
        self._plan = plan

    def unit_of_work(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._transaction(f"commit {_caller()}", self._database.unit_of_work)

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._transaction(f"read {_caller()}", self._database.reading)

    @asynccontextmanager
    async def _transaction(
        self, name: str, begin: Callable[[], AbstractAsyncContextManager[AsyncConnection]]
    ) -> AsyncIterator[AsyncConnection]:
        fault = await self._plan.begin(name)
        if fault in {Fault.REFUSED, Fault.HANG}:
            raise DatabaseAway(fault.value)
        async with begin() as connection:
            yield connection
            # Killed by something that went on beside this: it never commits.
            await self._plan.must_live()
        if fault is Fault.KILLED:
            await self._plan.die()
        # A commit cannot be sent twice; whoever does not hear of it begins again from the start.
        if fault in {Fault.ANSWER_LOST, Fault.TWICE}:
            raise DatabaseAway(fault.value)


def _caller() -> str:
    """Who opens a transaction, by name."""
    return sys._getframe(2).f_code.co_qualname


class Clock:
    """Seconds since the epoch, which a test may put forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def reach(self, moment: float) -> None:
        """Have that moment be now, unless it is past."""
        self._ahead = max(self._ahead, moment - time.time())


@dataclass(frozen=True)
class Moment:
    """All that an installation held at one moment."""

    rows: Mapping[sa.Table, Sequence[Mapping[str, Any]]]
    objects: Sequence[tuple[str, Any]]


class Installation:
    """What is there whatever becomes of a process: databases, Config Service, cluster, and time."""

    def __init__(self, settings: Settings, doors: Doors, databases: Mapping[sa.MetaData, Database]) -> None:
        self.settings = settings
        self.clock = Clock()
        self._calm = doors
        self._databases = databases
        self.registry = Registry()
        self.doors = self._with_cluster(self.registry)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, database_url: str | None = None) -> AsyncIterator[Self]:
        """An empty one, in a folder that is empty or a copy of an empty one's."""
        settings = Settings(
            data_dir=folder,
            database_url=database_url,
            kubeconfig="unused",
            namespace="incidentfox",
            # Nobody gives signs of life in the middle of a cell, so that the same operations always come in the
            # same order; a claim that has to run out does so by the clock that the test puts forward.
            lease="60s",
            shared_agent_url="http://shared-agent.test:8000",
            _env_file=None,
        )
        async with AsyncExitStack() as stack:
            database = Database(settings.database())
            stack.push_async_callback(database.close)
            config_database = Database(settings.config_database())
            stack.push_async_callback(config_database.close)
            for migrations, target in ((MIGRATIONS, database), (CONFIG_MIGRATIONS, config_database)):
                if not await migrations.is_current(target):
                    await migrations.upgrade(target)
            config_app = create_config_service(
                database=config_database,
                admin_token=ADMIN_TOKEN,
                token_key=settings.token_key(),
                shared_agent_url=settings.shared_agent_url,
            )
            config = ConfigService(_client(config_app, ADMIN_TOKEN))
            stack.push_async_callback(config.close)
            doors = Doors(
                database=database,
                cluster=Cluster(config._http),
                config=config,
                # Nobody asks an agent here; a client for sockets would read all root certificates first.
                agent_http=config._http,
                config_app=config_app,
            )
            yield cls(settings, doors, {orchestrator_tables: database, config_tables: config_database})

    def _with_cluster(self, registry: Registry) -> Doors:
        # In this process: thousands of calls, of which each would cost several times as much over a socket.
        api_server = create_api_server(registry, tokens={_BEARER: "admin"}, pod_logs=None, service_proxy=None)
        return replace(self._calm, cluster=Cluster(_client(api_server, _BEARER)))

    async def moment(self) -> Moment:
        """What is there now."""
        rows: dict[sa.Table, Sequence[Mapping[str, Any]]] = {}
        for metadata, database in self._databases.items():
            async with database.reading() as connection:
                for table in metadata.sorted_tables:
                    rows[table] = [
                        dict(row) for row in (await connection.execute(sa.select(table))).mappings()
                    ]
        return Moment(rows, [*self.registry.store.everything()])

    async def return_to(self, moment: Moment) -> None:
        """Have everything be as it was at that moment."""
        for metadata, database in self._databases.items():
            async with database.unit_of_work() as connection:
                for table in reversed(metadata.sorted_tables):
                    await connection.execute(table.delete())
                for table in metadata.sorted_tables:
                    if rows := moment.rows[table]:
                        await connection.execute(table.insert(), rows)
        self.registry = Registry()
        for kind, obj in moment.objects:
            metadata = obj["metadata"]
            self.registry.store.restore(kind, (metadata.get("namespace"), metadata["name"]), obj)
        self.doors = self._with_cluster(self.registry)

    @asynccontextmanager
    async def process(
        self, plan: Plan, *, reconciles: bool = True, time_flies: bool = True
    ) -> AsyncIterator[World]:
        """A control plane on this installation; the end stops it, wherever it is.

        Args:
            plan: what fails in it.
            reconciles: whether anybody works on teams.
            time_flies: whether the time that somebody waits for comes at once.
        """
        doors = replace(
            self.doors,
            database=FaultyDatabase(self.doors.database, plan),
            cluster=Cluster(FaultyHttp(self.doors.cluster._http, "cluster", plan)),
            config=ConfigService(FaultyHttp(self.doors.config._http, "config", plan)),
        )
        plane = control_plane(self.settings, doors, admin_token=ADMIN_TOKEN, clock=self.clock)
        world = World(self.settings, self.doors, plane)
        tasks = []
        if reconciles:
            tasks.append(asyncio.create_task(plane.reconciler.run()))
        if reconciles and time_flies:
            tasks.append(asyncio.create_task(self._pass_time(plane)))
        try:
            yield world
        finally:
            await _end(*tasks)
            await world.http.aclose()

    async def run_pods(self) -> None:
        """Say that a Deployment is available as soon as it stands, as its controller would once its pods run."""
        while True:
            for obj in self.registry.list("Deployment"):
                if not is_available(obj):
                    condition = {"type": "Available", "status": "True", "reason": "Running", "message": ""}
                    status = {"observedGeneration": obj["metadata"]["generation"], "updatedReplicas": 1}
                    self.registry.update(
                        obj | {"status": {**status, "replicas": 1, "conditions": [condition]}},
                        manager="controllers",
                        subresource="status",
                    )
            await asyncio.sleep(TICK_S)

    async def _pass_time(self, plane: ControlPlane) -> None:
        """Let the time come at which a team that is waited for is due; nobody waits for it in earnest."""
        statement = sa.select(
            teams.c.org_id, teams.c.team_node_id, teams.c.due_at, teams.c.lease_until, teams.c.lease_holder
        ).join(runs, sa.and_(runs.c.id == teams.c.run_id, runs.c.status == RunStatus.RUNNING.value))
        while True:
            await asyncio.sleep(TICK_S)
            if plane.reconciler._under_way:
                continue
            async with self.doors.database.reading() as connection:
                rows = (await connection.execute(statement)).all()
            for row in rows:
                if row.due_at is not None and not plane.reconciler._under_way:
                    # What the reconciler's own look for due teams goes by, too.
                    self.clock.reach(max(row.due_at, row.lease_until) + 0.001)
                    plane.reconciler.wake(TeamKey(row.org_id, row.team_node_id))


def _client(app: Any, token: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(
        transport=transport, base_url="http://door", headers={"Authorization": f"Bearer {token}"}
    )


async def _end(*tasks: asyncio.Task[Any]) -> None:
    pending = set(tasks)
    while pending:
        # More than once: what a program does on its way out hangs too when it is dead.
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=TICK_S)


Request = Callable[[World], Awaitable[httpx2.Response]]


async def asked(world: World, plan: Plan, request: Request) -> httpx2.Response | None:
    """The answer, or `None` when the process died over it."""
    asking = asyncio.ensure_future(request(world))
    dying = asyncio.ensure_future(plan.killed.wait())
    try:
        await asyncio.wait({asking, dying}, return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() and not plan.killed.is_set() else None
    finally:
        await _end(asking, dying)
