"""A run's steps as they happen, each told once, on standard error."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any, Self
from uuid import uuid4

import httpx2
import stamina
from rich.text import Text

from orchestrator.cli.client import MAX_SERVER_WAIT_S, Api, run_path
from orchestrator.cli.failure import DONE, FAILED, STILL_RUNNING, Unreachable
from orchestrator.cli.output import duration, remarks
from orchestrator.cli.views import error_text

RUNS = "/api/v1/admin/provision/runs"
#: How often a run that nothing tells about is looked at, in seconds.
LOOK_S = 0.25
#: How long a server may be away, for a restart say, before a command that follows a run gives up; in seconds.
PATIENCE_S = 60.0

_MARKS = {"succeeded": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "dim")}
_STATUSES = {"succeeded": DONE, "running": STILL_RUNNING}


class Progress:
    """Tells steps on standard error; on a terminal, also what is going on at the moment."""

    def __init__(self) -> None:
        self._console = remarks()
        self._status = self._console.status("waiting for the run to start")
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def tell(self, step: Mapping[str, Any]) -> None:
        """Tell a step that has ended; one that goes on only shows while it does."""
        name, status = str(step["name"]), str(step["status"])
        if status not in _MARKS:
            self._status.update(Text(name))
            return
        if (name, status) in self._told:
            return
        self._told.add((name, status))
        mark, style = _MARKS[status]
        line = Text.assemble(
            (mark, style), f" {name}", (f"  {duration(step.get('duration_ms')) or ''}", "dim")
        )
        if error := error_text(step.get("error")):
            line.append(f"  {error}", style="red")
        self._console.print(line, soft_wrap=True)

    def tell_all(self, run: Mapping[str, Any]) -> None:
        """Tell the steps of a run that no event told."""
        for step in run.get("steps") or ():
            self.tell(step)


async def follow(api: Api, run_id: str, progress: Progress) -> Any:
    """Tell a run's steps until it has ended; the whole run then.

    A stream that breaks is taken up again, so a restart of the server goes unnoticed.

    Raises:
        Failure: the API refused, or cannot be reached.
    """
    while True:
        with contextlib.suppress(httpx2.TransportError):  # the look below finds out how the run stands
            async with contextlib.aclosing(api.events(run_id)) as events:
                async for event in events:
                    if event.event == "step":
                        progress.tell(_mapping(event))
                    elif event.event == "run":
                        return _mapping(event)
        async for attempt in stamina.retry_context(on=Unreachable, attempts=None, timeout=PATIENCE_S):
            with attempt:
                run = await api.get(run_path(run_id))
        progress.tell_all(run)
        if run["status"] != "running":
            return run
        await asyncio.sleep(LOOK_S)


def _mapping(event: httpx2.ServerSentEvent) -> Mapping[str, Any]:
    data = event.json()
    assert isinstance(data, Mapping)
    return data


async def follow_newest(api: Api, org_id: str, team_node_id: str, progress: Progress) -> None:
    """Tell the steps of the run that a request still in flight has made, once the API lists it."""
    query = {"org_id": org_id, "team_node_id": team_node_id, "status": "running", "limit": 1}
    while True:
        await asyncio.sleep(LOOK_S)
        if items := (await api.get(RUNS, query))["items"]:
            await follow(api, items[0]["provisioning_run_id"], progress)


async def submit(
    api: Api,
    path: str,
    body: Mapping[str, Any],
    *,
    wait_s: int,
    key: str | None,
    method: str = "POST",
    of_team: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Send a change, tell its steps as they happen, answer how it stands after at most `wait_s` seconds.

    The request itself waits for the run, because only its answer holds what is shown once (the team's
    token); meanwhile the run's events tell the progress. A run that takes longer than the API waits is followed
    to its end, and the request sent again under its key: the API then answers as the first one would have.

    Args:
        api: whom to send it to.
        path: of the resource.
        body: of the request.
        wait_s: for how long, in seconds.
        key: of idempotency; a new one when absent.
        method: of the request.
        of_team: whose it is, where the body does not say so.

    Raises:
        Failure: the API refused, or cannot be reached.
    """
    give_up_at = time.monotonic() + wait_s
    key = key or str(uuid4())
    with Progress() as progress:
        team = of_team or body
        follower = asyncio.create_task(follow_newest(api, team["org_id"], team["team_node_id"], progress))
        try:
            answer: dict[str, Any] = await api.post(
                path, body, wait_s=min(wait_s, MAX_SERVER_WAIT_S), idempotency_key=key, method=method
            )
        finally:
            follower.cancel()
            # Progress is a courtesy: whatever became of it, the answer of the request itself counts.
            await asyncio.gather(follower, return_exceptions=True)
        progress.tell_all(answer)
        if answer["status"] == "running" and time.monotonic() < give_up_at:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(give_up_at - time.monotonic()):
                    await follow(api, answer["provisioning_run_id"], progress)
                    answer = await api.post(path, body, idempotency_key=key, method=method)
    return answer


def exit_status(run: Mapping[str, Any]) -> int:
    """The status of a process that reports a run: 0 done, 3 still running, else 1."""
    return _STATUSES.get(run["status"], FAILED)
