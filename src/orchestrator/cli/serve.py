"""`orchestrator serve` and `orchestrator reconcile`: API and reconciler, in one process or in two."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.runtime import Role

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on (ORCHESTRATOR_HOST).")]
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on (ORCHESTRATOR_PORT).")]


def serve(
    *,
    host: Host = None,
    port: Port = None,
    reconciler: Annotated[
        bool, typer.Option("--reconciler/--no-reconciler", help="Also reconcile teams in this process.")
    ] = True,
) -> None:
    """Serve the API and reconcile teams. The environment sets the rest; see docs/operations.md."""
    from orchestrator.runtime import Role

    _run(Role.BOTH if reconciler else Role.API, host, port)


def reconcile(host: Host = None, port: Port = None) -> None:
    """Reconcile teams, and answer nothing but whether the process lives; beside `serve --no-reconciler`."""
    from orchestrator.runtime import Role

    _run(Role.RECONCILER, host, port)


def _run(role: "Role", host: str | None, port: int | None) -> None:
    from orchestrator.cli.start import export, load_settings, run_until_stopped
    from orchestrator.runtime import serve as serve_role
    from orchestrator.settings import Settings

    export(ORCHESTRATOR_HOST=host, ORCHESTRATOR_PORT=port)
    run_until_stopped(serve_role(load_settings(Settings, "ORCHESTRATOR_"), role))
