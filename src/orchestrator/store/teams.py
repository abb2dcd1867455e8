"""Teams: use cases write what is wanted, the reconciler what is reported, fenced by its lease."""

import enum
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.domain.conditions import Condition
from orchestrator.domain.objects import Ref
from orchestrator.domain.team import TeamKey, TeamNames, TeamSpec
from orchestrator.store import codec
from orchestrator.store.tables import teams


class TeamState(enum.StrEnum):
    """Where a team is in its life."""

    ACTIVE = "active"
    LEAVING = "leaving"
    #: Deprovisioned; the row keeps the names, which never change, and what may be restored.
    GONE = "gone"


class TokenState(enum.StrEnum):
    """Whether the token made for people has reached somebody."""

    #: To be made and answered by the call that finds the team provisioned.
    PENDING = "pending"
    DELIVERED = "delivered"


class Reported(enum.Enum):
    """What became of a report."""

    WHOLE = enum.auto()
    #: What is wanted has changed meanwhile; the next pass brings it about.
    OVERTAKEN = enum.auto()
    #: Somebody else holds the team; nothing was written.
    LEASE_LOST = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """How a team is to be taken away."""

    delete_k8s_resources: bool = True
    delete_config: bool = False
    #: Why what is held is no longer waited for, and who said so.
    released: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """Where the team's requests were last told to go."""

    mode: str
    url: str | None = None
    #: Nobody is to be answered.
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRecord:
    """One row."""

    key: TeamKey
    state: TeamState
    spec: TeamSpec
    generation: int
    names: TeamNames
    created_at: float
    updated_at: float
    leaving: Leaving | None = None
    #: Every object that was made or may have been: recorded before it is made, struck off when it is gone.
    inventory: frozenset[Ref] = frozenset()
    routed: Routed | None = None
    #: What the cluster last took as a whole; a refused change goes back to it.
    good_spec: TeamSpec | None = None
    good_generation: int = 0
    #: Whether the team's node in the Config Service is there because of us.
    created_config: bool = False
    token_state: TokenState = TokenState.PENDING
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    ready: bool = False
    run_id: str | None = None
    due_at: float | None = None
    failures: int = 0
    fence: int = 0
    restore_until: float | None = None
    lease_until: float = field(default=0, compare=False)


# Statements of every provisioning are put together once: that takes longer than running one.

_THIS = sa.and_(
    teams.c.org_id == sa.bindparam("this_org_id"), teams.c.team_node_id == sa.bindparam("this_team_node_id")
)
_GET = sa.select(teams).where(_THIS)
_INSERT = teams.insert()
_CHANGE = teams.update().where(_THIS, teams.c.generation == sa.bindparam("seen_generation"))
_LEASE = (
    teams.update()
    .where(
        _THIS,
        sa.or_(teams.c.lease_until < sa.bindparam("now"), teams.c.lease_holder == sa.bindparam("holder")),
    )
    .values(lease_holder=sa.bindparam("holder"), lease_until=sa.bindparam("until"), fence=teams.c.fence + 1)
    .returning(teams)
)
_REPORT_SEEN = teams.update().where(_THIS, teams.c.fence == sa.bindparam("held_fence"))
_REPORT_WHOLE = _REPORT_SEEN.where(teams.c.generation == sa.bindparam("seen_generation"))
_DUE = (
    sa.select(teams.c.org_id, teams.c.team_node_id)
    .where(teams.c.due_at <= sa.bindparam("now"), teams.c.lease_until < sa.bindparam("now"))
    .order_by(teams.c.due_at)
    .limit(sa.bindparam("most"))
)
_SET_TOKEN_STATE = teams.update().where(_THIS, teams.c.run_id == sa.bindparam("seen_run_id"))


async def get(connection: AsyncConnection, key: TeamKey) -> TeamRecord | None:
    """The team, or `None`."""
    row = (await connection.execute(_GET, _this(key))).mappings().one_or_none()
    return _record(row) if row is not None else None


async def insert(connection: AsyncConnection, team: TeamRecord) -> None:
    """A new team.

    Raises:
        sqlalchemy.exc.IntegrityError: somebody was faster.
    """
    await connection.execute(_INSERT, _key(team.key) | _row(team) | {"lease_until": 0, "fence": 0})


