"""What belongs to one team in the whole installation: names and Slack channels, each kept by a primary key."""

from collections.abc import Collection
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.domain.naming import AGENT, NAMESPACE, PIPELINE, SECRET, candidates, claim
from orchestrator.domain.team import TeamKey, TeamNames
from orchestrator.store.codec import dump_names
from orchestrator.store.tables import channels, names

NAME_KINDS = (PIPELINE, AGENT, SECRET, NAMESPACE)
#: How many candidates of each kind are looked up at once; whoever has claimed them all leaves the next ones free.
_LOOKED_UP = 8

# Statements of every provisioning are put together once: that takes longer than running one.

_THEIRS = sa.select(names.c.name).where(
    names.c.name.in_(sa.bindparam("looked_up", expanding=True)),
    sa.not_(
        sa.and_(
            names.c.org_id == sa.bindparam("this_org_id"),
            names.c.team_node_id == sa.bindparam("this_team_node_id"),
        )
    ),
)
_OWNERS = sa.select(channels).where(channels.c.slack_channel_id.in_(sa.bindparam("ids", expanding=True)))
_HELD = sa.select(channels.c.slack_channel_id).where(
    channels.c.org_id == sa.bindparam("this_org_id"),
    channels.c.team_node_id == sa.bindparam("this_team_node_id"),
)


async def free_names(connection: AsyncConnection, key: TeamKey) -> TeamNames:
    """The names that the team would get now: the seed's pattern, unless another team was there first."""
    looked_up = {name for kind in NAME_KINDS for name in islice(candidates(kind, key), _LOOKED_UP)}
    parameters = _this(key) | {"looked_up": list(looked_up)}
    taken = set((await connection.execute(_THEIRS, parameters)).scalars())
    return claim(key, taken.__contains__)


async def claim_names(connection: AsyncConnection, key: TeamKey, team_names: TeamNames) -> None:
    """Keep the names for the team, for good.

    Raises:
        sqlalchemy.exc.IntegrityError: another team has claimed one since.
    """
    rows = [
        {"name": name, "org_id": key.org_id, "team_node_id": key.team_node_id}
        for name in dump_names(team_names).values()
    ]
    await connection.execute(names.insert(), rows)


async def channel_owners(connection: AsyncConnection, ids: Collection[str]) -> dict[str, TeamKey]:
    """Who owns the channels, of those that somebody owns."""
    if not ids:
        return {}
    rows = (await connection.execute(_OWNERS, {"ids": list(ids)})).all()
    return {row.slack_channel_id: TeamKey(row.org_id, row.team_node_id) for row in rows}


async def claim_channels(connection: AsyncConnection, key: TeamKey, ids: Collection[str]) -> None:
    """Make exactly these channels the team's.

    Raises:
        sqlalchemy.exc.IntegrityError: one belongs to another team.
    """
    held = set((await connection.execute(_HELD, _this(key))).scalars())
    if gone := held - set(ids):
        mine = sa.and_(channels.c.org_id == key.org_id, channels.c.team_node_id == key.team_node_id)
        await connection.execute(channels.delete().where(mine, channels.c.slack_channel_id.in_(gone)))
    if new := set(ids) - held:
        rows = [
            {"slack_channel_id": channel, "org_id": key.org_id, "team_node_id": key.team_node_id}
            for channel in sorted(new)
        ]
        await connection.execute(channels.insert(), rows)


def _this(key: TeamKey) -> dict[str, Any]:
    """Whose rows a prepared statement is about."""
    return {"this_org_id": key.org_id, "this_team_node_id": key.team_node_id}
