"""What a pod's containers are doing, as the `status` of a Pod."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from devcluster.metadata import with_condition
from devcluster.objects import Object, timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """One container at one moment.

    Attributes:
        state: `{"waiting": …}`, `{"running": …}` or `{"terminated": …}` as in core/v1.
        last_state: How the run before ended; empty before the first end.
        ready: The readiness probe is content, or there is none.
        started: The startup probe succeeded, or there is none.
        restart_count: How often it was started anew.
        finished: It has ended and will not be started again.
    """

    state: Mapping[str, Any]
    last_state: Mapping[str, Any] = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restart_count: int = 0
    finished: bool = False

    @property
    def exit_code(self) -> int | None:
        """The exit code, when it has ended."""
        terminated = self.state.get("terminated")
        return None if terminated is None else int(terminated["exitCode"])

    @property
    def is_running(self) -> bool:
        """Whether its program runs now."""
        return "running" in self.state


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """The state of a container that does not run yet, or not now."""
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def running(since: datetime) -> dict[str, Any]:
    """The state of a container whose program runs."""
    return {"running": {"startedAt": timestamp(since)}}


def terminated(
    code: int, *, started: datetime, finished: datetime, reason: str = "", message: str = ""
) -> dict[str, Any]:
    """The state of a container whose program has ended."""
    state: dict[str, Any] = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": timestamp(started),
        "finishedAt": timestamp(finished),
    }
    return {"terminated": state | ({"message": message} if message else {})}


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a container is started again under the pod's restart policy."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def phase(init: Sequence[ContainerState], containers: Sequence[ContainerState]) -> str:
    """The phase of a pod, as the kubelet derives it."""
    if any(each.finished and each.exit_code != 0 for each in init):
        return "Failed"
    if not all(each.finished for each in init):
        return "Pending"
    if all(each.finished for each in containers):
        return "Failed" if any(each.exit_code != 0 for each in containers) else "Succeeded"
    never_started = [each for each in containers if "waiting" in each.state and not each.last_state]
    return "Pending" if never_started else "Running"


def pod_status(
    pod: Object, init: Mapping[str, ContainerState], containers: Mapping[str, ContainerState], now: datetime
) -> dict[str, Any]:
    """The whole status of a pod on a node.

    Args:
        pod: The pod; what its status says already (address, start) is kept.
        init: The state of each init container by name.
        containers: The state of each container by name.
        now: The present moment.
    """
    status: dict[str, Any] = dict(pod.get("status") or {})
    overall = phase(list(init.values()), list(containers.values()))
    status["phase"] = overall
    conditions = status.get("conditions") or []
    for condition in _conditions(overall, init, containers):
        conditions = with_condition(conditions, condition, now)
    status["conditions"] = conditions
    spec = pod["spec"]
    if init:
        status["initContainerStatuses"] = [
            _container_status(each, init[each["name"]], pod) for each in spec["initContainers"]
        ]
    status["containerStatuses"] = [
        _container_status(each, containers[each["name"]], pod) for each in spec["containers"]
    ]
    return status


def _conditions(
    overall: str, init: Mapping[str, ContainerState], containers: Mapping[str, ContainerState]
) -> list[dict[str, Any]]:
    pending_init = [name for name, each in init.items() if not (each.finished and each.exit_code == 0)]
    unready = [name for name, each in containers.items() if not each.ready]
    if overall == "Succeeded":
        readiness = {"status": "False", "reason": "PodCompleted"}
    elif overall == "Failed":
        readiness = {"status": "False", "reason": "PodFailed"}
    elif unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        readiness = {"status": "False", "reason": "ContainersNotReady", "message": message}
    else:
        readiness = {"status": "True"}
    if pending_init:
        message = f"containers with incomplete status: [{' '.join(pending_init)}]"
        initialised = {"status": "False", "reason": "ContainersNotInitialized", "message": message}
    else:
        initialised = {"status": "True"}
    return [
        {"type": "PodReadyToStartContainers", "status": "True"},
        {"type": "Initialized", **initialised},
        {"type": "Ready", **readiness},
        {"type": "ContainersReady", **readiness},
    ]


def _container_status(container: Object, state: ContainerState, pod: Object) -> dict[str, Any]:
    status: dict[str, Any] = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": state.ready,
        "started": state.started,
        "restartCount": state.restart_count,
        "state": dict(state.state),
        "lastState": dict(state.last_state),
    }
    if "waiting" not in state.state or state.last_state:
        status["containerID"] = (
            f"process://{pod['metadata']['uid']}/{container['name']}/{state.restart_count}"
        )
    return status


def quality_of_service(pod: Object) -> str:
    """The Quality of Service class, from the requests and limits of all containers."""
    bounds = [
        container.get("resources") or {}
        for container in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    ]
    if not any(each.get("requests") or each.get("limits") for each in bounds):
        return "BestEffort"
    for each in bounds:
        limits = each.get("limits") or {}
        requests = {**limits, **(each.get("requests") or {})}
        if any(
            resource not in limits or requests[resource] != limits[resource] for resource in ("cpu", "memory")
        ):
            return "Burstable"
    return "Guaranteed"


def stopped(state: ContainerState) -> ContainerState:
    """The state of a container that will not be started again because its pod goes."""
    return replace(state, ready=False, started=False, finished=True)
