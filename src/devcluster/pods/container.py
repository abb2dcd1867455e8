"""Runs one container of a pod: starts, probes, restarts and stops its process."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from devcluster.objects import Object
from devcluster.pods import environment, volumes
from devcluster.pods.context import Changed, NodeConfig, NodeContext, PodDirectory
from devcluster.pods.environment import ConfigError
from devcluster.pods.logs import LogFiles, start_of_tail
from devcluster.pods.mounts import localise, localise_argument
from devcluster.pods.probes import Prober
from devcluster.pods.process import CANNOT_START, CannotStart, LocalProcess, base_environment
from devcluster.pods.status import ContainerState, restarts, running, terminated, waiting

#: A tag that stands for an image nobody has pushed, to try out broken roll-outs.
_MISSING_TAG = ":missing"
#: How much of the log becomes the termination message when it falls back to it, as the kubelet takes it.
_MESSAGE_LINES, _MESSAGE_BYTES = 80, 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class _Invocation:
    words: Sequence[str]
    environment: dict[str, str]
    directory: Path


def back_off_s(restart: int, config: NodeConfig) -> float:
    """The pause in seconds before the restart of this number, counted from 0."""
    return float(min(config.first_back_off_s * 2 ** min(restart, 30), config.longest_back_off_s))


def image_problem(container: Object) -> str | None:
    """Why the container can never start, or `None`."""
    image = container.get("image", "")
    if image.endswith(_MISSING_TAG):
        return f'Back-off pulling image "{image}": ErrImagePull: {image}: not found'
    if not container.get("command"):
        return (
            f'Back-off pulling image "{image}": ErrImagePull: the dev cluster runs commands, not images: '
            "give the container a command"
        )
    return None


class ContainerRunner:
    """One container through all its runs."""

    def __init__(
        self, container: Object, pod: Object, node: NodeContext, changed: Changed, *, policy: str
    ) -> None:
        self._container = container
        self._pod = pod
        self._node = node
        self._changed = changed
        self._policy = policy
        self._directory = PodDirectory(node.pods_dir / pod["metadata"]["uid"])
        self._log = LogFiles(self._directory.logs(container["name"]))
        self._process: LocalProcess | None = None
        self._invocation: _Invocation | None = None
        self._started_at: datetime = node.clock()
        self.last_probe_message = ""
        self.state = ContainerState(
            state=waiting("PodInitializing"), restart_count=_restarts_before(pod, container)
        )

    async def run(self) -> int:
        """Run the container until the restart policy says it has ended for good. Its last exit code."""
        problem = image_problem(self._container)
        if problem:
            self._become(state=waiting("ImagePullBackOff", problem))
            await asyncio.Event().wait()
        failures = 0
        while True:
            begin = self._node.clock()
            code = await self._run_once()
            if not restarts(self._policy, code):
                self._become(finished=True)
                return code
            if (self._node.clock() - begin).total_seconds() >= self._node.config.stable_after_s:
                failures = 0
            await self._back_off(back_off_s(failures, self._node.config))
            failures += 1

    async def terminate(self, grace_s: float) -> None:
        """Stop what runs, as the deletion of the pod asks for; `run` must have been cancelled before."""
        process = self._process
        if process is None:
            self._become(ready=False, started=False, finished=True)
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        await self._before_stop(grace_s)
        code = await process.stop(max(deadline - loop.time(), 0.0))
        self._ended(code)
        self._become(finished=True)

    def hold(self, state: Mapping[str, Any]) -> None:
        """Say what the container waits for before it may run."""
        self._become(state=state)

    async def _back_off(self, pause_s: float) -> None:
        name, pod = self._container["name"], self._pod["metadata"]
        message = (
            f"back-off {pause_s:g}s restarting failed container={name} "
            f"pod={pod['name']}_{pod['namespace']}({pod['uid']})"
        )
        last = self.state.state
        self._become(state=waiting("CrashLoopBackOff", message), last_state=last)
        await asyncio.sleep(pause_s)
        self._become(restart_count=self.state.restart_count + 1)

    async def _run_once(self) -> int:
        self._started_at = self._node.clock()
        invocation = await self._prepared()
        self._invocation = invocation
        try:
            self._process = await LocalProcess.start(
                invocation.words,
                environment=invocation.environment,
                directory=invocation.directory,
                log=self._log.begin(self.state.restart_count),
                guard=self._node.guard,
            )
        except CannotStart as error:
            return self._ended(CANNOT_START, reason="StartError", message=str(error))
        started = "startupProbe" not in self._container
        self._become(
            state=running(self._started_at),
            started=started,
            ready=started and "readinessProbe" not in self._container,
        )
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self._probe(self._process))
            code = await self._process.wait()
            probing.cancel()
        return self._ended(code)

    def _ended(self, code: int, *, reason: str = "", message: str = "") -> int:
        self._process = None
        message = message or self._termination_message(code)
        state = terminated(
            code, started=self._started_at, finished=self._node.clock(), reason=reason, message=message
        )
        self._become(state=state, ready=False, started=False)
        return code

    def _termination_message(self, code: int) -> str:
        path = self._log.current()
        if (
            code == 0
            or path is None
            or self._container.get("terminationMessagePolicy") != "FallbackToLogsOnError"
        ):
            return ""
        content = path.read_bytes()
        return content[start_of_tail(content, _MESSAGE_LINES) :][-_MESSAGE_BYTES:].decode(errors="replace")

    async def _prepared(self) -> _Invocation:
        """What to run; waits until every Secret and ConfigMap that it needs is there."""
        while True:
            try:
                return self._prepare()
            except ConfigError as error:
                self._become(state=waiting("CreateContainerConfigError", str(error)))
                await self._node.sources_changed.wait()

    def _prepare(self) -> _Invocation:
        container = self._container
        mounts = volumes.mounts_of(container, self._directory.volumes)
        variables = environment.declared(container, self._pod, self._find_source)
        local = {name: localise(value, mounts) for name, value in variables.items()}
        words = [
            localise_argument(environment.expand(word, variables), mounts)
            for word in [*container["command"], *(container.get("args") or [])]
        ]
        wanted = Path(localise(container.get("workingDir") or "", mounts))
        self._directory.home.mkdir(parents=True, exist_ok=True)
        directory = wanted if container.get("workingDir") and wanted.is_dir() else self._directory.home
        return _Invocation(
            words=words, environment=base_environment(self._directory.home) | local, directory=directory
        )

    def _find_source(self, kind: str, name: str) -> Object | None:
        return self._node.registry.find(kind, self._pod["metadata"]["namespace"], name)

    async def _probe(self, process: LocalProcess) -> None:
        container = self._container
        prober = Prober(
            container=container,
            address=self._pod["status"]["podIP"],
            http=self._node.http,
            execute=self._execute,
        )
        startup, readiness, liveness = (
            container.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")
        )
        if startup:
            if not await prober.first_success(startup, self._note):
                await process.stop(self._grace_s(startup))
                return
            self._become(started=True, ready=readiness is None)
        async with asyncio.TaskGroup() as group:
            if readiness:
                group.create_task(
                    prober.watch(readiness, lambda ready: self._become(ready=ready), self._note)
                )
            if liveness:
                await prober.until_unhealthy(liveness, self._note)
                await process.stop(self._grace_s(liveness))

    def _grace_s(self, probe: Object) -> float:
        default = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(probe.get("terminationGracePeriodSeconds") or default)

    def _note(self, success: bool, message: str) -> None:
        self.last_probe_message = "" if success else message

    async def _before_stop(self, grace_s: float) -> None:
        hook = (self._container.get("lifecycle") or {}).get("preStop") or {}
        if "exec" in hook:
            await self._execute(hook["exec"]["command"], grace_s)
        elif "sleep" in hook:
            await asyncio.sleep(min(hook["sleep"]["seconds"], grace_s))

    async def _execute(self, command: Sequence[str], timeout_s: float) -> int | None:
        """Run a command beside the program; `None` if it took too long."""
        assert self._invocation is not None
        try:
            process = await LocalProcess.start(
                command,
                environment=self._invocation.environment,
                directory=self._invocation.directory,
                log=Path("/dev/null"),
                guard=self._node.guard,
            )
        except CannotStart:
            return CANNOT_START
        try:
            async with asyncio.timeout(timeout_s):
                return await process.wait()
        except TimeoutError:
            return None
        finally:
            await process.stop(0)

    def _become(self, **changes: Any) -> None:
        following = replace(self.state, **changes)
        if following != self.state:
            self.state = following
            self._changed()


def _restarts_before(pod: Object, container: Object) -> int:
    """Restarts to begin with: a container that ran before the node went down is started once more."""
    status = pod.get("status") or {}
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if each["name"] == container["name"] and "containerID" in each:
            return int(each["restartCount"]) + 1
    return 0
