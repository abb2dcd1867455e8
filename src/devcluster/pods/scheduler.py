"""Decides whether a pod may run on the one node there is."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from devcluster.metadata import meets
from devcluster.objects import Object
from devcluster.quantity import parse

#: What a pod asks for, by resource.
Requests = dict[str, Decimal]

_COUNTED = ("cpu", "memory")


def requests_of(pod: Object) -> Requests:
    """What the pod needs to be placed: the sum over its containers, or one init container if that is more."""
    spec = pod["spec"]
    total: Requests = {"pods": Decimal(1)}
    for resource in _COUNTED:
        together = sum((_request(each, resource) for each in spec["containers"]), Decimal(0))
        alone = max(
            (_request(each, resource) for each in spec.get("initContainers") or []), default=Decimal(0)
        )
        total[resource] = max(together, alone)
    return total


def _request(container: Object, resource: str) -> Decimal:
    resources = container.get("resources") or {}
    quantity = (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(
        resource
    )
    return parse(str(quantity)) if quantity is not None else Decimal(0)


def refusal(pod: Object, node: Object, placed: Iterable[Requests]) -> str | None:
    """Why the pod cannot run on the node, in the scheduler's words; `None` if it can.

    Pod affinity, taints and topology are not looked at: with a single node made for everything they have
    nothing to decide.

    Args:
        pod: The pod that waits.
        node: The only node.
        placed: What the pods on the node ask for.
    """
    if not _selects(pod["spec"], node["metadata"].get("labels") or {}):
        return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    wanted = requests_of(pod)
    used: Requests = dict.fromkeys(wanted, Decimal(0))
    for requests in placed:
        for resource in used:
            used[resource] += requests[resource]
    capacity = node["status"]["allocatable"]
    for resource, needed in wanted.items():
        if needed and used[resource] + needed > parse(str(capacity[resource])):
            lacking = "Too many pods" if resource == "pods" else f"Insufficient {resource}"
            return f"0/1 nodes are available: 1 {lacking}."
    return None


def _selects(spec: Object, labels: Mapping[str, str]) -> bool:
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(
        all(meets(expression, labels) for expression in term.get("matchExpressions") or [])
        for term in required["nodeSelectorTerms"]
    )
