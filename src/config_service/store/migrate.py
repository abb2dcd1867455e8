"""The Config Service's schema."""

from pathlib import Path
from typing import Final

from config_service.store.tables import metadata
from servicekit.migrations import Migrations

#: The version table is prefixed as all others, since the database may be shared.
MIGRATIONS: Final = Migrations(Path(__file__).parent / "migrations", "config_alembic_version", metadata)
