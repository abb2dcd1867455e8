"""Deployment: one ReplicaSet for each template, and the way from one to the next."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from devcluster.controllers.replicasets import owned_or_adopted
from devcluster.controllers.rollout import Bounds, Replicas, bounds, new_replicas, old_replicas
from devcluster.controllers.world import World
from devcluster.metadata import (
    Ref,
    condition_of,
    controlled_by,
    controller_of,
    created_at,
    is_leaving,
    parse_time,
    ref_of,
    with_condition,
)
from devcluster.objects import Object, timestamp

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_HASH_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LENGTH = 10


def template_hash(template: Object) -> str:
    """Names a pod template: equal templates, equal hashes."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":")).encode()
    number = int.from_bytes(hashlib.sha256(canonical).digest()[:8], "big")
    letters = []
    for _ in range(_HASH_LENGTH):
        number, digit = divmod(number, len(_HASH_LETTERS))
        letters.append(_HASH_LETTERS[digit])
    return "".join(letters)


class Deployments:
    """Rolls out the template of each Deployment."""

    kinds = ("Deployment", "ReplicaSet", "Pod")

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:
        """The Deployment itself, or the one above the ReplicaSet, or above the pod that has gone."""
        if obj["kind"] == "Deployment":
            yield ref_of(obj)
        elif (owner := controller_of(obj)) is None:
            return
        elif obj["kind"] == "ReplicaSet":
            yield Ref("Deployment", obj["metadata"]["namespace"], owner["name"])
        elif gone and owner["kind"] == "ReplicaSet":
            # Recreate waits for the last old pod.
            above = self._world.find(Ref("ReplicaSet", obj["metadata"]["namespace"], owner["name"]))
            if above is not None:
                yield from self.wakes(above, gone=False)

    def reconcile(self, ref: Ref) -> datetime | None:
        """Move one step towards the template, then report."""
        deployment = self._world.find(ref)
        if deployment is None:
            return None
        digest = template_hash(deployment["spec"]["template"])
        sets = sorted(owned_or_adopted(self._world, deployment, "ReplicaSet"), key=_age)
        newest = next((each for each in sets if _hash_of(each) == digest), None)
        old = [each for each in sets if each is not newest]
        created = False
        if not is_leaving(deployment):
            if deployment["spec"].get("paused"):
                self._resize_paused(deployment, newest, old)
            elif deployment["spec"]["strategy"]["type"] == "Recreate":
                newest, created = self._recreate(deployment, digest, newest, old)
            else:
                newest, created = self._roll(deployment, digest, newest, old)
        newest = self._again(newest)
        old = [present for each in old if (present := self._again(each)) is not None]
        if newest is not None and not is_leaving(deployment):
            deployment = self._number_revision(deployment, newest, old)
            newest = self._again(newest)
        again = self._report(deployment, newest, old, created=created)
        if not is_leaving(deployment) and newest is not None:
            self._drop_history(deployment, old)
        return again

    def _roll(
        self, deployment: Object, digest: str, newest: Object | None, old: list[Object]
    ) -> tuple[Object, bool]:
        limits = bounds_of(deployment)
        before = [_replicas(each) for each in old]
        present = _replicas(newest) if newest is not None else Replicas(0, 0)
        wanted = new_replicas(limits, present, before)
        created = newest is None
        if newest is None:
            newest = self._create(deployment, digest, wanted)
        elif wanted != present.wanted:
            self._resize(newest, wanted)
            return newest, False
        after = old_replicas(limits, Replicas(wanted, present.available), before)
        for each, replicas in zip(old, after, strict=True):
            self._resize(each, replicas)
        return newest, created

    def _recreate(
        self, deployment: Object, digest: str, newest: Object | None, old: list[Object]
    ) -> tuple[Object | None, bool]:
        for each in old:
            self._resize(each, 0)
        if any(self._world.dependents(each, "Pod") for each in old):
            return newest, False
        replicas = deployment["spec"]["replicas"]
        if newest is None:
            return self._create(deployment, digest, replicas), True
        self._resize(newest, replicas)
        return newest, False

    def _resize_paused(self, deployment: Object, newest: Object | None, old: Sequence[Object]) -> None:
        """A paused Deployment follows its number of replicas, in the set that has pods now."""
        active = [each for each in [*old, newest] if each is not None and each["spec"]["replicas"]]
        if len(active) == 1:
            self._resize(active[0], deployment["spec"]["replicas"])

    def _resize(self, replica_set: Object, replicas: int) -> None:
        present = self._again(replica_set)
        if present is not None and present["spec"]["replicas"] != replicas and not is_leaving(present):
            self._world.update({**present, "spec": {**present["spec"], "replicas": replicas}})

    def _create(self, deployment: Object, digest: str, replicas: int) -> Object:
        spec, meta = deployment["spec"], deployment["metadata"]
        template = spec["template"]
        labels = {**(template["metadata"].get("labels") or {}), HASH_LABEL: digest}
        annotations = {
            k: v for k, v in (meta.get("annotations") or {}).items() if k not in {_LAST_APPLIED, REVISION}
        }
        selector = spec["selector"]
        return self._world.create(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{meta['name']}-{digest}",
                    "namespace": meta["namespace"],
                    "labels": labels,
                    "annotations": annotations,
                    "ownerReferences": [controlled_by(deployment)],
                },
                "spec": {
                    "replicas": replicas,
                    **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
                    "selector": {
                        **selector,
                        "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest},
                    },
                    "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
                },
            }
        )

    def _number_revision(self, deployment: Object, newest: Object, old: Sequence[Object]) -> Object:
        """Give the newest set the highest revision, and note it on the Deployment with the next status."""
        highest = max((_revision(each) for each in old), default=0)
        revision = _revision(newest)
        if revision <= highest:
            revision = highest + 1
            self._world.update(_annotated(newest, revision))
        if _revision(deployment) == revision:
            return deployment
        return _annotated(deployment, revision)

    def _drop_history(self, deployment: Object, old: Sequence[Object]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [
            each
            for each in old
            if not each["spec"]["replicas"]
            and not (each.get("status") or {}).get("replicas")
            and not is_leaving(each)
        ]
        for each in sorted(idle, key=_revision)[: max(0, len(idle) - limit)]:
            self._world.delete(each)

    def _again(self, replica_set: Object | None) -> Object | None:
        return None if replica_set is None else self._world.find(ref_of(replica_set))

    def _report(
        self, deployment: Object, newest: Object | None, old: Sequence[Object], *, created: bool
    ) -> datetime | None:
        now = self._world.now()
        status = _counts(deployment, newest, old)
        conditions = (deployment.get("status") or {}).get("conditions") or []
        conditions = _with_times(conditions, _availability(deployment, status), now)
        if newest is not None and not deployment["spec"].get("paused"):
            reason = _progress_reason(deployment, newest, status, now, created=created)
            if reason is not None:
                value, message = _PROGRESS[reason]
                progress = {"type": "Progressing", "status": value, "reason": reason}
                progress["message"] = message.format(newest["metadata"]["name"])
                conditions = _with_times(conditions, progress, now, moved=reason in _MOVING)
        conditions = [each for each in conditions if each["type"] != "ReplicaFailure"]
        failures = (condition_of(each, "ReplicaFailure") for each in [newest, *old] if each is not None)
        failure = next((each for each in failures if each is not None), None)
        if failure is not None:
            conditions = [*conditions, {**failure, "lastUpdateTime": failure["lastTransitionTime"]}]
        status["conditions"] = conditions
        deployment = self._world.report(deployment, status)
        return _deadline(deployment)


def bounds_of(deployment: Object) -> Bounds:
    """How far the Deployment's rolling update may go."""
    spec = deployment["spec"]
    rolling = spec["strategy"].get("rollingUpdate") or {}
    return bounds(spec["replicas"], rolling.get("maxSurge", "25%"), rolling.get("maxUnavailable", "25%"))


def _counts(deployment: Object, newest: Object | None, old: Sequence[Object]) -> dict[str, Any]:
    sets = [each for each in [newest, *old] if each is not None]

    def total(field: str, of: Sequence[Object]) -> int:
        return sum((each.get("status") or {}).get(field, 0) for each in of)

    available = total("availableReplicas", sets)
    counts = {
        "replicas": total("replicas", sets),
        "updatedReplicas": total("replicas", [newest] if newest is not None else []),
        "readyReplicas": total("readyReplicas", sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(each["spec"]["replicas"] for each in sets) - available),
    }
    status: dict[str, Any] = {"observedGeneration": deployment["metadata"]["generation"]}
    return status | {name: count for name, count in counts.items() if count}


def _availability(deployment: Object, status: Object) -> Object:
    limits = bounds_of(deployment)
    recreate = deployment["spec"]["strategy"]["type"] == "Recreate"
    least = limits.desired - (0 if recreate else limits.max_unavailable)
    if status.get("availableReplicas", 0) >= least:
        return {
            "type": "Available",
            "status": "True",
            "reason": "MinimumReplicasAvailable",
            "message": "Deployment has minimum availability.",
        }
    return {
        "type": "Available",
        "status": "False",
        "reason": "MinimumReplicasUnavailable",
        "message": "Deployment does not have minimum availability.",
    }


#: Status and message of the Progressing condition by its reason.
_PROGRESS = {
    "NewReplicaSetAvailable": ("True", 'ReplicaSet "{}" has successfully progressed.'),
    "NewReplicaSetCreated": ("True", 'Created new replica set "{}"'),
    "ReplicaSetUpdated": ("True", 'ReplicaSet "{}" is progressing.'),
    "ProgressDeadlineExceeded": ("False", 'ReplicaSet "{}" has timed out progressing.'),
}
#: Reasons that say that something moved just now.
_MOVING = frozenset({"NewReplicaSetCreated", "ReplicaSetUpdated"})


def _progress_reason(
    deployment: Object, newest: Object, status: Object, now: datetime, *, created: bool
) -> str | None:
    """The reason of the Progressing condition; `None` leaves it as it is."""
    wanted, before = deployment["spec"]["replicas"], deployment.get("status") or {}
    current = condition_of(deployment, "Progressing")
    if [status.get(each, 0) for each in ("updatedReplicas", "replicas", "availableReplicas")] == [wanted] * 3:
        return "NewReplicaSetAvailable"
    if created or current is None:
        return "NewReplicaSetCreated"
    done = current["reason"] == "NewReplicaSetAvailable"
    if done and _old_replicas(status) == 0 and newest["metadata"]["name"] in current["message"]:
        # A finished roll-out that is scaled or loses a pod is not a new one.
        return None
    growing = ("updatedReplicas", "readyReplicas", "availableReplicas")
    grew = any(status.get(each, 0) > before.get(each, 0) for each in growing)
    if done or grew or _old_replicas(status) < _old_replicas(before):
        return "ReplicaSetUpdated"
    deadline = _deadline(deployment)
    return "ProgressDeadlineExceeded" if deadline is not None and deadline <= now else None


def _old_replicas(status: Object) -> int:
    return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))


