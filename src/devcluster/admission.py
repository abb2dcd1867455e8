"""Checks of a write against other objects: its namespace, quotas, defaults of the namespace."""

from devcluster.errors import Cause, Forbidden, NotFound
from devcluster.kinds import ResourceType
from devcluster.objects import Key, Object
from devcluster.store import Store


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
        raise NotFound(
            f'namespaces "{namespace}" not found', details={"name": namespace, "kind": "namespaces"}
        )
    if "deletionTimestamp" in found["metadata"]:
        cause = Cause(
            "NamespaceTerminating", "metadata.namespace", f"namespace {namespace} is being terminated"
        )
        details: dict[str, object] = {"name": name}
        if resource_type.group:
            details["group"] = resource_type.group
        details["kind"] = resource_type.plural
        details["causes"] = [{"reason": cause.reason, "message": cause.message, "field": cause.field}]
        raise Forbidden(
            f'{resource_type.resource} "{name}" is forbidden: unable to create new content in namespace '
            f"{namespace} because it is being terminated",
            details=details,
        )


def mutate_new(store: Store, resource_type: ResourceType, obj: Object) -> None:
    """Fill in what the namespace or the cluster gives a new object."""


def admit_new(store: Store, resource_type: ResourceType, obj: Object) -> None:
    """Refuse what would go over a quota."""
