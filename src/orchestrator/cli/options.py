"""Options that several commands share, and the one place where a `Failure` becomes an exit status."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from orchestrator.cli.formats import Output

DEFAULT_SERVER = "http://127.0.0.1:8080"

Server = Annotated[
    str, typer.Option("--server", envvar="ORCHESTRATOR_URL", help="Address of the orchestrator.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="ORCHESTRATOR_ADMIN_TOKEN",
        help="Admin token; when absent, the one in the data folder (./.orchestrator/admin-token).",
        show_envvar=True,
    ),
]
Format = Annotated[Output, typer.Option("--output", "-o", help="How to write the answer.")]
Org = Annotated[str, typer.Option("--org", help="The customer (org_id).")]
Team = Annotated[str, typer.Option("--team", help="The team (team_node_id).")]
Wait = Annotated[
    int,
    typer.Option("--wait", min=0, metavar="SECONDS", help="Wait this long for the end; 0 does not wait."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="The same key with the same request answers the run that the first one made.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Neither show the plan nor ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, change nothing.")]


def perform(work: Coroutine[Any, Any, int]) -> None:
    """Do a command's work and leave with its exit status.

    Raises:
        typer.Exit: always.
    """
    from orchestrator.cli.failure import Failure
    from orchestrator.cli.output import tell_failure

    try:
        status = asyncio.run(work)
    except Failure as failure:
        tell_failure(failure)
        status = failure.exit_status
    raise typer.Exit(status)
