"""`orchestrator deprovision`: let a team go."""

from typing import Annotated

import typer

from orchestrator.cli.formats import Output
from orchestrator.cli.options import (
    DEFAULT_SERVER,
    DryRun,
    Format,
    Key,
    Org,
    Server,
    Team,
    Token,
    Wait,
    Yes,
    perform,
)
from orchestrator.cli.provision import DEFAULT_WAIT_S


def deprovision(
    *,
    org: Org,
    team: Team,
    delete_k8s_resources: Annotated[
        bool,
        typer.Option(
            "--delete-k8s-resources/--keep-k8s-resources", help="What becomes of the team's objects."
        ),
    ] = True,
    delete_config: Annotated[
        bool,
        typer.Option("--delete-config/--keep-config", help="What becomes of the team's config and history."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = DEFAULT_WAIT_S,
    idempotency_key: Key = None,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """Let a team go: first its routing, then its workloads, then (only if asked) its config.

    The plan is shown before anything changes. On a terminal you are asked; in a script the command goes on
    by itself. Exit status: 0 done, 1 failed, 2 usage, 3 still running.
    """
    from orchestrator.cli.change import change
    from orchestrator.cli.views import deprovision_tables

    body = {"org_id": org, "team_node_id": team}
    perform(
        change(
            "/api/v1/admin/deprovision/team",
            {**body, "delete_k8s_resources": delete_k8s_resources, "delete_config": delete_config},
            deprovision_tables,
            server=server,
            token=token,
            output=output,
            dry_run=dry_run,
            yes=yes,
            wait_s=wait,
            key=idempotency_key,
        )
    )
