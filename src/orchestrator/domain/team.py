"""The tenant and its two columns: what is wanted of it (spec) and what is reported (status)."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.domain.conditions import Condition


@dataclass(frozen=True, slots=True, order=True)
class TeamKey:
    """The exact pair that names a tenant; compared to the letter, case included."""

    org_id: str
    team_node_id: str

    def __str__(self) -> str:
        return f"{self.org_id}/{self.team_node_id}"


class Mode(enum.StrEnum):
    """On which runtime a team's agent answers."""

    SHARED = "shared"
    DEDICATED = "dedicated"


class Isolation(enum.StrEnum):
    """What a dedicated team has of its own: its workload, or a whole namespace."""

    WORKLOAD = "workload"
    NAMESPACE = "namespace"


class Sla(enum.StrEnum):
    """`guaranteed`: requests equal limits, two replicas or more spread over nodes, a disruption budget."""

    STANDARD = "standard"
    GUARANTEED = "guaranteed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one agent container asks for and may use; Kubernetes quantities by resource name."""

    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """Replicas follow CPU use; `spec.replicas` is then the autoscaler's."""

    min_replicas: int
    max_replicas: int
    #: Wanted average use, in per cent of the CPU request.
    cpu_percent: int = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """As Kubernetes defines it (core/v1 Toleration)."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dedicated:
    """How a dedicated agent runs."""

    replicas: int = 1
    resources: Resources = Resources()
    autoscaling: Autoscaling | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    isolation: Isolation = Isolation.WORKLOAD
    #: Where the agent may connect to on TCP 443; `None` is the public internet.
    egress_cidrs: tuple[str, ...] | None = None
    sla: Sla = Sla.STANDARD
    #: `None` is the installation's agent image.
    image: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamSpec:
    """What is wanted of a team."""

    slack_channel_ids: tuple[str, ...] = ()
    #: A cron string as Kubernetes takes it or with `H`; `None`: no pipeline.
    pipeline_schedule: str | None = None
    pipeline_time_zone: str = "UTC"
    deployment_mode: Mode = Mode.SHARED
    #: Only with dedicated mode.
    dedicated: Dedicated | None = None
    #: Deprovisioning is refused until this is lifted.
    protected: bool = False
    #: How long config, channels and names stay reserved after deprovisioning, as a duration such as `72h`.
    restore_within: str | None = None
    #: Nothing runs and nobody is answered; everything else stays as it is. Set by suspending and resuming alone.
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamNames:
    """The names of a team's objects: claimed once, never shared, never changed."""

    #: CronJob and its companions, at most 52 characters.
    pipeline: str
    #: Deployment, Service and their companions, at most 63 characters.
    agent: str
    #: Secret with the credential that the team's own pods carry.
    secret: str
    #: The team's own namespace, used with `isolation: namespace`.
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamStatus:
    """What the reconciler last saw and said."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    reported_at: datetime | None = None
