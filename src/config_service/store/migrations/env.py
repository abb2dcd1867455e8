"""Alembic's environment: it runs on the connection that `config_service.store.migrate` opened."""

from alembic import context

from config_service.store.migrate import VERSION_TABLE
from config_service.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    # The database may hold another program's tables: they are none of ours to compare or drop.
    include_name=lambda name, kind, _parents: kind != "table" or name in metadata.tables,
)
with context.begin_transaction():
    context.run_migrations()
