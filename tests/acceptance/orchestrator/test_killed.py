"""The orchestrator is killed, really and at any request to the cluster; started again, it finishes what was asked."""

import asyncio
import base64
import contextlib
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestrator.cli.children import Child
from tests.acceptance.orchestrator.programs import Programs

#: Requests from one kill to the next; with 1 every request is met, which takes minutes.
STRIDE = 6
METHODS = ["GET", "POST", "PATCH", "DELETE"]


class Killer:
    """Stands between orchestrator and API server, and kills the orchestrator at the n-th request about a team."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._team = ""
        self._left = 0
        self._before = False
        self._orchestrator: Child | None = None
        self._killing = asyncio.Lock()
        self.kills = 0
        self._http = httpx2.AsyncClient(trust_env=False, timeout=30)

    def aim(self, orchestrator: Child, team: str, number: int, *, before: bool) -> None:
        """Kill this process at the n-th request from now on that names the team: before it arrives, or after."""
        self._orchestrator, self._team, self._left, self._before = orchestrator, team, number, before

    async def miss(self) -> None:
        """Kill nobody from here on."""
        self._left = 0
        async with self._killing:
            return

    @contextlib.asynccontextmanager
    async def between(self) -> AsyncIterator[None]:
        """Listen, with the kubeconfig leading here."""
        kubeconfig = self._programs.layout.kubeconfig
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._server = httpx2.URL(cluster["server"]).copy_with(path="/")
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        cluster["server"] = cluster["server"].replace(f":{self._server.port}", f":{port}")
        kubeconfig.write_text(yaml.safe_dump(config))
        app = Starlette(routes=[Route("/{path:path}", self._pass_on, methods=METHODS)])
        server = _Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving
            await self._http.aclose()

    async def _pass_on(self, request: Request) -> Response:
        body = await request.body()
        target = False
        if self._left and self._team in request.url.path:
            self._left -= 1
            target = self._left == 0
        if target and self._before:
            await self._kill()
            return Response(status_code=502)
        url = f"{self._server}{request.url.path.lstrip('/')}?{request.url.query}"
        headers = {
            name: value for name, value in request.headers.items() if name not in {"host", "content-length"}
        }
        answer = await self._http.request(request.method, url, content=body, headers=headers)
        if target:
            await self._kill()
        passed = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() not in {"content-length", "content-encoding", "transfer-encoding", "connection"}
        }
        return Response(answer.content, answer.status_code, passed)

    async def _kill(self) -> None:
        assert self._orchestrator is not None
        async with self._killing:
            self._orchestrator._process.send_signal(signal.SIGKILL)
            await self._orchestrator.ended
            self.kills += 1


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave signals to pytest."""
        yield


async def done_in_spite_of(
    programs: Programs, killer: Killer, orchestrator: Child, path: str, body: dict[str, Any]
) -> tuple[dict[str, Any], Child]:
    """The answer, asked for again after a death; and the process that lives then."""
    while True:
        response = None
        with contextlib.suppress(httpx2.TransportError):
            response = await programs.post(path, **body)
        if response is None or response.status_code == 503:
            await orchestrator.ended
        else:
            await killer.miss()
        if orchestrator.ended.done():
            orchestrator = await programs.start_orchestrator()
        if response is not None and response.status_code != 503:
            assert response.status_code == 200, response.text
            answer: dict[str, Any] = response.json()
            return answer, orchestrator


