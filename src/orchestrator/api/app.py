"""The ASGI application: routers, error mapping, limits; the embedded Config Service's routes beside ours."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestrator.api import brake, health, provision, runs, teams
from orchestrator.api.services import Services
from orchestrator.cluster.errors import ClusterError
from orchestrator.errors import ClusterAnswered, DependencyAway
from servicekit.limits import LimitBody
from servicekit.problems import Unavailable, install_problem_handlers, problem_response

#: What the Config Service answers when it runs inside this process.
CONFIG_SERVICE_PATHS = ("/api/v1/admin/orgs", "/api/v1/config", "/api/v1/auth", "/api/v1/internal")

Background = Callable[[], AbstractAsyncContextManager[None]]


def create_app(
    services: Services, *, background: Background | None = None, only_health: bool = False
) -> FastAPI:
    """The API.

    Args:
        services: what handlers need.
        background: what runs while the application does, the reconciler for one.
        only_health: answer whether the process lives and what it measures, and nothing else.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if background is None:
            yield
            return
        async with background():
            yield

    app = FastAPI(
        title="Orchestrator",
        description="Provisions teams: configuration, routing, a scheduled pipeline, an agent of their own.",
        version="1",
        lifespan=lifespan,
    )
    app.state.services = services
    for router in () if only_health else (provision.router, runs.router, teams.router, brake.router):
        app.include_router(router)
    app.include_router(health.router)
    app.add_middleware(LimitBody)
    install_problem_handlers(app)
    _tell_of_the_cluster(app)
    return app


def _tell_of_the_cluster(app: FastAPI) -> None:
    """What the cluster refuses or does not answer to a question of ours, as a caller is told."""

    @app.exception_handler(ClusterError)
    async def _refused(_request: Request, error: ClusterError) -> JSONResponse:
        return problem_response(ClusterAnswered(message=error.message))

    @app.exception_handler(DependencyAway)
    async def _away(_request: Request, error: DependencyAway) -> JSONResponse:
        return problem_response(Unavailable(f"The {error.dependency}"))


class WithConfigService:
    """Both programs on one port: each path has exactly one of them to answer it."""

    def __init__(self, orchestrator: ASGIApp, config_service: ASGIApp) -> None:
        self._orchestrator = orchestrator
        self._config_service = config_service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to whom its path belongs."""
        theirs = scope["type"] == "http" and scope["path"].startswith(CONFIG_SERVICE_PATHS)
        await (self._config_service if theirs else self._orchestrator)(scope, receive, send)
