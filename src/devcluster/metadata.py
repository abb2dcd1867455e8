"""What every Kubernetes object has in common: key, labels, owners, conditions and times."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from devcluster.objects import Object, timestamp


class Ref(NamedTuple):
    """Where an object is found."""

    kind: str
    namespace: str | None
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


def parse_time(text: str) -> datetime:
    """Read a `metav1.Time` or `metav1.MicroTime`."""
    return datetime.fromisoformat(text)


def ref_of(obj: Object) -> Ref:
    """Where this object is found."""
    meta = obj["metadata"]
    return Ref(obj["kind"], meta.get("namespace"), meta["name"])


def uid_of(obj: Object) -> str:
    """The identity of this very object, which its name alone does not give."""
    return str(obj["metadata"]["uid"])


def labels_of(obj: Object) -> Mapping[str, str]:
    """The object's labels, or none."""
    return obj["metadata"].get("labels") or {}


def owners_of(obj: Object) -> list[Object]:
    """The object's owner references, or none."""
    return obj["metadata"].get("ownerReferences") or []


def controller_of(obj: Object) -> Object | None:
    """The one owner reference that manages the object."""
    return next((owner for owner in owners_of(obj) if owner.get("controller")), None)


def controlled_by(owner: Object) -> Object:
    """An owner reference that makes `owner` the controller of the object which carries it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_leaving(obj: Object) -> bool:
    """Whether somebody asked for the object to be deleted."""
    return "deletionTimestamp" in obj["metadata"]


def created_at(obj: Object) -> datetime:
    """When the object was made."""
    return parse_time(obj["metadata"]["creationTimestamp"])


def condition_of(obj: Object, kind: str) -> Object | None:
    """The condition of this type in the object's status."""
    conditions: list[Object] = (obj.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == kind), None)


def has_condition(obj: Object, kind: str) -> bool:
    """Whether the condition of this type is `True`."""
    condition = condition_of(obj, kind)
    return condition is not None and condition["status"] == "True"


def with_condition(conditions: Iterable[Object], new: Object, now: datetime) -> list[Object]:
    """The conditions with `new` in place of the one of its type.

    `lastTransitionTime` moves only when the status does.
    """
    kept = list(conditions)
    old = next((condition for condition in kept if condition["type"] == new["type"]), None)
    if old is not None and old["status"] == new["status"]:
        moved = old.get("lastTransitionTime", timestamp(now))
    else:
        moved = timestamp(now)
    entry = {**new, "lastTransitionTime": moved}
    if old is None:
        return [*kept, entry]
    return [entry if condition is old else condition for condition in kept]


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a `metav1.LabelSelector` selects these labels; an absent selector selects nothing."""
    if selector is None:
        return False
    for name, value in (selector.get("matchLabels") or {}).items():
        if labels.get(name) != value:
            return False
    return all(meets(requirement, labels) for requirement in selector.get("matchExpressions") or [])


def meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether labels meet one `LabelSelectorRequirement`."""
    value = labels.get(requirement["key"])
    values = requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None