async def change_wanted(connection: AsyncConnection, team: TeamRecord, *, seen_generation: int) -> bool:
    """Write what is wanted, unless somebody changed it since `seen_generation`; whether it was written."""
    values = {column: value for column, value in _row(team).items() if column in _WANTED}
    if team.state is TeamState.LEAVING:
        # Its tokens are revoked: whoever brings it back gets a new one.
        values["token_state"] = TokenState.PENDING.value
    parameters = values | _this(team.key) | {"seen_generation": seen_generation}
    return (await connection.execute(_CHANGE, parameters)).rowcount == 1


async def lease(
    connection: AsyncConnection, key: TeamKey, *, holder: str, now: float, until: float
) -> TeamRecord | None:
    """Claim the team and read it, unless somebody else holds it; each claim has a higher fence than the last."""
    parameters = _this(key) | {"holder": holder, "now": now, "until": until}
    row = (await connection.execute(_LEASE, parameters)).mappings().one_or_none()
    return _record(row) if row is not None else None


async def release_leases(connection: AsyncConnection, *, holder: str) -> None:
    """Hand back what a process that stops still holds, so that others need not wait for it to run out."""
    statement = teams.update().where(teams.c.lease_holder == holder)
    await connection.execute(statement.values(lease_holder=None, lease_until=0))


async def extend_lease(connection: AsyncConnection, team: TeamRecord, *, until: float) -> bool:
    """Keep a claim alive; `False` when it was lost."""
    statement = teams.update().where(_is(team.key), teams.c.fence == team.fence).values(lease_until=until)
    return (await connection.execute(statement)).rowcount == 1


async def report(
    connection: AsyncConnection, team: TeamRecord, *, seen_generation: int, now: float
) -> Reported:
    """Write what was seen and done, and hand the lease back.

    When somebody has changed what is wanted since, that stands: only what was seen is written, and the team is due
    at once.
    """
    released = {"lease_holder": None, "lease_until": 0}
    held = _this(team.key) | {"held_fence": team.fence}
    # Whether a token has reached somebody is noted beside a pass, which may have begun before that.
    row = {column: value for column, value in _row(team).items() if column != "token_state"}
    whole = row | released | held | {"seen_generation": seen_generation}
    if (await connection.execute(_REPORT_WHOLE, whole)).rowcount == 1:
        return Reported.WHOLE
    seen = {column: value for column, value in row.items() if column in _SEEN} | released | {"due_at": now}
    if (await connection.execute(_REPORT_SEEN, seen | held)).rowcount == 1:
        return Reported.OVERTAKEN
    return Reported.LEASE_LOST


async def due(connection: AsyncConnection, *, now: float, limit: int) -> list[TeamKey]:
    """Teams that nobody holds and whose time has come, the longest waiting first."""
    rows = (await connection.execute(_DUE, {"now": now, "most": limit})).all()
    return [TeamKey(*row) for row in rows]


async def waiting(connection: AsyncConnection) -> list[TeamKey]:
    """Teams whose last pass did not go through, and that would be looked at later."""
    statement = sa.select(teams.c.org_id, teams.c.team_node_id).where(teams.c.failures > 0)
    return [TeamKey(*row) for row in (await connection.execute(statement)).all()]


async def next_due(connection: AsyncConnection) -> float | None:
    """When the next team's time comes, in seconds since the epoch."""
    earliest: float | None = (
        await connection.execute(sa.select(sa.func.min(teams.c.due_at)))
    ).scalar_one_or_none()
    return earliest


async def make_due(connection: AsyncConnection, key: TeamKey, *, now: float) -> None:
    """Have the team looked at as soon as somebody can."""
    await connection.execute(teams.update().where(_is(key)).values(due_at=now))


async def set_token_state(
    connection: AsyncConnection, key: TeamKey, state: TokenState, *, run_id: str
) -> None:
    """Note whether the team's token has reached somebody, unless a newer run has taken over."""
    parameters = _this(key) | {"seen_run_id": run_id, "token_state": state.value}
    await connection.execute(_SET_TOKEN_STATE, parameters)


