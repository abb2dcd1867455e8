"""What a token's own bearer may ask and do."""

import functools

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from config_service.api import schemas
from config_service.api.auth import Admin, AnyCaller, GuardedRoute, Team, TeamCaller, TeamWriter, bearer
from config_service.api.configs import (
    JSON_PATCH,
    MERGE_PATCH,
    IfMatch,
    body_of,
    config_response,
    patch,
    precondition,
)
from config_service.api.nodes import effective_layers
from config_service.api.services import ServicesOf
from config_service.domain import merge
from config_service.store import configs, nodes

router = APIRouter(prefix="/api/v1", tags=["me"], route_class=GuardedRoute, dependencies=[bearer])


@router.get("/auth/me", responses=schemas.problems())
async def get_me(caller: AnyCaller) -> schemas.MeView:
    """Whose token it is and what it may do."""
    return schemas.MeView(
        kind=caller.kind,
        org_id=None if isinstance(caller, Admin) else caller.org_id,
        team_node_id=caller.team_node_id if isinstance(caller, Team) else None,
        token_id=None if isinstance(caller, Admin) else caller.token_id,
        purpose=caller.purpose if isinstance(caller, Team) else None,
        scopes=list(caller.scopes),
    )


@router.get("/config/me/effective", response_model=schemas.MyEffectiveView, responses=schemas.problems())
async def get_my_effective(team: TeamCaller, services: ServicesOf) -> JSONResponse:
    """What holds for the team whose token it is."""
    layers, version = await services.access.read(
        functools.partial(effective_layers, org_id=team.org_id, node_id=team.team_node_id)
    )
    return JSONResponse(
        {
            "config": merge.effective(layer for _, layer in layers),
            "version": version,
            "org_id": team.org_id,
            "team_node_id": team.team_node_id,
        }
    )


@router.patch(
    "/config/me",
    response_model=schemas.ConfigView,
    responses=schemas.problems(409, 412),
    openapi_extra=body_of("application/json", MERGE_PATCH, JSON_PATCH),
)
async def patch_my_config(
    request: Request, team: TeamWriter, services: ServicesOf, if_match: IfMatch = None
) -> JSONResponse:
    """Change the team's own config; the keys that route are the control plane's."""
    change = await patch(request, protect=True)
    now = services.now()

    def write(connection: Connection) -> configs.Versioned:
        return configs.write(
            connection,
            nodes.find_team(connection, team.org_id, team.team_node_id, lock=True),
            change.edit,
            author=configs.Author(name=f"team:{team.token_id}"),
            now=now,
            url_pattern=services.url_pattern,
            expected=precondition(if_match, change.version),
        )

    return config_response(await services.access.write(write))
