"""`orchestrator apply`: teams as a file says, all of them, and if asked no others."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.formats import Output
from orchestrator.cli.options import (
    DEFAULT_SERVER,
    DryRun,
    Format,
    Server,
    Token,
    Wait,
    Yes,
    perform,
)
from orchestrator.cli.provision import DEFAULT_WAIT_S


def apply(
    *,
    file: Annotated[
        Path,
        typer.Option(
            "--file",
            "-f",
            exists=True,
            dir_okay=False,
            allow_dash=True,
            help="YAML or JSON; `-` reads standard input.",
        ),
    ],
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Deprovision teams of the same customers that are not in the file."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = DEFAULT_WAIT_S,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """Bring teams to exactly the state that a file describes; what it leaves out is put back to its default.

    The file holds one team a YAML document, or a list of them, each with `org_id`, `team_node_id` and the fields of
    a provisioning. The plan is shown before anything changes. Exit status: 0 done, 1 failed, 2 usage, 3 still running.
    """
    from orchestrator.cli.apply_file import apply_text

    name = str(file)
    text = sys.stdin.read() if name == "-" else file.read_text(encoding="utf-8")
    perform(
        apply_text(
            text,
            name,
            prune=prune,
            dry_run=dry_run,
            yes=yes,
            wait_s=wait,
            output=output,
            server=server,
            token=token,
        )
    )
