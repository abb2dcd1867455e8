"""Requests and answers as JSON; unknown fields are refused with their name."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from orchestrator.domain.ids import check_id
from orchestrator.domain.objects import Ref
from orchestrator.domain.team import TeamKey
from orchestrator.store.codec import dump_conditions, dump_spec
from orchestrator.store.runs import RunKind, RunRecord
from orchestrator.store.teams import TeamRecord


def _id(text: str) -> str:
    if (message := check_id(text)) is not None:
        raise ValueError(message)
    return text


#: Names an org, or a team within it; also the value of a label, unchanged.
Id = Annotated[str, AfterValidator(_id)]
IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x20-\x7e]+$")]
ChannelId = Annotated[str, StringConstraints(max_length=64)]


class Body(BaseModel):
    """A request's body: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ResourcesBody(Body):
    """Kubernetes quantities by resource name."""

    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None


class AutoscalingBody(Body):
    """Replicas follow CPU use."""

    min_replicas: int = Field(ge=1, le=50)
    max_replicas: int = Field(ge=1, le=50)
    cpu_percent: int = Field(default=80, ge=1, le=100)


class TolerationBody(Body):
    """As Kubernetes defines it."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class DedicatedBody(Body):
    """How a dedicated agent runs; a field left out keeps its value, `null` clears it."""

    replicas: int | None = Field(default=None, ge=1, le=50)
    resources: ResourcesBody | None = None
    autoscaling: AutoscalingBody | None = None
    node_selector: dict[str, str] | None = None
    tolerations: Annotated[list[TolerationBody], Field(max_length=50)] | None = None
    isolation: Literal["workload", "namespace"] | None = None
    egress_cidrs: Annotated[list[str], Field(max_length=100)] | None = None
    sla: Literal["standard", "guaranteed"] | None = None
    image: str | None = None


class TeamBody(Body):
    """What is wanted of a team."""

    slack_channel_ids: Annotated[list[ChannelId], Field(max_length=500)] | None = None
    pipeline_schedule: Annotated[str, Field(max_length=255)] | None = None
    pipeline_time_zone: Annotated[str, Field(max_length=255)] | None = None
    deployment_mode: Literal["shared", "dedicated"] | None = None
    dedicated: DedicatedBody | None = None
    protected: bool | None = None
    restore_within: Annotated[str, Field(max_length=32)] | None = None

    def fields(self) -> dict[str, Any]:
        """The fields that the caller named."""
        named = self.model_dump(mode="json", exclude_unset=True)
        return {name: value for name, value in named.items() if name in TeamBody.model_fields}


class ProvisionTeam(TeamBody):
    """The body of a provisioning."""

    org_id: Id
    team_node_id: Id
    idempotency_key: IdempotencyKey | None = None
    dry_run: bool = False

    def key(self) -> TeamKey:
        """Whose it is."""
        return TeamKey(self.org_id, self.team_node_id)


class PutTeam(TeamBody):
    """The whole wanted state; what is left out is put back to its default."""

    dry_run: bool = False


class DeprovisionTeam(Body):
    """The body of a deprovisioning."""

    org_id: Id
    team_node_id: Id
    delete_k8s_resources: bool = True
    delete_config: bool = False
    dry_run: bool = False
    idempotency_key: IdempotencyKey | None = None

    def key(self) -> TeamKey:
        """Whose it is."""
        return TeamKey(self.org_id, self.team_node_id)


class ReleaseTeam(Body):
    """Why what holds a leaving team is no longer waited for."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class RunAgent(Body):
    """A question to a team's agent."""

    org_id: Id
    team_node_id: Id
    agent_name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] = "default"
    message: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    context: dict[str, Any] = Field(default_factory=dict)


def iso(seconds: float | None) -> str | None:
    """Seconds since the epoch as RFC 3339."""
    return (
        None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    )


def run_view(run: RunRecord, *, team_token: str | None = None) -> dict[str, Any]:
    """A run, in the names that existing clients of this API read."""
    view: dict[str, Any] = {
        "provisioning_run_id": run.id,
        "kind": run.kind.value,
        "status": run.status.value,
        "org_id": run.key.org_id,
        "team_node_id": run.key.team_node_id,
        "team_id": run.key.team_node_id,
        "generation": run.generation,
        "requested_by": run.requested_by,
        "request": dict(run.request),
        "created_at": iso(run.created_at),
        "ended_at": iso(run.ended_at),
        "waiting_for": run.waiting_for,
        "deployment_mode": None,
        "pipeline_cronjob": None,
        "dedicated_deployment": None,
        "resources": [],
    }
    if run.kind is RunKind.PROVISION:
        view["team_token"] = team_token
    else:
        view |= {"deleted": [], "not_found": [], "kept": []}
    return view | dict(run.result) | {"steps": [dict(step) for step in run.steps], "error": run.error}


def team_view(team: TeamRecord, last_run: RunRecord | None = None) -> dict[str, Any]:
    """A team: what is wanted, what is."""
    view = {
        "org_id": team.key.org_id,
        "team_node_id": team.key.team_node_id,
        "team_id": team.key.team_node_id,
        "state": team.state.value,
        "deployment_mode": team.spec.deployment_mode.value,
        "generation": team.generation,
        "observed_generation": team.observed_generation,
        "spec": dump_spec(team.spec),
        "conditions": dump_conditions(team.conditions),
        "resources": [ref.as_dict() for ref in sorted(team.inventory)],
        "created_at": iso(team.created_at),
        "updated_at": iso(team.updated_at),
    }
    return view | ({"last_run": run_view(last_run)} if last_run is not None else {"last_run": None})


def listed(items: list[dict[str, Any]], next_cursor: str | None) -> dict[str, Any]:
    """Every list's shape."""
    return {"items": items, "next_cursor": next_cursor}


def refs_view(refs: tuple[Ref, ...]) -> list[Mapping[str, str]]:
    """References as the API answers them."""
    return [ref.as_dict() for ref in refs]
