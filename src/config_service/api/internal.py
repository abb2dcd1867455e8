"""For the control plane: routing lookups, and calls that each bring a team to a wanted state."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy import Connection

from config_service.api import schemas
from config_service.api.auth import AdminCaller, GuardedRoute, bearer
from config_service.api.services import ServicesOf
from config_service.domain.protected import SHARED, Routing, check_dedicated_url
from config_service.domain.tree import NodeType
from config_service.store import configs, nodes, routing, teams, tokens
from config_service.store.sql import AnyRow

router = APIRouter(
    prefix="/api/v1/internal", tags=["internal"], route_class=GuardedRoute, dependencies=[bearer]
)

_TEAM = "/teams/{org}/{team}"


@router.post(
    "/routing/lookup",
    response_model=schemas.RouteView | schemas.NoRouteView,
    responses=schemas.problems(),
)
async def look_up(
    body: schemas.LookUp, _admin: AdminCaller, services: ServicesOf
) -> schemas.RouteView | schemas.NoRouteView:
    """The team a Slack channel belongs to, and where its agent answers."""
    row = await services.access.read(lambda connection: routing.lookup(connection, body.slack_channel_id))
    if row is None:
        return schemas.NoRouteView()
    mode = row.mode or SHARED
    dedicated = row.dedicated_service_url if mode != SHARED else None
    return schemas.RouteView(
        org_id=row.org_id,
        team_node_id=row.node_id,
        deployment_mode=mode,
        agent_url=dedicated or services.shared_agent_url,
        suspended=row.suspended,
    )


@router.post("/channels/owners", responses=schemas.problems())
async def find_owners(
    body: schemas.FindOwners, _admin: AdminCaller, services: ServicesOf
) -> schemas.OwnersView:
    """The teams that these channels belong to; a free channel is left out."""

    def query(connection: Connection) -> tuple[Mapping[str, tuple[str, str]], bool | None]:
        owners = routing.owners(connection, body.slack_channel_ids)
        if body.team is None:
            return owners, None
        return owners, nodes.find(connection, body.team.org_id, body.team.team_node_id) is not None

    found, team_exists = await services.access.read(query)
    owners = {
        channel: schemas.Owner(org_id=org_id, team_node_id=team_id)
        for channel, (org_id, team_id) in found.items()
    }
    return schemas.OwnersView(owners=owners, team_exists=team_exists)


@router.put(_TEAM, responses={201: {"model": schemas.PutTeamView}, **schemas.problems(409)})
async def put_team(
    org: schemas.OrgPath,
    team: schemas.TeamPath,
    body: schemas.PutTeam,
    _admin: AdminCaller,
    services: ServicesOf,
    response: Response,
) -> schemas.PutTeamView:
    """Set a team's channels, mode, and dedicated address; make team and organisation if they are new."""
    if body.dedicated_service_url is not None:
        check_dedicated_url(body.dedicated_service_url, services.url_pattern, field="dedicated_service_url")
    wanted = Routing(
        slack_channel_ids=tuple(body.slack_channel_ids),
        mode=body.mode,
        dedicated_service_url=body.dedicated_service_url,
        suspended=body.suspended,
    )
    now = services.now()

    def change(connection: Connection) -> tuple[teams.Put, tokens.Minted | None, Sequence[AnyRow]]:
        put = teams.put(connection, org, team, wanted, now=now)
        minted = None
        if body.mint is not None:
            key = services.token_key
            minted = tokens.mint_for_purpose(connection, org, team, body.mint, key=key, now=now)
        is_bare = put.created_team and minted is None
        return put, minted, [] if is_bare else tokens.live(connection, org, team, now=now)

    put, minted, live = await services.access.write(change)
    response.status_code = 201 if put.created_team else 200
    return schemas.PutTeamView(
        created_org=put.created_org,
        created_team=put.created_team,
        changed=put.changed,
        version=put.version,
        config=put.config,
        tokens=_live(live),
        minted=None if minted is None else new_token_view(minted),
    )


@router.get(_TEAM, responses=schemas.problems(404))
async def get_team(
    org: schemas.OrgPath, team: schemas.TeamPath, _admin: AdminCaller, services: ServicesOf
) -> schemas.TeamView:
    """A team's own config and the tokens that open a door now."""

    def query(connection: Connection) -> tuple[configs.Versioned, Sequence[AnyRow]]:
        node = nodes.find_team(connection, org, team)
        return configs.load(node), tokens.live(connection, org, team, now=services.now())

    own, live = await services.access.read(query)
    return schemas.TeamView(version=own.version, config=own.config, tokens=_live(live))


@router.delete(_TEAM, responses=schemas.problems())
async def delete_team(
    org: schemas.OrgPath, team: schemas.TeamPath, _admin: AdminCaller, services: ServicesOf
) -> schemas.Found:
    """Remove a team with its config, history, channels, tokens, knowledge, and checkpoints."""
    found = await services.access.write(lambda connection: teams.delete(connection, org, team))
    return schemas.Found(found=found)


@router.delete(_TEAM + "/routing", responses=schemas.problems())
async def unroute_team(
    org: schemas.OrgPath, team: schemas.TeamPath, _admin: AdminCaller, services: ServicesOf
) -> schemas.Unrouted:
    """Send nobody to the team any more: channels are freed, the dedicated address goes, the rest is kept."""
    now = services.now()
    found, changed = await services.access.write(
        lambda connection: teams.unroute(connection, org, team, now=now)
    )
    return schemas.Unrouted(found=found, changed=changed)


@router.post(_TEAM + "/tokens", status_code=201, responses=schemas.problems(404))
async def mint_token(
    org: schemas.OrgPath,
    team: schemas.TeamPath,
    body: schemas.MintToken,
    _admin: AdminCaller,
    services: ServicesOf,
) -> schemas.NewTokenView:
    """Make the team's token for a purpose; the one before is revoked in the same transaction."""

    def change(connection: Connection) -> tokens.Minted:
        nodes.find_team(connection, org, team, lock=True)
        return tokens.mint_for_purpose(
            connection,
            org,
            team,
            body.purpose,
            key=services.token_key,
            now=services.now(),
            lifetime=None if body.expires_in is None else timedelta(seconds=body.expires_in),
        )

    return new_token_view(await services.access.write(change))


@router.delete(_TEAM + "/tokens", responses=schemas.problems())
async def revoke_tokens(
    org: schemas.OrgPath,
    team: schemas.TeamPath,
    _admin: AdminCaller,
    services: ServicesOf,
    purpose: Annotated[schemas.Id | None, Query()] = None,
) -> schemas.Revoked:
    """Revoke every token of the team, also those made by hand, or only those of one purpose."""
    now = services.now()

    def change(connection: Connection) -> int:
        node = nodes.find(connection, org, team, lock=True)
        if node is None or node.type is not NodeType.TEAM:
            return 0
        return tokens.revoke_all(connection, org, team, now=now, purpose=purpose)

    return schemas.Revoked(revoked=await services.access.write(change))


def new_token_view(minted: tokens.Minted) -> schemas.NewTokenView:
    """The one answer that shows a token."""
    return schemas.NewTokenView(
        id=minted.id,
        token=minted.text,
        prefix=minted.prefix,
        purpose=minted.purpose,
        created_at=minted.created_at,
        expires_at=minted.expires_at,
    )


def _live(rows: Sequence[AnyRow]) -> list[schemas.LiveTokenView]:
    return [
        schemas.LiveTokenView(id=row.id, purpose=row.purpose, prefix=row.prefix, created_at=row.created_at)
        for row in rows
    ]
