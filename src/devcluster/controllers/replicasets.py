"""ReplicaSet: as many pods as wanted."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from devcluster.controllers.world import World
from devcluster.errors import ApiError
from devcluster.metadata import (
    Ref,
    condition_of,
    controlled_by,
    controller_of,
    created_at,
    has_condition,
    is_leaving,
    labels_of,
    matches,
    parse_time,
    ref_of,
    uid_of,
    with_condition,
)
from devcluster.objects import Object


def is_active(pod: Object) -> bool:
    """Whether the pod counts: it is neither leaving nor has it ended."""
    return not is_leaving(pod) and (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}


def available_from(pod: Object, min_ready: timedelta) -> datetime | None:
    """From when on a pod counts as available; `None` while it is not ready."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition["status"] != "True":
        return None
    return parse_time(condition["lastTransitionTime"]) + min_ready


def owned_or_adopted(world: World, owner: Object, kind: str) -> list[Object]:
    """The objects that this owner controls, after adopting those that it selects and nobody controls."""
    namespace, selector = owner["metadata"]["namespace"], owner["spec"]["selector"]
    if not is_leaving(owner):
        for stray in world.selected(kind, namespace, selector.get("matchLabels") or {}):
            if controller_of(stray) is None and not is_leaving(stray) and matches(selector, labels_of(stray)):
                meta = {**stray["metadata"]}
                meta["ownerReferences"] = [*(meta.get("ownerReferences") or []), controlled_by(owner)]
                world.update({**stray, "metadata": meta})
    uid = uid_of(owner)
    found = world.dependents(owner, kind)
    return [each for each in found if (controller_of(each) or {}).get("uid") == uid]


class ReplicaSets:
    """Keeps the pods of each ReplicaSet at the wanted number."""

    kinds = ("ReplicaSet", "Pod")

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:  # noqa: ARG002 - every event is alike here
        """The ReplicaSet itself, or the one that controls the pod."""
        if obj["kind"] == "ReplicaSet":
            yield ref_of(obj)
        elif (owner := controller_of(obj)) is not None and owner["kind"] == "ReplicaSet":
            yield Ref("ReplicaSet", obj["metadata"]["namespace"], owner["name"])

    def reconcile(self, ref: Ref) -> datetime | None:
        """Make or delete pods, then report."""
        replica_set = self._world.find(ref)
        if replica_set is None:
            return None
        pods = [pod for pod in owned_or_adopted(self._world, replica_set, "Pod") if is_active(pod)]
        failure: ApiError | None = None
        if not is_leaving(replica_set):
            try:
                pods = self._scale(replica_set, pods)
            except ApiError as error:
                failure = error
                pods = [pod for pod in self._world.dependents(replica_set, "Pod") if is_active(pod)]
        again = self._report(replica_set, pods, failure)
        if failure is not None:
            raise failure
        return again

    def _scale(self, replica_set: Object, pods: list[Object]) -> list[Object]:
        surplus = len(pods) - replica_set["spec"]["replicas"]
        if surplus > 0:
            leaving = sorted(pods, key=_worth)[:surplus]
            for pod in leaving:
                self._world.delete(pod)
            return [pod for pod in pods if pod not in leaving]
        return pods + [self._world.create(_new_pod(replica_set)) for _ in range(-surplus)]

    def _report(self, replica_set: Object, pods: list[Object], failure: ApiError | None) -> datetime | None:
        now = self._world.now()
        min_ready = timedelta(seconds=replica_set["spec"].get("minReadySeconds") or 0)
        moments = [moment for pod in pods if (moment := available_from(pod, min_ready)) is not None]
        template_labels = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
        counts = {
            "fullyLabeledReplicas": sum(template_labels.items() <= labels_of(pod).items() for pod in pods),
            "readyReplicas": len(moments),
            "availableReplicas": sum(moment <= now for moment in moments),
        }
        status: dict[str, Any] = {
            "replicas": len(pods),
            **{name: count for name, count in counts.items() if count},
            "observedGeneration": replica_set["metadata"].get("generation", 1),
        }
        if failure is not None:
            condition = {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": "FailedCreate",
                "message": failure.message,
            }
            old = (replica_set.get("status") or {}).get("conditions") or []
            status["conditions"] = with_condition(old, condition, now)
        self._world.report(replica_set, status)
        return min((moment for moment in moments if moment > now), default=None)


def _worth(pod: Object) -> tuple[bool, bool, float]:
    """Sorts pods to be deleted first to the front: not placed, not ready, young."""
    return ("nodeName" in pod["spec"], has_condition(pod, "Ready"), -created_at(pod).timestamp())


def _new_pod(replica_set: Object) -> Object:
    template = replica_set["spec"]["template"]
    meta = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{replica_set['metadata']['name']}-",
            "namespace": replica_set["metadata"]["namespace"],
            **{name: meta[name] for name in ("labels", "annotations") if meta.get(name)},
            "ownerReferences": [controlled_by(replica_set)],
        },
        "spec": template["spec"],
    }
