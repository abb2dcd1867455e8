"""A watch that is broken never becomes a storm of lists: an hour of each way to break, in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.cluster.client import Listed
from orchestrator.cluster.errors import ClusterAway, Refused, WatchExpired
from orchestrator.cluster.watch import QUIET_S, Scope, Watch
from orchestrator.domain.objects import Manifest
from tests.simulation.virtual_time import run

HOUR_S = 3600.0
#: One list a minute at worst, and the first ones, whose pauses are still short.
AT_MOST = 60 * 2 + 10


class Broken:
    """An API server whose watches, or lists, fail in one way."""

    def __init__(self, how: str) -> None:
        self._how = how
        self.lists = 0

    async def list_versioned(self, _kind: str, **_options: Any) -> Listed:
        self.lists += 1
        if self._how == "list is away":
            raise ClusterAway("ConnectError")
        if self._how == "list is refused":
            raise Refused(403, "Forbidden", "services is forbidden")
        if self._how == "list hangs":
            await asyncio.sleep(10)
            raise ClusterAway("ReadTimeout")
        return Listed([], "7")

    async def watch(
        self, _kind: str, *, quiet_s: float, **_options: Any
    ) -> AsyncIterator[tuple[str, Manifest]]:
        if self._how == "breaks at once":
            raise ClusterAway("ReadError")
        if self._how == "history is gone":
            raise WatchExpired(410, "Expired", "too old resource version")
        if self._how == "goes quiet":
            await asyncio.sleep(quiet_s)
            raise ClusterAway("ReadTimeout")
        if self._how == "tells once and breaks":
            yield "BOOKMARK", {"metadata": {"resourceVersion": "8"}}
            raise ClusterAway("ReadError")
        # Ends in good order, at once.


class Nobody:
    def listed(self, kind: str, objects: list[Manifest]) -> None: ...

    def changed(self, event: str, obj: Manifest) -> None: ...


async def lists_in_an_hour(how: str) -> int:
    cluster: Any = Broken(how)
    scope = Scope(selector="a=b")
    watch = Watch(cluster, "Service", scope=scope, fallback_namespace="n", sink=Nobody(), jitter=lambda: 0.0)
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(HOUR_S)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    lists: int = cluster.lists
    return lists


@pytest.mark.parametrize(
    "how",
    [
        "breaks at once",
        "history is gone",
        "goes quiet",
        "tells once and breaks",
        "ends at once",
        "list is away",
        "list is refused",
        "list hangs",
    ],
)
def test_an_hour_of_trouble_has_a_bound(how: str) -> None:
    lists = run(lists_in_an_hour(how))

    assert 1 <= lists <= AT_MOST


def test_a_watch_that_went_quiet_is_listed_anew() -> None:
    assert run(lists_in_an_hour("goes quiet")) >= HOUR_S / (QUIET_S + 60)
