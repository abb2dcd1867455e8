"""`orchestrator db`: the schema of the database."""

import typer

app = typer.Typer(no_args_is_help=True, help="Look after the database.")


@app.callback()
def _db() -> None:
    """Look after the database."""


@app.command("migrate")
def migrate() -> None:
    """Bring the schema up to date. Can be given again at any time; needed by hand only with PostgreSQL."""
    import asyncio

    from orchestrator.cli.start import load_settings
    from orchestrator.runtime import migrate as upgrade
    from orchestrator.settings import Settings

    settings = load_settings(Settings, "ORCHESTRATOR_")
    asyncio.run(upgrade(settings))
    typer.echo("The schema is current.")
