"""`orchestrator doctor`: is everything there, and what stands in the cluster that is in no record."""

from typing import Annotated

import typer

from orchestrator.cli.formats import Output
from orchestrator.cli.options import Format, perform


def doctor(
    *,
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Also look for objects of teams that the database does not know."),
    ] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="Make every orphan a team again.")] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take every orphan away, its config kept.")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """Check database, cluster rights and Config Service with this machine's settings, and say how to mend each.

    With --adopt or --remove, runs are written; a running `serve` or `reconcile` brings them about.
    Exit status: 0 all is well, 1 something is not, 2 usage.
    """
    if adopt and remove:
        raise typer.BadParameter("an orphan is either adopted or removed", param_hint="--adopt, --remove")

    async def work() -> int:
        from orchestrator.cli.doctor_report import Orphaned, report
        from orchestrator.cli.start import load_settings
        from orchestrator.settings import Settings

        what: Orphaned | None = "list" if orphans else None
        if adopt or remove:
            what = "adopt" if adopt else "remove"
        return await report(load_settings(Settings, "ORCHESTRATOR_"), output, orphans=what)

    perform(work())
