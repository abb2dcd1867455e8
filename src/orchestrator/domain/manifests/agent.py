"""The dedicated agent: Deployment, Service, and what keeps them available."""

from typing import Any

from orchestrator.domain.manifests import common
from orchestrator.domain.manifests.common import Manifest
from orchestrator.domain.manifests.platform import Platform
from orchestrator.domain.manifests.resources import as_manifest, effective
from orchestrator.domain.team import Autoscaling, Dedicated, Resources, Sla, TeamKey, TeamNames, Toleration

PORT = 8000
_PORT_NAME = "http"

#: A roll-out that makes no progress for so long counts as failed.
_PROGRESS_DEADLINE_SECONDS = 300


def resources(wanted: Dedicated, platform: Platform) -> Resources:
    """What the agent's container asks for and may use."""
    return effective(wanted.resources, platform.agent_resources, guaranteed=wanted.sla is Sla.GUARANTEED)


def service(key: TeamKey, names: TeamNames, namespace: str) -> Manifest:
    """The address of the team's agent inside the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": common.metadata(names.agent, namespace, key, common.agent_component(names)),
        "spec": {
            "type": "ClusterIP",
            "selector": common.selector(key, common.AGENT_COMPONENT),
            "ports": [{"name": _PORT_NAME, "protocol": "TCP", "port": PORT, "targetPort": _PORT_NAME}],
        },
    }


def deployment(
    key: TeamKey,
    wanted: Dedicated,
    names: TeamNames,
    platform: Platform,
    namespace: str,
    *,
    suspended: bool = False,
) -> Manifest:
    """The agent's pods, none while suspended; without a number of replicas when an autoscaler decides on it."""
    component = common.agent_component(names)
    spec: dict[str, Any] = {
        "selector": {"matchLabels": common.selector(key, common.AGENT_COMPONENT)},
        # Never fewer ready pods than wanted: the service is not interrupted by a roll-out.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "progressDeadlineSeconds": _PROGRESS_DEADLINE_SECONDS,
        "revisionHistoryLimit": 2,
        "template": {
            "metadata": {"labels": common.labels(key, component)},
            "spec": _pod(key, wanted, names, platform),
        },
    }
    if suspended:
        spec["replicas"] = 0
    elif wanted.autoscaling is None:
        spec["replicas"] = common.replicas(wanted)[0]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": common.metadata(names.agent, namespace, key, component),
        "spec": spec,
    }


def disruption_budget(key: TeamKey, names: TeamNames, namespace: str) -> Manifest:
    """Nodes are drained one replica at a time; a replica that is broken anyway holds nobody up."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": common.metadata(names.agent, namespace, key, common.agent_component(names)),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": common.selector(key, common.AGENT_COMPONENT)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def autoscaler(
    key: TeamKey, wanted: Dedicated, scaling: Autoscaling, names: TeamNames, namespace: str
) -> Manifest:
    """Replicas that follow CPU use."""
    lowest, highest = common.replicas(wanted)
    target = {"type": "Utilization", "averageUtilization": scaling.cpu_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": common.metadata(names.agent, namespace, key, common.agent_component(names)),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.agent},
            "minReplicas": lowest,
            "maxReplicas": highest,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }


def _pod(key: TeamKey, wanted: Dedicated, names: TeamNames, platform: Platform) -> Manifest:
    spec = {
        **common.pod(names.agent, names, _container(key, wanted, platform)),
        "terminationGracePeriodSeconds": 30,
    }
    if wanted.node_selector:
        spec["nodeSelector"] = dict(wanted.node_selector)
    if wanted.tolerations:
        spec["tolerations"] = [_toleration(toleration) for toleration in wanted.tolerations]
    if wanted.sla is Sla.GUARANTEED:
        spec["priorityClassName"] = platform.priority_class_name
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": topology,
                # Rather two replicas on one node than one that waits for a second node.
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": common.selector(key, common.AGENT_COMPONENT)},
            }
            for topology in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ]
    return spec


def _container(key: TeamKey, wanted: Dedicated, platform: Platform) -> Manifest:
    probe = {"httpGet": {"path": "/health", "port": _PORT_NAME}}
    return {
        "name": "agent",
        "image": wanted.image or platform.agent_image,
        "imagePullPolicy": platform.image_pull_policy,
        "command": ["python", "-m", "agent_runtime"],
        "env": [
            {
                "name": "AGENT_HOST",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}},
            },
            {"name": "AGENT_PORT", "value": str(PORT)},
            *common.environment(key, platform),
        ],
        "ports": [{"name": _PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": as_manifest(resources(wanted, platform)),
        "startupProbe": {**probe, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 3},
        "livenessProbe": {**probe, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
    }


def _toleration(toleration: Toleration) -> Manifest:
    stated = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.toleration_seconds,
    }
    return {name: value for name, value in stated.items() if value not in {None, ""}}
