"""`orchestrator serve`: API, console and reconciler in one process."""

from typing import Annotated

import typer


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on (ORCHESTRATOR_HOST).")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on (ORCHESTRATOR_PORT).")] = None,
) -> None:
    """Serve the API and reconcile teams. The environment sets the rest; see docs/operations.md."""
    from orchestrator.cli.start import export, load_settings, run_until_stopped
    from orchestrator.runtime import serve as serve_api
    from orchestrator.settings import Settings

    export(ORCHESTRATOR_HOST=host, ORCHESTRATOR_PORT=port)
    run_until_stopped(serve_api(load_settings(Settings, "ORCHESTRATOR_")))
