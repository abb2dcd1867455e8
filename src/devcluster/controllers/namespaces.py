"""Namespaces: what each is given, and how it goes."""

from collections import Counter
from collections.abc import Iterator, Sequence

from devcluster.controllers.world import World
from devcluster.kinds import RESOURCE_TYPES, ResourceType
from devcluster.metadata import Ref, is_leaving, ref_of, with_condition
from devcluster.objects import Object

#: What holds a namespace in its spec until its content is gone.
_FINALIZER = "kubernetes"
_CONTENT = tuple(each for each in RESOURCE_TYPES if each.namespaced)


class Namespaces:
    """Gives every namespace its default service account, and empties those that are deleted."""

    kinds = ("Namespace", *(each.kind for each in _CONTENT))

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:
        """The Namespace itself, or the one that is leaving or lost its service account."""
        if obj["kind"] == "Namespace":
            yield ref_of(obj)
            return
        namespace = Ref("Namespace", None, obj["metadata"]["namespace"])
        live = self._world.find(namespace)
        if live is not None and (is_leaving(live) or (gone and obj["kind"] == "ServiceAccount")):
            yield namespace

    def reconcile(self, ref: Ref) -> None:
        """Give it what it lacks, or take what it still has."""
        namespace = self._world.find(ref)
        if namespace is None:
            return
        if is_leaving(namespace):
            self._empty(namespace)
        elif self._world.find(Ref("ServiceAccount", ref.name, "default")) is None:
            self._world.create(
                {
                    "apiVersion": "v1",
                    "kind": "ServiceAccount",
                    "metadata": {"name": "default", "namespace": ref.name},
                }
            )

    def _empty(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        for resource_type in _CONTENT:
            for obj in self._world.registry.list(resource_type.kind, name):
                if not is_leaving(obj):
                    self._world.delete(obj)
        remaining = [(each, obj) for each in _CONTENT for obj in self._world.registry.list(each.kind, name)]
        if not remaining:
            if _FINALIZER in (namespace["spec"].get("finalizers") or []):
                self._world.registry.remove_finalizer("Namespace", None, name, _FINALIZER)
            return
        conditions = (namespace.get("status") or {}).get("conditions") or []
        for condition in remaining_conditions(remaining):
            conditions = with_condition(conditions, condition, self._world.now())
        self._world.report(namespace, {"phase": "Terminating", "conditions": conditions})


def remaining_conditions(remaining: Sequence[tuple[ResourceType, Object]]) -> list[Object]:
    """What a namespace that is going says about its content."""
    counts = Counter(f"{each.plural}.{each.group}" for each, _ in remaining)
    finalizers = Counter(name for _, obj in remaining for name in obj["metadata"].get("finalizers") or [])
    left = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(counts.items()))
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))

    def condition(kind: str, problem: str, reasons: tuple[str, str], fine: str) -> Object:
        value, reason = ("True", reasons[0]) if problem else ("False", reasons[1])
        return {"type": kind, "status": value, "reason": reason, "message": problem or fine}

    return [
        condition(
            "NamespaceDeletionDiscoveryFailure",
            "",
            ("DiscoveryFailed", "ResourcesDiscovered"),
            "All resources successfully discovered",
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            ("GroupVersionParsingFailed", "ParsedGroupVersions"),
            "All legacy kube types successfully parsed",
        ),
        condition(
            "NamespaceDeletionContentFailure",
            "",
            ("ContentDeletionFailed", "ContentDeleted"),
            "All content successfully deleted, may be waiting on finalization",
        ),
        condition(
            "NamespaceContentRemaining",
            f"Some resources are remaining: {left}" if left else "",
            ("SomeResourcesRemain", "ContentRemoved"),
            "All content successfully removed",
        ),
        condition(
            "NamespaceFinalizersRemaining",
            f"Some content in the namespace has finalizers remaining: {held}" if held else "",
            ("SomeFinalizersRemain", "ContentHasNoFinalizers"),
            "All content-preserving finalizers finished",
        ),
    ]
