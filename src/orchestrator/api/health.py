"""Whether the process lives, and whether it can take requests."""

import asyncio

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from orchestrator.api.services import Services, TheServices
from orchestrator.cluster.errors import ClusterError
from orchestrator.errors import DependencyAway
from orchestrator.store.migrate import MIGRATIONS
from servicekit.errors import DatabaseAway

router = APIRouter(tags=["health"])

#: How long a dependency may take to say that it is there, in seconds.
PATIENCE_S = 2.0

BRAKE = Gauge("orchestrator_brake_engaged", "1 while the brake is on.")


@router.get("/livez")
@router.get("/health")
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: TheServices) -> JSONResponse:
    """200 when the database answers and its schema is current; what else is away shows in the body."""
    database, cluster, config, brake = await asyncio.gather(
        _database(services), _cluster(services), _config(services), _brake(services)
    )
    ready = database == "ok"
    checks = {"database": database, "cluster": cluster, "config_service": config, "brake": brake}
    body = {"status": "ok" if ready else "not ready", "checks": checks}
    return JSONResponse(body, status_code=200 if ready else 503)


@router.get("/metrics")
async def metrics(services: TheServices) -> PlainTextResponse:
    """Prometheus' text format."""
    await _brake(services)
    return PlainTextResponse(generate_latest().decode(), media_type=CONTENT_TYPE_LATEST)


async def _database(services: Services) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S), services.database.reading() as connection:
            await connection.execute(sa.text("SELECT 1"))
        current = await MIGRATIONS.is_current(services.database)
    except (DatabaseAway, TimeoutError) as error:
        return f"away: {type(error).__name__}"
    return "ok" if current else "schema is not current: run `orchestrator db migrate`"


async def _brake(services: Services) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            state = await services.braking.state()
    except (DatabaseAway, TimeoutError) as error:
        return f"unknown: {type(error).__name__}"
    BRAKE.set(state.engaged_at is not None)
    return "ok" if state.engaged_at is None else f"BrakeEngaged: {state.reason}"


async def _cluster(services: Services) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await services.cluster.version()
    except (ClusterError, DependencyAway, TimeoutError) as error:
        return f"away: {error or type(error).__name__}"
    return "ok"


async def _config(services: Services) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await services.config.ping()
    except (DependencyAway, TimeoutError) as error:
        return f"away: {error or type(error).__name__}"
    return "ok"
