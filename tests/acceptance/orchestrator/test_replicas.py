"""Three replicas on one PostgreSQL: one is killed, one stands still for longer than its leases last."""

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from orchestrator.cli.children import Child, Children, until
from orchestrator.cli.demo_parts import own_environment
from tests.acceptance.orchestrator.programs import PATIENCE_S, Programs, lasting_port

TEAMS = 200
#: Every team is provisioned; so many of them are changed afterwards, and so many of those taken away.
CHANGED, GONE = 150, 150
REQUESTS = TEAMS + CHANGED + GONE
CALLERS = 24
LEASE_S = 3
#: Teams that the replica is in the middle of when it is made to stand still.
CAUGHT = 4
#: For how long nobody asks anything of those teams after it goes on.
QUIET_S = 3.0
_UNPASSED = {"content-length", "content-encoding", "transfer-encoding", "connection", "host"}


class Proxy:
    """Between one replica and the API server: knows what that replica changes, and when."""

    def __init__(self, server: httpx2.URL) -> None:
        self._server = server
        self._http = httpx2.AsyncClient(trust_env=False, timeout=None)
        #: Every change that was asked for: when, and of which team.
        self.changes: list[tuple[float, str]] = []
        #: Teams whose Secret is made and whose replica has not been told yet.
        self.caught: set[str] = set()
        self.catching = False
        self.go_on = asyncio.Event()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        socket_ = socket.create_server(("127.0.0.1", 0))
        methods = ["GET", "POST", "PATCH", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", self._pass_on, methods=methods)])
        server = _Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[socket_]))
        try:
            yield socket_.getsockname()[1]
        finally:
            server.should_exit = True
            await serving
            await self._http.aclose()

    async def _pass_on(self, request: Request) -> Response:
        body = await request.body()
        team = _team_in(request.url.path)
        if request.method != "GET" and team is not None:
            self.changes.append((time.monotonic(), team))
        url = f"{self._server}{request.url.path.lstrip('/')}?{request.url.query}"
        headers = {name: value for name, value in request.headers.items() if name not in _UNPASSED}
        asked = self._http.build_request(request.method, url, content=body, headers=headers)
        answer = await self._http.send(asked, stream=True)
        if (
            self.catching
            and team is not None
            and request.method == "PATCH"
            and "/secrets/" in request.url.path
        ):
            self.caught.add(team)
            await self.go_on.wait()
        passed = {name: value for name, value in answer.headers.items() if name.lower() not in _UNPASSED}
        close = BackgroundTask(answer.aclose)
        return StreamingResponse(answer.aiter_bytes(), answer.status_code, passed, background=close)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to pytest."""
        yield


@dataclass
class Replica:
    """One `orchestrator serve`."""

    child: Child
    proxy: Proxy
    http: httpx2.AsyncClient

    def send(self, number: signal.Signals) -> None:
        self.child._process.send_signal(number)


@dataclass
class Callers:
    """Platform engineers' programs: they ask any replica, and another one under the same key when it breaks off."""

    replicas: list[Replica]
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    done: int = 0
    #: Teams of which nothing is asked for a while.
    held_back: set[str] = field(default_factory=set)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    progress: asyncio.Event = field(default_factory=asyncio.Event)
    unwell: list[dict[str, Any]] = field(default_factory=list)

    async def live(self, number: int) -> None:
        """What is asked of one team, one after the other."""
        team = f"t{number:04d}"
        ids = {"org_id": "acme", "team_node_id": team}
        wanted: dict[str, Any] = ids | {"slack_channel_ids": [f"C{number:05d}"]}
        await self._ask("provision/team", wanted | {"pipeline_schedule": "0 2 * * *"})
        if number < CHANGED:
            await self._ask("provision/team", wanted | {"pipeline_schedule": "30 4 * * *"})
        if number < GONE:
            await self._ask("deprovision/team", ids)

    async def _ask(self, what: str, body: dict[str, Any]) -> None:
        if body["team_node_id"] in self.held_back:
            await self.let_go.wait()
        key = f"{what}-{body['team_node_id']}-{body.get('pipeline_schedule')}"
        headers = {"Idempotency-Key": key, "Prefer": "wait=10"}
        deadline = time.monotonic() + 4 * PATIENCE_S
        while True:
            assert time.monotonic() < deadline, f"{key} has not ended"
            http = self.chance.choice(self.replicas).http
            try:
                response = await http.post(f"/api/v1/admin/{what}", json=body, headers=headers)
            except httpx2.TransportError:
                await asyncio.sleep(0.1)
                continue
            if response.status_code in {202, 503}:
                await asyncio.sleep(0.1)
                continue
            run = response.json()
            if response.status_code != 200 or run["status"] != "succeeded":
                self.unwell.append({"key": key, "status": response.status_code, "answer": run})
            break
        self.done += 1
        self.progress.set()

    async def until_done(self, count: int) -> None:
        while self.done < count:
            self.progress.clear()
            await self.progress.wait()


