"""The tables that `kubectl get` prints."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from devcluster.kinds import ResourceType
from devcluster.objects import Object

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NONE = "<none>"

Cells = Callable[[Object, datetime], list[Any]]


def table(
    resource_type: ResourceType,
    objects: Sequence[Object],
    metadata: Mapping[str, Any],
    now: datetime,
    *,
    includes: str = "Metadata",
) -> Object:
    """A meta.k8s.io/v1 Table of some objects of one type."""
    columns, cells = _BY_KIND.get(resource_type.kind, (("Age",), _age_only))
    definitions = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": name,
            "priority": 0,
        }
        for name in ("Name", *columns)
    ]
    rows = []
    for obj in objects:
        row: Object = {"cells": [obj["metadata"]["name"], *cells(obj, now)]}
        if includes == "Object":
            row["object"] = obj
        elif includes != "None":
            partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            row["object"] = partial | {"metadata": obj["metadata"]}
        rows.append(row)
    kept = {
        key: metadata[key] for key in ("resourceVersion", "continue", "remainingItemCount") if key in metadata
    }
    kind = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": kept}
    return {**kind, "columnDefinitions": definitions, "rows": rows}


def age(moment: str | None, now: datetime) -> str:
    """How long ago, in kubectl's way: `45s`, `3m5s`, `2h`, `4d`."""
    if not moment:
        return "<unknown>"
    seconds = max(int((now - datetime.fromisoformat(moment)).total_seconds()), 0)
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return f"{seconds // _MINUTE}m{seconds % _MINUTE}s" if seconds % _MINUTE else f"{seconds // _MINUTE}m"
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    return f"{seconds // _DAY}d"


