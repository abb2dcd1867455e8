"""Tokens made by hand: for teams by whoever administers their organisation, for org admins by an admin."""

from collections.abc import Sequence
from datetime import timedelta

from fastapi import APIRouter
from sqlalchemy import Connection

from config_service.api import schemas
from config_service.api.auth import AdminCaller, GuardedRoute, OrgAuthor, bearer
from config_service.api.internal import new_token_view
from config_service.api.paging import cut, read_cursor
from config_service.api.services import ServicesOf
from config_service.domain.ids import ROOT_ID
from config_service.store import nodes, tokens
from config_service.store.sql import AnyRow
from servicekit.problems import NotFound

router = APIRouter(
    prefix="/api/v1/admin/orgs/{org}", tags=["tokens"], route_class=GuardedRoute, dependencies=[bearer]
)

_TEAM = "/teams/{team}/tokens"
_ADMINS = "/admin-tokens"


@router.post(_TEAM, status_code=201, responses=schemas.problems(404))
async def create_team_token(
    org: schemas.OrgPath,
    team: schemas.TeamPath,
    body: schemas.CreateToken,
    _author: OrgAuthor,
    services: ServicesOf,
) -> schemas.NewTokenView:
    """Make a token for a team; this answer is the only one that shows it."""

    def change(connection: Connection) -> tokens.Minted:
        nodes.find_team(connection, org, team, lock=True)
        return tokens.mint_team(
            connection,
            org,
            team,
            key=services.token_key,
            now=services.now(),
            lifetime=_lifetime(body),
            label=body.label,
        )

    return new_token_view(await services.access.write(change))


@router.get(_TEAM, responses=schemas.problems(404))
async def list_team_tokens(
    org: schemas.OrgPath,
    team: schemas.TeamPath,
    _author: OrgAuthor,
    services: ServicesOf,
    limit: schemas.Limit = 100,
    cursor: schemas.Cursor = None,
) -> schemas.Page[schemas.TokenView]:
    """The team's tokens, oldest first, those that are revoked or expired too."""
    after = read_cursor(cursor)

    def query(connection: Connection) -> Sequence[AnyRow]:
        nodes.find_team(connection, org, team)
        return tokens.page(connection, org, team, after=after, limit=limit + 1)

    return _page(await services.access.read(query), limit)


@router.delete(_TEAM + "/{token}", status_code=204, responses=schemas.problems())
async def revoke_team_token(
    org: schemas.OrgPath,
    team: schemas.TeamPath,
    token: schemas.TokenPath,
    _author: OrgAuthor,
    services: ServicesOf,
) -> None:
    """Revoke a team's token, at once; one that is gone already is no error."""
    now = services.now()
    await services.access.write(lambda connection: tokens.revoke(connection, org, team, token, now=now))


@router.post(_ADMINS, status_code=201, responses=schemas.problems(404))
async def create_admin_token(
    org: schemas.OrgPath, body: schemas.CreateToken, _admin: AdminCaller, services: ServicesOf
) -> schemas.NewTokenView:
    """Make a token for an admin of this organisation; this answer is the only one that shows it."""

    def change(connection: Connection) -> tokens.Minted:
        _organisation(connection, org, lock=True)
        return tokens.mint_org_admin(
            connection,
            org,
            key=services.token_key,
            now=services.now(),
            lifetime=_lifetime(body),
            label=body.label,
        )

    return new_token_view(await services.access.write(change))


@router.get(_ADMINS, responses=schemas.problems(404))
async def list_admin_tokens(
    org: schemas.OrgPath,
    _admin: AdminCaller,
    services: ServicesOf,
    limit: schemas.Limit = 100,
    cursor: schemas.Cursor = None,
) -> schemas.Page[schemas.TokenView]:
    """The tokens of the organisation's admins, oldest first."""
    after = read_cursor(cursor)

    def query(connection: Connection) -> Sequence[AnyRow]:
        _organisation(connection, org)
        return tokens.page(connection, org, ROOT_ID, after=after, limit=limit + 1)

    return _page(await services.access.read(query), limit)


@router.delete(_ADMINS + "/{token}", status_code=204, responses=schemas.problems())
async def revoke_admin_token(
    org: schemas.OrgPath, token: schemas.TokenPath, _admin: AdminCaller, services: ServicesOf
) -> None:
    """Revoke an org admin's token, at once; one that is gone already is no error."""
    now = services.now()
    await services.access.write(lambda connection: tokens.revoke(connection, org, ROOT_ID, token, now=now))


def _organisation(connection: Connection, org_id: str, *, lock: bool = False) -> None:
    if nodes.find(connection, org_id, ROOT_ID, lock=lock) is None:
        raise NotFound(what=f"Organisation {org_id}")


def _lifetime(body: schemas.CreateToken) -> timedelta | None:
    return None if body.expires_in is None else timedelta(seconds=body.expires_in)


def _page(rows: Sequence[AnyRow], limit: int) -> schemas.Page[schemas.TokenView]:
    page, next_cursor = cut(rows, limit, lambda row: str(row.id))
    items = [schemas.TokenView.model_validate(dict(row._mapping)) for row in page]  # noqa: SLF001 - SQLAlchemy's documented name
    return schemas.Page(items=items, next_cursor=next_cursor)
