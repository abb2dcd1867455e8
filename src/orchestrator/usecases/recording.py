"""A request and the run that is made of it, kept in one transaction; the same key answers the same run."""

from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import IdempotencyKeyReused
from orchestrator.store import runs
from orchestrator.store.runs import RunRecord
from orchestrator.usecases.caller import Caller
from servicekit.database import Database


async def earlier_run(
    database: Database, *, caller: Caller, key: str | None, fingerprint: str, now: float
) -> RunRecord | None:
    """The run that an idempotency key stands for.

    Raises:
        IdempotencyKeyReused: the key was used for another request.
    """
    if key is None:
        return None
    async with database.reading() as connection:
        remembered = await runs.remembered_key(connection, caller=caller.name, key=key, now=now)
        if remembered is None:
            return None
        if remembered[0] != fingerprint:
            raise IdempotencyKeyReused(
                key=key, errors=[{"field": "idempotency_key", "message": "was used with another body"}]
            )
        return await runs.get(connection, remembered[1])


async def record_run(
    connection: AsyncConnection, run: RunRecord, *, caller: Caller, key: str | None, fingerprint: str
) -> list[str]:
    """Keep a new run, which takes the place of the team's running ones; their ids.

    Raises:
        sqlalchemy.exc.IntegrityError: the key was used a moment ago.
    """
    superseded = await runs.supersede(connection, run.key, now=run.created_at)
    await runs.insert(connection, run)
    if key is not None:
        await runs.remember_key(
            connection,
            caller=caller.name,
            key=key,
            fingerprint=fingerprint,
            run_id=run.id,
            now=run.created_at,
        )
    return superseded
