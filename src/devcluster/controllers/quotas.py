"""ResourceQuota: what a namespace uses of what it may."""

from collections.abc import Iterator
from decimal import Decimal

from devcluster.admission import usage
from devcluster.controllers.world import World
from devcluster.kinds import RESOURCE_TYPES
from devcluster.metadata import Ref, ref_of
from devcluster.objects import Object
from devcluster.quantity import canonical

_COUNTED = tuple(each for each in RESOURCE_TYPES if each.namespaced)


class Quotas:
    """Reports the use of each quota; the API server itself refuses what would be too much."""

    kinds = tuple(each.kind for each in _COUNTED)

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:  # noqa: ARG002 - every event counts
        """All quotas of the object's namespace."""
        namespace = obj["metadata"]["namespace"]
        yield from (ref_of(each) for each in self._world.registry.list("ResourceQuota", namespace))

    def reconcile(self, ref: Ref) -> None:
        """Count anew."""
        quota = self._world.find(ref)
        if quota is None:
            return
        hard = quota["spec"].get("hard") or {}
        used = dict.fromkeys(hard, Decimal(0))
        for resource_type in _COUNTED:
            for obj in self._world.registry.list(resource_type.kind, ref.namespace):
                for name, amount in usage(resource_type, obj):
                    if name in used:
                        used[name] += amount
        written = {name: canonical(format(amount, "f")) for name, amount in used.items()}
        self._world.report(quota, {"hard": hard, "used": written})
