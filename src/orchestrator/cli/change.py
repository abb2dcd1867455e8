"""How a change to a team is made from a shell: plan, question, progress, end."""

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx2
import typer
from rich.table import Table
from rich.text import Text

from orchestrator.cli.client import Api, connect
from orchestrator.cli.failure import DONE, FAILED, Failure
from orchestrator.cli.formats import Output
from orchestrator.cli.output import remarks, write
from orchestrator.cli.progress import exit_status, submit
from orchestrator.cli.views import plan_tables


async def change(
    path: str,
    body: Mapping[str, Any],
    tables: Callable[[Mapping[str, Any]], Iterable[Table | Text]],
    *,
    server: str,
    token: str | None,
    output: Output,
    dry_run: bool,
    yes: bool,
    wait_s: int,
    key: str | None,
) -> int:
    """Show the plan, ask a person who is there, send the change and tell how it ends.

    Only a person is asked: where standard input or standard error is no terminal the plan is shown and the
    change goes on, as kubectl does. A script that wants to look first uses `--dry-run`.

    Returns:
        The exit status.

    Raises:
        Failure: the API refused, or cannot be reached.
    """
    async with connect(server, token) as api:
        if dry_run:
            planned = await _plan(api, path, body)
            write(output, planned, plan_tables(planned["plan"]))
            return DONE
        if not yes and not _agreed(await _plan(api, path, body)):
            return FAILED
        answer = await submit(api, path, body, wait_s=wait_s, key=key)
    write(output, answer, tables(answer))
    if answer["status"] == "running":
        follow_up = f"The run goes on by itself: orchestrator runs watch {answer['provisioning_run_id']}"
        remarks().print(Text(follow_up), soft_wrap=True)
    return exit_status(answer)


async def _plan(api: Api, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        planned: dict[str, Any] = await api.post(path, {**body, "dry_run": True})
    except Failure as failure:
        if failure.http_status == httpx2.codes.SERVICE_UNAVAILABLE:
            failure.hints += (
                "Without a plan (--yes) the request is taken and done once everything is back.",
            )
        raise
    return planned


def _agreed(planned: Mapping[str, Any]) -> bool:
    console = remarks()
    for part in plan_tables(planned["plan"]):
        console.print(part, soft_wrap=True)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return typer.confirm("Go on?", err=True)
