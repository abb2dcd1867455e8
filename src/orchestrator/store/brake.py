"""The brake's state, one for all replicas."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.domain.brake import WINDOW_S, engages
from orchestrator.domain.team import TeamKey
from orchestrator.store.tables import brake, brake_marks, teams
from orchestrator.store.teams import TeamState


@dataclass(frozen=True, slots=True)
class BrakeState:
    """Whether the brake is on."""

    #: Since when, in seconds since the epoch; `None`: it is off.
    engaged_at: float | None
    reason: str | None
    released_at: float | None
    released_by: str | None


async def state(connection: AsyncConnection) -> BrakeState:
    """The brake as it is."""
    row = (await connection.execute(sa.select(brake))).one()
    return BrakeState(row.engaged_at, row.reason, row.released_at, row.released_by)


async def mark(connection: AsyncConnection, key: TeamKey, *, now: float) -> BrakeState:
    """Say that a team is about to be put right though nobody asked; the brake as it is then."""
    # Whoever comes second waits here until the first has counted.
    await connection.execute(brake.update().values(id=1))
    await connection.execute(brake_marks.delete().where(brake_marks.c.marked_at <= now - WINDOW_S))
    mine = sa.and_(brake_marks.c.org_id == key.org_id, brake_marks.c.team_node_id == key.team_node_id)
    await connection.execute(brake_marks.delete().where(mine))
    await connection.execute(
        brake_marks.insert().values(org_id=key.org_id, team_node_id=key.team_node_id, marked_at=now)
    )
    current = await state(connection)
    if current.engaged_at is not None:
        return current
    marked = (await connection.execute(sa.select(sa.func.count()).select_from(brake_marks))).scalar_one()
    active = sa.select(sa.func.count()).where(teams.c.state == TeamState.ACTIVE.value)
    total = (await connection.execute(active)).scalar_one()
    if not engages(marked, teams=total, released_at=current.released_at, now=now):
        return current
    reason = f"{marked} of {total} teams were to be made anew or emptied within {WINDOW_S / 60:.0f} minutes"
    await connection.execute(brake.update().values(engaged_at=now, reason=reason))
    return await state(connection)


async def marked(connection: AsyncConnection) -> list[TeamKey]:
    """Teams that were about to be put right within the window."""
    rows = await connection.execute(sa.select(brake_marks.c.org_id, brake_marks.c.team_node_id))
    return [TeamKey(*row) for row in rows]


async def release(connection: AsyncConnection, *, by: str, now: float) -> BrakeState:
    """Let everything go on, and do not stop again for one window."""
    await connection.execute(brake_marks.delete())
    await connection.execute(
        brake.update().values(engaged_at=None, reason=None, released_at=now, released_by=by)
    )
    return await state(connection)
