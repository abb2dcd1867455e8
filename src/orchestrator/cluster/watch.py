"""List, then watch: what the cluster has of a kind, told as it changes, without ever becoming a storm of lists."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog
from prometheus_client import Counter

from orchestrator.cluster.client import Cluster
from orchestrator.cluster.errors import ClusterError, Refused, WatchExpired
from orchestrator.domain.objects import Manifest
from orchestrator.errors import DependencyAway

log = structlog.get_logger()

#: An API server sends a bookmark about once a minute; a stream that says nothing for longer than this is dead.
QUIET_S = 120.0
#: How long an API server is asked to keep a watch open; it then ends in good order and goes on from where it was.
WATCH_S = 300
#: Pauses between lists after failures: doubling from the first to the last.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 60.0

LISTS = Counter("orchestrator_cluster_lists_total", "Whole lists asked of the API server.", ["kind"])
WATCH_ENDS = Counter(
    "orchestrator_cluster_watch_ends_total", "Watches that ended, and why.", ["kind", "reason"]
)


class Sink(Protocol):
    """Who is told."""

    def listed(self, kind: str, objects: list[Manifest]) -> None:
        """Everything there is of a kind."""

    def changed(self, event: str, obj: Manifest) -> None:
        """One object was ADDED, MODIFIED or DELETED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is watched: objects that a label selector selects, in one namespace or (empty) in all of them."""

    selector: str
    namespace: str = ""
    #: Only names and labels, neither specs nor values.
    metadata_only: bool = False


class Watch:
    """Watches one kind for as long as `run` does.

    Args:
        cluster: the door.
        kind: which.
        scope: which of them.
        fallback_namespace: where to watch when we may not look into all namespaces.
        sink: who is told.
        quiet_s: how long a stream may say nothing.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: str,
        *,
        scope: Scope,
        fallback_namespace: str,
        sink: Sink,
        quiet_s: float = QUIET_S,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._cluster = cluster
        self._kind = kind
        self._scope = scope
        self._fallback = fallback_namespace
        self._sink = sink
        self._quiet_s = quiet_s
        self._jitter = jitter
        self._live = False

    def covers(self, namespace: str) -> bool:
        """Whether the sink knows now what there is in a namespace; what has just happened may still be on its way."""
        return self._live and self._scope.namespace in {"", namespace}

    async def run(self) -> None:
        """Tell the sink what there is and what happens, until cancelled."""
        failures = 0
        while True:
            try:
                version = await self._list()
                self._live = True
                while True:
                    version, heard = await self._follow(version)
                    failures = 0 if heard else failures
            except Refused as error:
                failures += 1
                self._narrow(error)
            except WatchExpired:
                # The history that we had left off at is gone: only a new list tells what was missed.
                failures += 1
                WATCH_ENDS.labels(self._kind, "expired").inc()
            except (ClusterError, DependencyAway) as error:
                failures += 1
                WATCH_ENDS.labels(self._kind, "away").inc()
                log.info("watch_interrupted", kind=self._kind, cause=str(error))
            except Exception:
                # One odd answer must not leave a kind unwatched for good.
                failures += 1
                WATCH_ENDS.labels(self._kind, "bug").inc()
                log.exception("watch_failed", kind=self._kind)
            finally:
                self._live = False
            pause = min(LAST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 10))
            await asyncio.sleep(pause / 2 + pause / 2 * self._jitter())

    def _narrow(self, error: Refused) -> None:
        forbidden = 403
        if error.status == forbidden and not self._scope.namespace:
            log.warning("watching_one_namespace", kind=self._kind, cause=error.message)
            self._scope = replace(self._scope, namespace=self._fallback)
        else:
            log.warning("watch_refused", kind=self._kind, cause=error.message)

    async def _list(self) -> str:
        LISTS.labels(self._kind).inc()
        listed = await self._cluster.list_versioned(
            self._kind,
            namespace=self._scope.namespace,
            selector=self._scope.selector,
            metadata_only=self._scope.metadata_only,
        )
        self._sink.listed(self._kind, listed.objects)
        return listed.version

    async def _follow(self, version: str) -> tuple[str, bool]:
        """Tell what happens from a version on; where the stream left off, and whether it said anything."""
        heard = False
        events = self._cluster.watch(
            self._kind,
            namespace=self._scope.namespace,
            selector=self._scope.selector,
            metadata_only=self._scope.metadata_only,
            version=version,
            quiet_s=self._quiet_s,
            watch_s=WATCH_S,
        )
        async for event, obj in events:
            heard = True
            version = _version(obj) or version
            if event != "BOOKMARK":
                self._sink.changed(event, obj | {"kind": self._kind})
        WATCH_ENDS.labels(self._kind, "timeout").inc()
        if not heard:
            # A stream that ends at once, again and again, must not be opened again and again.
            await asyncio.sleep(FIRST_PAUSE_S)
        return version, heard


def _version(obj: Mapping[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("resourceVersion", ""))
