"""Notice what happens to managed objects, and have their team looked at."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from orchestrator.cluster.client import Cluster
from orchestrator.cluster.watch import Scope, Watch
from orchestrator.domain.objects import (
    FIELD_MANAGER,
    MANAGED_BY_LABEL,
    ORG_LABEL,
    TEAM_LABEL,
    Manifest,
    is_going,
    labels_of,
)
from orchestrator.domain.rollout import is_available
from orchestrator.domain.team import TeamKey

log = structlog.get_logger()

#: Wake-ups of one team in a row that are passed on at once.
HOT_WAKES = 10
#: A team whose objects nobody has changed for this long has peace, in seconds.
CALM_S = 60.0

WATCHED_KINDS = (
    "Namespace",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "Service",
    "Deployment",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "CronJob",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is remembered of an object: enough to know that it has changed, and no more."""

    team: TeamKey
    kind: str
    version: int
    fingerprint: bytes


def _entry(team: TeamKey, obj: Manifest) -> Entry:
    # Resource versions may be compared as numbers since Kubernetes 1.35 (KEP-5504), and could in practice before.
    return Entry(team, obj["kind"], int(obj["metadata"].get("resourceVersion") or 0), fingerprint(obj))


class Index:
    """A lean memory of every managed object; wakes the team of one that changed without our doing.

    Args:
        wake: told the team.
    """

    def __init__(self, wake: Callable[[TeamKey], None]) -> None:
        self._wake = wake
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def applied(self, obj: Manifest) -> None:
        """We have just written the object ourselves: what the watch will tell of that is no news."""
        team = team_of(obj)
        if team is not None:
            self._entries[obj["metadata"]["uid"]] = _entry(team, obj)

    def deleted(self, uid: str) -> None:
        """We have just deleted the object ourselves."""
        self._entries.pop(uid, None)

    def listed(self, kind: str, objects: list[Manifest]) -> None:
        """Everything there is of a kind; what is remembered and not among it went while nobody watched."""
        present = {obj["metadata"]["uid"] for obj in objects}
        gone = [uid for uid, entry in self._entries.items() if entry.kind == kind and uid not in present]
        for uid in gone:
            self._wake(self._entries.pop(uid).team)
        for obj in objects:
            self._seen(obj)

    def changed(self, event: str, obj: Manifest) -> None:
        """One object was added, modified or deleted."""
        if event != "DELETED":
            self._seen(obj)
        elif (entry := self._entries.pop(obj["metadata"]["uid"], None)) is not None:
            self._wake(entry.team)

    def _seen(self, obj: Manifest) -> None:
        team = team_of(obj)
        if team is None:
            return
        uid = obj["metadata"]["uid"]
        before = self._entries.get(uid)
        entry = _entry(team, obj)
        if before is not None and entry.version < before.version:
            # The watch is behind what we have written ourselves since.
            return
        self._entries[uid] = entry
        if before is not None and before.fingerprint != entry.fingerprint:
            self._wake(team)


def team_of(obj: Mapping[str, Any]) -> TeamKey | None:
    """Whose the object is by its labels."""
    labels = labels_of(obj)
    if labels.get(MANAGED_BY_LABEL) != FIELD_MANAGER or ORG_LABEL not in labels or TEAM_LABEL not in labels:
        return None
    return TeamKey(labels[ORG_LABEL], labels[TEAM_LABEL])


def fingerprint(obj: Mapping[str, Any]) -> bytes:
    """What changes when the object does in a way that concerns us.

    The generation tells of the spec, our entry in `managedFields` of a field that somebody took from us; a status
    counts only where it says whether an agent is available.
    """
    metadata = obj["metadata"]
    ours = [
        entry.get("fieldsV1")
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
    ]
    facts = [
        metadata.get("generation"),
        is_going(obj),
        metadata.get("labels"),
        metadata.get("annotations") if obj["kind"] != "Deployment" else None,
        ours,
        is_available(obj) if obj["kind"] == "Deployment" else None,
    ]
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).digest()


class Damper:
    """Passes wake-ups on, but the more seldom the more often one team's objects are changed against us.

    Somebody who changes an object as often as we put it back would otherwise have us apply without pause.

    Args:
        wake: told the team.
        later: calls a function after some seconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        wake: Callable[[TeamKey], None],
        *,
        later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float],
    ) -> None:
        self._wake = wake
        self._later = later
        self._clock = clock
        self._recent: dict[TeamKey, tuple[int, float]] = {}
        self._held: set[TeamKey] = set()

    def __call__(self, team: TeamKey) -> None:
        """Wake the team, now or once it has been left in peace for a while."""
        now = self._clock()
        times, last = self._recent.get(team, (0, now))
        times = times + 1 if now - last < CALM_S else 1
        self._recent[team] = (times, now)
        if times <= HOT_WAKES:
            self._wake(team)
        elif team not in self._held:
            self._held.add(team)
            pause = min(CALM_S / 2, 2.0 ** (times - HOT_WAKES))
            log.warning("objects_fought_over", team=str(team), wakes=times, pause_s=pause)
            self._later(pause, lambda: self._release(team))

    def _release(self, team: TeamKey) -> None:
        self._held.discard(team)
        self._wake(team)

    def forget_calm(self) -> None:
        """Drop what is remembered of teams that have been left in peace."""
        now = self._clock()
        self._recent = {team: seen for team, seen in self._recent.items() if now - seen[1] < CALM_S}


class DriftWatch:
    """Watches every managed kind for as long as `run` does."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        wake: Callable[[TeamKey], None],
        kinds: Iterable[str] = WATCHED_KINDS,
    ) -> None:
        self._damper = Damper(
            wake,
            later=lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call),
            clock=time.monotonic,
        )
        self.index = Index(self._damper)
        cluster.on_applied(self.index.applied)
        cluster.on_deleted(self.index.deleted)
        scope = Scope(labels={MANAGED_BY_LABEL: FIELD_MANAGER})
        self._watches = [
            Watch(cluster, kind, scope=scope, fallback_namespace=namespace, sink=self.index) for kind in kinds
        ]

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tidy())
            for watch in self._watches:
                group.create_task(watch.run())

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(CALM_S)
            self._damper.forget_calm()
