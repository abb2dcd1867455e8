"""Checks of a write against other objects: namespace, service account, quotas, defaults of the namespace."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from devcluster import quantity
from devcluster.errors import Forbidden, NotFound
from devcluster.kinds import ResourceType
from devcluster.objects import Key, Object
from devcluster.store import Store

#: Resources that a quota can name without `count/`.
_PLAINLY_COUNTED = frozenset(
    {"pods", "services", "secrets", "configmaps", "resourcequotas", "replicationcontrollers"}
)
_ENDED_PHASES = frozenset({"Succeeded", "Failed"})


def admit_namespace(store: Store, resource_type: ResourceType, key: Key) -> None:
    """Refuse new objects in a namespace that is missing or going away.

    Raises:
        NotFound: there is no such namespace.
        Forbidden: it is being deleted.
    """
    namespace, name = key
    if not resource_type.namespaced or namespace is None:
        return
    found = store.get("Namespace", (None, namespace))
    if found is None:
        details = {"name": namespace, "kind": "namespaces"}
        raise NotFound(f'namespaces "{namespace}" not found', details=details)
    if "deletionTimestamp" in found["metadata"]:
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise _forbidden(resource_type, name, why, causes=[cause])


def mutate_new(store: Store, resource_type: ResourceType, obj: Object) -> None:
    """Fill in what the namespace or the cluster gives a new pod.

    Raises:
        Forbidden: the pod names a service account or a priority class that is not there.
    """
    if resource_type.kind != "Pod":
        return
    _give_service_account(store, resource_type, obj)
    _give_priority(store, resource_type, obj)
    for limits in store.scan("LimitRange", obj["metadata"]["namespace"]):
        for item in limits.get("spec", {}).get("limits", ()):
            if item.get("type") == "Container":
                _give_limits(obj["spec"], item)


def admit_new(store: Store, resource_type: ResourceType, obj: Object) -> None:
    """Refuse what would go over a quota.

    Raises:
        Forbidden: naming the quota.
    """
    namespace = obj["metadata"].get("namespace")
    if not namespace:
        return
    for quota in store.scan("ResourceQuota", namespace):
        hard = quota.get("spec", {}).get("hard", {})
        wanted = {name: amount for name, amount in usage(resource_type, obj) if name in hard}
        if not wanted:
            continue
        used = _used(store, resource_type, namespace, quota, set(wanted))
        over = [name for name in sorted(wanted) if used[name] + wanted[name] > quantity.parse(hard[name])]
        if over:
            why = (
                f"exceeded quota: {quota['metadata']['name']}, "
                f"requested: {_listed({name: wanted[name] for name in over})}, "
                f"used: {_listed({name: used[name] for name in over})}, "
                f"limited: {','.join(f'{name}={hard[name]}' for name in over)}"
            )
            raise _forbidden(resource_type, obj["metadata"]["name"], why)


def _used(
    store: Store, resource_type: ResourceType, namespace: str, quota: Object, names: set[str]
) -> dict[str, Decimal]:
    """What the namespace uses: what there is, or what the quota's status says if that is more."""
    used = dict.fromkeys(names, Decimal(0))
    for obj in store.scan(resource_type.kind, namespace):
        for name, amount in usage(resource_type, obj):
            if name in used:
                used[name] += amount
    reported = quota.get("status", {}).get("used", {})
    return {name: max(amount, quantity.parse(reported.get(name, "0"))) for name, amount in used.items()}


def usage(resource_type: ResourceType, obj: Object) -> Iterator[tuple[str, Decimal]]:
    """What one object counts for, by the names that quotas use."""
    is_pod = resource_type.kind == "Pod"
    if is_pod and obj.get("status", {}).get("phase") in _ENDED_PHASES:
        return
    yield f"count/{resource_type.resource}", Decimal(1)
    if not resource_type.group and resource_type.plural in _PLAINLY_COUNTED:
        yield resource_type.plural, Decimal(1)
    if not is_pod:
        return
    totals: dict[str, Decimal] = {}
    for container in obj.get("spec", {}).get("containers", ()):
        for field, amounts in container.get("resources", {}).items():
            if field in {"requests", "limits"}:
                for name, amount in amounts.items():
                    key = f"{field}.{name}"
                    totals[key] = totals.get(key, Decimal(0)) + quantity.parse(amount)
    yield from totals.items()
    for name in ("cpu", "memory"):
        if f"requests.{name}" in totals:
            yield name, totals[f"requests.{name}"]


def _listed(amounts: dict[str, Decimal]) -> str:
    return ",".join(f"{name}={quantity.canonical(format(amount, 'f'))}" for name, amount in amounts.items())


def _give_service_account(store: Store, resource_type: ResourceType, obj: Object) -> None:
    spec = obj["spec"]
    name = spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = name
    namespace = obj["metadata"]["namespace"]
    if store.get("ServiceAccount", (namespace, name)) is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise _forbidden(resource_type, obj["metadata"]["name"], why)


def _give_priority(store: Store, resource_type: ResourceType, obj: Object) -> None:
    spec = obj["spec"]
    name = spec.get("priorityClassName")
    found = store.get("PriorityClass", (None, name)) if name else _default_priority(store)
    if name and found is None:
        why = f"no PriorityClass with name {name} was found"
        raise _forbidden(resource_type, obj["metadata"]["name"], why)
    if found is not None:
        spec["priorityClassName"] = found["metadata"]["name"]
    spec["priority"] = found.get("value", 0) if found else 0
    spec["preemptionPolicy"] = found.get("preemptionPolicy") if found else "PreemptLowerPriority"


def _default_priority(store: Store) -> Object | None:
    return next((item for item in store.scan("PriorityClass") if item.get("globalDefault")), None)


def _give_limits(spec: dict[str, Any], item: dict[str, Any]) -> None:
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        resources = container.setdefault("resources", {})
        for field, given in (
            ("limits", item.get("default", {})),
            ("requests", item.get("defaultRequest", {})),
        ):
            for name, amount in given.items():
                resources.setdefault(field, {}).setdefault(name, amount)


def _forbidden(resource_type: ResourceType, name: str, why: str, **more: Any) -> Forbidden:
    details: dict[str, Any] = {"name": name}
    if resource_type.group:
        details["group"] = resource_type.group
    details["kind"] = resource_type.plural
    sentence = f'{resource_type.resource} "{name}" is forbidden: {why}'
    return Forbidden(sentence, details=details | more)
