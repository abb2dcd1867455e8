"""Provision and deprovision teams."""

import re
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from orchestrator.api.auth import Admin
from orchestrator.api.problems import problems
from orchestrator.api.schemas import DeprovisionTeam, IdempotencyKey, ProvisionTeam, refs_view, run_view
from orchestrator.api.services import Services, TheServices
from orchestrator.domain.plan import shown_changes
from orchestrator.errors import (
    ChannelTaken,
    DependencyAway,
    ResourceOwnedByAnother,
    TeamIsLeaving,
    TeamProtected,
)
from orchestrator.store.runs import RunRecord, RunStatus
from orchestrator.store.teams import Leaving
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.deprovision import DeprovisionRequest
from orchestrator.usecases.provision import ProvisionRequest
from servicekit.problems import Invalid, Unavailable
from servicekit.strict_json import StrictJsonRoute

router = APIRouter(prefix="/api/v1/admin", tags=["provisioning"], route_class=StrictJsonRoute)

#: How long a call waits for its run, in seconds; and the longest that a caller may ask for.
DEFAULT_WAIT_S = 30.0
LONGEST_WAIT_S = 120.0

KeyHeader = Annotated[IdempotencyKey | None, Header(alias="Idempotency-Key")]
Prefer = Annotated[str | None, Header()]


@router.post("/provision/team", responses=problems(ChannelTaken, ResourceOwnedByAnother))
async def provision(
    body: ProvisionTeam,
    caller: Admin,
    services: TheServices,
    idempotency_key: KeyHeader = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Bring a team to the state described; what is left out stays as it is."""
    request = ProvisionRequest(
        key=body.key(), fields=body.fields(), idempotency_key=one_key(body.idempotency_key, idempotency_key)
    )
    return await provisioned(request, caller, services, dry_run=body.dry_run, prefer=prefer)


@router.post("/deprovision/team", responses=problems(TeamIsLeaving, TeamProtected))
async def deprovision(
    body: DeprovisionTeam,
    caller: Admin,
    services: TheServices,
    idempotency_key: KeyHeader = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Take a team away: first routing, then workloads, then config."""
    request = DeprovisionRequest(
        key=body.key(),
        leaving=Leaving(delete_k8s_resources=body.delete_k8s_resources, delete_config=body.delete_config),
        idempotency_key=one_key(body.idempotency_key, idempotency_key),
    )
    return await deprovisioned(request, caller, services, dry_run=body.dry_run, prefer=prefer)


async def provisioned(
    request: ProvisionRequest, caller: Caller, services: Services, *, dry_run: bool, prefer: str | None
) -> JSONResponse:
    """The answer to a provisioning, planned or done."""
    wait_s = wanted_wait_s(prefer)
    if dry_run:
        try:
            planned, team = await services.provisioning.plan(request, caller)
        except DependencyAway as error:
            raise Unavailable(f"The {error.dependency}") from error
        previous = services.provisioning.manifests_of(team)
        return JSONResponse(
            {
                "status": "planned",
                "org_id": request.key.org_id,
                "team_node_id": request.key.team_node_id,
                "plan": [
                    {
                        **item.ref.as_dict(),
                        "action": item.action.value,
                        "changes": [
                            {"path": change.path, "from": change.before, "to": change.after}
                            for change in shown_changes(item, previous.get(item.ref))
                        ],
                    }
                    for item in planned.objects
                ],
            }
        )
    run = await services.provisioning.provision(request, caller)
    return await answer_of(run, services, wait_s)


async def deprovisioned(
    request: DeprovisionRequest, caller: Caller, services: Services, *, dry_run: bool, prefer: str | None
) -> JSONResponse:
    """The answer to a deprovisioning, planned or done."""
    wait_s = wanted_wait_s(prefer)
    if dry_run:
        try:
            removal = await services.deprovisioning.plan(request, caller)
        except DependencyAway as error:
            raise Unavailable(f"The {error.dependency}") from error
        plan = [
            {**ref.as_dict(), "action": action, "changes": []}
            for refs, action in ((removal.deleted, "delete"), (removal.kept, "unchanged"))
            for ref in refs
        ]
        lists = {
            "deleted": refs_view(removal.deleted),
            "not_found": refs_view(removal.not_found),
            "kept": refs_view(removal.kept),
        }
        return JSONResponse({"status": "planned", "plan": plan, **lists})
    try:
        run = await services.deprovisioning.deprovision(request, caller)
    except DependencyAway as error:
        # Only a team that the database does not know has to be looked up elsewhere before anything is kept.
        raise Unavailable(f"The {error.dependency}") from error
    return await answer_of(run, services, wait_s)


async def answer_of(run: RunRecord, services: Services, wait_s: float) -> JSONResponse:
    """200 when the run has ended well, 202 while it goes on, its problem when it failed."""
    run = await services.run_watch.wait(run, wait_s)
    location = {"Location": f"/api/v1/admin/provision/runs/{run.id}"}
    if not run.ended:
        return JSONResponse(run_view(run), status_code=202, headers=location)
    if run.status is RunStatus.FAILED and run.error is not None:
        problem = dict(run.error) | {"provisioning_run_id": run.id}
        return JSONResponse(
            problem,
            status_code=int(problem["status"]),
            headers=location,
            media_type="application/problem+json",
        )
    token = await services.tokens.for_answer(run)
    noted = BackgroundTask(services.tokens.delivered, run) if token is not None else None
    return JSONResponse(run_view(run, team_token=token), headers=location, background=noted)


def one_key(in_body: str | None, in_header: str | None) -> str | None:
    """The idempotency key, which may stand in either place.

    Raises:
        Invalid: it stands in both, differently.
    """
    if in_body is not None and in_header is not None and in_body != in_header:
        raise Invalid.field("idempotency_key", "differs from the header Idempotency-Key; give one of them")
    return in_body or in_header


def wanted_wait_s(prefer: str | None) -> float:
    """How long the caller wants to wait (RFC 7240 `Prefer: wait=N` or `respond-async`).

    Raises:
        Invalid: `wait` is not a number of seconds up to the longest.
    """
    preferences = [part.strip().lower() for part in (prefer or "").split(",")]
    if "respond-async" in preferences:
        return 0.0
    for preference in preferences:
        if preference.startswith("wait"):
            match = re.fullmatch(r"wait\s*=\s*(\d{1,4})", preference)
            if match is None or int(match[1]) > LONGEST_WAIT_S:
                raise Invalid.field("Prefer", f"wait is a number of seconds from 0 to {LONGEST_WAIT_S:.0f}")
            return float(match[1])
    return DEFAULT_WAIT_S
