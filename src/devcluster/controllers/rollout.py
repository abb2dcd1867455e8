"""The arithmetic of a rolling update, as the Deployment controller does it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Replicas:
    """One ReplicaSet: how many it shall have, and how many of them serve."""

    wanted: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a rolling update may go from the wanted number, in pods."""

    desired: int
    max_surge: int
    max_unavailable: int


def resolve(value: int | str, total: int, *, round_up: bool) -> int:
    """An `IntOrString`: a number, or a percentage of the total."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * total / 100
    return math.ceil(share) if round_up else math.floor(share)


def bounds(desired: int, max_surge: int | str, max_unavailable: int | str) -> Bounds:
    """The bounds in pods; they never both become zero, or nothing could move."""
    surge = resolve(max_surge, desired, round_up=True)
    unavailable = resolve(max_unavailable, desired, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(desired=desired, max_surge=surge, max_unavailable=min(unavailable, desired))


def new_replicas(bounds: Bounds, new: Replicas, old: Sequence[Replicas]) -> int:
    """How many replicas the newest ReplicaSet shall have now."""
    if new.wanted >= bounds.desired:
        return bounds.desired
    room = bounds.desired + bounds.max_surge - new.wanted - sum(each.wanted for each in old)
    return new.wanted + max(0, min(room, bounds.desired - new.wanted))


def old_replicas(bounds: Bounds, new: Replicas, old: Sequence[Replicas]) -> list[int]:
    """How many replicas each older ReplicaSet, oldest first, shall have now.

    What does not serve goes first, for it is missed by nobody; then what serves, as far as enough others do.
    """
    total = new.wanted + sum(each.wanted for each in old)
    least = bounds.desired - bounds.max_unavailable
    removable = total - least - (new.wanted - min(new.available, new.wanted))
    if removable <= 0:
        return [each.wanted for each in old]
    remaining: list[int] = []
    for each in old:
        unhealthy = min(removable, max(0, each.wanted - each.available))
        removable -= unhealthy
        remaining.append(each.wanted - unhealthy)
    spare = new.available + sum(each.available for each in old) - least
    for index, each in enumerate(old):
        fewer = max(0, min(spare, remaining[index], each.available))
        spare -= fewer
        remaining[index] -= fewer
    return remaining