def _deadline(deployment: Object) -> datetime | None:
    """When the roll-out that is under way will have taken too long."""
    condition = condition_of(deployment, "Progressing")
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    if condition is None or seconds is None or deployment["spec"].get("paused"):
        return None
    if condition["status"] != "True" or condition["reason"] == "NewReplicaSetAvailable":
        return None
    return parse_time(condition["lastUpdateTime"]) + timedelta(seconds=seconds)


def _with_times(
    conditions: Sequence[Object], new: Object, now: datetime, *, moved: bool = False
) -> list[Object]:
    """As `with_condition`, and with `lastUpdateTime`, which moves with every change."""
    old = next((each for each in conditions if each["type"] == new["type"]), None)
    same = old is not None and all(old.get(field) == value for field, value in new.items())
    updated = old["lastUpdateTime"] if old is not None and same and not moved else timestamp(now)
    return with_condition(conditions, {**new, "lastUpdateTime": updated}, now)


def _replicas(replica_set: Object) -> Replicas:
    available = (replica_set.get("status") or {}).get("availableReplicas", 0)
    return Replicas(replica_set["spec"]["replicas"], min(available, replica_set["spec"]["replicas"]))


def _age(replica_set: Object) -> tuple[datetime, str]:
    return created_at(replica_set), replica_set["metadata"]["name"]


def _hash_of(replica_set: Object) -> str | None:
    labels = replica_set["metadata"].get("labels") or {}
    return labels.get(HASH_LABEL)


def _revision(obj: Object) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))


def _annotated(obj: Object, revision: int) -> Object:
    annotations = {**(obj["metadata"].get("annotations") or {}), REVISION: str(revision)}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