async def what_stands(programs: Programs, team: str) -> dict[str, Any]:
    """Objects, credentials and routing of a team, and its runs that have not ended."""
    cluster = programs.cluster()
    try:
        objects = await objects_of(cluster._http, team)
    finally:
        await cluster.close()
    config = await programs.http.get(f"/api/v1/internal/teams/extend/{team}")
    tokens = config.json()["tokens"] if config.is_success else []
    secrets = [obj for obj in objects if obj["kind"] == "Secret"]
    running = await programs.http.get(
        "/api/v1/admin/provision/runs", params={"org_id": "extend", "status": "running"}
    )
    channel = await programs.http.post(
        "/api/v1/internal/routing/lookup", json={"slack_channel_id": team.upper().replace("-", "")}
    )
    return {
        "objects": sorted(
            f"{obj['kind']} {obj['metadata']['name']}".replace(team, "TEAM") for obj in objects
        ),
        "known": config.is_success,
        "tokens": sorted(token["purpose"] for token in tokens),
        "credentials": [await purpose_of(programs, secret) for secret in secrets],
        "routed to": str(channel.json().get("agent_url")).replace(team, "TEAM"),
        "running": running.json()["items"],
    }


async def objects_of(http: httpx2.AsyncClient, team: str) -> list[dict[str, Any]]:
    found = []
    for prefix, kind, plural in (
        ("api/v1", "Service", "services"),
        ("api/v1", "Secret", "secrets"),
        ("api/v1", "ServiceAccount", "serviceaccounts"),
        ("apis/apps/v1", "Deployment", "deployments"),
        ("apis/apps/v1", "ReplicaSet", "replicasets"),
        ("apis/batch/v1", "CronJob", "cronjobs"),
        ("apis/networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    ):
        selector = {"labelSelector": f"incidentfox.io/team-node-id={team}"}
        answer = await http.get(f"/{prefix}/namespaces/incidentfox/{plural}", params=selector)
        names = answer.json()["items"]
        found += [obj | {"kind": kind} for obj in names if kind != "ReplicaSet"]
    return found


async def purpose_of(programs: Programs, secret: dict[str, Any]) -> str:
    token = base64.b64decode(secret["data"]["token"]).decode()
    answer = await programs.http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    return str(answer.json().get("purpose"))


@pytest.mark.timeout(400)
async def test_killed_at_any_request_it_finishes_after_a_restart(programs: Programs) -> None:
    # What the dead process had claimed is free again by the time the next one serves.
    (programs.layout.data_dir / ".env").write_text("ORCHESTRATOR_LEASE=1s\n")
    await programs.start_cluster_without_node()
    killer = Killer(programs)
    async with killer.between():
        orchestrator = await programs.start_orchestrator()
        wanted, gone, orchestrator = await live(programs, killer, orchestrator, "team-0", None)
        assert len(wanted["objects"]) > 7
        assert wanted["tokens"] == ["runtime", "team"]
        assert wanted["credentials"] == ["runtime"]
        assert gone["objects"] == []

        number = 1
        kills = -1
        while kills < killer.kills:
            kills = killer.kills
            found, left, orchestrator = await live(programs, killer, orchestrator, f"team-{number}", number)
            assert found == wanted, f"killed at request {number}"
            assert left == gone, f"killed at request {number}"
            number += STRIDE
    assert killer.kills > 6


async def live(
    programs: Programs, killer: Killer, orchestrator: Child, team: str, number: int | None
) -> tuple[dict[str, Any], dict[str, Any], Child]:
    """A team's life: what stands once it is provisioned, and what is left once it is not, with a kill in each."""
    body: dict[str, Any] = {"org_id": "extend", "team_node_id": team}
    wish = body | {
        "slack_channel_ids": [team.upper().replace("-", "")],
        "pipeline_schedule": "0 2 * * *",
        "deployment_mode": "dedicated",
        "idempotency_key": f"provision {team}",
    }
    if number is not None:
        killer.aim(orchestrator, team, number, before=number % 2 == 0)
    answer, orchestrator = await done_in_spite_of(programs, killer, orchestrator, "/provision/team", wish)
    assert answer["team_token"]
    found = await what_stands(programs, team)
    if number is not None:
        killer.aim(orchestrator, team, number, before=number % 2 == 1)
    farewell = body | {"delete_config": True, "idempotency_key": f"deprovision {team}"}
    _, orchestrator = await done_in_spite_of(programs, killer, orchestrator, "/deprovision/team", farewell)
    return found, await what_stands(programs, team), orchestrator
