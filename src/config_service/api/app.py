"""The application: its routes, its one mapping from errors to HTTP, its limits."""

from fastapi import FastAPI

from config_service.api import health, internal, knowledge, me, nodes, tokens
from config_service.api.services import Services
from servicekit.limits import LimitBody
from servicekit.problems import install_problem_handlers

#: Everything below `/api/v1`; health routes are the process's own.
API_ROUTERS = (internal.router, me.router, knowledge.router, nodes.router, tokens.router)


def build_app(services: Services) -> FastAPI:
    """The ASGI application; it needs no lifespan, so it can be mounted anywhere."""
    app = FastAPI(
        title="Config Service",
        version="1",
        description="Configuration of every team, laid over one another from organisation to team.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.config_service = services
    install_problem_handlers(app)
    for router in (*API_ROUTERS, health.router):
        app.include_router(router)
    app.add_middleware(LimitBody)
    return app
