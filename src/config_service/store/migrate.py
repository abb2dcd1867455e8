"""Bring the schema up to date, and tell whether it is."""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from servicekit.database import Database

#: Alembic's own table; prefixed as all others, since the database may be shared.
VERSION_TABLE: Final = "config_alembic_version"
#: Any number, the same in every process: whoever holds this lock in PostgreSQL is migrating.
_ADVISORY_LOCK: Final = 0x1FF0_C0F1
_FOLDER: Final = Path(__file__).parent / "migrations"


async def upgrade(database: Database) -> None:
    """Run every migration that is missing, in one transaction; two processes at once take turns."""
    async with database.unit_of_work() as connection:
        await connection.run_sync(_upgrade)


async def current(database: Database) -> bool:
    """Whether the schema is the newest this program knows."""
    async with database.unit_of_work() as connection:
        return await connection.run_sync(is_current)


def is_current(connection: Connection) -> bool:
    """Whether the schema on the other end of `connection` is the newest this program knows."""
    return _revision(connection) == _head()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    if is_current(connection):
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


@cache
def _head() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    # Alembic interpolates its options, so a per cent sign in the path must be doubled.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
