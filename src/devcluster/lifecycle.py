"""What happens to an object on its way into the store: defaults, generation, status, deletion marks."""

import base64
import ipaddress
from collections.abc import Mapping
from typing import Any, NoReturn

from devcluster.decoding import decode_object
from devcluster.defaults import apply_defaults
from devcluster.errors import Cause, Invalid
from devcluster.kinds import ResourceType
from devcluster.objects import Object, clone
from devcluster.schema import schema_of

#: Metadata that clients cannot change; taken from the live object.
_SERVER_METADATA = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "generateName",
)
_HOLDING_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
_DEFAULT_POD_GRACE_S = 30
_FIRST_STATUS: Mapping[str, Object] = {
    "HorizontalPodAutoscaler": {"desiredReplicas": 0, "currentMetrics": None},
    "Namespace": {"phase": "Active"},
    "Pod": {"phase": "Pending"},
    "PodDisruptionBudget": {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
    "Service": {"loadBalancer": {}},
}
_SERVICE_NETWORK = ipaddress.ip_network("10.96.0.0/12")
_NODE_PORTS = range(30000, 32768)
_ADDRESS_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def decode_sent(resource_type: ResourceType, obj: Object) -> tuple[Object, list[str]]:
    """An object from outside in its stored form, and the paths of fields that its kind does not declare.

    The result shares nothing mutable with `obj`.

    Raises:
        Undecodable: a value of the wrong type.
    """
    return decode_object(obj, schema_of(resource_type))


def prepare_new(resource_type: ResourceType, obj: Object) -> None:
    """Bring a new object into its stored form, in place: status dropped, defaults filled in."""
    kind = resource_type.kind
    if resource_type.has_status:
        obj.pop("status", None)
    if kind == "Namespace":
        labels = obj["metadata"].setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
        obj["spec"] = {"finalizers": ["kubernetes"]}
    if kind == "Secret":
        _fold_string_data(obj)
    apply_defaults(obj)


def complete_new(resource_type: ResourceType, obj: Object, revision: int) -> None:
    """Add what only the server knows of a new object, in place: its first status, addresses, selectors.

    Args:
        resource_type: the type of the object.
        obj: the object, with its uid.
        revision: a number that grows with every write, from which addresses are made.
    """
    kind = resource_type.kind
    if resource_type.has_status:
        obj["status"] = clone(_FIRST_STATUS.get(kind, {}))
    if kind == "Pod":
        obj["status"]["qosClass"] = qos_class(obj["spec"])
    elif kind == "Service":
        _allocate_addresses(obj["spec"], revision)
    elif kind == "Job":
        _select_own_pods(obj)


def prepare_replacement(
    resource_type: ResourceType, obj: Object, live: Object, subresource: str | None
) -> Object:
    """The stored form of a replacement; server-owned metadata and the untouched half come from `live`."""
    old_metadata = live["metadata"]
    if subresource == "status":
        prepared = {**live, "metadata": {**old_metadata}}
        prepared.pop("status", None)
        if "status" in obj:
            prepared["status"] = obj["status"]
        if resource_type.kind == "Deployment" and "annotations" in obj["metadata"]:
            # As in Kubernetes: the controller notes the revision together with the status, and that is no new
            # generation.
            prepared["metadata"]["annotations"] = obj["metadata"]["annotations"]
        return prepared
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _SERVER_METADATA}
    metadata |= {key: old_metadata[key] for key in _SERVER_METADATA if key in old_metadata}
    prepared = {**obj, "metadata": metadata}
    kind = resource_type.kind
    if kind == "Secret":
        _fold_string_data(prepared)
    elif kind == "Service":
        _keep_addresses(prepared, live)
    elif kind == "Namespace":
        # Finalizers of a namespace change through `finalize` only.
        prepared["spec"] = live["spec"]
        metadata["labels"] = {
            **metadata.get("labels", {}),
            "kubernetes.io/metadata.name": metadata["name"],
        }
    apply_defaults(prepared)
    if resource_type.has_status:
        prepared.pop("status", None)
        if "status" in live:
            prepared["status"] = live["status"]
    if resource_type.counts_generations and _wanted_changed(resource_type, prepared, live):
        metadata["generation"] = old_metadata.get("generation", 0) + 1
    return prepared


