"""Garbage collection: dependents go with their owners, or before them, or are let go."""

from collections.abc import Iterator

from devcluster.controllers.world import World
from devcluster.kinds import RESOURCE_TYPES
from devcluster.metadata import Ref, is_leaving, owners_of, ref_of, uid_of
from devcluster.objects import Object

_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"
_NAMESPACED = {each.kind: each.namespaced for each in RESOURCE_TYPES}


class Garbage:
    """Deletes what nobody owns any more."""

    kinds = tuple(_NAMESPACED)

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:
        """An object with owners, or one that leaves; and around one that is gone, dependents and owners."""
        if gone:
            yield from (ref_of(each) for each in self._world.dependents(obj))
        elif owners_of(obj) or is_leaving(obj):
            yield ref_of(obj)
        if gone or is_leaving(obj):
            yield from (ref for each in owners_of(obj) if (ref := _ref(each, obj)) is not None)

    def reconcile(self, ref: Ref) -> None:
        """Do for one object what its owners' absence or its own deletion asks for."""
        obj = self._world.find(ref)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if is_leaving(obj):
            if _ORPHAN in finalizers:
                self._let_go(obj)
            elif _FOREGROUND in finalizers:
                self._take_dependents(obj)
        elif owners_of(obj):
            self._check_owners(obj)

    def _let_go(self, owner: Object) -> None:
        for dependent in self._world.dependents(owner):
            self._disown(dependent, {uid_of(owner)})
        self._world.registry.remove_finalizer(*ref_of(owner), _ORPHAN)

    def _take_dependents(self, owner: Object) -> None:
        for dependent in self._world.dependents(owner):
            if not is_leaving(dependent):
                has_own = bool(self._world.dependents(dependent))
                self._world.delete(dependent, propagation="Foreground" if has_own else "Background")
        uid = uid_of(owner)
        blocking = [
            each
            for each in self._world.dependents(owner)
            if any(
                reference["uid"] == uid and reference.get("blockOwnerDeletion")
                for reference in owners_of(each)
            )
        ]
        if not blocking:
            self._world.registry.remove_finalizer(*ref_of(owner), _FOREGROUND)

    def _check_owners(self, obj: Object) -> None:
        absent = {each["uid"] for each in owners_of(obj) if not self._exists(each, obj)}
        if len(absent) == len(owners_of(obj)):
            self._world.delete(obj)
        elif absent:
            self._disown(obj, absent)

    def _exists(self, owner: Object, dependent: Object) -> bool:
        ref = _ref(owner, dependent)
        if ref is None:
            # A kind that the dev cluster does not serve: nobody can say that it is gone.
            return True
        found = self._world.find(ref)
        return found is not None and uid_of(found) == owner["uid"]

    def _disown(self, obj: Object, uids: set[str]) -> None:
        kept = [each for each in owners_of(obj) if each["uid"] not in uids]
        meta = {name: value for name, value in obj["metadata"].items() if name != "ownerReferences"}
        self._world.update({**obj, "metadata": meta | ({"ownerReferences": kept} if kept else {})})


def _ref(owner: Object, dependent: Object) -> Ref | None:
    namespaced = _NAMESPACED.get(owner["kind"])
    if namespaced is None:
        return None
    return Ref(owner["kind"], dependent["metadata"].get("namespace") if namespaced else None, owner["name"])
