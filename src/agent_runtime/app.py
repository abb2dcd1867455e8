"""The agent's HTTP interface."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
from fastapi import Depends, FastAPI, Header, Path
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agent_runtime.agent import Agent, Answer
from agent_runtime.capacity import Capacity
from agent_runtime.config_service import ConfigServiceClient
from agent_runtime.credential import RuntimeCredential
from agent_runtime.settings import RuntimeMode, Settings
from servicekit.limits import LimitBody
from servicekit.problems import Unauthorized, install_problem_handlers

#: The largest request body, in bytes; a message of 20 000 characters and its context fit well.
MAX_BODY = 256 * 1024
#: Every single exchange with the Config Service, in seconds.
TIMEOUT_S = 5.0
#: Connections to the Config Service; requests beyond wait for one, at most `TIMEOUT_S`.
MAX_CONNECTIONS = 64

# RFC 6750 b64token: anything else cannot be a token, and would not even fit a header.
_BEARER = re.compile(r"Bearer +([A-Za-z0-9\-._~+/]{1,512}=*) *", re.IGNORECASE)

AgentName = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,63}$")]


class RunAgent(BaseModel):
    """What a team asks."""

    model_config = ConfigDict(extra="forbid")

    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    #: Facts around the message (an alert's labels, for one); its texts are searched along with the message.
    context: dict[str, Any] = Field(default_factory=dict)

    def search_text(self) -> str:
        """Everything that is worth searching for."""
        facts = [value for value in self.context.values() if isinstance(value, str)]
        return " ".join([self.message, *facts])


class SourceView(BaseModel):
    """One entry that the answer rests on."""

    id: str
    title: str
    channel: str
    thread_ts: str
    url: str | None = None
    score: float


class RunView(BaseModel):
    """The answer."""

    agent: str
    org_id: str
    team_node_id: str
    answer: str
    sources: list[SourceView]
    runtime: RuntimeMode
    duration_ms: int

    @classmethod
    def of(cls, answer: Answer, *, agent: str, runtime: RuntimeMode, duration_ms: int) -> "RunView":
        """Show an answer."""
        sources = [
            SourceView(
                id=entry.id,
                title=entry.title,
                channel=entry.source.channel,
                thread_ts=entry.source.thread_ts,
                url=entry.source.url,
                score=round(score, 4),
            )
            for entry, score in answer.sources
        ]
        return cls(
            agent=agent,
            org_id=answer.team[0],
            team_node_id=answer.team[1],
            answer=answer.text,
            sources=sources,
            runtime=runtime,
            duration_ms=duration_ms,
        )


def bearer_token(authorization: Annotated[str | None, Header()] = None) -> str:
    """The caller's token; what it is worth only the Config Service knows.

    Raises:
        Unauthorized: there is none.
    """
    found = _BEARER.fullmatch(authorization or "")
    if found is None:
        raise Unauthorized
    return found[1]


def create_app(settings: Settings, *, capacity: Capacity | None = None) -> FastAPI:
    """Compose the agent."""
    http = httpx2.AsyncClient(
        base_url=settings.config_service_url,
        timeout=TIMEOUT_S,
        limits=httpx2.Limits(max_connections=MAX_CONNECTIONS),
    )
    config_service = ConfigServiceClient(http)
    agent = Agent(config_service=config_service, capacity=capacity or Capacity(), only_team=settings.team)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with http:
            yield

    app = FastAPI(title="Agent runtime", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(LimitBody, limit=MAX_BODY)
    install_problem_handlers(app)
    _add_health(app, settings, config_service)

    @app.post("/agents/{name}/run", response_model_exclude_none=True)
    async def run(name: AgentName, token: Annotated[str, Depends(bearer_token)], body: RunAgent) -> RunView:
        """Answer a team's message from what the team has learned."""
        started = time.perf_counter()
        answer = await agent.run(name, token, body.search_text())
        duration_ms = round((time.perf_counter() - started) * 1000)
        return RunView.of(answer, agent=name, runtime=settings.mode, duration_ms=duration_ms)

    return app


def _add_health(app: FastAPI, settings: Settings, config_service: ConfigServiceClient) -> None:
    """Liveness speaks for the process alone; readiness also for the credential that the pod carries."""
    who: dict[str, str] = {"mode": settings.mode}
    credential: RuntimeCredential | None = None
    if settings.team is not None and settings.team_token_file is not None:
        who |= {"org_id": settings.team[0], "team_node_id": settings.team[1]}
        credential = RuntimeCredential(
            file=settings.team_token_file, team=settings.team, config_service=config_service
        )

    @app.get("/health")
    @app.get("/livez")
    async def health() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"} | who

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        """Requests are taken; a dedicated runtime must not carry a wrong credential for that."""
        if credential is None:
            return JSONResponse({"status": "ok"} | who)
        verdict = await credential.check()
        is_ready = verdict in {"accepted", "unverified"}
        body = {"status": "ok" if is_ready else "not_ready"} | who | {"credential": verdict}
        return JSONResponse(body, status_code=200 if is_ready else 503)
