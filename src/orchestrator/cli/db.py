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

    from orchestrator.cli.config_service import migrate_embedded
    from orchestrator.cli.start import load_settings
    from orchestrator.settings import Settings
    from orchestrator.store.migrate import upgrade
    from servicekit.database import Database

    async def work(settings: Settings) -> None:
        database = Database(settings.database())
        try:
            await upgrade(database)
        finally:
            await database.close()
        if settings.config_service_url is None:
            await migrate_embedded(settings.config_database())

    asyncio.run(work(load_settings(Settings, "ORCHESTRATOR_")))
    typer.echo("The schema is current.")
