"""Whether the program lives, and whether it can do its work."""

from fastapi import APIRouter

from config_service.api import schemas
from config_service.api.services import ServicesOf
from config_service.store.migrate import MIGRATIONS
from servicekit.problems import Problem

router = APIRouter(tags=["health"])


class NotReady(Problem):
    """The database's schema is not the one this program needs; run the migration."""

    status, code = 503, "schema_not_current"


@router.get("/livez")
@router.get("/health", include_in_schema=False)
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=schemas.problems())
async def ready(services: ServicesOf) -> dict[str, str]:
    """The database answers and its schema is current."""
    if not await services.access.read(MIGRATIONS.at_head):
        raise NotReady
    return {"status": "ok"}
