"""The objects of the cluster and the rules of writing them; what HTTP, controllers and node share."""

import secrets
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from devcluster import admission, lifecycle
from devcluster.decoding import Undecodable
from devcluster.errors import AlreadyExists, ApiError, BadRequest, Conflict, NotFound
from devcluster.kinds import ResourceType, by_kind
from devcluster.managers import Writer, carry_managed_fields
from devcluster.objects import Clock, Key, Object, matches_labels, timestamp, utc_now
from devcluster.store import Journal, Store
from devcluster.validation import Check, validate

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change: ADDED, MODIFIED or DELETED, and the object after it."""

    type: str
    object: Object


@dataclass(frozen=True, slots=True)
class Deletion:
    """How an object is to be deleted.

    Attributes:
        propagation: Background, Foreground or Orphan; None keeps what an earlier delete asked for.
        grace_period_s: seconds a pod gets to stop; None for what its spec says.
        uid: delete only the object with this uid.
        resource_version: delete only this version.
        dry_run: answer as if.
    """

    propagation: str | None = None
    grace_period_s: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


class Registry:
    """The whole state of the cluster; everything is synchronous and in memory except `watch`.

    Objects handed out are shared: callers must not change them.
    """

    def __init__(self, *, journal: Journal | None = None, now: Clock = utc_now) -> None:
        self.store = Store(journal)
        self.now = now

    def get(self, kind: str, namespace: str | None, name: str) -> Object:
        """The object.

        Raises:
            NotFound: there is none.
        """
        found = self.find(kind, namespace, name)
        if found is None:
            raise not_found(by_kind(kind), name)
        return found

    def find(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The object, if there is one."""
        return self.store.get(kind, (namespace, name))

    def list(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Objects by namespace and name; of all namespaces if none is given."""
        return [obj for obj in self.store.scan(kind, namespace) if matches_labels(obj, labels)]

    def create(self, obj: Object, *, manager: str) -> Object:
        """Store a new object, with defaults filled in.

        Raises:
            ApiError: AlreadyExists, Invalid, Forbidden, or NotFound for its namespace.
        """
        resource_type = by_kind(obj["kind"])
        return self.insert(resource_type, _decoded(resource_type, obj), Writer(manager, "Update"))

    def update(self, obj: Object, *, manager: str, subresource: str | None = None) -> Object:
        """Replace an object, or only its status; optimistic when `metadata.resourceVersion` is set.

        Raises:
            ApiError: NotFound, Conflict, Invalid.
        """
        resource_type = by_kind(obj["kind"])
        return self.replace(
            resource_type, _decoded(resource_type, obj), Writer(manager, "Update", subresource)
        )

    def delete(
        self,
        kind: str,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
        grace_period_s: int | None = None,
    ) -> None:
        """Begin to delete an object; it goes at once unless a finalizer or a grace period holds it.

        Raises:
            ApiError: NotFound, or Conflict when `uid` is another object's.
        """
        deletion = Deletion(propagation=propagation, grace_period_s=grace_period_s, uid=uid)
        self.begin_delete(by_kind(kind), (namespace, name), deletion)

    def remove_finalizer(self, kind: str, namespace: str | None, name: str, finalizer: str) -> None:
        """Lift one finalizer; the object goes when it was the last one and it is being deleted.

        For a namespace, `kubernetes` in `spec.finalizers` counts too.

        Raises:
            NotFound: there is no such object.
        """
        live = self.get(kind, namespace, name)
        metadata = {**live["metadata"]}
        remaining = [item for item in metadata.pop("finalizers", ()) if item != finalizer]
        if remaining:
            metadata["finalizers"] = remaining
        obj = {**live, "metadata": metadata}
        if kind == "Namespace":
            kept = [item for item in live["spec"].get("finalizers", ()) if item != finalizer]
            obj["spec"] = {**live["spec"], "finalizers": kept}
        self._settle(by_kind(kind), (namespace, name), obj, live)

    async def watch(self, kinds: Iterable[str]) -> AsyncIterator[WatchEvent]:
        """What there is, as ADDED, then every change, until the server stops."""
        subscription = self.store.subscribe(kinds)
        try:
            present = [obj for kind in subscription.kinds for obj in self.store.scan(kind)]
            for obj in present:
                yield WatchEvent("ADDED", obj)
            while (change := await subscription.next()) is not None:
                yield WatchEvent(change.type, change.object)
        finally:
            self.store.unsubscribe(subscription)

    def insert(
        self,
        resource_type: ResourceType,
        obj: Object,
        writer: Writer,
        *,
        dry_run: bool = False,
        check: Check | None = None,
    ) -> Object:
        """Create; `obj` belongs to the registry from here on, `check` stands in for the rules of the kind."""
        metadata = obj.setdefault("metadata", {})
        name = metadata.get("name") or self._generate_name(resource_type, metadata)
        key: Key = (metadata.get("namespace") if resource_type.namespaced else None, name)
        admission.admit_namespace(self.store, resource_type, key)
        if self.store.get(resource_type.kind, key) is not None:
            raise AlreadyExists(
                f'{resource_type.resource} "{name}" already exists', details=named(resource_type, name)
            )
        obj["apiVersion"], obj["kind"] = resource_type.api_version, resource_type.kind
        moment = timestamp(self.now())
        lifecycle.prepare_new(resource_type, obj)
        carry_managed_fields(resource_type, obj, None, writer, moment)
        obj["metadata"] = _new_metadata(resource_type, obj["metadata"], moment)
        admission.mutate_new(self.store, resource_type, obj)
        lifecycle.complete_new(resource_type, obj, self.store.revision)
        validate(resource_type, obj, None, check=check)
        admission.admit_new(self.store, resource_type, obj)
        if dry_run:
            return obj
        return self.store.put(resource_type.kind, key, obj)

    def replace(
        self, resource_type: ResourceType, obj: Object, writer: Writer, *, dry_run: bool = False
    ) -> Object:
        """Replace what is there; `obj` belongs to the registry from here on."""
        metadata = obj["metadata"]
        name = metadata["name"]
        key: Key = (metadata.get("namespace") if resource_type.namespaced else None, name)
        live = self.store.get(resource_type.kind, key)
        if live is None:
            raise not_found(resource_type, name)
        check_version(resource_type, live, metadata.get("resourceVersion"))
        if metadata.get("uid") not in {None, "", live["metadata"]["uid"]}:
            raise Conflict(
                f'Operation cannot be fulfilled on {resource_type.resource} "{name}": Precondition failed: '
                f"UID in precondition: {metadata['uid']}, UID in object meta: {live['metadata']['uid']}",
                details=named(resource_type, name),
            )
        prepared = lifecycle.prepare_replacement(resource_type, obj, live, writer.subresource)
        carry_managed_fields(resource_type, prepared, live, writer, timestamp(self.now()))
        if writer.subresource is None:
            validate(resource_type, prepared, live)
        return self._settle(resource_type, key, prepared, live, dry_run=dry_run)

    def begin_delete(self, resource_type: ResourceType, key: Key, deletion: Deletion) -> tuple[Object, bool]:
        """Delete, or mark as being deleted.

        Returns:
            The last state, and whether the object is gone.
        """
        live = self.store.get(resource_type.kind, key)
        if live is None:
            raise not_found(resource_type, key[1])
        _check_preconditions(resource_type, live, deletion)
        marked = lifecycle.mark_deleted(resource_type, live, deletion.propagation, deletion.grace_period_s)
        if marked is None:
            return (live if deletion.dry_run else self.store.remove(resource_type.kind, key)), True
        metadata = marked["metadata"]
        if not metadata.get("deletionTimestamp"):
            grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds", 0))
            metadata["deletionTimestamp"] = timestamp(self.now() + grace)
        if deletion.dry_run or marked == live:
            return marked, False
        return self.store.put(resource_type.kind, key, marked), False

    def _settle(
        self, resource_type: ResourceType, key: Key, obj: Object, live: Object, *, dry_run: bool = False
    ) -> Object:
        """Store the change, unless nothing changed, or the last finalizer of a deleted object went."""
        if lifecycle.is_free_to_go(resource_type, obj):
            if not dry_run:
                self.store.remove(resource_type.kind, key)
            return obj
        if obj == live:
            return live
        return obj if dry_run else self.store.put(resource_type.kind, key, obj)

    def _generate_name(self, resource_type: ResourceType, metadata: dict[str, Any]) -> str:
        prefix = metadata.get("generateName")
        if not prefix:
            lifecycle.refuse_nameless(resource_type)
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
        metadata["name"] = f"{prefix}{suffix}"
        return str(metadata["name"])


def _decoded(resource_type: ResourceType, obj: Object) -> Object:
    try:
        return lifecycle.decode_sent(resource_type, obj)[0]
    except Undecodable as error:
        raise BadRequest(str(error)) from error


def named(resource_type: ResourceType, name: str) -> dict[str, str]:
    """`details` of an answer about one object."""
    details = {"name": name}
    if resource_type.group:
        details["group"] = resource_type.group
    return details | {"kind": resource_type.plural}


def not_found(resource_type: ResourceType, name: str) -> ApiError:
    """There is no such object."""
    return NotFound(f'{resource_type.resource} "{name}" not found', details=named(resource_type, name))


def check_version(resource_type: ResourceType, live: Object, expected: str | None) -> None:
    """Refuse a write that was made from an older state.

    Raises:
        Conflict: the live object has another resourceVersion.
    """
    if expected and expected != live["metadata"]["resourceVersion"]:
        name = live["metadata"]["name"]
        raise Conflict(
            f'Operation cannot be fulfilled on {resource_type.resource} "{name}": the object has been '
            "modified; please apply your changes to the latest version and try again",
            details=named(resource_type, name),
        )


def _check_preconditions(resource_type: ResourceType, live: Object, deletion: Deletion) -> None:
    name, metadata = live["metadata"]["name"], live["metadata"]
    qualified = f"{resource_type.kind}.{resource_type.group}" if resource_type.group else resource_type.kind
    sentence = None
    if deletion.uid and deletion.uid != metadata["uid"]:
        sentence = (
            f"the UID in the precondition ({deletion.uid}) does not match the UID in record "
            f"({metadata['uid']}). The object might have been deleted and then recreated"
        )
    elif deletion.resource_version and deletion.resource_version != metadata["resourceVersion"]:
        sentence = (
            f"the ResourceVersion in the precondition ({deletion.resource_version}) does not match the "
            f"ResourceVersion in record ({metadata['resourceVersion']}). The object might have been modified"
        )
    if sentence:
        details = named(resource_type, name) | {"kind": resource_type.kind}
        raise Conflict(f'Operation cannot be fulfilled on {qualified} "{name}": {sentence}', details=details)


def _new_metadata(resource_type: ResourceType, given: Mapping[str, Any], moment: str) -> dict[str, Any]:
    """The metadata of a new object: what was sent, and what only the server sets."""
    metadata = {
        key: value
        for key, value in given.items()
        if key not in {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "uid"}
    }
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": moment}
    if resource_type.counts_generations:
        metadata["generation"] = 1
    return metadata
