"""A small Config Service in a process of its own: checks tokens, keeps teams apart, misbehaves when told to.

Run as a program it prints its port and serves; imported, `FakeConfigService` starts and steers it.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import httpx2
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request, Response

Team = tuple[str, str]

MAX_BATCH = 200


class State:
    def __init__(self) -> None:
        self.identities: dict[str, dict[str, Any]] = {}
        self.configs: dict[Team, dict[str, Any]] = {}
        self.knowledge: dict[Team, dict[str, dict[str, Any]]] = {}
        self.checkpoints: dict[tuple[Team, str], Any] = {}
        #: Answers to give instead, each once: (method, path, status, Retry-After).
        self.faults: list[tuple[str, str, int, str | None]] = []
        self.calls: list[str] = []
        self.is_away = False
        #: A call that waits until released: (method, path).
        self.held: tuple[str, str] | None = None
        self.released = asyncio.Event()
        self.released.set()
        self.waiting = asyncio.Event()


def create_app() -> FastAPI:  # noqa: C901 - a flat list of routes
    app = FastAPI()
    app.state.fake = State()

    def fake() -> State:
        return app.state.fake

    @app.middleware("http")
    async def misbehave(request: Request, call_next: Any) -> Response:
        if request.url.path.startswith("/fake/"):
            return await call_next(request)
        state = fake()
        state.calls.append(f"{request.method} {request.url.path}")
        if state.is_away:
            return Response(status_code=503)
        if state.held == (request.method, request.url.path):
            state.waiting.set()
            await state.released.wait()
        for fault in state.faults:
            method, path, status, retry_after = fault
            if (method, path) == (request.method, request.url.path):
                state.faults.remove(fault)
                return Response(
                    status_code=status, headers={"Retry-After": retry_after} if retry_after else {}
                )
        return await call_next(request)

    def identity(authorization: Annotated[str, Header()] = "") -> dict[str, Any]:
        found = fake().identities.get(authorization.removeprefix("Bearer "))
        if found is None:
            raise HTTPException(401)
        return found

    def team(who: Annotated[dict[str, Any], Depends(identity)]) -> Team:
        if who["kind"] != "team":
            raise HTTPException(403)
        return who["org_id"], who["team_node_id"]

    caller = Annotated[Team, Depends(team)]

    @app.get("/api/v1/auth/me")
    async def me(who: Annotated[dict[str, Any], Depends(identity)]) -> dict[str, Any]:
        return who

    @app.get("/api/v1/config/me/effective")
    async def effective(key: caller) -> dict[str, Any]:
        return {"config": fake().configs.get(key, {}), "version": 1}

    @app.get("/api/v1/config/me/knowledge")
    async def knowledge(key: caller, cursor: str = "", limit: int = 50) -> dict[str, Any]:
        entries = [entry for id_, entry in sorted(fake().knowledge.get(key, {}).items()) if id_ > cursor]
        page = entries[:limit]
        return {"items": page, "next_cursor": page[-1]["id"] if len(entries) > limit else None}

    @app.post("/api/v1/config/me/knowledge")
    async def learn(
        key: caller, entries: Annotated[list[dict[str, Any]], Body(embed=True)]
    ) -> dict[str, int]:
        if len(entries) > MAX_BATCH:
            raise HTTPException(422, "too many entries")
        known = fake().knowledge.setdefault(key, {})
        counts = {"created": 0, "updated": 0, "unchanged": 0}
        for entry in entries:
            before = known.get(entry["id"])
            outcome = "created" if before is None else "unchanged" if before == entry else "updated"
            counts[outcome] += 1
            known[entry["id"]] = entry
        return counts

    @app.get("/api/v1/config/me/checkpoints/{name}")
    async def checkpoint(key: caller, name: str) -> dict[str, Any]:
        if (key, name) not in fake().checkpoints:
            raise HTTPException(404)
        return {"value": fake().checkpoints[key, name]}

    @app.put("/api/v1/config/me/checkpoints/{name}")
    async def save_checkpoint(
        key: caller, name: str, value: Annotated[Any, Body(embed=True)]
    ) -> dict[str, Any]:
        fake().checkpoints[key, name] = value
        return {"value": value}

    _add_steering(app)
    return app


def _add_steering(app: FastAPI) -> None:  # noqa: C901 - a flat list of routes
    @app.post("/fake/reset")
    async def reset() -> None:
        app.state.fake.released.set()
        app.state.fake = State()

    @app.post("/fake/identity")
    async def add_identity(token: Annotated[str, Body()], who: Annotated[dict[str, Any], Body()]) -> None:
        app.state.fake.identities[token] = who

    @app.post("/fake/revoke")
    async def revoke(token: Annotated[str, Body(embed=True)]) -> None:
        del app.state.fake.identities[token]

    @app.post("/fake/config")
    async def set_config(team: Annotated[Team, Body()], config: Annotated[dict[str, Any], Body()]) -> None:
        app.state.fake.configs[team] = config

    @app.post("/fake/faults")
    async def add_fault(fault: Annotated[tuple[str, str, int, str | None], Body(embed=True)]) -> None:
        app.state.fake.faults.append(fault)

    @app.post("/fake/away")
    async def away(is_away: Annotated[bool, Body(embed=True)]) -> None:
        app.state.fake.is_away = is_away

    @app.post("/fake/hold")
    async def hold(held: Annotated[tuple[str, str], Body(embed=True)]) -> None:
        app.state.fake.held = held
        app.state.fake.released.clear()
        app.state.fake.waiting.clear()

    @app.post("/fake/release")
    async def release() -> None:
        app.state.fake.held = None
        app.state.fake.released.set()

    @app.get("/fake/somebody-waits")
    async def somebody_waits() -> None:
        await app.state.fake.waiting.wait()

    @app.get("/fake/calls")
    async def calls() -> list[str]:
        return app.state.fake.calls


class FakeConfigService:
    """The running process and what a test says to it."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "."])}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self._http = httpx2.Client(base_url=self.url, timeout=20)

    def close(self) -> None:
        self._http.close()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _tell(self, path: str, body: dict[str, Any] | None = None) -> None:
        self._http.post(f"/fake/{path}", json=body).raise_for_status()

    def reset(self) -> None:
        self._tell("reset")

    def add_team(
        self, org_id: str, team_node_id: str, token: str, config: dict[str, Any] | None = None
    ) -> str:
        who = {"kind": "team", "org_id": org_id, "team_node_id": team_node_id, "purpose": "runtime"}
        self._tell("identity", {"token": token, "who": who})
        self._tell("config", {"team": [org_id, team_node_id], "config": config or {}})
        return token

    def add_admin(self, token: str) -> str:
        self._tell(
            "identity", {"token": token, "who": {"kind": "admin", "org_id": None, "team_node_id": None}}
        )
        return token

    def revoke(self, token: str) -> None:
        self._tell("revoke", {"token": token})

    def fail_once(self, method: str, path: str, status: int, retry_after: str | None = None) -> None:
        self._tell("faults", {"fault": [method, path, status, retry_after]})

    def go_away(self) -> None:
        self._tell("away", {"is_away": True})

    def hold(self, method: str, path: str) -> None:
        self._tell("hold", {"held": [method, path]})

    def release(self) -> None:
        self._tell("release")

    def wait_until_somebody_waits(self) -> None:
        self._http.get("/fake/somebody-waits").raise_for_status()

    def calls(self) -> list[str]:
        return self._http.get("/fake/calls").json()

    def learn(self, token: str, *entries: dict[str, Any]) -> None:
        answer = self._http.post(
            "/api/v1/config/me/knowledge",
            json={"entries": list(entries)},
            headers={"Authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()

    def knowledge(self, token: str) -> list[dict[str, Any]]:
        answer = self._http.get(
            "/api/v1/config/me/knowledge?limit=10000", headers={"Authorization": f"Bearer {token}"}
        )
        return answer.raise_for_status().json()["items"]

    def checkpoint(self, token: str) -> Any:
        answer = self._http.get(
            "/api/v1/config/me/checkpoints/slack", headers={"Authorization": f"Bearer {token}"}
        )
        return None if answer.status_code == 404 else answer.raise_for_status().json()["value"]


def serve() -> None:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server = uvicorn.Server(uvicorn.Config(create_app(), log_config=None))
    server.run(sockets=[listener])


if __name__ == "__main__":
    serve()