def mark_deleted(
    resource_type: ResourceType, live: Object, propagation: str | None, grace_period_s: int | None
) -> Object | None:
    """The object as being deleted, its `deletionTimestamp` yet to be set; None if it goes at once."""
    old = live["metadata"]
    finalizers = list(old.get("finalizers", ()))
    holding = _HOLDING_FINALIZERS.get(propagation or "")
    if propagation:
        others = set(_HOLDING_FINALIZERS.values()) - {holding}
        finalizers = [item for item in finalizers if item not in others]
    if holding and holding not in finalizers:
        finalizers.append(holding)
    grace_s = _pod_grace_s(live, grace_period_s) if resource_type.kind == "Pod" else 0
    if resource_type.kind == "Namespace":
        return _mark_namespace(live)
    if not finalizers and grace_s == 0:
        return None
    metadata: dict[str, Any] = {key: value for key, value in old.items() if key != "finalizers"}
    if finalizers:
        metadata["finalizers"] = finalizers
    if "deletionTimestamp" not in old:
        metadata["deletionGracePeriodSeconds"] = grace_s
        if metadata.get("generation"):
            metadata["generation"] += 1
    elif grace_s < old.get("deletionGracePeriodSeconds", 0):
        metadata["deletionGracePeriodSeconds"] = grace_s
        del metadata["deletionTimestamp"]
    return {**live, "metadata": metadata}


def is_free_to_go(resource_type: ResourceType, obj: Object) -> bool:
    """Whether nothing holds an object that is being deleted."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if resource_type.kind == "Namespace":
        return not obj["spec"].get("finalizers")
    return int(metadata.get("deletionGracePeriodSeconds", 0)) == 0


def refuse_nameless(resource_type: ResourceType) -> NoReturn:
    """A new object needs a name or a prefix for one.

    Raises:
        Invalid: always.
    """
    cause = Cause("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")
    raise Invalid.of(group=resource_type.group, kind=resource_type.kind, name="", causes=[cause])


def _wanted_changed(resource_type: ResourceType, obj: Object, live: Object) -> bool:
    if resource_type.kind == "Deployment" and _annotations(obj) != _annotations(live):
        # Kubernetes counts annotations of a Deployment, because they are copied to its ReplicaSets.
        return True
    if "spec" in obj or "spec" in live:
        return bool(obj.get("spec") != live.get("spec"))
    return {**obj, "metadata": None} != {**live, "metadata": None}


def _annotations(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def _mark_namespace(live: Object) -> Object | None:
    if not live["spec"].get("finalizers") and not live["metadata"].get("finalizers"):
        return None
    status = {**live.get("status", {}), "phase": "Terminating"}
    return {**live, "metadata": {**live["metadata"]}, "status": status}


def _pod_grace_s(live: Object, wanted: int | None) -> int:
    """Seconds a pod gets; none for one that was never placed or has ended."""
    if not live.get("spec", {}).get("nodeName"):
        return 0
    if live.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return 0
    if wanted is not None:
        return max(wanted, 0)
    return int(live["spec"].get("terminationGracePeriodSeconds", _DEFAULT_POD_GRACE_S))


def qos_class(spec: Mapping[str, Any]) -> str:
    """How well a pod is protected when memory runs out: Guaranteed, Burstable or BestEffort."""
    resources = [container.get("resources", {}) for container in spec.get("containers", ())]
    if not any(item.get("requests") or item.get("limits") for item in resources):
        return "BestEffort"
    guaranteed = all(
        {"cpu", "memory"} <= set(item.get("limits", {}))
        and item.get("requests", item["limits"]) == item["limits"]
        for item in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _fold_string_data(obj: Object) -> None:
    texts = obj.pop("stringData", None)
    if texts:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
        obj["data"] = {**obj.get("data", {}), **encoded}


def _allocate_addresses(spec: dict[str, Any], revision: int) -> None:
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        # The first addresses of the network are for the cluster itself.
        spec["clusterIP"] = str(_SERVICE_NETWORK[10 + revision % (_SERVICE_NETWORK.num_addresses - 20)])
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        for position, port in enumerate(spec.get("ports", ())):
            port.setdefault("nodePort", _NODE_PORTS[(revision + position) % len(_NODE_PORTS)])


def _keep_addresses(obj: Object, live: Object) -> None:
    """A replacement silent about addresses keeps them; a new clusterIP speaks for clusterIPs too."""
    spec, before = obj.setdefault("spec", {}), live["spec"]
    for field in _ADDRESS_FIELDS:
        if field in before:
            spec.setdefault(field, before[field])
    if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get(
        "clusterIPs"
    ):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _select_own_pods(obj: Object) -> None:
    """A Job finds its pods by its uid, which no other Job can have."""
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for prefix in ("batch.kubernetes.io/", ""):
        labels[f"{prefix}controller-uid"] = metadata["uid"]
        labels[f"{prefix}job-name"] = metadata["name"]
