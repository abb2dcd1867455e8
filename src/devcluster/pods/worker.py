"""Runs one pod: volumes, init containers in order, containers side by side; and reports its status."""

import asyncio

import structlog

from devcluster.objects import Object
from devcluster.pods import volumes
from devcluster.pods.container import ContainerRunner
from devcluster.pods.context import NodeContext, PodDirectory
from devcluster.pods.environment import ConfigError
from devcluster.pods.status import pod_status, waiting

log = structlog.get_logger(__name__)

_MANAGER = "kubelet"


class PodWorker:
    """One pod on the node, from its start until it is gone."""

    def __init__(self, pod: Object, node: NodeContext) -> None:
        """Take a pod whose `status.podIP` is set; `start` makes it run."""
        self._pod = pod
        self._node = node
        self._directory = PodDirectory(node.pods_dir / pod["metadata"]["uid"])
        spec = pod["spec"]
        policy = spec.get("restartPolicy", "Always")
        self._init = {
            each["name"]: ContainerRunner(
                each, pod, node, self._changed, policy="Never" if policy == "Never" else "OnFailure"
            )
            for each in spec.get("initContainers") or []
        }
        self._containers = {
            each["name"]: ContainerRunner(each, pod, node, self._changed, policy=policy)
            for each in spec["containers"]
        }
        self._task: asyncio.Task[None] | None = None
        self._publication: asyncio.Handle | None = None
        self._removal: asyncio.Task[None] | None = None
        self._silent = False

    @property
    def address(self) -> str:
        """The pod's address."""
        return str(self._pod["status"]["podIP"])

    def start(self) -> None:
        """Begin to run the pod."""
        self._task = asyncio.create_task(self._run_logged())

    def uses(self, source: Object) -> bool:
        """Whether a volume of the pod may show this Secret or ConfigMap."""
        return source["metadata"]["namespace"] == self._pod["metadata"]["namespace"] and bool(
            self._pod["spec"].get("volumes")
        )

    def refresh_volumes(self) -> None:
        """Bring mounted Secrets and ConfigMaps up to date; one that is missing now keeps its last content."""
        if self._directory.volumes.is_dir():
            try:
                volumes.materialise(self._pod, self._directory.volumes, self._find_source)
            except ConfigError as error:
                log.warning("volume_kept", pod=self._pod["metadata"]["name"], reason=str(error))

    def remove(self, grace_s: float) -> asyncio.Task[None]:
        """Stop the pod, remove its object and its files; done once however often it is asked for."""
        if self._removal is None:
            self._removal = asyncio.create_task(self._remove(grace_s))
        return self._removal

    async def halt(self, grace_s: float) -> None:
        """Stop the processes but leave the object as it is: the node goes, the pod stays wanted."""
        self._silent = True
        await self._stop(grace_s)

    async def _remove(self, grace_s: float) -> None:
        await self._stop(grace_s)
        self._silent = True
        meta = self._pod["metadata"]
        live = self._live()
        if live is not None:
            self._node.registry.delete(
                "Pod", meta["namespace"], meta["name"], uid=meta["uid"], grace_period_s=0
            )
        volumes.remove(self._directory.root)

    async def _stop(self, grace_s: float) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.gather(
            *(each.terminate(grace_s) for each in [*self._containers.values(), *self._init.values()])
        )
        if self._publication is not None:
            self._publication.cancel()
        if not self._silent:
            self._publish()

    async def _run_logged(self) -> None:
        try:
            await self._run()
        except Exception:
            # One pod that the dev cluster cannot run must not take the others with it.
            log.exception("pod_crashed", pod=self._pod["metadata"]["name"])
            await asyncio.gather(*(each.terminate(0) for each in self._containers.values()))

    async def _run(self) -> None:
        self._publish()
        await self._mount()
        for runner in self._init.values():
            if await runner.run() != 0:
                return
        async with asyncio.TaskGroup() as group:
            for runner in self._containers.values():
                group.create_task(runner.run())

    async def _mount(self) -> None:
        """Make the volumes; waits until every Secret and ConfigMap that they need is there."""
        while True:
            try:
                volumes.materialise(self._pod, self._directory.volumes, self._find_source)
            except ConfigError as error:
                for runner in self._containers.values():
                    runner.hold(waiting("ContainerCreating", str(error)))
                await self._node.sources_changed.wait()
            else:
                return

    def _find_source(self, kind: str, name: str) -> Object | None:
        return self._node.registry.find(kind, self._pod["metadata"]["namespace"], name)

    def _changed(self) -> None:
        if self._publication is None and not self._silent:
            # Changes of one moment become one write.
            self._publication = asyncio.get_running_loop().call_soon(self._publish)

    def _publish(self) -> None:
        self._publication = None
        live = self._live()
        if live is None:
            return
        status = pod_status(
            live,
            {name: runner.state for name, runner in self._init.items()},
            {name: runner.state for name, runner in self._containers.items()},
            self._node.clock(),
        )
        if status != live.get("status"):
            self._node.registry.update({**live, "status": status}, manager=_MANAGER, subresource="status")

    def _live(self) -> Object | None:
        meta = self._pod["metadata"]
        live = self._node.registry.find("Pod", meta["namespace"], meta["name"])
        return live if live is not None and live["metadata"]["uid"] == meta["uid"] else None
