"""get, list and watch."""

import asyncio
import base64
import contextlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec

from devcluster.asgi import Answer, Receive, Request, Send, Streaming, encode
from devcluster.errors import ApiError, BadRequest, Expired
from devcluster.kinds import ResourceType
from devcluster.objects import Object
from devcluster.registry import Registry, not_found
from devcluster.representation import Representation, negotiate
from devcluster.selectors import Predicate, parse_field_selector, parse_label_selector
from devcluster.store import Change, Subscription
from devcluster.targets import Target

#: How long a watch lasts that does not say.
_WATCH_DEFAULT_S = 1800
_BOOKMARK_EVERY_S = 60.0


def representation_for(registry: Registry, resource_type: ResourceType, request: Request) -> Representation:
    """In which form this caller wants the answer."""
    includes = request.query.get("includeObject", "Metadata")
    return negotiate(request.headers.get("accept", ""), resource_type, registry.now, includes)


def get_object(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """One object."""
    assert target.name is not None
    obj = registry.find(resource_type.kind, target.namespace, target.name)
    if obj is None:
        raise not_found(resource_type, target.name)
    return Answer.json(representation_for(registry, resource_type, request).one(obj))


def selected(resource_type: ResourceType, request: Request) -> Predicate | None:
    """Which objects the query asks for; None for all."""
    labels = parse_label_selector(request.query.get("labelSelector", ""))
    fields = parse_field_selector(request.query.get("fieldSelector", ""), resource_type.kind)
    if labels and fields:
        return lambda obj: fields(obj) and labels(obj)
    return labels or fields


def list_objects(registry: Registry, target: Target, resource_type: ResourceType, request: Request) -> Answer:
    """A list, or a page of it."""
    _check_version_parameter(request)
    shown = representation_for(registry, resource_type, request)
    predicate = selected(resource_type, request)
    limit = _number(request, "limit") or 0
    token = request.query.get("continue", "")
    after = _read_token(token) if token else None
    found: Iterator[Object] = registry.store.scan(resource_type.kind, target.namespace, after=after)
    if predicate:
        found = filter(predicate, found)
    page = list(islice(found, limit)) if limit else list(found)
    metadata: dict[str, Any] = {"resourceVersion": str(registry.store.revision)}
    if limit and len(page) == limit:
        remaining = sum(1 for _ in found)
        if remaining:
            last = page[-1]["metadata"]
            metadata["continue"] = _write_token(last.get("namespace"), last["name"])
            if predicate is None:
                metadata["remainingItemCount"] = remaining
    return Answer.json(shown.many(page, metadata))


def _write_token(namespace: str | None, name: str) -> str:
    return (
        base64.urlsafe_b64encode(encode({"v": "meta.k8s.io/v1", "start": [namespace, name]}))
        .decode()
        .rstrip("=")
    )


def _read_token(token: str) -> tuple[str | None, str]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from error
    try:
        namespace, name = msgspec.json.decode(raw)["start"]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        letter = repr(raw[:1])[2:-1] if raw else ""
        sentence = f"invalid character '{letter}' looking for beginning of value"
        raise BadRequest(f"invalid continue token: continue key is not valid: {sentence}") from error
    return namespace, name


def _number(request: Request, name: str) -> int | None:
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def _check_version_parameter(request: Request) -> int | None:
    """The resourceVersion asked for, as a number; None for any.

    Raises:
        ApiError: it is no number.
    """
    text = request.query.get("resourceVersion", "")
    if text in {"", "0"}:
        return None
    if not (text.isascii() and text.isdigit()):
        # A plain 500 without reason is what Kubernetes answers.
        raise ApiError(
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def watch_objects(
    registry: Registry, target: Target, resource_type: ResourceType, request: Request
) -> Streaming:
    """Changes from a version on, or what there is and then changes."""
    version = _check_version_parameter(request)
    watch = _Watch(
        registry,
        resource_type,
        show=representation_for(registry, resource_type, request).stream(),
        namespace=target.namespace,
        predicate=_named(target.name, selected(resource_type, request)),
        bookmarks=request.flag("allowWatchBookmarks"),
        marks_initial=request.flag("sendInitialEvents"),
    )
    timeout_s = _number(request, "timeoutSeconds") or _WATCH_DEFAULT_S

    async def run(receive: Receive, send: Send) -> None:
        await watch.run(version, timeout_s, receive, send)

    return Streaming(run)


def _named(name: str | None, predicate: Predicate | None) -> Predicate | None:
    if name is None:
        return predicate
    return lambda obj: obj["metadata"]["name"] == name and (predicate is None or predicate(obj))


class _Watch:
    """One watch: which changes it shows, and how."""

    def __init__(
        self,
        registry: Registry,
        resource_type: ResourceType,
        *,
        show: Callable[[Object], Any],
        namespace: str | None,
        predicate: Predicate | None,
        bookmarks: bool,
        marks_initial: bool,
    ) -> None:
        self._store = registry.store
        self._resource_type = resource_type
        self._show = show
        self._namespace = namespace
        self._predicate = predicate
        self._bookmarks = bookmarks
        self._marks_initial = marks_initial

    async def run(self, version: int | None, timeout_s: int, receive: Receive, send: Send) -> None:
        """Stream until the time is over, the client leaves or the server stops."""
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        subscription = self._store.subscribe([self._resource_type.kind])
        try:
            await self._follow(subscription, version, timeout_s, receive, send)
        finally:
            self._store.unsubscribe(subscription)
        await send({"type": "http.response.body", "body": b""})

    async def _follow(
        self, subscription: Subscription, version: int | None, timeout_s: int, receive: Receive, send: Send
    ) -> None:
        try:
            first = self._first_lines(version)
        except Expired as expired:
            await _send_lines(send, [_line("ERROR", expired.body())])
            return
        # The status line alone tells the client that the watch stands, even before anything happens.
        await send({"type": "http.response.body", "body": b"".join(first), "more_body": True})
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        left = asyncio.ensure_future(_until_disconnect(receive))
        changes = asyncio.ensure_future(subscription.next())
        try:
            while (rest := end - loop.time()) > 0:
                pause = min(rest, _BOOKMARK_EVERY_S) if self._bookmarks else rest
                await asyncio.wait({left, changes}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if left.done():
                    return
                lines: list[bytes] = []
                if changes.done():
                    batch = [changes.result(), *subscription.waiting()]
                    if None in batch:
                        return
                    lines = [line for change in batch if change and (line := self._line_for(change))]
                    changes = asyncio.ensure_future(subscription.next())
                elif self._bookmarks:
                    lines = [self._bookmark()]
                if lines:
                    await _send_lines(send, lines)
        finally:
            for task in (left, changes):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _first_lines(self, version: int | None) -> list[bytes]:
        """What the watch begins with: changes since the version, or what there is."""
        kind = self._resource_type.kind
        if version is not None and not self._marks_initial:
            since = self._store.changes_since(kind, version)
            return [line for change in since if (line := self._line_for(change))]
        present = self._store.scan(kind, self._namespace)
        lines = [
            _line("ADDED", self._show(obj))
            for obj in present
            if self._predicate is None or self._predicate(obj)
        ]
        if self._marks_initial:
            lines.append(self._bookmark({"k8s.io/initial-events-end": "true"}))
        return lines

    def _line_for(self, change: Change) -> bytes | None:
        """A change as this watch sees it: an object that comes to fit the selector is ADDED to it."""
        obj = change.object
        if self._namespace and obj["metadata"].get("namespace") != self._namespace:
            return None
        if self._predicate is None:
            return _line(change.type, self._show(obj))
        fits = change.type != "DELETED" and self._predicate(obj)
        fitted = change.previous is not None and self._predicate(change.previous)
        if fits:
            return _line("MODIFIED" if fitted else "ADDED", self._show(obj))
        if not fitted or change.previous is None:
            return None
        metadata = {**change.previous["metadata"], "resourceVersion": str(change.revision)}
        return _line("DELETED", self._show({**change.previous, "metadata": metadata}))

    def _bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(self._store.revision)}
        if annotations:
            metadata["annotations"] = annotations
        bare = {"kind": self._resource_type.kind, "apiVersion": self._resource_type.api_version}
        return _line("BOOKMARK", bare | {"metadata": metadata})


async def _send_lines(send: Send, lines: list[bytes]) -> None:
    await send({"type": "http.response.body", "body": b"".join(lines), "more_body": True})


def _line(event: str, obj: Any) -> bytes:
    return encode({"type": event, "object": obj}) + b"\n"


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
