"""`orchestrator runs`: the audit trail."""

import enum
from typing import Annotated

import typer

from orchestrator.cli.formats import Output
from orchestrator.cli.options import DEFAULT_SERVER, Format, Server, Token, perform

app = typer.Typer(no_args_is_help=True, help="Look at runs: who asked for what, when, and how it went.")


class Status(enum.StrEnum):
    """How a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SUPERSEDED = "superseded"


RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run (provisioning_run_id).")]


@app.command("list")
def list_runs(
    *,
    org: Annotated[str | None, typer.Option("--org", help="Only of this customer.")] = None,
    team: Annotated[str | None, typer.Option("--team", help="Only of this team.")] = None,
    status: Annotated[Status | None, typer.Option("--status", help="Only those that stand so.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 50,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """List runs, the newest first."""

    async def work() -> int:
        from datetime import UTC, datetime

        from orchestrator.cli.client import connect
        from orchestrator.cli.output import write
        from orchestrator.cli.progress import RUNS
        from orchestrator.cli.views import runs_tables

        query = {"org_id": org, "team_node_id": team, "status": status.value if status else None}
        async with connect(server, token) as api:
            runs = await api.pages(RUNS, query, limit)
        write(output, {"items": runs}, runs_tables(runs, datetime.now(UTC)))
        return 0

    perform(work())


@app.command("get")
def get_run(
    run_id: RunId, output: Format = Output.TABLE, server: Server = DEFAULT_SERVER, token: Token = None
) -> None:
    """Show one run with its steps."""

    async def work() -> int:
        from orchestrator.cli.client import connect, run_path
        from orchestrator.cli.output import write
        from orchestrator.cli.views import run_tables

        async with connect(server, token) as api:
            run = await api.get(run_path(run_id))
        write(output, run, run_tables(run))
        return 0

    perform(work())


@app.command("watch")
def watch_run(
    run_id: RunId,
    wait: Annotated[
        int | None,
        typer.Option(
            "--wait", min=1, metavar="SECONDS", help="Stop watching after this long; never when absent."
        ),
    ] = None,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """Follow a run's steps until it ends.

    Exit status: 0 it succeeded, 1 it failed or was superseded, 3 it is still running.
    """

    async def work() -> int:
        import asyncio
        import contextlib

        from orchestrator.cli.client import connect, run_path
        from orchestrator.cli.output import write
        from orchestrator.cli.progress import Progress, exit_status, follow
        from orchestrator.cli.views import run_tables

        async with connect(server, token) as api:
            run = await api.get(run_path(run_id))
            with Progress() as progress, contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    run = await follow(api, run_id, progress)
        write(output, run, run_tables(run))
        return exit_status(run)

    perform(work())
