"""The orchestrator's schema."""

from pathlib import Path

from orchestrator.store.tables import metadata
from servicekit.migrations import Migrations

MIGRATIONS = Migrations(Path(__file__).parent / "migrations", "alembic_version", metadata)
