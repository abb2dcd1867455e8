"""What was asked of a team, read from what stands: for a control plane whose database knows less than the cluster."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain.manifests import Platform
from orchestrator.domain.objects import Manifest


def fields_of(objects: Iterable[Manifest], platform: Platform) -> dict[str, Any]:
    """The fields of a provisioning that would lead to these objects.

    Where agents may connect to is not among them: policies are made from it in a way that loses what was said.
    """
    by_kind = {obj["kind"]: obj for obj in objects}
    fields: dict[str, Any] = {}
    if (cronjob := by_kind.get("CronJob")) is not None:
        fields["pipeline_schedule"] = cronjob["spec"]["schedule"]
        fields["pipeline_time_zone"] = cronjob["spec"].get("timeZone", "UTC")
    if (deployment := by_kind.get("Deployment")) is not None:
        fields["deployment_mode"] = "dedicated"
        fields["dedicated"] = _dedicated(deployment, by_kind.get("HorizontalPodAutoscaler"), platform)
    return fields


def _dedicated(deployment: Manifest, autoscaler: Manifest | None, platform: Platform) -> dict[str, Any]:
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    dedicated: dict[str, Any] = {"resources": _resources(container.get("resources") or {})}
    if autoscaler is not None:
        dedicated["autoscaling"] = _autoscaling(autoscaler["spec"])
    else:
        # A suspended team has none, and how many it had is not written anywhere.
        dedicated["replicas"] = max(1, deployment["spec"].get("replicas", 1))
    if container["image"] != platform.agent_image:
        dedicated["image"] = container["image"]
    if pod.get("nodeSelector"):
        dedicated["node_selector"] = dict(pod["nodeSelector"])
    if pod.get("tolerations"):
        dedicated["tolerations"] = [_toleration(toleration) for toleration in pod["tolerations"]]
    if pod.get("priorityClassName") == platform.priority_class_name:
        dedicated["sla"] = "guaranteed"
    if deployment["metadata"]["namespace"] != platform.namespace:
        dedicated["isolation"] = "namespace"
    return dedicated


def _resources(resources: Mapping[str, Any]) -> dict[str, Any]:
    return {part: dict(resources[part]) for part in ("requests", "limits") if resources.get(part)}


def _autoscaling(spec: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {"min_replicas": spec.get("minReplicas", 1), "max_replicas": spec["maxReplicas"]}
    for metric in spec.get("metrics") or ():
        target = (metric.get("resource") or {}).get("target") or {}
        wanted |= {"cpu_percent": target["averageUtilization"]} if "averageUtilization" in target else {}
    return wanted


def _toleration(toleration: Mapping[str, Any]) -> dict[str, Any]:
    names = {"tolerationSeconds": "toleration_seconds"}
    return {names.get(name, name): value for name, value in toleration.items()}