def _created(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _age_only(obj: Object, now: datetime) -> list[Any]:
    return [_created(obj, now)]


def _status(obj: Object) -> dict[str, Any]:
    return obj.get("status") or {}


def _namespace(obj: Object, now: datetime) -> list[Any]:
    return [_status(obj).get("phase", ""), _created(obj, now)]


def _node(obj: Object, now: datetime) -> list[Any]:
    conditions = {item["type"]: item["status"] for item in _status(obj).get("conditions", ())}
    ready = "Ready" if conditions.get("Ready") == "True" else "NotReady"
    if obj.get("spec", {}).get("unschedulable"):
        ready += ",SchedulingDisabled"
    version = _status(obj).get("nodeInfo", {}).get("kubeletVersion", "")
    return [ready, _NONE, _created(obj, now), version]


def _pod(obj: Object, now: datetime) -> list[Any]:
    status = _status(obj)
    containers = status.get("containerStatuses", ())
    ready = sum(bool(item.get("ready")) for item in containers)
    restarts = sum(item.get("restartCount", 0) for item in containers)
    total = len(obj.get("spec", {}).get("containers", ()))
    return [f"{ready}/{total}", _pod_phase(obj, status, containers), str(restarts), _created(obj, now)]


def _pod_phase(obj: Object, status: Mapping[str, Any], containers: Sequence[Mapping[str, Any]]) -> str:
    """The word that says most: why a container waits or ended, or else the phase."""
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    shown = str(status.get("reason") or status.get("phase", "Unknown"))
    for item in containers:
        state = item.get("state", {})
        if state.get("waiting", {}).get("reason"):
            shown = state["waiting"]["reason"]
        elif state.get("terminated", {}).get("reason"):
            shown = state["terminated"]["reason"]
    return shown


def _service(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    ports = [_service_port(port) for port in spec.get("ports", ())]
    external = spec.get("externalName") or _NONE
    address = spec.get("clusterIP") or _NONE
    return [spec.get("type", ""), address, external, ",".join(ports) or _NONE, _created(obj, now)]


def _service_port(port: Mapping[str, Any]) -> str:
    at_node = f":{port['nodePort']}" if "nodePort" in port else ""
    return f"{port['port']}{at_node}/{port.get('protocol', 'TCP')}"


def _deployment(obj: Object, now: datetime) -> list[Any]:
    status = _status(obj)
    ready = f"{status.get('readyReplicas', 0)}/{obj.get('spec', {}).get('replicas', 0)}"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    return [ready, str(updated), str(available), _created(obj, now)]


def _replica_set(obj: Object, now: datetime) -> list[Any]:
    status = _status(obj)
    numbers = [
        obj.get("spec", {}).get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
    ]
    return [*map(str, numbers), _created(obj, now)]


def _job(obj: Object, now: datetime) -> list[Any]:
    status = _status(obj)
    wanted = obj.get("spec", {}).get("completions", 1)
    conditions = [item["type"] for item in status.get("conditions", ()) if item["status"] == "True"]
    shown = next((name for name in ("Complete", "Failed", "Suspended") if name in conditions), "Running")
    started, ended = status.get("startTime"), status.get("completionTime")
    until = datetime.fromisoformat(ended) if ended else now
    duration = age(started, until) if started else ""
    return [shown, f"{status.get('succeeded', 0)}/{wanted}", duration, _created(obj, now)]


def _cron_job(obj: Object, now: datetime) -> list[Any]:
    spec, status = obj.get("spec", {}), _status(obj)
    last = age(status["lastScheduleTime"], now) if status.get("lastScheduleTime") else _NONE
    suspended = str(bool(spec.get("suspend")))
    active = str(len(status.get("active", ())))
    return [
        spec.get("schedule", ""),
        spec.get("timeZone") or _NONE,
        suspended,
        active,
        last,
        _created(obj, now),
    ]


def _secret(obj: Object, now: datetime) -> list[Any]:
    return [obj.get("type", ""), str(len(obj.get("data", {}))), _created(obj, now)]


def _config_map(obj: Object, now: datetime) -> list[Any]:
    return [str(len(obj.get("data", {})) + len(obj.get("binaryData", {}))), _created(obj, now)]


def _event(obj: Object, now: datetime) -> list[Any]:
    involved = obj.get("involvedObject", {})
    moment = obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp")
    about = f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"
    return [
        age(moment, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        about,
        obj.get("message", "").strip(),
    ]


def _quota(obj: Object, now: datetime) -> list[Any]:
    hard, used = obj.get("spec", {}).get("hard", {}), _status(obj).get("used", {})
    shown = [f"{name}: {used.get(name, '0')}/{amount}" for name, amount in sorted(hard.items())]
    requests = ", ".join(item for item in shown if not item.startswith("limits."))
    limits = ", ".join(item for item in shown if item.startswith("limits."))
    return [requests, limits, _created(obj, now)]


def _autoscaler(obj: Object, now: datetime) -> list[Any]:
    spec, target = obj.get("spec", {}), obj.get("spec", {}).get("scaleTargetRef", {})
    reference = f"{target.get('kind', '')}/{target.get('name', '')}"
    numbers = [spec.get("minReplicas", 1), spec.get("maxReplicas", 0), _status(obj).get("currentReplicas", 0)]
    return [reference, "<unknown>", *map(str, numbers), _created(obj, now)]


def _budget(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec", {})
    allowed = str(_status(obj).get("disruptionsAllowed", 0))
    least, most = str(spec.get("minAvailable", "N/A")), str(spec.get("maxUnavailable", "N/A"))
    return [least, most, allowed, _created(obj, now)]


def _network_policy(obj: Object, now: datetime) -> list[Any]:
    labels = obj.get("spec", {}).get("podSelector", {}).get("matchLabels", {})
    return [",".join(f"{key}={value}" for key, value in sorted(labels.items())) or _NONE, _created(obj, now)]


def _priority_class(obj: Object, now: datetime) -> list[Any]:
    is_default = str(bool(obj.get("globalDefault"))).lower()
    return [str(obj.get("value", 0)), is_default, _created(obj, now), obj.get("preemptionPolicy", "")]


def _lease(obj: Object, now: datetime) -> list[Any]:
    return [obj.get("spec", {}).get("holderIdentity", ""), _created(obj, now)]


def _role_binding(obj: Object, now: datetime) -> list[Any]:
    reference = obj.get("roleRef", {})
    return [f"{reference.get('kind', '')}/{reference.get('name', '')}", _created(obj, now)]


def _endpoint_slice(obj: Object, now: datetime) -> list[Any]:
    ports = ",".join(str(port.get("port", "")) for port in obj.get("ports", ()))
    addresses = ",".join(
        address for item in obj.get("endpoints", ()) for address in item.get("addresses", ())
    )
    return [obj.get("addressType", ""), ports or "<unset>", addresses or "<unset>", _created(obj, now)]


_BY_KIND: Mapping[str, tuple[tuple[str, ...], Cells]] = {
    "ConfigMap": (("Data", "Age"), _config_map),
    "CronJob": (("Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age"), _cron_job),
    "Deployment": (("Ready", "Up-to-date", "Available", "Age"), _deployment),
    "EndpointSlice": (("AddressType", "Ports", "Endpoints", "Age"), _endpoint_slice),
    "Event": (("Last Seen", "Type", "Reason", "Object", "Message"), _event),
    "HorizontalPodAutoscaler": (
        ("Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"),
        _autoscaler,
    ),
    "Job": (("Status", "Completions", "Duration", "Age"), _job),
    "Lease": (("Holder", "Age"), _lease),
    "Namespace": (("Status", "Age"), _namespace),
    "NetworkPolicy": (("Pod-Selector", "Age"), _network_policy),
    "Node": (("Status", "Roles", "Age", "Version"), _node),
    "Pod": (("Ready", "Status", "Restarts", "Age"), _pod),
    "PodDisruptionBudget": (("Min Available", "Max Unavailable", "Allowed Disruptions", "Age"), _budget),
    "PriorityClass": (("Value", "Global-Default", "Age", "PreemptionPolicy"), _priority_class),
    "ReplicaSet": (("Desired", "Current", "Ready", "Age"), _replica_set),
    "ResourceQuota": (("Request", "Limit", "Age"), _quota),
    "RoleBinding": (("Role", "Age"), _role_binding),
    "Secret": (("Type", "Data", "Age"), _secret),
    "Service": (("Type", "Cluster-IP", "External-IP", "Port(s)", "Age"), _service),
}
