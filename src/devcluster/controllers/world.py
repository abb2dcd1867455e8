"""What controllers see of the cluster, and how they write to it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from devcluster.metadata import Ref, labels_of, owners_of, ref_of, uid_of
from devcluster.objects import Clock, Object
from devcluster.registry import Registry

_MANAGER = "kube-controller-manager"
#: Kinds that are looked for by labels.
_SELECTED = ("Pod", "ReplicaSet")
#: Kinds that look for pods, and where each says so.
_SELECTING: Mapping[str, Callable[[Object], Mapping[str, str]]] = {
    "Service": lambda obj: obj["spec"].get("selector") or {},
    "PodDisruptionBudget": lambda obj: (obj["spec"].get("selector") or {}).get("matchLabels") or {},
}

#: A label in a namespace.
_Label = tuple[str | None, str, str]


class World:
    """The registry, with what belongs together found without looking at everything.

    The indexes only say where to look: every object handed out is the present one. They hold what exists:
    what a controller writes is entered at once, the rest with its watch event, which also wakes a
    controller.
    """

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.registry = registry
        self._clock = clock
        self._by_owner: dict[str, set[Ref]] = {}
        self._by_label: dict[tuple[str, _Label], set[Ref]] = {}
        self._selecting: dict[_Label, set[Ref]] = {}

    def now(self) -> datetime:
        """The present moment."""
        return self._clock()

    def find(self, ref: Ref) -> Object | None:
        """The object, if there is one."""
        return self.registry.find(*ref)

    def dependents(self, owner: Object, kind: str | None = None) -> list[Object]:
        """The objects that name this very owner, in order of their names."""
        uid = uid_of(owner)
        found = (
            self.find(ref) for ref in sorted(self._by_owner.get(uid, ()), key=str) if kind in {None, ref.kind}
        )
        return [
            each
            for each in found
            if each is not None and any(owner["uid"] == uid for owner in owners_of(each))
        ]

    def selected(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """The Pods or ReplicaSets that bear all of these labels; none for no labels."""
        if not labels:
            return []
        candidates = [self._by_label.get((kind, (namespace, *item)), set()) for item in labels.items()]
        candidates.sort(key=len)
        found = (self.find(ref) for ref in sorted(candidates[0], key=str))
        return [each for each in found if each is not None and labels.items() <= labels_of(each).items()]

    def selectors_of(self, pod: Object, kind: str) -> Iterator[Ref]:
        """The Services or budgets that may select the pod."""
        namespace = pod["metadata"]["namespace"]
        for item in labels_of(pod).items():
            for ref in self._selecting.get((namespace, *item), ()):
                if ref.kind == kind:
                    yield ref

    def create(self, obj: Object) -> Object:
        """Create an object."""
        made = self.registry.create(obj, manager=_MANAGER)
        self.note(made)
        return made

    def update(self, obj: Object) -> Object:
        """Replace an object."""
        made = self.registry.update(obj, manager=_MANAGER)
        self.note(made)
        return made

    def report(self, obj: Object, status: Mapping[str, Any]) -> Object:
        """Replace the status, and the annotations where the kind allows it, if they are others."""
        if status == (obj.get("status") or {}) and obj == self.find(ref_of(obj)):
            return obj
        return self.registry.update({**obj, "status": dict(status)}, manager=_MANAGER, subresource="status")

    def delete(self, obj: Object, *, propagation: str = "Background") -> None:
        """Begin to delete this very object."""
        ref = ref_of(obj)
        self.registry.delete(*ref, uid=uid_of(obj), propagation=propagation)

    def note(self, obj: Object) -> None:
        """Enter an object into the indexes."""
        ref = ref_of(obj)
        for owner in owners_of(obj):
            self._by_owner.setdefault(owner["uid"], set()).add(ref)
        if ref.kind in _SELECTED:
            for item in labels_of(obj).items():
                self._by_label.setdefault((ref.kind, (ref.namespace, *item)), set()).add(ref)
        for label in _wanted_label(obj):
            self._selecting.setdefault(label, set()).add(ref)

    def forget(self, obj: Object) -> None:
        """Take an object that is gone out of the indexes; one that has taken its name stays in."""
        ref = ref_of(obj)
        for owner in owners_of(obj):
            _discard(self._by_owner, owner["uid"], ref)
        if ref.kind in _SELECTED:
            for item in labels_of(obj).items():
                _discard(self._by_label, (ref.kind, (ref.namespace, *item)), ref)
        for label in _wanted_label(obj):
            _discard(self._selecting, label, ref)
        successor = self.find(ref)
        if successor is not None:
            self.note(successor)


def _wanted_label(obj: Object) -> list[_Label]:
    """One label that every pod must bear to be selected by the object; one is enough to find it."""
    selector = _SELECTING.get(obj["kind"])
    wanted = selector(obj) if selector else {}
    return [(obj["metadata"]["namespace"], *max(wanted.items()))] if wanted else []


def _discard(index: dict[Any, set[Ref]], key: Any, ref: Ref) -> None:
    refs = index.get(key)
    if refs is not None:
        refs.discard(ref)
        if not refs:
            del index[key]
