"""The dev cluster's only node: places pods on itself and runs their containers as local processes."""

import asyncio
import platform
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import structlog

from devcluster.errors import BadRequest, NotFound
from devcluster.metadata import condition_of, is_leaving, ref_of, uid_of, with_condition
from devcluster.objects import Clock, Object, timestamp, utc_now
from devcluster.pods import logs, volumes
from devcluster.pods.context import Broadcast, NodeConfig, NodeContext
from devcluster.pods.guard import Guard
from devcluster.pods.network import PodNetwork
from devcluster.pods.scheduler import Requests, refusal, requests_of
from devcluster.pods.status import quality_of_service
from devcluster.pods.worker import PodWorker
from devcluster.registry import Registry

log = structlog.get_logger(__name__)

_KUBELET, _SCHEDULER = "kubelet", "kube-scheduler"
_ENDED = ("Succeeded", "Failed")
_WATCHED = ("Node", "Secret", "ConfigMap", "Pod")
_KUBELET_VERSION = "v1.36.0"


class Node:
    """Runs the pods of the cluster as long as `run` does."""

    def __init__(
        self,
        registry: Registry,
        *,
        data_dir: Path,
        config: NodeConfig | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Prepare a node.

        Args:
            registry: The API server's objects.
            data_dir: Where pods have their files; nothing else may use it.
            config: How the node behaves.
            clock: Says what time it is.
        """
        self._registry = registry
        self._pods_dir = data_dir / "pods"
        self._config = config or NodeConfig()
        self._clock = clock
        self._workers: dict[str, PodWorker] = {}
        self._placed: dict[str, Requests] = {}
        self._waiting: set[tuple[str, str]] = set()
        self._removals: set[asyncio.Task[None]] = set()
        self.logs = PodLogs(registry, self._pods_dir)

    async def run(self) -> None:
        """Run pods until cancelled; then every process is stopped, and objects stay for the next start.

        Raises:
            NoNetwork: The machine has no loopback addresses for pods.
        """
        # Secrets lie below: nobody else on the machine may look.
        self._pods_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with PodNetwork() as network, Guard() as guard:
            async with httpx2.AsyncClient(
                verify=False,  # probes do not check certificates, as Kubernetes documents
                trust_env=False,
                timeout=None,  # every probe has its own
                limits=httpx2.Limits(max_keepalive_connections=0),
            ) as http:
                context = NodeContext(
                    registry=self._registry,
                    pods_dir=self._pods_dir,
                    config=self._config,
                    clock=self._clock,
                    guard=guard,
                    http=http,
                    sources_changed=Broadcast(),
                    address=network.node_address,
                )
                self._register(network.node_address)
                self._sweep()
                try:
                    await self._follow(context, network)
                finally:
                    await self._halt()

    async def _follow(self, context: NodeContext, network: PodNetwork) -> None:
        async for event in self._registry.watch(_WATCHED):
            try:
                match event.object["kind"]:
                    case "Pod":
                        self._look_at(event.object, context, network)
                    case "Node":
                        self._place_waiting()
                    case _:
                        self._sources_changed(event.object, context)
            except Exception:
                # One object that the node stumbles over must not stop all pods.
                log.exception("event_failed", object=str(ref_of(event.object)))

    def _look_at(self, seen: Object, context: NodeContext, network: PodNetwork) -> None:
        """Bring one pod to what its present object says; `seen` only tells which pod to look at."""
        meta, uid = seen["metadata"], uid_of(seen)
        live = self._registry.find("Pod", meta["namespace"], meta["name"])
        if live is None or uid_of(live) != uid:
            self._forget(uid, network)
        elif live["spec"].get("nodeName") is None:
            if not is_leaving(live):
                self._place(live)
        elif live["spec"]["nodeName"] == self._config.name:
            self._keep(live, context, network)

    def _keep(self, pod: Object, context: NodeContext, network: PodNetwork) -> None:
        """Start or stop a pod of this node."""
        uid = uid_of(pod)
        ended = (pod.get("status") or {}).get("phase") in _ENDED
        if ended:
            self._unplace(uid)
        else:
            self._placed[uid] = requests_of(pod)
        worker = self._workers.get(uid)
        if is_leaving(pod):
            meta = pod["metadata"]
            if worker is not None:
                worker.remove(float(meta.get("deletionGracePeriodSeconds", 0)))
            elif not meta.get("finalizers"):
                self._registry.delete("Pod", meta["namespace"], meta["name"], uid=uid, grace_period_s=0)
        elif worker is None and not ended:
            self._workers[uid] = worker = PodWorker(
                self._admitted(pod, network.take(), context.address), context
            )
            worker.start()

    def _admitted(self, pod: Object, address: str, host: str) -> Object:
        """The pod with its address in the status, which its programs are told before they start."""
        status = {
            **(pod.get("status") or {}),
            "phase": "Pending",
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "podIP": address,
            "podIPs": [{"ip": address}],
            "qosClass": quality_of_service(pod),
        }
        status.setdefault("startTime", timestamp(self._clock()))
        return self._registry.update({**pod, "status": status}, manager=_KUBELET, subresource="status")

    def _place(self, pod: Object) -> None:
        meta = pod["metadata"]
        node = self._registry.get("Node", None, self._config.name)
        reason = refusal(pod, node, self._placed.values())
        conditions = (pod.get("status") or {}).get("conditions") or []
        if reason is None:
            self._waiting.discard((meta["namespace"], meta["name"]))
            condition = {"type": "PodScheduled", "status": "True"}
        else:
            self._waiting.add((meta["namespace"], meta["name"]))
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": reason,
            }
        old = condition_of(pod, "PodScheduled")
        if old is None or old["status"] != condition["status"] or old.get("message") != reason:
            status = {
                **(pod.get("status") or {"phase": "Pending"}),
                "conditions": with_condition(conditions, condition, self._clock()),
            }
            pod = self._registry.update({**pod, "status": status}, manager=_SCHEDULER, subresource="status")
        if reason is None:
            self._placed[uid_of(pod)] = requests_of(pod)
            bound = {**pod, "spec": {**pod["spec"], "nodeName": self._config.name}}
            self._registry.update(bound, manager=_SCHEDULER)

    def _place_waiting(self) -> None:
        for namespace, name in sorted(self._waiting):
            pod = self._registry.find("Pod", namespace, name)
            if pod is None or pod["spec"].get("nodeName") or is_leaving(pod):
                self._waiting.discard((namespace, name))
            else:
                self._place(pod)

    def _unplace(self, uid: str) -> None:
        if self._placed.pop(uid, None) is not None:
            self._place_waiting()

    def _forget(self, uid: str, network: PodNetwork) -> None:
        """The object is gone: whatever still runs ends now."""
        worker = self._workers.pop(uid, None)
        if worker is not None:
            removal = worker.remove(0)
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)
            removal.add_done_callback(lambda _: network.give_back(worker.address))
        self._unplace(uid)

    def _sources_changed(self, source: Object, context: NodeContext) -> None:
        context.sources_changed.announce()
        for worker in self._workers.values():
            if worker.uses(source):
                worker.refresh_volumes()

    async def _halt(self) -> None:
        await asyncio.gather(
            *(worker.halt(self._config.shutdown_grace_s) for worker in self._workers.values()),
            *self._removals,
        )
        self._workers.clear()

    def _sweep(self) -> None:
        """Remove the files of pods that went while the node was down."""
        known = {uid_of(pod) for pod in self._registry.list("Pod")}
        for directory in self._pods_dir.iterdir():
            if directory.name not in known:
                volumes.remove(directory)

    def _register(self, address: str) -> None:
        name, now = self._config.name, timestamp(self._clock())
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": platform.system().lower(),
            "kubernetes.io/arch": machine,
            **self._config.labels,
        }
        present = self._registry.find("Node", None, name)
        if present is None:
            present = self._registry.create(
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": name, "labels": labels},
                    "spec": {},
                },
                manager=_KUBELET,
            )
        capacity = {"cpu": self._config.cpu, "memory": self._config.memory, "pods": self._config.pods}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "kubelet is posting ready status",
            "lastHeartbeatTime": now,
        }
        status = {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": with_condition(
                (present.get("status") or {}).get("conditions") or [], ready, self._clock()
            ),
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "kubeletVersion": _KUBELET_VERSION,
                "kubeProxyVersion": "",
                "operatingSystem": platform.system().lower(),
                "architecture": machine,
                "osImage": f"dev cluster on {platform.platform(terse=True)}",
                "kernelVersion": platform.release(),
                "containerRuntimeVersion": "process://1",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        }
        self._registry.update({**present, "status": status}, manager=_KUBELET, subresource="status")


class PodLogs:
    """The output of the containers of this node."""

    def __init__(self, registry: Registry, pods_dir: Path) -> None:
        self._registry = registry
        self._pods_dir = pods_dir

    async def read(
        self,
        namespace: str,
        pod: str,
        container: str | None,
        *,
        tail_lines: int | None = None,
        previous: bool = False,
        follow: bool = False,
    ) -> AsyncIterator[bytes]:
        """The log of a container, standard output and error together; the errors come before the first piece.

        Args:
            namespace: Of the pod.
            pod: Its name.
            container: Its name; `None` is the only one there is.
            tail_lines: Begin with so many lines from the end.
            previous: The run before the present one.
            follow: Go on until the container has ended.

        Raises:
            NotFound: There is no such pod.
            BadRequest: No such container, or it has no such log yet.
        """
        found = self._registry.get("Pod", namespace, pod)
        name = _chosen_container(found, container)
        files = logs.LogFiles(self._pods_dir / uid_of(found) / "logs" / name)
        path = files.previous() if previous else files.current()
        if path is None:
            raise _no_log(found, name, previous=previous)

        def has_ended() -> bool:
            live = self._registry.find("Pod", namespace, pod)
            return previous or live is None or uid_of(live) != uid_of(found) or not _is_running(live, name)

        async for piece in logs.read(path, tail_lines=tail_lines, follow=follow, has_ended=has_ended):
            yield piece


def _chosen_container(pod: Object, wanted: str | None) -> str:
    containers = [each["name"] for each in pod["spec"]["containers"]]
    initial = [each["name"] for each in pod["spec"].get("initContainers") or []]
    name = pod["metadata"]["name"]
    if wanted is None:
        if len(containers) > 1:
            raise BadRequest(
                f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
            )
        return str(containers[0])
    if wanted not in [*containers, *initial]:
        raise BadRequest(f"container {wanted} is not valid for pod {name}")
    return wanted


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _is_running(pod: Object, container: str) -> bool:
    return any(each["name"] == container and "running" in each["state"] for each in _statuses(pod))


def _no_log(pod: Object, container: str, *, previous: bool) -> BadRequest | NotFound:
    name = pod["metadata"]["name"]
    if previous:
        return BadRequest(f'previous terminated container "{container}" in pod "{name}" not found')
    reasons = [
        each["state"].get("waiting", {}).get("reason") for each in _statuses(pod) if each["name"] == container
    ]
    reason = next((each for each in reasons if each), "ContainerCreating")
    return BadRequest(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
