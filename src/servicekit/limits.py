"""A limit to what a request's body may be, held before anything reads it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.problems import Problem, problem_response


class ContentTooLarge(Problem):
    """The request body is larger than {limit} bytes."""

    status, code = 413, "content_too_large"


class LimitBody:
    """ASGI middleware: answers 413 once a body grows beyond `limit` bytes, whatever its headers claim."""

    def __init__(self, app: ASGIApp, limit: int = 1024 * 1024) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, reading its body ahead."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self.app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.limit:
                await problem_response(ContentTooLarge(limit=self.limit))(scope, receive, send)
                return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, replay, send)
