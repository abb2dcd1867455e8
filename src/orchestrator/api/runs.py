"""The audit trail, and each run as it happens."""

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sse_starlette import EventSourceResponse

from orchestrator.api.auth import Admin
from orchestrator.api.schemas import Id, listed, run_view
from orchestrator.api.services import TheServices
from orchestrator.store.runs import RunRecord, RunStatus
from servicekit.problems import Invalid, NotFound

router = APIRouter(prefix="/api/v1/admin/provision/runs", tags=["runs"])

Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str, Query(max_length=200)]

#: As run ids are written; no database is asked for anything else.
_RUN_ID = re.compile(r"[0-9a-f-]{36}")


@router.get("")
async def list_runs(
    caller: Admin,
    services: TheServices,
    org_id: Id | None = None,
    team_node_id: Id | None = None,
    status: RunStatus | None = None,
    cursor: Cursor | None = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Runs, the newest first."""
    if cursor is not None and _RUN_ID.fullmatch(cursor) is None:
        raise Invalid.field("cursor", "is not one that a list has answered")
    page = await services.reading.runs(
        caller, org_id=org_id, team_node_id=team_node_id, status=status, before=cursor, limit=limit
    )
    return listed([run_view(run) for run in page], page[-1].id if len(page) == limit else None)


@router.get("/{run_id}")
async def get_run(run_id: str, caller: Admin, services: TheServices) -> dict[str, Any]:
    """Who, what, when, each step with its time and error."""
    return run_view(await _run(run_id, caller, services))


@router.get("/{run_id}/events")
async def follow_run(run_id: str, caller: Admin, services: TheServices) -> EventSourceResponse:
    """Server-Sent Events: each step as it happens; ends with the run."""
    run = await _run(run_id, caller, services)
    return EventSourceResponse(_events(services.run_watch.follow(run.id)))


async def _run(run_id: str, caller: Admin, services: TheServices) -> RunRecord:
    if _RUN_ID.fullmatch(run_id) is None:
        raise NotFound(what="A run of that id")
    run = await services.run_watch.get(run_id)
    caller.require_team(run.key)
    return run


async def _events(moves: AsyncIterator[RunRecord]) -> AsyncIterator[dict[str, str]]:
    told: dict[str, Any] = {}
    async for run in moves:
        for step in run.steps:
            if told.get(step["name"]) != step:
                told[step["name"]] = step
                yield {"event": "step", "data": json.dumps(step)}
        if run.ended:
            yield {"event": "run", "data": json.dumps(run_view(run))}
