"""Runs controllers: each is woken by events or by the clock, and then looks at the present state."""

import asyncio
import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from devcluster.controllers.world import World
from devcluster.errors import ApiError
from devcluster.metadata import Ref
from devcluster.objects import Object
from devcluster.registry import Registry

log = structlog.get_logger(__name__)

#: How often the clock is looked at while something is due later; bounds how late a test's clock is noticed.
_TICK_S = 1.0
_FIRST_BACK_OFF = timedelta(milliseconds=250)
_LONGEST_BACK_OFF = timedelta(seconds=30)
#: Reconciliations before others, such as HTTP requests, get their turn.
_BATCH = 20


class Controller(Protocol):
    """Brings objects of one kind to what their spec says."""

    @property
    def kinds(self) -> Iterable[str]:
        """The kinds whose events wake it."""
        ...

    def wakes(self, obj: Object, *, gone: bool) -> Iterator[Ref]:
        """Which objects to look at after an event: for every kind, what `obj` concerns."""
        ...

    def reconcile(self, ref: Ref) -> datetime | None:
        """Look at one object and do what is to be done; when to look again even if nothing happens.

        Raises:
            ApiError: It could not be done; it is tried again later.
        """
        ...


#: An object that a controller shall look at.
_Task = tuple[int, Ref]


class Runner:
    """The queue that all controllers share."""

    def __init__(self, registry: Registry, world: World, controllers: Sequence[Controller]) -> None:
        self._registry = registry
        self._world = world
        self._controllers = controllers
        self._queue: dict[_Task, None] = {}
        self._due: list[tuple[datetime, _Task]] = []
        #: The moment that counts for each task; other entries of the heap are stale.
        self._next: dict[_Task, datetime] = {}
        self._failures: dict[_Task, int] = {}
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled, or until the registry ends its watches."""
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self._work())
            await self._listen()
            working.cancel()

    async def _listen(self) -> None:
        kinds = dict.fromkeys(kind for controller in self._controllers for kind in controller.kinds)
        async for event in self._registry.watch(kinds):
            if event.type == "DELETED":
                self._world.forget(event.object)
            else:
                self._world.note(event.object)
            self._wake(event.object, gone=event.type == "DELETED")

    def _wake(self, obj: Object, *, gone: bool) -> None:
        for number, controller in enumerate(self._controllers):
            if obj["kind"] in controller.kinds:
                for ref in controller.wakes(obj, gone=gone):
                    self._queue[number, ref] = None
        if self._queue:
            self._woken.set()

    async def _work(self) -> None:
        done = 0
        while True:
            self._collect_due()
            if not self._queue:
                await self._rest()
                continue
            task = next(iter(self._queue))
            del self._queue[task]
            self._reconcile(task)
            done += 1
            if done % _BATCH == 0:
                await asyncio.sleep(0)

    async def _rest(self) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(self._pause_s()):
                await self._woken.wait()
        except TimeoutError:
            return

    def _pause_s(self) -> float | None:
        if not self._due:
            return None
        left = (self._due[0][0] - self._world.now()).total_seconds()
        return min(max(left, 0.0), _TICK_S)

    def _collect_due(self) -> None:
        now = self._world.now()
        while self._due and self._due[0][0] <= now:
            moment, task = heapq.heappop(self._due)
            if self._next.get(task) == moment:
                del self._next[task]
                self._queue[task] = None

    def _reconcile(self, task: _Task) -> None:
        number, ref = task
        controller = self._controllers[number]
        try:
            again = controller.reconcile(ref)
        except ApiError as error:
            log.info("reconcile_refused", object=str(ref), reason=error.message)
            again = self._after_failure(task)
        except Exception:
            # One object that a controller stumbles over must not stop the others.
            log.exception("reconcile_failed", object=str(ref))
            again = self._after_failure(task)
        else:
            self._failures.pop(task, None)
        if again is None:
            self._next.pop(task, None)
        elif self._next.get(task) != again:
            self._next[task] = again
            heapq.heappush(self._due, (again, task))

    def _after_failure(self, task: _Task) -> datetime:
        failures = self._failures.get(task, 0)
        self._failures[task] = failures + 1
        return self._world.now() + min(_FIRST_BACK_OFF * (1 << min(failures, 10)), _LONGEST_BACK_OFF)
