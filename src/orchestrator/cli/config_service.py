"""`orchestrator config-service`: the Config Service in a process of its own."""

from typing import Annotated

import typer


def config_service(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on (CONFIG_SERVICE_HOST).")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port to listen on (CONFIG_SERVICE_PORT).")
    ] = None,
) -> None:
    """Serve the Config Service alone. The environment sets the rest; see docs/operations.md."""
    from config_service.runtime import serve
    from config_service.settings import Settings
    from orchestrator.cli.start import export, load_settings, run_until_stopped

    export(CONFIG_SERVICE_HOST=host, CONFIG_SERVICE_PORT=port)
    run_until_stopped(serve(load_settings(Settings, "CONFIG_SERVICE_")))
