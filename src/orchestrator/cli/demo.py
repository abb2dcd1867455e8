"""`orchestrator demo`: the whole product on this machine, and the seed's team brought up and used."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Let the team go at the end, stop everything and leave no data.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", help="Port of the orchestrator; 8080, or a free one if that is taken."),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir", help="Folder for everything; ./.orchestrator/demo, with --once a new one."
        ),
    ] = None,
) -> None:
    """Start everything on this machine, provision a team, run its pipeline, ask its agent.

    Dev cluster, orchestrator (with the Config Service inside) and shared agent run as processes of their own
    and speak HTTP to each other, as they do on a real cluster.
    """
    from orchestrator.cli.demo_story import run_demo
    from orchestrator.cli.options import perform

    perform(run_demo(once=once, port=port, data_dir=data_dir))
