"""What the watches tell of the cluster, remembered as leanly as answers allow.

Two memories: of every managed object enough to know that it has changed, and of everybody else's objects in our own
namespace their names, so that whether a name is free need not be asked of the API server.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from orchestrator.domain.objects import (
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    ORG_LABEL,
    TEAM_LABEL,
    Manifest,
    Ref,
    is_going,
    labels_of,
)
from orchestrator.domain.rollout import is_available
from orchestrator.domain.team import TeamKey


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of a managed object."""

    ref: Ref
    uid: str
    team: TeamKey
    version: int
    fingerprint: bytes
    #: Whether a Deployment is available; `False` for every other kind.
    available: bool
    #: We have asked for its deletion and not heard since what became of it.
    leaving: bool = False


class Index:
    """Every managed object; wakes the team of one that changed without our doing.

    Args:
        wake: told the team.
    """

    def __init__(self, wake: Callable[[TeamKey], None]) -> None:
        self._wake = wake
        self._by_uid: dict[str, Entry] = {}
        self._by_ref: dict[Ref, Entry] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def find(self, ref: Ref) -> Entry | None:
        """What is remembered of the object of that name."""
        return self._by_ref.get(ref)

    def applied(self, obj: Manifest) -> None:
        """We have just written the object ourselves: what the watch will tell of that is no news."""
        team = team_of(obj)
        if team is not None:
            self._keep(_entry(team, obj))

    def deleted(self, uid: str) -> None:
        """We have just had the object deleted ourselves; a finalizer may hold it for a while."""
        entry = self._by_uid.get(uid)
        if entry is not None:
            self._keep(
                Entry(
                    entry.ref,
                    uid,
                    entry.team,
                    entry.version,
                    entry.fingerprint,
                    available=False,
                    leaving=True,
                )
            )

    def listed(self, kind: str, objects: list[Manifest]) -> None:
        """Everything there is of a kind; what is remembered and not among it went while nobody watched."""
        present = {obj["metadata"]["uid"] for obj in objects}
        gone = [entry for uid, entry in self._by_uid.items() if entry.ref.kind == kind and uid not in present]
        for entry in gone:
            self._gone(entry)
        for obj in objects:
            self._seen(obj)

    def changed(self, event: str, obj: Manifest) -> None:
        """One object was added, modified or deleted."""
        if event != "DELETED":
            self._seen(obj)
        elif (entry := self._by_uid.get(obj["metadata"]["uid"])) is not None:
            self._gone(entry)

    def _seen(self, obj: Manifest) -> None:
        team = team_of(obj)
        if team is None:
            return
        before = self._by_uid.get(obj["metadata"]["uid"])
        version = _version(obj)
        if before is not None and version <= before.version:
            # The watch is behind what we have written ourselves since.
            return
        entry = _entry(team, obj)
        self._keep(entry)
        if before is None or before.leaving:
            return
        if (before.fingerprint, before.available) != (entry.fingerprint, entry.available):
            self._wake(team)

    def _keep(self, entry: Entry) -> None:
        self._by_uid[entry.uid] = self._by_ref[entry.ref] = entry

    def _gone(self, entry: Entry) -> None:
        del self._by_uid[entry.uid]
        if (named := self._by_ref.get(entry.ref)) is not None and named.uid == entry.uid:
            del self._by_ref[entry.ref]
        if not entry.leaving:
            self._wake(entry.team)


class Names:
    """The names of everybody else's objects."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Ref] = {}
        self._refs: set[Ref] = set()

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._refs

    def listed(self, kind: str, objects: list[Manifest]) -> None:
        """Everything there is of a kind."""
        self._by_uid = {uid: ref for uid, ref in self._by_uid.items() if ref.kind != kind}
        self._by_uid |= {obj["metadata"]["uid"]: Ref.of(obj) for obj in objects}
        self._refs = set(self._by_uid.values())

    def changed(self, event: str, obj: Manifest) -> None:
        """One object was added, modified or deleted."""
        uid, ref = obj["metadata"]["uid"], Ref.of(obj)
        if event != "DELETED":
            self._by_uid[uid] = ref
            self._refs.add(ref)
        elif self._by_uid.pop(uid, None) is not None:
            self._refs.discard(ref)


def team_of(obj: Mapping[str, Any]) -> TeamKey | None:
    """Whose the object is by its labels."""
    labels = labels_of(obj)
    if labels.get(MANAGED_BY_LABEL) != FIELD_MANAGER or ORG_LABEL not in labels or TEAM_LABEL not in labels:
        return None
    return TeamKey(labels[ORG_LABEL], labels[TEAM_LABEL])


def fingerprint(obj: Mapping[str, Any]) -> bytes:
    """What changes when the object does in a way that concerns us.

    The generation tells of the spec, our entry in `managedFields` of a field that somebody took from us.
    """
    metadata = obj["metadata"]
    ours = [
        entry.get("fieldsV1")
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
    ]
    facts = [
        metadata["uid"],
        metadata.get("generation"),
        is_going(obj),
        metadata.get("labels"),
        # A Deployment's controller writes annotations of its own.
        metadata.get("annotations") if obj["kind"] != "Deployment" else None,
        ours,
    ]
    return hashlib.blake2b(msgspec.json.encode(facts, order="deterministic"), digest_size=16).digest()


def _entry(team: TeamKey, obj: Manifest) -> Entry:
    available = obj["kind"] == "Deployment" and is_available(obj)
    return Entry(
        Ref.of(obj), obj["metadata"]["uid"], team, _version(obj), fingerprint(obj), available=available
    )


def _version(obj: Manifest) -> int:
    # Resource versions may be compared as numbers since Kubernetes 1.35 (KEP-5504), and could in practice before.
    return int(obj["metadata"].get("resourceVersion") or 0)
