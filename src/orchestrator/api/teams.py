"""Teams as resources: what is wanted, what is, and what runs now."""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import yaml
from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse, Response

from orchestrator.api.auth import Admin, TeamSelf
from orchestrator.api.problems import problems
from orchestrator.api.provision import (
    KeyHeader,
    Prefer,
    answer_of,
    deprovisioned,
    provisioned,
    wanted_wait_s,
)
from orchestrator.api.runs import Cursor, Limit
from orchestrator.api.schemas import Id, PutTeam, ReleaseTeam, RunAgent, listed, team_view
from orchestrator.api.services import TheServices
from orchestrator.domain.ids import check_id
from orchestrator.domain.rollout import is_available
from orchestrator.domain.schedule import next_times
from orchestrator.domain.team import TeamKey
from orchestrator.errors import DependencyAway, TeamIsLeaving, TeamIsNotLeaving
from orchestrator.store.teams import Leaving
from orchestrator.usecases.caller import Caller
from orchestrator.usecases.deprovision import DeprovisionRequest
from orchestrator.usecases.provision import ProvisionRequest
from servicekit.problems import Invalid, Unavailable
from servicekit.strict_json import StrictJsonRoute

router = APIRouter(prefix="/api/v1", tags=["teams"], route_class=StrictJsonRoute)

OrgPath = Annotated[Id, Path(alias="org")]
TeamPath = Annotated[Id, Path(alias="team")]


