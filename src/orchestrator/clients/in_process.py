"""HTTP to an application inside this process."""

import asyncio
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message, Scope


class InProcess(httpx2.AsyncBaseTransport):
    """Calls an ASGI application instead of connecting to it.

    httpx2's own `ASGITransport` looks for another event loop's library on disk at every request; five of them a
    provisioning cost more than what they ask for.

    Args:
        app: an application that answers whole bodies; what it raises is answered as 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer the request."""
        body = await request.aread()
        asked = False
        answered = asyncio.Event()
        status = httpx2.codes.INTERNAL_SERVER_ERROR
        headers: list[tuple[bytes, bytes]] = []
        parts: list[bytes] = []

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await answered.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", ()))
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    answered.set()

        try:
            await self._app(_scope(request), receive, send)
        except Exception:  # noqa: BLE001 - the application has logged it; to its callers it is an answer
            answered.set()
        return httpx2.Response(status, headers=headers, content=b"".join(parts))


def _scope(request: httpx2.Request) -> Scope:
    url = request.url
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 0),
        "root_path": "",
    }
    return scope
