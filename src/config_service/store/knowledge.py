"""What a team's pipeline has learned, and the marks it leaves to know where to go on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from config_service.domain import documents
from config_service.store.sql import AnyRow, insert_new
from config_service.store.tables import checkpoints, knowledge

Entry = dict[str, Any]

_CHANGE = update(knowledge).where(
    knowledge.c.org_id == bindparam("of_org"),
    knowledge.c.node_id == bindparam("of_node"),
    knowledge.c.entry_id == bindparam("of_entry"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """How many entries were new, different, or the same as before."""

    created: int
    updated: int
    unchanged: int


def upsert(
    connection: Connection, org_id: str, team_id: str, entries: Mapping[str, Entry], *, now: datetime
) -> Upserted:
    """Store entries by their ids.

    Args:
        connection: of a transaction that has locked the team's node.
        org_id: the organisation.
        team_id: the team.
        entries: each without its id, by its id.
        now: when.
    """
    rows = connection.execute(
        select(knowledge.c.entry_id, knowledge.c.entry, knowledge.c.version).where(
            *_of(org_id, team_id), knowledge.c.entry_id.in_(list(entries))
        )
    )
    stored = {row.entry_id: row for row in rows}
    created: list[Entry] = []
    updated: list[Entry] = []
    for entry_id, entry in entries.items():
        values = {"entry": documents.dump(entry), "terms": _terms(entry), "updated_at": now}
        known = stored.get(entry_id)
        if known is None:
            key = {"org_id": org_id, "node_id": team_id, "entry_id": entry_id}
            created.append({**values, **key, "version": 1, "created_at": now})
        elif known.entry != values["entry"]:
            of = {"of_org": org_id, "of_node": team_id, "of_entry": entry_id}
            updated.append({**values, **of, "version": known.version + 1})
    if created:
        connection.execute(knowledge.insert(), created)
    if updated:
        connection.execute(_CHANGE, updated)
    same = len(entries) - len(created) - len(updated)
    return Upserted(created=len(created), updated=len(updated), unchanged=same)


def page(
    connection: Connection, org_id: str, team_id: str, *, terms: Sequence[str], after: str, limit: int
) -> Sequence[AnyRow]:
    """Up to `limit` entries whose id follows `after` and that hold all `terms`, whatever their case."""
    found = [knowledge.c.terms.contains(term.casefold(), autoescape=True) for term in terms]
    return connection.execute(
        select(knowledge)
        .where(*_of(org_id, team_id), knowledge.c.entry_id > after, *found)
        .order_by(knowledge.c.entry_id)
        .limit(limit)
    ).all()


def remove(connection: Connection, org_id: str, team_id: str, entry_id: str) -> None:
    """Forget an entry; one that is not there is no error."""
    connection.execute(delete(knowledge).where(*_of(org_id, team_id), knowledge.c.entry_id == entry_id))


def checkpoint(connection: Connection, org_id: str, team_id: str, name: str) -> AnyRow | None:
    """The row of a checkpoint, if it was ever written."""
    return connection.execute(
        select(checkpoints.c.value, checkpoints.c.updated_at).where(
            checkpoints.c.org_id == org_id,
            checkpoints.c.node_id == team_id,
            checkpoints.c.name == name,
        )
    ).one_or_none()


def set_checkpoint(
    connection: Connection, org_id: str, team_id: str, name: str, value: Mapping[str, Any], *, now: datetime
) -> None:
    """Write a checkpoint, in a transaction that has locked the team's node."""
    text = documents.dump(value)
    key = {"org_id": org_id, "node_id": team_id, "name": name}
    new = insert_new(connection, checkpoints, checkpoints.c.name).values(**key, value=text, updated_at=now)
    if connection.execute(new).one_or_none() is None:
        connection.execute(
            update(checkpoints)
            .where(
                checkpoints.c.org_id == org_id,
                checkpoints.c.node_id == team_id,
                checkpoints.c.name == name,
            )
            .values(value=text, updated_at=now)
        )


def _of(org_id: str, team_id: str) -> tuple[Any, Any]:
    return (knowledge.c.org_id == org_id, knowledge.c.node_id == team_id)


def _terms(entry: Entry) -> str:
    parts = [entry["title"], entry["question"], entry["answer"], *entry["tags"]]
    return "\n".join(parts).casefold()


def parsed(row: AnyRow) -> Entry:
    """An entry as callers see it."""
    entry: Entry = json.loads(row.entry)
    return {"id": row.entry_id, **entry, "version": row.version, "updated_at": row.updated_at}
