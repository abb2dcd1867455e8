"""PodDisruptionBudget: how many pods may go now."""

from collections.abc import Iterator, Sequence
from typing import Any

from devcluster.controllers.replicasets import is_active
from devcluster.controllers.rollout import resolve
from devcluster.controllers.world import World
from devcluster.metadata import Ref, controller_of, has_condition, labels_of, matches, ref_of, with_condition
from devcluster.objects import Object


class Budgets:
    """Reports what each budget allows."""

    kinds = ("PodDisruptionBudget", "Pod")

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:  # noqa: ARG002 - every event is alike here
        """The budget itself, or those that may select the pod."""
        if obj["kind"] == "PodDisruptionBudget":
            yield ref_of(obj)
        else:
            yield from self._world.selectors_of(obj, "PodDisruptionBudget")

    def reconcile(self, ref: Ref) -> None:
        """Count the pods that the budget selects."""
        budget = self._world.find(ref)
        if budget is None:
            return
        meta, selector = budget["metadata"], budget["spec"].get("selector") or {}
        candidates = self._world.selected("Pod", meta["namespace"], selector.get("matchLabels") or {})
        pods = [pod for pod in candidates if matches(selector, labels_of(pod)) and is_active(pod)]
        healthy = sum(has_condition(pod, "Ready") for pod in pods)
        expected, desired = self._needs(budget["spec"], pods)
        allowed = max(0, healthy - desired)
        condition = {
            "type": "DisruptionAllowed",
            "status": "True" if allowed else "False",
            "reason": "SufficientPods" if allowed else "InsufficientPods",
            "message": "",
            "observedGeneration": meta["generation"],
        }
        old = (budget.get("status") or {}).get("conditions") or []
        status: dict[str, Any] = {
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "observedGeneration": meta["generation"],
            "conditions": with_condition(old, condition, self._world.now()),
        }
        self._world.report(budget, status)

    def _needs(self, spec: Object, pods: Sequence[Object]) -> tuple[int, int]:
        """How many pods there should be, and how many of them have to be healthy."""
        if "maxUnavailable" in spec:
            expected = self._scale(pods)
            return expected, max(0, expected - resolve(spec["maxUnavailable"], expected, round_up=True))
        least = spec.get("minAvailable", 1)
        if isinstance(least, int):
            return len(pods), least
        expected = self._scale(pods)
        return expected, resolve(least, expected, round_up=True)

    def _scale(self, pods: Sequence[Object]) -> int:
        """The replicas that the pods' controllers want; a pod without one counts for itself."""
        wanted: dict[Ref, int] = {}
        single = 0
        for pod in pods:
            top = self._top_controller(pod)
            if top is None:
                single += 1
            else:
                wanted[ref_of(top)] = top["spec"].get("replicas", 1)
        return single + sum(wanted.values())

    def _top_controller(self, obj: Object) -> Object | None:
        owner = controller_of(obj)
        if owner is None or owner["kind"] not in {"ReplicaSet", "Deployment"}:
            return None
        above = self._world.find(Ref(owner["kind"], obj["metadata"]["namespace"], owner["name"]))
        return None if above is None else self._top_controller(above) or above
