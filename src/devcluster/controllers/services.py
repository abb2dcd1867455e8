"""Endpoints: which pods stand behind a Service."""

from collections.abc import Iterator, Sequence
from typing import Any

from devcluster.controllers.replicasets import is_active
from devcluster.controllers.world import World
from devcluster.metadata import Ref, has_condition, is_leaving, uid_of
from devcluster.objects import Object
from devcluster.pods.probes import port_number

_MANAGED = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


class Endpoints:
    """Keeps an Endpoints object for each Service with a selector."""

    kinds = ("Service", "Pod", "Endpoints")

    def __init__(self, world: World) -> None:
        self._world = world

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:  # noqa: ARG002 - every event is alike here
        """The Service itself, those that may select the pod, or the one that the Endpoints are of."""
        if obj["kind"] == "Pod":
            yield from self._world.selectors_of(obj, "Service")
        else:
            yield Ref("Service", obj["metadata"]["namespace"], obj["metadata"]["name"])

    def reconcile(self, ref: Ref) -> None:
        """Bring the Endpoints to the pods of this moment."""
        service = self._world.find(ref)
        present = self._world.find(Ref("Endpoints", ref.namespace, ref.name))
        if service is None or is_leaving(service):
            if present is not None and _is_ours(present):
                self._world.delete(present)
            return
        selector = service["spec"].get("selector")
        if not selector:
            return
        pods = self._world.selected("Pod", service["metadata"]["namespace"], selector)
        subsets = _subsets(service, pods)
        if present is None:
            self._world.create(_new(service, subsets))
        elif _is_ours(present) and (present.get("subsets") or []) != subsets:
            self._world.update({**present, "subsets": subsets})


def _is_ours(endpoints: Object) -> bool:
    return _MANAGED.items() <= (endpoints["metadata"].get("labels") or {}).items()


def _new(service: Object, subsets: list[Object]) -> Object:
    meta = service["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": {**(meta.get("labels") or {}), **_MANAGED},
        },
        "subsets": subsets,
    }


def _subsets(service: Object, pods: Sequence[Object]) -> list[Object]:
    """Addresses by the ports they answer on: a port's name may mean another number in each pod."""
    groups: dict[tuple[int, ...], dict[str, Any]] = {}
    for pod in pods:
        address = (pod.get("status") or {}).get("podIP")
        if not address or not is_active(pod):
            continue
        numbers = tuple(target_port(pod, port) for port in service["spec"].get("ports") or [])
        group = groups.setdefault(numbers, {"addresses": [], "notReadyAddresses": [], "ports": []})
        group["ports"] = _ports(service, numbers)
        meta = pod["metadata"]
        entry = {
            "ip": address,
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": {
                "kind": "Pod",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": uid_of(pod),
            },
        }
        ready = has_condition(pod, "Ready") or service["spec"].get("publishNotReadyAddresses")
        group["addresses" if ready else "notReadyAddresses"].append(entry)
    return [{name: value for name, value in groups[key].items() if value} for key in sorted(groups)]


def _ports(service: Object, numbers: Sequence[int]) -> list[Object]:
    return [
        {
            **({"name": port["name"]} if port.get("name") else {}),
            "port": number,
            "protocol": port.get("protocol", "TCP"),
        }
        for port, number in zip(service["spec"].get("ports") or [], numbers, strict=True)
    ]


def target_port(pod: Object, port: Object) -> int:
    """The number of a Service's port in this pod; 0 when the pod has no port of that name."""
    target = port.get("targetPort") or port["port"]
    numbers = (port_number(container, target) for container in pod["spec"]["containers"])
    return next((number for number in numbers if number), 0)
