"""What the pods of a node share."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from devcluster.objects import Clock
from devcluster.pods.guard import Guard
from devcluster.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """How the node behaves."""

    name: str = "dev-node"
    #: Besides the labels that every node has.
    labels: Mapping[str, str] = field(default_factory=dict)
    #: What pods may request altogether. Generous: processes share the machine whatever they ask for.
    cpu: str = "1000"
    memory: str = "4Ti"
    pods: str = "10000"
    #: Pause before a container that ended is started again, doubling from the first to the longest.
    first_back_off_s: float = 1.0
    longest_back_off_s: float = 60.0
    #: A run as long as this makes the pause short again.
    stable_after_s: float = 600.0
    #: What processes get to end when the node itself stops; the pods are started anew when it is back.
    shutdown_grace_s: float = 2.0


class Broadcast:
    """Wakes everybody who waits at the moment; carries nothing."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def announce(self) -> None:
        """Wake whoever waits now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next announcement."""
        await self._event.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContext:
    """The node's parts as its pods need them.

    Attributes:
        registry: The API server's objects.
        pods_dir: Where each pod has its directory.
        config: How the node behaves.
        clock: Says what time it is.
        guard: Ends what is left if the dev cluster is killed.
        http: For probes.
        sources_changed: Told when a Secret or ConfigMap changes.
        address: The node's own address.
    """

    registry: Registry
    pods_dir: Path
    config: NodeConfig
    clock: Clock
    guard: Guard
    http: httpx2.AsyncClient
    sources_changed: Broadcast
    address: str


@dataclass(frozen=True, slots=True)
class PodDirectory:
    """Where a pod's files lie."""

    root: Path

    @property
    def volumes(self) -> Path:
        """One directory for each volume."""
        return self.root / "volumes"

    @property
    def home(self) -> Path:
        """The programs' home and working directory."""
        return self.root / "home"

    def logs(self, container: str) -> Path:
        """The log files of a container."""
        return self.root / "logs" / container


#: Called whenever the state of a container has changed.
Changed = Callable[[], None]
