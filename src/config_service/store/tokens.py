"""Tokens as they are kept: found by their prefix, held as keyed hashes, revoked by a date."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, or_, select, update
from uuid6 import uuid7

from config_service.domain import tokens as domain
from config_service.domain.ids import ROOT_ID
from config_service.store.sql import AnyRow
from config_service.store.tables import tokens

#: How stale "last used" may be; bounds the writes that reading costs.
LAST_USED_RESOLUTION: Final = timedelta(minutes=1)

TEAM: Final = "team"
ORG_ADMIN: Final = "org_admin"

_SHOWN = (
    tokens.c.id,
    tokens.c.prefix,
    tokens.c.label,
    tokens.c.purpose,
    tokens.c.created_at,
    tokens.c.last_used_at,
    tokens.c.expires_at,
    tokens.c.revoked_at,
)
_BY_PREFIX = select(
    tokens.c.id,
    tokens.c.kind,
    tokens.c.org_id,
    tokens.c.node_id,
    tokens.c.purpose,
    tokens.c.digest,
    tokens.c.expires_at,
    tokens.c.last_used_at,
).where(tokens.c.prefix == bindparam("prefix"), tokens.c.revoked_at.is_(None))
_LIVE = (
    select(*_SHOWN)
    .where(
        tokens.c.org_id == bindparam("org_id"),
        tokens.c.node_id == bindparam("node_id"),
        tokens.c.revoked_at.is_(None),
        or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > bindparam("now")),
    )
    .order_by(tokens.c.id)
)
_REVOKE_PURPOSE = update(tokens).where(
    tokens.c.org_id == bindparam("of_org"),
    tokens.c.node_id == bindparam("of_node"),
    tokens.c.purpose == bindparam("of_purpose"),
    tokens.c.revoked_at.is_(None),
)
_INSERT = tokens.insert()


@dataclass(frozen=True, slots=True, kw_only=True)
class Minted:
    """A new token, with its text for the one answer that shows it."""

    id: str
    text: str = field(repr=False)
    prefix: str
    purpose: str | None
    created_at: datetime
    expires_at: datetime | None


def by_prefix(connection: Connection, prefix: str) -> AnyRow | None:
    """The token of this prefix, unless it is revoked; whether it has expired is for the caller to see."""
    return connection.execute(_BY_PREFIX, {"prefix": prefix}).one_or_none()


def mint_team(
    connection: Connection,
    org_id: str,
    team_id: str,
    *,
    key: bytes,
    now: datetime,
    lifetime: timedelta | None = None,
    label: str | None = None,
) -> Minted:
    """Make a token by hand; a team may have any number of these."""
    new = domain.new_team_token(org_id, team_id)
    return _insert(connection, TEAM, org_id, team_id, new, key=key, now=now, lifetime=lifetime, label=label)


def mint_for_purpose(
    connection: Connection,
    org_id: str,
    team_id: str,
    purpose: str,
    *,
    key: bytes,
    now: datetime,
    lifetime: timedelta | None = None,
) -> Minted:
    """Replace the team's token for `purpose`: the old one is revoked as the new one comes to be."""
    connection.execute(
        _REVOKE_PURPOSE,
        {"of_org": org_id, "of_node": team_id, "of_purpose": purpose, "revoked_at": now},
    )
    new = domain.new_team_token(org_id, team_id)
    return _insert(
        connection, TEAM, org_id, team_id, new, key=key, now=now, lifetime=lifetime, purpose=purpose
    )


def mint_org_admin(
    connection: Connection,
    org_id: str,
    *,
    key: bytes,
    now: datetime,
    lifetime: timedelta | None = None,
    label: str | None = None,
) -> Minted:
    """Make a token for an admin of one organisation; it belongs to the root node."""
    new = domain.new_org_admin_token(org_id)
    return _insert(
        connection, ORG_ADMIN, org_id, ROOT_ID, new, key=key, now=now, lifetime=lifetime, label=label
    )


def live(connection: Connection, org_id: str, node_id: str, *, now: datetime) -> Sequence[AnyRow]:
    """The tokens that open a door now, oldest first."""
    return connection.execute(_LIVE, {"org_id": org_id, "node_id": node_id, "now": now}).all()


def page(connection: Connection, org_id: str, node_id: str, *, after: str, limit: int) -> Sequence[AnyRow]:
    """Up to `limit` tokens, revoked and expired ones too, whose id follows `after`; oldest first."""
    return connection.execute(
        select(*_SHOWN)
        .where(tokens.c.org_id == org_id, tokens.c.node_id == node_id, tokens.c.id > after)
        .order_by(tokens.c.id)
        .limit(limit)
    ).all()


def revoke(connection: Connection, org_id: str, node_id: str, token_id: str, *, now: datetime) -> None:
    """Revoke one token; one that is revoked, unknown, or another's is left as it is."""
    connection.execute(
        update(tokens).where(*_live_of(org_id, node_id), tokens.c.id == token_id).values(revoked_at=now)
    )


def revoke_all(
    connection: Connection, org_id: str, node_id: str, *, now: datetime, purpose: str | None = None
) -> int:
    """Revoke every token, made by hand or not, or those of one purpose; answers how many there were."""
    statement = update(tokens).where(*_live_of(org_id, node_id)).values(revoked_at=now)
    if purpose is not None:
        statement = statement.where(tokens.c.purpose == purpose)
    return connection.execute(statement).rowcount


def touch(connection: Connection, token_id: str, *, now: datetime) -> None:
    """Remember that a token was used, unless that was remembered within the last minute."""
    stale = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at <= now - LAST_USED_RESOLUTION)
    connection.execute(update(tokens).where(tokens.c.id == token_id, stale).values(last_used_at=now))


def _live_of(org_id: str, node_id: str) -> tuple[Any, ...]:
    return (tokens.c.org_id == org_id, tokens.c.node_id == node_id, tokens.c.revoked_at.is_(None))


def _insert(
    connection: Connection,
    kind: str,
    org_id: str,
    node_id: str,
    new: domain.NewToken,
    *,
    key: bytes,
    now: datetime,
    lifetime: timedelta | None,
    label: str | None = None,
    purpose: str | None = None,
) -> Minted:
    minted = Minted(
        id=str(uuid7()),
        text=new.text,
        prefix=new.prefix,
        purpose=purpose,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )
    connection.execute(
        _INSERT,
        {
            "id": minted.id,
            "kind": kind,
            "org_id": org_id,
            "node_id": node_id,
            "prefix": minted.prefix,
            "digest": domain.digest(new.text, key),
            "label": label,
            "purpose": purpose,
            "created_at": now,
            "expires_at": minted.expires_at,
        },
    )
    return minted
