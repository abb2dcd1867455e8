"""Alembic's environment: it runs on the connection that was opened for it."""

from alembic import context

from config_service.store.migrate import MIGRATIONS

MIGRATIONS.run(context.config.attributes["connection"])
