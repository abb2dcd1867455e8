"""Alembic migrations as a value: bring a schema up to date, and tell whether it is."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from servicekit.database import Database


@dataclass(frozen=True)
class Migrations:
    """One program's migrations; several programs may share a database, each with its own version table."""

    folder: Path
    version_table: str
    metadata: sa.MetaData

    async def upgrade(self, database: Database) -> None:
        """Run every migration that is missing, in one transaction; two processes at once take turns.

        Raises:
            DatabaseAway: nothing was changed.
        """
        async with database.unit_of_work() as connection:
            await connection.run_sync(self._upgrade)

    async def is_current(self, database: Database) -> bool:
        """Whether this program can work on the schema: see `at_head`."""
        async with database.reading() as connection:
            return await connection.run_sync(self.at_head)

    def at_head(self, connection: sa.Connection) -> bool:
        """Whether the schema on the other end of `connection` is the newest that this program knows, or a later one.

        A migration only expands as long as the version before it may still run, so that both work side by side
        while an upgrade rolls: a revision that is not known here is a later one.
        """
        revision = self._revision(connection)
        return revision is not None and (revision == self._head or revision not in self._known)

    def knows(self, revision: str) -> bool:
        """Whether a schema of this revision is one that this program can bring up to date."""
        return revision in self._known

    def run(self, connection: sa.Connection) -> None:
        """What a migration folder's `env.py` calls."""
        from alembic import context

        context.configure(
            connection=connection,
            target_metadata=self.metadata,
            version_table=self.version_table,
            render_as_batch=True,
            # The database may hold another program's tables: they are none of ours to compare or drop.
            include_name=lambda name, kind, _parents: kind != "table" or name in self.metadata.tables,
        )
        with context.begin_transaction():
            context.run_migrations()

    def _upgrade(self, connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            lock = zlib.crc32(self.version_table.encode())
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
        if self.at_head(connection):
            return
        config = self._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    def _revision(self, connection: sa.Connection) -> str | None:
        options = {"version_table": self.version_table}
        return MigrationContext.configure(connection, opts=options).get_current_revision()

    @cached_property
    def _head(self) -> str | None:
        return ScriptDirectory.from_config(self._config()).get_current_head()

    @cached_property
    def _known(self) -> frozenset[str]:
        scripts = ScriptDirectory.from_config(self._config())
        return frozenset(script.revision for script in scripts.walk_revisions())

    def _config(self) -> Config:
        config = Config()
        # Alembic interpolates its options, so a per cent sign in the path must be doubled.
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        return config
