"""The little of HTTP that the API server needs, close to ASGI because every call goes through it."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from devcluster.errors import ApiError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

#: What the API server takes in one request.
MAX_BODY_BYTES = 3 * 1024 * 1024

encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    Attributes:
        method: in capitals.
        path: decoded, without the query.
        query: the last value of every parameter.
        headers: by lower-case name.
        body: all of it.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type of the body without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def flag(self, name: str) -> bool:
        """A parameter that is on or off, as Go reads it."""
        return self.query.get(name, "").lower() in {"true", "1", "t"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    body: bytes
    status: int = 200
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())

    @classmethod
    def json(cls, value: Any, status: int = 200, *, warnings: tuple[str, ...] = ()) -> "Answer":
        """A JSON document, with a `Warning` header for everything the client should know."""
        headers = tuple((b"warning", f"299 - {encode(text).decode()}".encode()) for text in warnings)
        return cls(encode(value) + b"\n", status, headers=headers)

    @classmethod
    def text(cls, value: str, status: int = 200) -> "Answer":
        """Plain text."""
        return cls(value.encode(), status, b"text/plain; charset=utf-8")

    async def send(self, send: Send) -> None:
        """Send it."""
        headers = [(b"content-type", self.content_type), (b"content-length", str(len(self.body)).encode())]
        headers += self.headers
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True, slots=True)
class Streaming:
    """An answer that a function sends bit by bit; it also gets `receive`, to notice that the client left."""

    run: Callable[[Receive, Send], Awaitable[None]]


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a call with its body.

    Raises:
        ApiError: 413, the body is too large.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            sentence = f"Request entity too large: limit is {MAX_BODY_BYTES}"
            raise ApiError(sentence, status=413, reason="RequestEntityTooLarge", details={})
        chunks.append(chunk)
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    raw_query = scope.get("query_string", b"")
    query = dict(parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True)) if raw_query else {}
    return Request(scope["method"], scope["path"], query, headers, b"".join(chunks))
