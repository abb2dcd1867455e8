"""Runs: the audit trail, one row an attempt."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.domain.team import TeamKey
from orchestrator.store.tables import idempotency_keys, runs

#: How long an idempotency key is remembered, in seconds.
IDEMPOTENCY_KEY_LIFETIME_S = 24 * 3600


class RunStatus(enum.StrEnum):
    """How a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: A newer request for the team took its place.
    SUPERSEDED = "superseded"


class RunKind(enum.StrEnum):
    """What was asked."""

    PROVISION = "provision"
    DEPROVISION = "deprovision"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One row."""

    id: str
    key: TeamKey
    kind: RunKind
    status: RunStatus
    #: The generation of the team that this run is to bring about; a roll-back raises it.
    generation: int
    requested_by: str
    #: What was asked, in the caller's words; holds no secret.
    request: Mapping[str, Any]
    created_at: float
    steps: tuple[Mapping[str, Any], ...] = ()
    waiting_for: str | None = None
    #: A problem document; set while the run still puts things back, too.
    error: Mapping[str, Any] | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    ended_at: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens in this run."""
        return self.status is not RunStatus.RUNNING


# Statements of every provisioning are put together once: that takes longer than running one.

_INSERT = runs.insert()
_GET = sa.select(runs).where(runs.c.id == sa.bindparam("this_id"))
_SUPERSEDE = (
    runs.update()
    .where(
        runs.c.org_id == sa.bindparam("this_org_id"),
        runs.c.team_node_id == sa.bindparam("this_team_node_id"),
        runs.c.status == RunStatus.RUNNING.value,
    )
    .values(status=RunStatus.SUPERSEDED.value, ended_at=sa.bindparam("now"), waiting_for=None)
    .returning(runs.c.id)
)
_REPORT = runs.update().where(runs.c.id == sa.bindparam("this_id"), runs.c.status == RunStatus.RUNNING.value)


async def insert(connection: AsyncConnection, run: RunRecord) -> None:
    """A new run."""
    await connection.execute(_INSERT, _row(run))


async def get(connection: AsyncConnection, run_id: str) -> RunRecord | None:
    """The run, or `None`."""
    row = (await connection.execute(_GET, {"this_id": run_id})).mappings().one_or_none()
    return _record(row) if row is not None else None


async def supersede(connection: AsyncConnection, key: TeamKey, *, now: float) -> list[str]:
    """End the team's running runs, because a newer request takes their place; their ids."""
    parameters = {"this_org_id": key.org_id, "this_team_node_id": key.team_node_id, "now": now}
    return list((await connection.execute(_SUPERSEDE, parameters)).scalars())


async def report(connection: AsyncConnection, run: RunRecord) -> bool:
    """Write how a run goes, unless it has ended; whether it was written."""
    values = {k: v for k, v in _row(run).items() if k in _REPORTED}
    return (await connection.execute(_REPORT, values | {"this_id": run.id})).rowcount == 1


async def page(
    connection: AsyncConnection,
    *,
    org_id: str | None,
    team_node_id: str | None,
    status: RunStatus | None,
    before: str | None,
    limit: int,
) -> list[RunRecord]:
    """Runs, the newest first; their ids are UUIDv7 and so order by time."""
    statement = sa.select(runs)
    if org_id is not None:
        statement = statement.where(runs.c.org_id == org_id)
    if team_node_id is not None:
        statement = statement.where(runs.c.team_node_id == team_node_id)
    if status is not None:
        statement = statement.where(runs.c.status == status.value)
    if before is not None:
        statement = statement.where(runs.c.id < before)
    statement = statement.order_by(runs.c.id.desc()).limit(limit)
    return [_record(row) for row in (await connection.execute(statement)).mappings()]


async def remember_key(
    connection: AsyncConnection, *, caller: str, key: str, fingerprint: str, run_id: str, now: float
) -> None:
    """Remember what an idempotency key stands for.

    Raises:
        sqlalchemy.exc.IntegrityError: somebody used it a moment ago.
    """
    where = sa.and_(idempotency_keys.c.caller == caller, idempotency_keys.c.key == key)
    await connection.execute(idempotency_keys.delete().where(where, idempotency_keys.c.expires_at <= now))
    await connection.execute(
        idempotency_keys.insert().values(
            caller=caller,
            key=key,
            fingerprint=fingerprint,
            run_id=run_id,
            expires_at=now + IDEMPOTENCY_KEY_LIFETIME_S,
        )
    )


async def remembered_key(
    connection: AsyncConnection, *, caller: str, key: str, now: float
) -> tuple[str, str] | None:
    """Fingerprint and run of an idempotency key that is still remembered."""
    statement = sa.select(idempotency_keys.c.fingerprint, idempotency_keys.c.run_id).where(
        idempotency_keys.c.caller == caller,
        idempotency_keys.c.key == key,
        idempotency_keys.c.expires_at > now,
    )
    row = (await connection.execute(statement)).one_or_none()
    return (row[0], row[1]) if row is not None else None


async def forget_keys_of(connection: AsyncConnection, run_id: str) -> None:
    """A failed run frees its key: the same request may be tried again under it."""
    await connection.execute(idempotency_keys.delete().where(idempotency_keys.c.run_id == run_id))


async def forget_expired_keys(connection: AsyncConnection, *, now: float) -> None:
    """Drop the keys whose time is over."""
    await connection.execute(idempotency_keys.delete().where(idempotency_keys.c.expires_at <= now))


_REPORTED = frozenset({"status", "generation", "steps", "waiting_for", "error", "result", "ended_at"})


def _row(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id,
        "org_id": run.key.org_id,
        "team_node_id": run.key.team_node_id,
        "kind": run.kind.value,
        "status": run.status.value,
        "generation": run.generation,
        "requested_by": run.requested_by,
        "request": dict(run.request),
        "steps": [dict(step) for step in run.steps],
        "waiting_for": run.waiting_for,
        "error": None if run.error is None else dict(run.error),
        "result": dict(run.result),
        "created_at": run.created_at,
        "ended_at": run.ended_at,
    }


def _record(row: sa.RowMapping) -> RunRecord:
    return RunRecord(
        id=row["id"],
        key=TeamKey(row["org_id"], row["team_node_id"]),
        kind=RunKind(row["kind"]),
        status=RunStatus(row["status"]),
        generation=row["generation"],
        requested_by=row["requested_by"],
        request=row["request"],
        steps=tuple(row["steps"]),
        waiting_for=row["waiting_for"],
        error=row["error"],
        result=row["result"] or {},
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
