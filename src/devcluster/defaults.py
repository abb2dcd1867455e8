"""What the API server fills in where a field is left out; every function works in place."""

import re
from collections.abc import Callable
from typing import Any

from devcluster.objects import Object

_ALWAYS_PULLED_TAG = "latest"
#: What can be an image at all; of anything else the API server makes no guess.
_IMAGE = re.compile(r"[A-Za-z0-9][\w./:@-]*")


def apply_defaults(obj: Object) -> None:
    """Fill in the defaults of the object's kind."""
    fill = _BY_KIND.get(obj["kind"])
    if fill:
        fill(obj)


def _fill(target: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        target.setdefault(name, value)


def pod_spec_defaults(spec: dict[str, Any]) -> None:
    """Defaults of a pod's spec, in a template or in a pod."""
    _fill(spec, restartPolicy="Always", terminationGracePeriodSeconds=30, dnsPolicy="ClusterFirst")
    _fill(spec, schedulerName="default-scheduler")
    spec.setdefault("securityContext", {})
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    elif "serviceAccount" in spec:
        spec["serviceAccountName"] = spec["serviceAccount"]
    for field in ("initContainers", "containers"):
        for container in spec.get(field, ()):
            _container_defaults(container)
    for volume in spec.get("volumes", ()):
        _volume_defaults(volume)


def _container_defaults(container: dict[str, Any]) -> None:
    container.setdefault("resources", {})
    _fill(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = _pull_policy(container.get("image", ""))
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _probe_defaults(container[probe])
    for variable in container.get("env", ()):
        reference = variable.get("valueFrom", {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")


def _pull_policy(image: str) -> str:
    if not _IMAGE.fullmatch(image):
        return "IfNotPresent"
    tagged = image.rsplit("/", 1)[-1].partition("@")[0]
    tag = tagged.partition(":")[2] or ("" if "@" in image else _ALWAYS_PULLED_TAG)
    return "Always" if tag == _ALWAYS_PULLED_TAG else "IfNotPresent"


def _probe_defaults(probe: dict[str, Any]) -> None:
    _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    http = probe.get("httpGet")
    if http is not None:
        _fill(http, path="/", scheme="HTTP")


def _volume_defaults(volume: dict[str, Any]) -> None:
    if set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "projected", "downwardAPI"):
        if source in volume:
            volume[source].setdefault("defaultMode", 0o644)
    for source in volume.get("projected", {}).get("sources", ()):
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def _template_defaults(template: dict[str, Any]) -> None:
    if "spec" in template:
        pod_spec_defaults(template["spec"])


def _deployment(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        _fill(rolling, maxUnavailable="25%", maxSurge="25%")
    _template_defaults(spec.setdefault("template", {}))


def _replica_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template_defaults(spec.setdefault("template", {}))


def job_spec_defaults(spec: dict[str, Any]) -> None:
    """Defaults of a Job, not of a CronJob's template, whose counts stay open until the Job is made."""
    if "completions" not in spec and "parallelism" not in spec:
        _fill(spec, completions=1)
    _fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    _template_defaults(spec.setdefault("template", {}))


def _job(obj: Object) -> None:
    job_spec_defaults(obj.setdefault("spec", {}))


def _cron_job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill(
        spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1
    )
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    job = template.setdefault("spec", {})
    pods = job.setdefault("template", {})
    _template_defaults(pods)


def _service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in {None, 0, ""}:
            port["targetPort"] = port.get("port", 0)
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _pod(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    pod_spec_defaults(spec)
    spec.setdefault("enableServiceLinks", True)
    for field in ("initContainers", "containers"):
        for container in spec.get(field, ()):
            resources = container["resources"]
            for name, value in resources.get("limits", {}).items():
                resources.setdefault("requests", {}).setdefault(name, value)


def _secret(obj: Object) -> None:
    obj.setdefault("type", "Opaque")


def _network_policy(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if "policyTypes" not in spec:
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _autoscaler(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if "metrics" not in spec:
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _priority_class(obj: Object) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _limit_range(obj: Object) -> None:
    for item in obj.setdefault("spec", {}).get("limits", ()):
        if item.get("type") != "Container":
            continue
        limits = item.setdefault("default", {})
        for name, value in item.get("max", {}).items():
            limits.setdefault(name, value)
        requests = item.setdefault("defaultRequest", {})
        for name, value in (*item.get("min", {}).items(), *limits.items()):
            requests.setdefault(name, value)


def _role_binding(obj: Object) -> None:
    for subject in obj.get("subjects", ()):
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _event(obj: Object) -> None:
    _fill(obj, reportingComponent="", reportingInstance="", eventTime=None)
    obj.setdefault("source", {})
    obj.setdefault("involvedObject", {})


def _endpoint_slice(obj: Object) -> None:
    obj.setdefault("addressType", "IPv4")
    for port in obj.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port.setdefault("name", "")


_BY_KIND: dict[str, Callable[[Object], None]] = {
    "CronJob": _cron_job,
    "Deployment": _deployment,
    "EndpointSlice": _endpoint_slice,
    "Event": _event,
    "HorizontalPodAutoscaler": _autoscaler,
    "Job": _job,
    "LimitRange": _limit_range,
    "NetworkPolicy": _network_policy,
    "Pod": _pod,
    "PriorityClass": _priority_class,
    "ReplicaSet": _replica_set,
    "RoleBinding": _role_binding,
    "Secret": _secret,
    "Service": _service,
}
