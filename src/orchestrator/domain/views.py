"""What a run answers about the objects of a team, in the names that clients of this API read."""

from typing import Any

from orchestrator.domain.manifests import Platform, agent_service_url, object_namespace
from orchestrator.domain.schedule import resolve
from orchestrator.domain.team import Mode, TeamKey, TeamNames, TeamSpec


def effective_replicas(spec: TeamSpec) -> int | None:
    """Replicas that a dedicated team asks for; with an autoscaler, its lower bound."""
    if spec.dedicated is None:
        return None
    autoscaling = spec.dedicated.autoscaling
    wanted = spec.dedicated.replicas if autoscaling is None else autoscaling.min_replicas
    return max(wanted, 2) if spec.dedicated.sla == "guaranteed" else wanted


def provisioned_view(key: TeamKey, spec: TeamSpec, names: TeamNames, platform: Platform) -> dict[str, Any]:
    """The pipeline and the deployment that a spec stands for; `None` for what it does not ask for."""
    namespace = object_namespace(spec, names, platform)
    cronjob = deployment = None
    if spec.pipeline_schedule is not None:
        cronjob = {
            "name": names.pipeline,
            "namespace": namespace,
            "schedule": resolve(spec.pipeline_schedule, key),
            "time_zone": spec.pipeline_time_zone,
        }
    if spec.deployment_mode is Mode.DEDICATED:
        deployment = {
            "name": names.agent,
            "namespace": namespace,
            "replicas": effective_replicas(spec),
            "service_url": agent_service_url(spec, names, platform),
        }
    return {
        "deployment_mode": spec.deployment_mode.value,
        "pipeline_cronjob": cronjob,
        "dedicated_deployment": deployment,
        "resources": [],
    }
