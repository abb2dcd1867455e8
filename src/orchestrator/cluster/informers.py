"""List and watch every managed kind, and answer from memory what would otherwise be asked of the API server."""

import asyncio
from collections.abc import Callable, Iterable

from orchestrator.cluster.client import Cluster
from orchestrator.cluster.index import Entry, Index, Names
from orchestrator.cluster.watch import Scope, Watch
from orchestrator.domain.objects import FIELD_MANAGER, MANAGED_BY_LABEL, Ref
from orchestrator.domain.team import TeamKey

#: What a team has in the installation's own namespace.
NAMESPACED_KINDS = (
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "Service",
    "Deployment",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "CronJob",
)
WATCHED_KINDS = ("Namespace", "ResourceQuota", "LimitRange", *NAMESPACED_KINDS)


class Informers:
    """What the watches know; nothing is known while they do not run.

    Args:
        cluster: the door.
        namespace: the installation's own.
        wake: told the team of a managed object that changed without our doing.
    """

    def __init__(self, cluster: Cluster, *, namespace: str, wake: Callable[[TeamKey], None]) -> None:
        self.index = Index(wake)
        self._names = Names()
        self._namespace = namespace
        cluster.on_applied(self.index.applied)
        cluster.on_deleted(self.index.deleted)
        ours = Scope(selector=f"{MANAGED_BY_LABEL}={FIELD_MANAGER}")
        others = Scope(
            selector=f"{MANAGED_BY_LABEL}!={FIELD_MANAGER}", namespace=namespace, metadata_only=True
        )
        self._ours = {
            kind: Watch(cluster, kind, scope=ours, fallback_namespace=namespace, sink=self.index)
            for kind in WATCHED_KINDS
        }
        self._others = {
            kind: Watch(cluster, kind, scope=others, fallback_namespace=namespace, sink=self._names)
            for kind in NAMESPACED_KINDS
        }

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for watch in (*self._ours.values(), *self._others.values()):
                group.create_task(watch.run())

    def find(self, ref: Ref) -> Entry | None:
        """The managed object of that name; `None` when there is none, or nobody watches just now."""
        return self.index.find(ref) if self._ours[ref.kind].covers(ref.namespace) else None

    def absent(self, ref: Ref) -> bool:
        """Whether it is certain that nobody has an object of that name."""
        return (
            ref.namespace == self._namespace
            and self._ours[ref.kind].covers(ref.namespace)
            and self._others[ref.kind].covers(ref.namespace)
            and self.index.find(ref) is None
            and ref not in self._names
        )

    def all_absent(self, refs: Iterable[Ref]) -> bool:
        """Whether it is certain of each."""
        return all(map(self.absent, refs))
