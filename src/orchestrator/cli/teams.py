"""`orchestrator teams`: what is wanted of teams and what is the case."""

from typing import Annotated

import typer

from orchestrator.cli.formats import Output
from orchestrator.cli.options import DEFAULT_SERVER, Format, Server, Token, Wait, perform
from orchestrator.cli.provision import DEFAULT_WAIT_S, Mode

OrgArgument = Annotated[str, typer.Argument(help="The customer (org_id).")]
TeamArgument = Annotated[str, typer.Argument(help="The team (team_node_id).")]

app = typer.Typer(no_args_is_help=True, help="Look at teams, suspend and resume them.")


@app.command("list")
def list_teams(
    *,
    org: Annotated[str | None, typer.Option("--org", help="Only of this customer.")] = None,
    mode: Annotated[Mode | None, typer.Option("--mode", help="Only on this runtime.")] = None,
    ready: Annotated[bool | None, typer.Option("--ready/--not-ready", help="Only those (not) ready.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many; all when absent.")
    ] = None,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """List teams."""

    async def work() -> int:
        from orchestrator.cli.client import connect
        from orchestrator.cli.output import write
        from orchestrator.cli.views import teams_tables

        query = {"org_id": org, "mode": mode.value if mode else None}
        query["ready"] = None if ready is None else str(ready).lower()
        async with connect(server, token) as api:
            teams = await api.pages("/api/v1/admin/teams", query, limit)
        write(output, {"items": teams}, teams_tables(teams))
        return 0

    perform(work())


@app.command("get")
def get_team(
    org: OrgArgument,
    team: TeamArgument,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """Show one team: wanted state, conditions, objects, last run."""

    async def work() -> int:
        from datetime import UTC, datetime

        from orchestrator.cli.client import connect, team_path
        from orchestrator.cli.output import write
        from orchestrator.cli.views import team_tables

        async with connect(server, token) as api:
            answer = await api.get(team_path(org, team))
        write(output, answer, team_tables(answer, datetime.now(UTC)))
        return 0

    perform(work())


@app.command("suspend")
def suspend_team(
    org: OrgArgument,
    team: TeamArgument,
    wait: Wait = DEFAULT_WAIT_S,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """Stop a team: nobody is answered, its agent is scaled to zero, its schedule stops; all else is kept."""
    perform(_steer("suspend", org, team, wait_s=wait, output=output, server=server, token=token))


@app.command("resume")
def resume_team(
    org: OrgArgument,
    team: TeamArgument,
    wait: Wait = DEFAULT_WAIT_S,
    output: Format = Output.TABLE,
    server: Server = DEFAULT_SERVER,
    token: Token = None,
) -> None:
    """Bring a suspended team back as it was."""
    perform(_steer("resume", org, team, wait_s=wait, output=output, server=server, token=token))


async def _steer(
    what: str, org: str, team: str, *, wait_s: int, output: Output, server: str, token: str | None
) -> int:
    from orchestrator.cli.client import connect, team_path
    from orchestrator.cli.output import write
    from orchestrator.cli.progress import exit_status, submit
    from orchestrator.cli.views import provision_tables

    async with connect(server, token) as api:
        ids = {"org_id": org, "team_node_id": team}
        answer = await submit(api, f"{team_path(org, team)}/{what}", ids, wait_s=wait_s, key=None)
    write(output, answer, provision_tables(answer))
    return exit_status(answer)
