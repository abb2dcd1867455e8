"""What happens to an object on its way into the store: defaults, generation, status kept apart, deletion marks."""

from typing import Any, NoReturn

from devcluster.errors import Cause, Invalid
from devcluster.kinds import ResourceType
from devcluster.objects import Object

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


def prepare_new(resource_type: ResourceType, obj: Object) -> None:
    """Bring a new object into its stored form, in place: status dropped, defaults filled in."""
    if resource_type.has_status:
        obj.pop("status", None)
    if resource_type.kind == "Namespace":
        labels = obj["metadata"].setdefault("labels", {})
        labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}


def prepare_replacement(
    resource_type: ResourceType, obj: Object, live: Object, subresource: str | None
) -> Object:
    """The stored form of a replacement: server-owned metadata and the untouched half come from `live`."""
    old_metadata = live["metadata"]
    if subresource == "status":
        prepared = {**live, "metadata": {**old_metadata}}
        prepared.pop("status", None)
        if "status" in obj:
            prepared["status"] = obj["status"]
        return prepared
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _SERVER_METADATA}
    metadata |= {key: old_metadata[key] for key in _SERVER_METADATA if key in old_metadata}
    prepared = {**obj, "metadata": metadata}
    if resource_type.has_status:
        prepared.pop("status", None)
        if "status" in live:
            prepared["status"] = live["status"]
    if resource_type.counts_generations and _wanted_changed(resource_type, prepared, live):
        metadata["generation"] = old_metadata.get("generation", 0) + 1
    return prepared


def validate_new(resource_type: ResourceType, obj: Object) -> None:
    """Refuse a new object that breaks the rules of its kind."""


def validate_replacement(
    resource_type: ResourceType, obj: Object, live: Object, subresource: str | None
) -> None:
    """Refuse a change that breaks the rules of the kind."""


def mark_deleted(
    resource_type: ResourceType, live: Object, propagation: str, grace_period_s: int | None
) -> Object | None:
    """The object as being deleted, its `deletionTimestamp` yet to be set; None if it goes at once."""
    old = live["metadata"]
    finalizers = list(old.get("finalizers", ()))
    holding = _HOLDING_FINALIZERS.get(propagation)
    finalizers = [item for item in finalizers if item not in _HOLDING_FINALIZERS.values() or item == holding]
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