async def page(
    connection: AsyncConnection,
    *,
    org_id: str | None,
    mode: str | None,
    ready: bool | None,
    after: TeamKey | None,
    limit: int,
) -> list[TeamRecord]:
    """Teams that are not gone, in the order of their ids."""
    statement = sa.select(teams).where(teams.c.state != TeamState.GONE.value)
    if org_id is not None:
        statement = statement.where(teams.c.org_id == org_id)
    if mode is not None:
        statement = statement.where(teams.c.spec["deployment_mode"].as_string() == mode)
    if ready is not None:
        statement = statement.where(teams.c.ready == int(ready))
    if after is not None:
        here = sa.tuple_(teams.c.org_id, teams.c.team_node_id)
        statement = statement.where(here > sa.tuple_(after.org_id, after.team_node_id))
    statement = statement.order_by(teams.c.org_id, teams.c.team_node_id).limit(limit)
    return [_record(row) for row in (await connection.execute(statement)).mappings()]


_WANTED = frozenset(
    {
        "state",
        "spec",
        "generation",
        "names",
        "leaving",
        "inventory",
        "created_config",
        "good_spec",
        "run_id",
        "due_at",
        "failures",
        "restore_until",
        "updated_at",
    }
)
_SEEN = frozenset({"routed", "good_spec", "good_generation", "observed_generation", "conditions"})


def _is(key: TeamKey) -> sa.ColumnElement[bool]:
    return sa.and_(teams.c.org_id == key.org_id, teams.c.team_node_id == key.team_node_id)


def _this(key: TeamKey) -> dict[str, Any]:
    """Which row a prepared statement is about."""
    return {"this_org_id": key.org_id, "this_team_node_id": key.team_node_id}


def _key(key: TeamKey) -> dict[str, str]:
    return {"org_id": key.org_id, "team_node_id": key.team_node_id}


def dump_refs(refs: Iterable[Ref]) -> list[dict[str, str]]:
    """References as JSON, in a fixed order."""
    return [ref.as_dict() for ref in sorted(refs)]


def _row(team: TeamRecord) -> dict[str, Any]:
    return {
        "state": team.state.value,
        "spec": codec.dump_spec(team.spec),
        "generation": team.generation,
        "names": codec.dump_names(team.names),
        "leaving": None if team.leaving is None else asdict(team.leaving),
        "inventory": dump_refs(team.inventory),
        "routed": None if team.routed is None else asdict(team.routed),
        "good_spec": None if team.good_spec is None else codec.dump_spec(team.good_spec),
        "good_generation": team.good_generation,
        "created_config": int(team.created_config),
        "token_state": team.token_state.value,
        "observed_generation": team.observed_generation,
        "conditions": codec.dump_conditions(team.conditions),
        "ready": int(team.ready),
        "run_id": team.run_id,
        "due_at": team.due_at,
        "failures": team.failures,
        "restore_until": team.restore_until,
        "created_at": team.created_at,
        "updated_at": team.updated_at,
    }


def _record(row: sa.RowMapping) -> TeamRecord:
    return TeamRecord(
        key=TeamKey(row["org_id"], row["team_node_id"]),
        state=TeamState(row["state"]),
        spec=codec.load_spec(row["spec"]),
        generation=row["generation"],
        names=codec.load_names(row["names"]),
        leaving=None if row["leaving"] is None else Leaving(**row["leaving"]),
        inventory=frozenset(Ref(**ref) for ref in row["inventory"]),
        routed=None if row["routed"] is None else Routed(**row["routed"]),
        good_spec=None if row["good_spec"] is None else codec.load_spec(row["good_spec"]),
        good_generation=row["good_generation"],
        created_config=bool(row["created_config"]),
        token_state=TokenState(row["token_state"]),
        observed_generation=row["observed_generation"],
        conditions=codec.load_conditions(row["conditions"]),
        ready=bool(row["ready"]),
        run_id=row["run_id"],
        due_at=row["due_at"],
        failures=row["failures"],
        fence=row["fence"],
        restore_until=row["restore_until"],
        lease_until=row["lease_until"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
