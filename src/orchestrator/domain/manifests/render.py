"""From what is wanted of a team to all of its objects."""

from typing import NamedTuple

from orchestrator.domain.manifests import agent, common, isolation, pipeline
from orchestrator.domain.manifests.common import Manifest, object_namespace
from orchestrator.domain.manifests.platform import Platform
from orchestrator.domain.team import Dedicated, TeamKey, TeamNames, TeamSpec


class ManagedKind(NamedTuple):
    """A kind of object that teams have."""

    api_version: str
    kind: str
    namespaced: bool = True


_KINDS = (
    ManagedKind("v1", "Namespace", namespaced=False),
    ManagedKind("v1", "ResourceQuota"),
    ManagedKind("v1", "LimitRange"),
    ManagedKind("networking.k8s.io/v1", "NetworkPolicy"),
    ManagedKind("v1", "ServiceAccount"),
    ManagedKind("v1", "Secret"),
    ManagedKind("v1", "Service"),
    ManagedKind("apps/v1", "Deployment"),
    ManagedKind("policy/v1", "PodDisruptionBudget"),
    ManagedKind("autoscaling/v2", "HorizontalPodAutoscaler"),
    ManagedKind("batch/v1", "CronJob"),
)


def kinds() -> tuple[ManagedKind, ...]:
    """Every kind that a team may have objects of, in the order in which they are applied."""
    return _KINDS


def service_url(spec: TeamSpec, names: TeamNames, platform: Platform) -> str:
    """Where the team's dedicated agent answers, inside the cluster."""
    namespace = object_namespace(spec, names, platform)
    return f"http://{names.agent}.{namespace}.{platform.service_domain}:{agent.PORT}"


def render(key: TeamKey, spec: TeamSpec, names: TeamNames, platform: Platform) -> list[Manifest]:
    """All objects of a team but its Secret, in the order in which they are applied.

    Raises:
        InvalidScheduleError: the spec was not validated.
        InvalidQuantityError: the spec was not validated.
    """
    wanted = common.dedicated(spec)
    objects: list[Manifest] = []
    if wanted is not None:
        objects += _dedicated(key, spec, wanted, names, platform)
    if spec.pipeline_schedule is not None:
        namespace = object_namespace(spec, names, platform)
        component = common.pipeline_component(names)
        objects += [
            common.service_account(names.pipeline, namespace, key, component),
            pipeline.cron_job(key, spec, names, platform, namespace),
        ]
        if wanted is not None:
            objects.append(isolation.pipeline_policy(key, wanted, names, platform, namespace))
    order = {kind.kind: position for position, kind in enumerate(_KINDS)}
    return sorted(objects, key=lambda manifest: order[manifest["kind"]])


def _dedicated(
    key: TeamKey, spec: TeamSpec, wanted: Dedicated, names: TeamNames, platform: Platform
) -> list[Manifest]:
    namespace = object_namespace(spec, names, platform)
    objects = []
    if common.has_own_namespace(spec):
        objects += [
            isolation.namespace(key, names),
            isolation.resource_quota(key, spec, wanted, names),
            isolation.limit_range(key, spec, wanted, names, platform),
            isolation.default_deny(key, names),
        ]
    objects += [
        isolation.agent_policy(key, wanted, names, platform, namespace),
        common.service_account(names.agent, namespace, key, common.agent_component(names)),
        agent.service(key, names, namespace),
        agent.deployment(key, wanted, names, platform, namespace, suspended=spec.suspended),
    ]
    if common.replicas(wanted)[0] > 1:
        objects.append(agent.disruption_budget(key, names, namespace))
    if wanted.autoscaling is not None and not spec.suspended:
        objects.append(agent.autoscaler(key, wanted, wanted.autoscaling, names, namespace))
    return objects