@router.get("/admin/teams")
async def list_teams(
    caller: Admin,
    services: TheServices,
    org_id: Id | None = None,
    mode: Literal["shared", "dedicated"] | None = None,
    ready: bool | None = None,
    cursor: Cursor | None = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Teams in the order of their ids."""
    after = _key_of(cursor) if cursor is not None else None
    page = await services.reading.teams(
        caller, org_id=org_id, mode=mode, ready=ready, after=after, limit=limit
    )
    return listed(
        [team_view(team) for team in page], _cursor_of(page[-1].key) if len(page) == limit else None
    )


@router.get("/admin/teams/{org}/{team}")
async def get_team(org: OrgPath, team: TeamPath, caller: Admin, services: TheServices) -> dict[str, Any]:
    """Wanted state, conditions, resources, last run."""
    found = await services.reading.team(TeamKey(org, team), caller)
    return team_view(found.team, found.last_run)


@router.put("/admin/teams/{org}/{team}")
async def put_team(
    org: OrgPath,
    team: TeamPath,
    body: PutTeam,
    caller: Admin,
    services: TheServices,
    idempotency_key: KeyHeader = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Replace the whole wanted state."""
    request = ProvisionRequest(
        key=TeamKey(org, team), fields=body.fields(), replace_all=True, idempotency_key=idempotency_key
    )
    return await provisioned(request, caller, services, dry_run=body.dry_run, prefer=prefer)


@router.delete("/admin/teams/{org}/{team}")
async def delete_team(
    org: OrgPath,
    team: TeamPath,
    caller: Admin,
    services: TheServices,
    delete_k8s_resources: bool = True,
    delete_config: bool = False,
    dry_run: bool = False,
    idempotency_key: KeyHeader = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Deprovision, as a resource."""
    request = DeprovisionRequest(
        key=TeamKey(org, team),
        leaving=Leaving(delete_k8s_resources=delete_k8s_resources, delete_config=delete_config),
        idempotency_key=idempotency_key,
    )
    return await deprovisioned(request, caller, services, dry_run=dry_run, prefer=prefer)


@router.get("/admin/teams/{org}/{team}/manifests")
async def get_manifests(org: OrgPath, team: TeamPath, caller: Admin, services: TheServices) -> Response:
    """What is wanted of the team in the cluster, as YAML; no Secret's value is in it."""
    manifests = await services.reading.manifests(TeamKey(org, team), caller)
    return Response(yaml.safe_dump_all(manifests, sort_keys=False), media_type="application/yaml")


@router.get("/admin/teams/{org}/{team}/deployment")
async def get_deployment(
    org: OrgPath, team: TeamPath, caller: Admin, services: TheServices
) -> dict[str, Any]:
    """How the dedicated agent stands now."""
    live = (await _live(services, TeamKey(org, team), caller, "Deployment"))[1] or {}
    status = live.get("status") or {}
    spec = live.get("spec") or {}
    return {
        "name": (live.get("metadata") or {}).get("name"),
        "namespace": (live.get("metadata") or {}).get("namespace"),
        "exists": bool(live),
        "available": bool(live) and is_available(live),
        "replicas": spec.get("replicas", 0),
        "ready_replicas": status.get("readyReplicas", 0),
        "updated_replicas": status.get("updatedReplicas", 0),
        "conditions": status.get("conditions") or [],
    }


@router.get("/admin/teams/{org}/{team}/pipeline")
async def get_pipeline(org: OrgPath, team: TeamPath, caller: Admin, services: TheServices) -> dict[str, Any]:
    """When the pipeline last ran, and when it runs next."""
    _, live = await _live(services, TeamKey(org, team), caller, "CronJob")
    if live is None:
        return {"exists": False}
    spec, status = live["spec"], live.get("status") or {}
    time_zone = spec.get("timeZone", "UTC")
    upcoming = next_times(spec["schedule"], time_zone, datetime.now(UTC), 1)
    return {
        "exists": True,
        "name": live["metadata"]["name"],
        "namespace": live["metadata"]["namespace"],
        "schedule": spec["schedule"],
        "time_zone": time_zone,
        "suspended": bool(spec.get("suspend", False)),
        "active": [job.get("name") for job in status.get("active") or ()],
        "last_schedule_time": status.get("lastScheduleTime"),
        "last_successful_time": status.get("lastSuccessfulTime"),
        "next_time": upcoming[0].isoformat() if upcoming else None,
    }


@router.post("/admin/teams/{org}/{team}/pipeline/run", status_code=202)
async def run_pipeline(org: OrgPath, team: TeamPath, caller: Admin, services: TheServices) -> dict[str, Any]:
    """Run the pipeline now."""
    return {"job": (await services.agents.run_pipeline(TeamKey(org, team), caller)).as_dict()}


@router.post("/admin/teams/{org}/{team}/reconcile", status_code=202)
async def reconcile(org: OrgPath, team: TeamPath, caller: Admin, services: TheServices) -> dict[str, Any]:
    """Look at the team again now."""
    found = await services.reading.team(TeamKey(org, team), caller)
    await services.steering.look_again(found.team.key)
    return team_view(found.team, found.last_run)


@router.post("/admin/teams/{org}/{team}/suspend", responses=problems(TeamIsLeaving))
async def suspend(
    org: OrgPath,
    team: TeamPath,
    caller: Admin,
    services: TheServices,
    idempotency_key: KeyHeader = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Stop answering, scale the dedicated agent to zero, stop the schedule; everything is kept."""
    request = _suspension(TeamKey(org, team), idempotency_key, suspended=True)
    return await provisioned(request, caller, services, dry_run=False, prefer=prefer)


@router.post("/admin/teams/{org}/{team}/resume", responses=problems(TeamIsLeaving))
async def resume(
    org: OrgPath,
    team: TeamPath,
    caller: Admin,
    services: TheServices,
    idempotency_key: KeyHeader = None,
    prefer: Prefer = None,
) -> JSONResponse:
    """Bring a suspended team back as it was; a dedicated agent is routed to once it is available."""
    request = _suspension(TeamKey(org, team), idempotency_key, suspended=False)
    return await provisioned(request, caller, services, dry_run=False, prefer=prefer)


@router.post("/admin/teams/{org}/{team}/release", responses=problems(TeamIsNotLeaving))
async def release(
    org: OrgPath,
    team: TeamPath,
    body: ReleaseTeam,
    caller: Admin,
    services: TheServices,
    prefer: Prefer = None,
) -> JSONResponse:
    """Wait no longer for what holds a leaving team's objects; the reason is kept in the run."""
    run = await services.steering.release(TeamKey(org, team), body.reason, caller)
    return await answer_of(run, services, wanted_wait_s(prefer))


@router.post("/admin/agents/run")
async def run_agent(body: RunAgent, caller: Admin, services: TheServices) -> dict[str, Any]:
    """Ask the team's agent on the runtime that the team belongs to."""
    question = {"message": body.message, "context": body.context}
    return await services.agents.run(
        TeamKey(body.org_id, body.team_node_id), body.agent_name, question, caller
    )


@router.get("/teams/me")
async def get_own_team(key: TeamSelf, services: TheServices) -> dict[str, Any]:
    """A team about itself, by its own token."""
    found = await services.reading.team(key, Caller(f"team:{key}", org_id=key.org_id))
    return team_view(found.team, found.last_run)


@router.post("/teams/me/pipeline/run", status_code=202)
async def run_own_pipeline(key: TeamSelf, services: TheServices) -> dict[str, Any]:
    """A team has its own pipeline run now."""
    job = await services.agents.run_pipeline(key, Caller(f"team:{key}", org_id=key.org_id))
    return {"job": job.as_dict()}


def _suspension(key: TeamKey, idempotency_key: str | None, *, suspended: bool) -> ProvisionRequest:
    return ProvisionRequest(
        key=key, fields={"suspended": suspended}, must_exist=True, idempotency_key=idempotency_key
    )


async def _live(services: TheServices, key: TeamKey, caller: Caller, kind: str) -> Any:
    try:
        return await services.reading.live(key, caller, kind)
    except DependencyAway as error:
        raise Unavailable(f"The {error.dependency}") from error


def _cursor_of(key: TeamKey) -> str:
    return base64.urlsafe_b64encode(json.dumps([key.org_id, key.team_node_id]).encode()).decode()


def _key_of(cursor: str) -> TeamKey:
    try:
        org_id, team_node_id = map(str, json.loads(base64.urlsafe_b64decode(cursor.encode())))
    except (ValueError, TypeError, binascii.Error) as error:
        raise Invalid.field("cursor", "is not one that a list has answered") from error
    if check_id(org_id) is not None or check_id(team_node_id) is not None:
        raise Invalid.field("cursor", "is not one that a list has answered")
    return TeamKey(org_id, team_node_id)