async def test_500_requests_end_well_though_one_replica_is_killed_and_another_stands_still(
    programs: Programs, postgresql_url: str, tmp_path: Path
) -> None:
    await programs.start_cluster_without_node()
    async with contextlib.AsyncExitStack() as stack:
        replicas = [await start_replica(programs, postgresql_url, tmp_path, n, stack) for n in range(3)]
        killed, paused, _ = replicas
        callers = Callers(replicas)
        numbers = iter(range(TEAMS))

        async def call() -> None:
            for number in numbers:
                await callers.live(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(call())
            await callers.until_done(REQUESTS // 10)
            await stand_still(paused, callers, postgresql_url)
            await callers.until_done(callers.done + REQUESTS // 10)
            killed.send(signal.SIGKILL)

        assert callers.unwell == []
        assert callers.done == REQUESTS
        await everything_is_as_asked(programs, replicas[2], postgresql_url)


async def stand_still(replica: Replica, callers: Callers, database_url: str) -> None:
    """Stop a replica in the middle of making some teams until others have made them, then let it go on."""
    proxy = replica.proxy
    proxy.catching = True

    async def enough_are_caught() -> bool:
        return len(proxy.caught) >= CAUGHT

    assert await until(enough_are_caught, within_s=PATIENCE_S)
    teams = set(proxy.caught)
    callers.held_back |= teams
    replica.send(signal.SIGSTOP)
    proxy.catching = False
    # What it waits for reaches it when it goes on: as far as it knows, no time has passed.
    proxy.go_on.set()
    await asyncio.sleep(LEASE_S)

    async def others_have_done_it() -> bool:
        running = await rows(
            database_url,
            "SELECT 1 FROM runs WHERE team_node_id = ANY($1) AND status = 'running'",
            sorted(teams),
        )
        return not running

    assert await until(others_have_done_it, within_s=4 * PATIENCE_S), "nobody took the teams over"
    replica.send(signal.SIGCONT)
    went_on_at = time.monotonic()
    await asyncio.sleep(QUIET_S)
    late = [team for at, team in proxy.changes if at > went_on_at and team in teams]
    assert late == [], "changed by somebody whose lease had run out"
    log = replica.child.log.read_text()
    assert "lease_lost" in log or "report_fenced" in log
    callers.held_back.clear()
    callers.let_go.set()


async def everything_is_as_asked(programs: Programs, replica: Replica, database_url: str) -> None:
    assert await rows(database_url, "SELECT id FROM runs WHERE status = 'running'") == []
    ended = await rows(database_url, "SELECT status, count(*) AS many FROM runs GROUP BY status")
    assert {row["status"]: row["many"] for row in ended} == {"succeeded": REQUESTS}
    stay = {f"t{number:04d}" for number in range(GONE, TEAMS)}
    cluster = programs.cluster()
    try:
        for collection in ("apis/batch/v1/cronjobs", "api/v1/secrets", "api/v1/serviceaccounts"):
            query = {"labelSelector": "app.kubernetes.io/managed-by=orchestrator"}
            items = (await cluster._http.get(f"/{collection}", params=query)).json()["items"]
            teams = [item["metadata"]["labels"]["incidentfox.io/team-node-id"] for item in items]
            assert sorted(teams) == sorted(stay), collection
    finally:
        await cluster.close()
    for team in sorted(stay):
        config = (await replica.http.get(f"/api/v1/internal/teams/acme/{team}")).json()
        purposes = sorted(token["purpose"] for token in config["tokens"])
        assert purposes == ["runtime", "team"], team
    for number in range(TEAMS):
        body = {"slack_channel_id": f"C{number:05d}"}
        found = (await replica.http.post("/api/v1/internal/routing/lookup", json=body)).json()
        team = f"t{number:04d}"
        assert found["found"] is (team in stay)
        assert not found["found"] or found["team_node_id"] == team


async def start_replica(
    programs: Programs, database_url: str, folder: Path, number: int, stack: contextlib.AsyncExitStack
) -> Replica:
    kubeconfig = yaml.safe_load(programs.layout.kubeconfig.read_text())
    cluster = kubeconfig["clusters"][0]["cluster"]
    server = httpx2.URL(cluster["server"])
    proxy = Proxy(server.copy_with(path="/"))
    cluster["server"] = str(server).replace(
        f":{server.port}", f":{await stack.enter_async_context(proxy.listening())}"
    )
    own_kubeconfig = folder / f"kubeconfig-{number}"
    own_kubeconfig.write_text(yaml.safe_dump(kubeconfig))
    port = lasting_port()
    settings = {
        "ORCHESTRATOR_PORT": str(port),
        "ORCHESTRATOR_DATA_DIR": str(programs.layout.data_dir),
        "ORCHESTRATOR_DATABASE_URL": database_url,
        "ORCHESTRATOR_AUTO_MIGRATE": "true",
        "ORCHESTRATOR_ADMIN_TOKEN": programs.layout.admin_token,
        "ORCHESTRATOR_LEASE": f"{LEASE_S}s",
        # Part of every manifest: replicas that differ in it would put right what the others have applied.
        "ORCHESTRATOR_POD_CONFIG_SERVICE_URL": "http://config-service.test",
        "KUBECONFIG": str(own_kubeconfig),
    }
    children = await stack.enter_async_context(Children(folder / "logs"))
    words = (sys.executable, "-m", "orchestrator.cli", "serve")
    environment = own_environment(dict(os.environ)) | settings
    child = await children.start(f"replica-{number}", words, environment, programs.layout.data_dir)
    headers = {"Authorization": f"Bearer {programs.layout.admin_token}"}
    http = httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20, trust_env=False
    )
    await stack.enter_async_context(http)

    async def ready() -> bool:
        try:
            return (await http.get("/readyz")).is_success
        except httpx2.TransportError:
            return child.ended.done()

    assert await until(ready, within_s=PATIENCE_S), "it did not get ready"
    assert not child.ended.done(), child.log.read_text()
    return Replica(child, proxy, http)


async def rows(database_url: str, query: str, *parameters: object) -> list[Any]:
    connection = await asyncpg.connect(database_url)
    try:
        found: list[Any] = await connection.fetch(query, *parameters)
        return found
    finally:
        await connection.close()


async def _is(value: bool) -> bool:
    return value


def _team_in(path: str) -> str | None:
    found = re.search(r"t\d{4}\b", path)
    return found[0] if found else None
