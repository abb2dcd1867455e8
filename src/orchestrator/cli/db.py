"""`orchestrator db`: the schema of the database, its backup and its return."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.settings import Settings

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


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; an existing one is replaced.")],
) -> None:
    """Write both SQLite databases and the key of the tokens into one file, while servers go on."""
    from orchestrator.store.backup import BackupError, back_up

    settings = _sqlite_settings()
    databases, secrets = _files(settings)
    try:
        back_up(databases, secrets, file)
    except BackupError as error:
        _fail(str(error))
    typer.echo(f"Written: {file}. It opens the installation; keep it as such.")


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="What `orchestrator db backup` has written.", exists=True)],
) -> None:
    """Put a backup back. No server may run; nothing in the cluster is touched by it.

    What has been made since then is in no record afterwards: `orchestrator doctor --orphans` lists it. What has been
    taken away since would be made anew: beyond a few teams the brake stops that and asks.
    """
    from config_service.store.migrate import MIGRATIONS as CONFIG_MIGRATIONS
    from orchestrator.store.backup import BackupError, in_use
    from orchestrator.store.backup import restore as put_back
    from orchestrator.store.migrate import MIGRATIONS

    settings = _sqlite_settings()
    databases, secrets = _files(settings)
    schemas = {"orchestrator.db": MIGRATIONS, "config.db": CONFIG_MIGRATIONS}
    try:
        with in_use(settings.data_dir, alone=True):
            put_back(file, databases | secrets, {name: schemas[name] for name in databases})
    except BackupError as error:
        _fail(str(error))
    typer.echo("Restored. Start the server, then look: orchestrator doctor --orphans")


def _sqlite_settings() -> "Settings":
    from orchestrator.cli.start import load_settings
    from orchestrator.settings import Settings

    settings = load_settings(Settings, "ORCHESTRATOR_")
    if not settings.database().startswith("sqlite"):
        _fail("This is for SQLite. For PostgreSQL use pg_dump and pg_restore; see docs/operations.md.")
    return settings


def _files(settings: "Settings") -> tuple[dict[str, Path], dict[str, Path]]:
    """The databases, and the secrets without which they are of no use, by their names in a backup."""
    from sqlalchemy import make_url

    urls = {"orchestrator.db": settings.database()}
    if settings.config_service_url is None:
        urls["config.db"] = settings.config_database()
    databases = {name: Path(make_url(url).database or "") for name, url in urls.items()}
    return databases, {"token-key": settings.data_dir / "token-key"}


def _fail(message: str) -> None:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)
