"""The orchestrator's API as the commands use it: one connection, answers as JSON, refusals as `Failure`."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import stamina

from orchestrator.cli.failure import Failure, Unreachable, from_problem

#: The API waits this long for a run at most, in seconds (`Prefer: wait=N`).
MAX_SERVER_WAIT_S = 120
#: An answer may take this much longer than the run that it waits for, in seconds.
ANSWER_GRACE_S = 15.0
#: A stream of events that says nothing this long, not even a comment, is taken for broken; in seconds.
SILENCE_S = 60.0
#: Rows asked for at once.
PAGE = 200


class Api:
    """The API behind one base address and one token.

    Args:
        client: an HTTP client whose base address and headers are set.
    """

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """What the API answers to a read.

        Raises:
            Failure: it refused, or it cannot be reached.
        """
        return await self._json(lambda: self._client.get(path, params=_given(params)))

    async def text(self, path: str) -> str:
        """The body of an answer that is not JSON.

        Raises:
            Failure: the API refused, or it cannot be reached.
        """
        return (await self._answer(lambda: self._client.get(path))).text

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        wait_s: int = 0,
        idempotency_key: str | None = None,
        method: str = "POST",
    ) -> Any:
        """Send a change and wait for it at most `wait_s` seconds.

        With an idempotency key, a request whose answer was lost on the way is sent again: the API
        answers the run that the first one made.

        Raises:
            Failure: it refused, or it cannot be reached.
        """
        headers = {"Prefer": f"wait={wait_s}" if wait_s else "respond-async"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key

        async def send() -> httpx2.Response:
            timeout = httpx2.Timeout(ANSWER_GRACE_S, read=wait_s + ANSWER_GRACE_S)
            return await self._client.request(method, path, json=body, headers=headers, timeout=timeout)

        async def send_again() -> httpx2.Response:
            lost = (httpx2.ReadError, httpx2.RemoteProtocolError)
            async for attempt in stamina.retry_context(on=lost, attempts=3, timeout=wait_s + ANSWER_GRACE_S):
                with attempt:
                    return await send()
            raise AssertionError

        return await self._json(send_again if idempotency_key else send)

    async def pages(self, path: str, params: Mapping[str, Any], limit: int | None) -> list[Any]:
        """Every row of a list, or the first `limit` of them.

        Raises:
            Failure: the API refused, or it cannot be reached.
        """
        rows: list[Any] = []
        cursor: str | None = None
        while limit is None or len(rows) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(rows))
            page = await self.get(path, {**params, "limit": size, "cursor": cursor})
            rows += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                break
        return rows

    async def events(self, run_id: str) -> AsyncGenerator[httpx2.ServerSentEvent]:
        """A run's events as they happen.

        Raises:
            Failure: the API refused.
            httpx2.TransportError: the connection broke; the run goes on without it.
        """
        timeout = httpx2.Timeout(ANSWER_GRACE_S, read=SILENCE_S)
        path = run_path(run_id) + "/events"
        async with self._client.stream("GET", path, timeout=timeout) as response:
            if response.is_error:
                await response.aread()
                raise _refusal(response)
            async for event in httpx2.EventSource(response):
                yield event

    async def _json(self, send: Callable[[], Awaitable[httpx2.Response]]) -> Any:
        response = await self._answer(send)
        try:
            return response.json()
        except ValueError as error:
            message = f"{response.url} answers, but not as the orchestrator does."
            raise Failure(message, hints=(_OTHER_SERVER,)) from error

    async def _answer(self, send: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        try:
            response = await send()
        except httpx2.ConnectError as error:
            message = f"Nothing answers at {self._client.base_url} ({error})."
            raise Unreachable(
                message, hints=("Start it with `orchestrator serve`.", _OTHER_SERVER)
            ) from error
        except httpx2.TimeoutException as error:
            message = (
                f"{self._client.base_url} did not answer in time; what was asked for may still be going on."
            )
            raise Unreachable(message, hints=("Look with `orchestrator runs list`.",)) from error
        except httpx2.TransportError as error:
            message = f"The connection to {self._client.base_url} broke ({error or type(error).__name__})."
            raise Unreachable(message, hints=("Look with `orchestrator runs list`.",)) from error
        if response.is_error or response.is_redirect:
            raise _refusal(response)
        return response


_OTHER_SERVER = "Name another address with --server or ORCHESTRATOR_URL."


def _refusal(response: httpx2.Response) -> Failure:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict):
        return from_problem(response.status_code, problem)
    message = f"{response.url} answered {response.status_code} {response.reason_phrase}".rstrip() + "."
    return Failure(message, hints=(_OTHER_SERVER,), http_status=response.status_code)


def _given(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def run_path(run_id: str) -> str:
    """Where a run is read."""
    return f"/api/v1/admin/provision/runs/{quote(run_id, safe='')}"


def team_path(org_id: str, team_node_id: str) -> str:
    """Where a team is read."""
    return f"/api/v1/admin/teams/{quote(org_id, safe='')}/{quote(team_node_id, safe='')}"


def find_token(token: str | None, data_dir: Path) -> str:
    """The token to show: the one named, else the one that a server on this machine keeps in its data folder.

    Raises:
        Failure: there is none.
    """
    if token:
        return token
    path = data_dir / "admin-token"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        message = f"No admin token: none was named, and {path} cannot be read ({error.strerror})."
        hints = (
            "Name it with --token or ORCHESTRATOR_ADMIN_TOKEN.",
            "A server started in another folder keeps it there; see ORCHESTRATOR_DATA_DIR.",
        )
        raise Failure(message, hints=hints) from error


@asynccontextmanager
async def connect(server: str, token: str | None) -> AsyncIterator[Api]:
    """The API at `server`.

    Raises:
        Failure: no token is to be had, or the address is none.
    """
    data_dir = Path(os.environ.get("ORCHESTRATOR_DATA_DIR", ".orchestrator"))
    if not server.startswith(("http://", "https://")):
        raise Failure(
            f"{server} is not an address.", hints=("It starts with http:// or https://.",), exit_status=2
        )
    headers = {"Authorization": f"Bearer {find_token(token, data_dir)}"}
    try:
        client = httpx2.AsyncClient(base_url=server, headers=headers)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise Failure(f"{server} is not an address ({error}).", exit_status=2) from error
    async with client:
        yield Api(client)
