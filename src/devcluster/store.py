"""Objects in memory, in order, with the history that watches start from."""

import asyncio
import bisect
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from devcluster.errors import Expired
from devcluster.objects import Key, Object

#: Changes kept per kind; a watch that starts before the oldest of them gets 410.
HISTORY_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Change:
    """One write.

    Attributes:
        revision: the resourceVersion it made.
        type: ADDED, MODIFIED or DELETED.
        object: the object after it; for DELETED the last state, with the revision of the deletion.
        previous: the object before it; None for ADDED.
    """

    revision: int
    type: str
    object: Object
    previous: Object | None


class Journal(Protocol):
    """Where every write goes so that a restart finds it again."""

    def wrote(self, kind: str, obj: Object) -> None:
        """An object was created or changed."""

    def removed(self, kind: str, obj: Object) -> None:
        """An object is gone."""


class Subscription:
    """The changes of some kinds from now on, in order."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = tuple(kinds)
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()

    def push(self, change: Change | None) -> None:
        """Called by the store."""
        self._queue.put_nowait(change)

    async def next(self) -> Change | None:
        """The next change; waits for one. None when the server stops."""
        return await self._queue.get()

    def waiting(self) -> list[Change | None]:
        """Everything that can be had without waiting."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]


class Store:
    """Current objects by kind and key, one counter of revisions, a bounded history."""

    def __init__(self, journal: Journal | None = None, *, history_length: int = HISTORY_LENGTH) -> None:
        self.revision = 1
        self._journal = journal
        self._history_length = history_length
        self._objects: dict[str, dict[Key, Object]] = {}
        self._keys: dict[str, list[tuple[str, str]]] = {}
        self._history: dict[str, deque[Change]] = {}
        self._forgotten: dict[str, int] = {}
        self._forgotten_before = 0
        self._subscriptions: dict[str, list[Subscription]] = {}

    def get(self, kind: str, key: Key) -> Object | None:
        """The current object."""
        return self._objects.get(kind, {}).get(key)

    def scan(self, kind: str, namespace: str | None = None, *, after: Key | None = None) -> Iterator[Object]:
        """Objects of a kind in order, from behind `after` on; of all namespaces if none is given."""
        keys = self._keys.get(kind, [])
        objects = self._objects.get(kind, {})
        start = bisect.bisect_left(keys, (namespace, "")) if namespace else 0
        if after is not None:
            start = max(start, bisect.bisect_right(keys, (after[0] or "", after[1])))
        for position in range(start, len(keys)):
            space, name = keys[position]
            if namespace and space != namespace:
                return
            yield objects[space or None, name]

    def everything(self) -> Iterator[tuple[str, Object]]:
        """Every object with its kind."""
        for kind, objects in self._objects.items():
            for obj in objects.values():
                yield kind, obj

    def put(self, kind: str, key: Key, obj: Object) -> Object:
        """Store `obj` (owned by the store from here on) under a new revision."""
        previous = self.get(kind, key)
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self._place(kind, key, obj)
        if self._journal:
            self._journal.wrote(kind, obj)
        self._publish(kind, Change(self.revision, "MODIFIED" if previous else "ADDED", obj, previous))
        return obj

    def remove(self, kind: str, key: Key) -> Object:
        """Drop an object; its last state under the revision of the deletion."""
        previous = self._objects[kind].pop(key)
        keys = self._keys[kind]
        del keys[bisect.bisect_left(keys, (key[0] or "", key[1]))]
        self.revision += 1
        metadata = previous["metadata"] | {"resourceVersion": str(self.revision)}
        gone = previous | {"metadata": metadata}
        if self._journal:
            self._journal.removed(kind, gone)
        self._publish(kind, Change(self.revision, "DELETED", gone, previous))
        return gone

    def restore(self, kind: str, key: Key, obj: Object) -> None:
        """Put back what a journal remembered, without a new revision."""
        self._place(kind, key, obj)
        self.revision = max(self.revision, int(obj["metadata"]["resourceVersion"]))

    def forget_history_before(self, revision: int) -> None:
        """After a restart: no change up to `revision` can be told any more."""
        self.revision = max(self.revision, revision)
        self._forgotten_before = self.revision if revision else 0

    def changes_since(self, kind: str, revision: int) -> list[Change]:
        """The changes behind `revision`.

        Raises:
            Expired: some of them are no longer kept.
        """
        oldest = self._forgotten.get(kind, self._forgotten_before)
        if revision < oldest:
            raise Expired(f"too old resource version: {revision} ({oldest})")
        history = self._history.get(kind, deque())
        return [change for change in history if change.revision > revision]

    def subscribe(self, kinds: Iterable[str]) -> Subscription:
        """Follow some kinds; end it with `unsubscribe`."""
        subscription = Subscription(kinds)
        for kind in subscription.kinds:
            self._subscriptions.setdefault(kind, []).append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop following."""
        for kind in subscription.kinds:
            self._subscriptions[kind].remove(subscription)

    def end_subscriptions(self) -> None:
        """Tell all who follow that the server stops."""
        for subscription in {item for items in self._subscriptions.values() for item in items}:
            subscription.push(None)

    def _place(self, kind: str, key: Key, obj: Object) -> None:
        objects = self._objects.setdefault(kind, {})
        if key not in objects:
            bisect.insort(self._keys.setdefault(kind, []), (key[0] or "", key[1]))
        objects[key] = obj

    def _publish(self, kind: str, change: Change) -> None:
        history = self._history.setdefault(kind, deque())
        history.append(change)
        if len(history) > self._history_length:
            self._forgotten[kind] = history.popleft().revision
        for subscription in self._subscriptions.get(kind, ()):
            subscription.push(change)
