"""What a run answers about the objects of a team, in the names that clients of this API read."""

from typing import Any

from orchestrator.domain.manifests import Platform, object_namespace, replicas, service_url
from orchestrator.domain.schedule import resolve
from orchestrator.domain.team import Dedicated, Mode, TeamKey, TeamNames, TeamSpec


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
            "replicas": replicas(spec.dedicated or Dedicated())[0],
            "service_url": service_url(spec, names, platform),
        }
    return {
        "deployment_mode": spec.deployment_mode.value,
        "pipeline_cronjob": cronjob,
        "dedicated_deployment": deployment,
        "resources": [],
    }
