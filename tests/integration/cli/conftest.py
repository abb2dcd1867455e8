import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sse_starlette import EventSourceResponse
from typer.testing import CliRunner, Result

from orchestrator.cli.main import app as commands

TOKEN = "admin-token-of-the-test"


def a_run(status: str = "succeeded", **members: Any) -> dict[str, Any]:
    run = {"provisioning_run_id": "run-1", "kind": "provision", "status": status}
    run |= {"org_id": "extend", "team_node_id": "platform-sre", "waiting_for": None, "requested_by": "admin"}
    run |= {"created_at": "2026-01-01T00:00:00Z", "ended_at": None, "steps": [], "error": None}
    return run | members


def a_step(name: str, status: str = "succeeded", **members: Any) -> dict[str, Any]:
    step = {"name": name, "status": status, "started_at": "2026-01-01T00:00:00Z", "duration_ms": 12}
    return step | members


def a_team(org_id: str = "extend", team_node_id: str = "platform-sre", **members: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "reason": "AllAvailable", "message": "Everything runs."}
    ready |= {"observed_generation": 2, "last_transition_time": "2026-01-01T00:00:00Z"}
    team = {"org_id": org_id, "team_node_id": team_node_id, "team_id": team_node_id}
    team |= {"deployment_mode": "dedicated", "generation": 2, "observed_generation": 2}
    team["spec"] = {"slack_channel_ids": ["C12345"], "pipeline_schedule": "0 2 * * *"}
    team["spec"] |= {"pipeline_time_zone": "UTC", "dedicated": {"replicas": 1}}
    resource = {
        "kind": "Service",
        "name": f"agent-dedicated-{org_id}-{team_node_id}",
        "namespace": "incidentfox",
    }
    return team | {"conditions": [ready], "resources": [resource], "last_run": a_run()} | members


PLAN = {
    "status": "planned",
    "plan": [
        {
            "kind": "Deployment",
            "name": "agent-dedicated-extend-platform-sre",
            "namespace": "incidentfox",
            "action": "update",
            "changes": [{"path": "spec.replicas", "from": 1, "to": 2}],
        }
    ],
}


def problem(status: int, code: str, detail: str, **members: Any) -> JSONResponse:
    body = {"type": f"urn:incidentfox:problem:{code}", "title": "Refused", "status": status, "detail": detail}
    return JSONResponse(body | members, status_code=status, media_type="application/problem+json")


@dataclass
class FakeOrchestrator:
    """An API that answers as the contract says, with what the test puts into it."""

    url: str = ""
    #: Every change asked for: body and headers.
    changes: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    #: What a change answers, once `events` have been read to the end if `answer_after_events`.
    answer: dict[str, Any] | JSONResponse = field(default_factory=a_run)
    answer_after_events: bool = False
    #: What the same change answers when it is asked for again.
    later_answer: dict[str, Any] | None = None
    #: What streams of events send, one list per stream; a stream breaks off after its list.
    streams: list[list[tuple[str, dict[str, Any]]]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    teams: list[dict[str, Any]] = field(default_factory=list)
    events_read: threading.Event = field(default_factory=threading.Event)

    def app(self) -> FastAPI:
        api = FastAPI()
        admin = "/api/v1/admin"
        for path in (f"{admin}/provision/team", f"{admin}/deprovision/team"):
            api.add_api_route(path, self._change, methods=["POST"], response_model=None)
        api.add_api_route(f"{admin}/provision/runs", self._list_runs)
        api.add_api_route(f"{admin}/provision/runs/{{run_id}}", self._get_run, response_model=None)
        api.add_api_route(f"{admin}/provision/runs/{{run_id}}/events", self._events, response_model=None)
        api.add_api_route(f"{admin}/teams", self._list_teams)
        api.add_api_route(f"{admin}/teams/{{org}}/{{team}}", self._get_team, response_model=None)

        @api.middleware("http")
        async def _authenticate(request: Request, call_next: Callable[[Request], Any]) -> Any:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return problem(401, "unauthorized", "The bearer token is missing or unknown.")
            return await call_next(request)

        return api

    async def _change(self, request: Request) -> Any:
        body = json.loads(await request.body())
        self.changes.append((body, dict(request.headers)))
        if isinstance(self.answer, JSONResponse):
            return self.answer
        if body.get("dry_run"):
            return PLAN
        if self.answer_after_events:
            await anyio.to_thread.run_sync(self.events_read.wait)
        answer, self.answer = self.answer, self.later_answer or self.answer
        return JSONResponse(answer, status_code=202 if answer["status"] == "running" else 200)

    async def _list_runs(self, status: str | None = None, limit: int = 100, cursor: int = 0) -> Any:
        rows = [run for run in self.runs if status in {None, run["status"]}]
        return page(rows, limit, cursor)

    async def _list_teams(self, mode: str | None = None, limit: int = 100, cursor: int = 0) -> Any:
        rows = [team for team in self.teams if mode in {None, team["deployment_mode"]}]
        return page(rows, min(limit, 2), cursor)

    async def _get_run(self, run_id: str) -> Any:
        for run in self.runs:
            if run["provisioning_run_id"] == run_id:
                return run
        return problem(404, "not_found", f"Run {run_id} does not exist.")

    async def _get_team(self, org: str, team: str) -> Any:
        for row in self.teams:
            if (row["org_id"], row["team_node_id"]) == (org, team):
                return row
        return problem(404, "not_found", f"Team {org}/{team} does not exist.")

    async def _events(self) -> Any:
        events = self.streams.pop(0) if self.streams else []
        done = self.events_read

        async def send() -> AsyncIterator[dict[str, str]]:
            for kind, data in events:
                yield {"event": kind, "data": json.dumps(data)}
            if any(kind == "run" for kind, _ in events):
                done.set()

        return EventSourceResponse(send())


def page(rows: list[dict[str, Any]], limit: int, cursor: int) -> dict[str, Any]:
    after = cursor + limit
    return {"items": rows[cursor:after], "next_cursor": str(after) if after < len(rows) else None}


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of an application that is served over real HTTP."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def fake() -> Iterator[FakeOrchestrator]:
    orchestrator = FakeOrchestrator()
    with serving(orchestrator.app()) as orchestrator.url:
        yield orchestrator
        orchestrator.events_read.set()


@pytest.fixture
def cli(fake: FakeOrchestrator, tmp_path: Path) -> Callable[..., Result]:
    """Gives a command to the fake orchestrator as a script would: no terminal, a token in the environment."""

    def give(*words: str, **environment: str | None) -> Result:
        variables: dict[str, str | None] = {"ORCHESTRATOR_URL": fake.url, "ORCHESTRATOR_ADMIN_TOKEN": TOKEN}
        variables["ORCHESTRATOR_DATA_DIR"] = str(tmp_path)
        return CliRunner().invoke(commands, words, env=variables | environment)

    return give
