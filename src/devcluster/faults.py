"""Failures on request: what a client of the API server must live with, made to happen in tests and demos."""

import asyncio
import enum
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from devcluster.asgi import Answer, ASGIApp, Receive, Scope, Send
from devcluster.errors import ApiError

_REASONS = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


class Effect(enum.StrEnum):
    """What happens to a call."""

    #: It is answered with an error, and not executed.
    REFUSE = "refuse"
    #: It is executed, and the connection breaks before the answer is through.
    DROP_ANSWER = "drop_answer"
    #: It is neither executed nor answered as long as the client waits.
    HANG = "hang"
    #: It is executed after a while.
    DELAY = "delay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule.

    Attributes:
        effect: what happens.
        method: only calls with this method; None for all.
        path: a regular expression that is searched for in the path.
        nth: only this one of the calls that fit, counted from 1; None for all of them.
        status: the answer of `REFUSE`.
        retry_after_s: the `Retry-After` of `REFUSE`, in seconds; None for none.
        delay_s: how long `DELAY` waits, in seconds.
    """

    effect: Effect
    method: str | None = None
    path: str = ""
    nth: int | None = None
    status: int = 503
    retry_after_s: int | None = None
    delay_s: float = 0.0


class Faults:
    """ASGI middleware that spoils calls; it does nothing until a rule is added.

    Attributes:
        hits: method, path and effect of the calls that were spoiled, in order.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rules: list[Fault] = []
        self._counts: list[int] = []
        self.hits: list[tuple[str, str, Effect]] = []

    def add(self, fault: Fault) -> None:
        """Apply a rule to calls from now on; of several that fit a call, the first one counts."""
        self._rules.append(fault)
        self._counts.append(0)

    def clear(self) -> None:
        """Let all calls pass again; calls that hang stay so."""
        self._rules.clear()
        self._counts.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spoil the call or pass it on."""
        fault = self._match(scope) if self._rules and scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        self.hits.append((scope["method"], scope["path"], fault.effect))
        match fault.effect:
            case Effect.REFUSE:
                await _refusal(fault).send(send)
            case Effect.DELAY:
                await asyncio.sleep(fault.delay_s)
                await self._app(scope, receive, send)
            case Effect.HANG:
                await _until_client_leaves(receive)
            case Effect.DROP_ANSWER:
                await self._app(scope, receive, _without_end(send))

    def _match(self, scope: Scope) -> Fault | None:
        found = None
        for number, fault in enumerate(self._rules):
            if fault.method not in {None, scope["method"]} or not re.search(fault.path, scope["path"]):
                continue
            self._counts[number] += 1
            if found is None and fault.nth in {None, self._counts[number]}:
                found = fault
        return found


def _refusal(fault: Fault) -> Answer:
    sentence = f"a fault was injected: {fault.status}"
    error = ApiError(sentence, status=fault.status, reason=_REASONS.get(fault.status, ""), details={})
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if fault.retry_after_s is not None:
        headers = ((b"retry-after", str(fault.retry_after_s).encode()),)
    return Answer(Answer.json(error.body()).body, fault.status, headers=headers)


async def _until_client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _without_end(send: Send) -> Send:
    """A `send` that announces the answer and never sends its body; the server then breaks the connection."""

    async def send_start_only(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            await send(message)

    return send_start_only
