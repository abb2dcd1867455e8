"""`orchestrator`: one command for servers, people and scripts."""

from typing import Annotated

import typer

from orchestrator.cli import brake, db, runs, teams
from orchestrator.cli.apply import apply
from orchestrator.cli.config_service import config_service
from orchestrator.cli.demo import demo
from orchestrator.cli.deprovision import deprovision
from orchestrator.cli.dev_cluster import dev_cluster
from orchestrator.cli.doctor import doctor
from orchestrator.cli.provision import provision
from orchestrator.cli.serve import reconcile, serve

app = typer.Typer(
    name="orchestrator",
    help="Provisions teams of an AI-SRE product on Kubernetes.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("incidentfox-orchestrator"))
        raise typer.Exit


@app.callback()
def _orchestrator(
    _version_wanted: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None:
    """Provisions teams of an AI-SRE product on Kubernetes."""


_TEAMS, _SERVERS = "Teams", "Servers"
app.command(rich_help_panel=_TEAMS)(provision)
app.command(rich_help_panel=_TEAMS)(deprovision)
app.command(rich_help_panel=_TEAMS)(apply)
app.add_typer(teams.app, name="teams", rich_help_panel=_TEAMS)
app.add_typer(runs.app, name="runs", rich_help_panel=_TEAMS)
app.command(rich_help_panel=_SERVERS)(doctor)
app.add_typer(brake.app, name="brake", rich_help_panel=_TEAMS)
app.command(rich_help_panel=_SERVERS)(serve)
app.command(rich_help_panel=_SERVERS)(reconcile)
app.command("config-service", rich_help_panel=_SERVERS)(config_service)
app.command("dev-cluster", rich_help_panel=_SERVERS)(dev_cluster)
app.add_typer(db.app, name="db", rich_help_panel=_SERVERS)
app.command(rich_help_panel=_SERVERS)(demo)
