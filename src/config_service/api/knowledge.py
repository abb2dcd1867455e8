"""What a team's pipeline has learned, and its checkpoints: written by the team, read by it and its admins."""

import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlalchemy import Connection

from config_service.api import schemas
from config_service.api.auth import GuardedRoute, OrgAuthor, TeamCaller, bearer
from config_service.api.paging import cut, read_cursor
from config_service.api.services import Services, ServicesOf
from config_service.domain.documents import check_size, check_text
from config_service.store import knowledge as store
from config_service.store import nodes
from config_service.store.sql import AnyRow
from servicekit.problems import Invalid, NotFound

router = APIRouter(prefix="/api/v1", tags=["knowledge"], route_class=GuardedRoute, dependencies=[bearer])

_MINE = "/config/me/knowledge"
#: How many words of a question are looked for.
_MAX_TERMS = 20
#: How large a checkpoint may be, in bytes of its JSON text.
_MAX_CHECKPOINT_BYTES = 64 * 1024

Question = Annotated[str | None, Query(max_length=500, description="Words that must all occur.")]
EntryPath = Annotated[str, Path(min_length=1, max_length=128)]


@router.post(_MINE, responses=schemas.problems())
async def put_knowledge(
    body: schemas.PutKnowledge, team: TeamCaller, services: ServicesOf
) -> schemas.UpsertedView:
    """Store what was learned, by the entries' ids; sending an entry again changes nothing."""
    entries = {entry.id: entry.model_dump(exclude={"id"}) for entry in body.entries}
    if len(entries) != len(body.entries):
        raise Invalid.field("entries", "must not hold an id twice")
    now = services.now()

    def change(connection: Connection) -> store.Upserted:
        nodes.find_team(connection, team.org_id, team.team_node_id, lock=True)
        return store.upsert(connection, team.org_id, team.team_node_id, entries, now=now)

    done = await services.access.write(change)
    return schemas.UpsertedView(created=done.created, updated=done.updated, unchanged=done.unchanged)


@router.get(_MINE, responses=schemas.problems())
async def list_my_knowledge(
    team: TeamCaller,
    services: ServicesOf,
    q: Question = None,
    limit: schemas.Limit = 100,
    cursor: schemas.Cursor = None,
) -> schemas.Page[schemas.KnowledgeView]:
    """What the team has learned, in the order of the ids."""
    return await _page(services, team.org_id, team.team_node_id, q=q, limit=limit, cursor=cursor)


@router.delete(_MINE + "/{entry:path}", status_code=204, responses=schemas.problems())
async def delete_knowledge(entry: EntryPath, team: TeamCaller, services: ServicesOf) -> None:
    """Forget an entry; one that is not there is no error."""
    check_text(entry, "entry")
    await services.access.write(
        lambda connection: store.remove(connection, team.org_id, team.team_node_id, entry)
    )


@router.get("/admin/orgs/{org}/teams/{team}/knowledge", responses=schemas.problems(404))
async def list_knowledge(
    *,
    org: schemas.OrgPath,
    team: schemas.TeamPath,
    _author: OrgAuthor,
    services: ServicesOf,
    q: Question = None,
    limit: schemas.Limit = 100,
    cursor: schemas.Cursor = None,
) -> schemas.Page[schemas.KnowledgeView]:
    """What a team has learned, for its admins."""
    return await _page(services, org, team, q=q, limit=limit, cursor=cursor)


@router.get("/config/me/checkpoints/{name}", responses=schemas.problems(404))
async def get_checkpoint(
    name: schemas.NamePath, team: TeamCaller, services: ServicesOf
) -> schemas.CheckpointView:
    """Where a program of the team left its mark."""
    row = await services.access.read(
        lambda connection: store.checkpoint(connection, team.org_id, team.team_node_id, name)
    )
    if row is None:
        raise NotFound(what=f"Checkpoint {name}")
    return schemas.CheckpointView(name=name, value=json.loads(row.value), updated_at=row.updated_at)


@router.put("/config/me/checkpoints/{name}", responses=schemas.problems())
async def put_checkpoint(
    name: schemas.NamePath, body: schemas.PutCheckpoint, team: TeamCaller, services: ServicesOf
) -> schemas.CheckpointView:
    """Leave a mark; it replaces the one before."""
    check_size(body.value, _MAX_CHECKPOINT_BYTES)
    now = services.now()

    def change(connection: Connection) -> None:
        nodes.find_team(connection, team.org_id, team.team_node_id, lock=True)
        store.set_checkpoint(connection, team.org_id, team.team_node_id, name, body.value, now=now)

    await services.access.write(change)
    return schemas.CheckpointView(name=name, value=body.value, updated_at=now)


async def _page(
    services: Services, org_id: str, team_id: str, *, q: str | None, limit: int, cursor: str | None
) -> schemas.Page[schemas.KnowledgeView]:
    after = read_cursor(cursor)
    terms = check_text(q or "", "q").split()[:_MAX_TERMS]

    def query(connection: Connection) -> Sequence[AnyRow]:
        nodes.find_team(connection, org_id, team_id)
        return store.page(connection, org_id, team_id, terms=terms, after=after, limit=limit + 1)

    page, next_cursor = cut(await services.access.read(query), limit, lambda row: str(row.entry_id))
    items = [schemas.KnowledgeView.model_validate(store.parsed(row)) for row in page]
    return schemas.Page(items=items, next_cursor=next_cursor)
