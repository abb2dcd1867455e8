"""What the installation gives to every team's objects: images, addresses, and whom pods may speak with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain.team import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One installation; the same for all its teams."""

    agent_image: str
    pipeline_image: str
    #: As pods reach it.
    config_service_url: str

    #: Where everything lives that has no namespace of its own.
    namespace: str = "incidentfox"

    #: The Config Service's pods and the port they listen on.
    config_service_namespace: str = "incidentfox"
    config_service_labels: Mapping[str, str] = field(
        default_factory=lambda: {"app.kubernetes.io/name": "config-service"}
    )
    config_service_port: int = 8081
    #: Where a Config Service outside the cluster is; empty: it is a pod.
    config_service_cidrs: tuple[str, ...] = ()

    #: Whose requests an agent answers.
    orchestrator_namespace: str = "incidentfox"
    orchestrator_labels: Mapping[str, str] = field(
        default_factory=lambda: {"app.kubernetes.io/name": "orchestrator"}
    )
    #: Further clients of the agents, such as nodes that the API server's proxy comes through.
    extra_ingress_cidrs: tuple[str, ...] = ()

    dns_namespace: str = "kube-system"
    dns_labels: Mapping[str, str] = field(default_factory=lambda: {"k8s-app": "kube-dns"})
    dns_port: int = 53

    #: Of guaranteed teams; the installation makes this PriorityClass, not each team.
    priority_class_name: str = "incidentfox-guaranteed"
    #: Where the pipeline finds Slack exports; `None`: it reads Slack itself.
    slack_export_dir: str | None = None
    image_pull_policy: str = "IfNotPresent"
    service_domain: str = "svc.cluster.local"

    #: What a dedicated agent gets of each resource that its team says nothing of.
    agent_resources: Resources = field(
        default_factory=lambda: Resources(
            requests={"cpu": "100m", "memory": "128Mi"}, limits={"cpu": "500m", "memory": "512Mi"}
        )
    )
    pipeline_resources: Resources = field(
        default_factory=lambda: Resources(
            requests={"cpu": "100m", "memory": "128Mi"}, limits={"cpu": "1", "memory": "512Mi"}
        )
    )
