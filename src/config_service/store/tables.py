"""The tables, all prefixed `config_`: the database may be shared with another program."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)
from sqlalchemy.types import TypeEngine


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """In UTC, and naive where the database has no zones."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def exact(length: int) -> TypeEngine[str]:
    """Text that is compared and sorted by its bytes in both databases: case counts, no locale does."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "uq": "%(table_name)s_%(column_0_name)s_key",
    }
)


def _node_reference() -> ForeignKeyConstraint:
    """What belongs to a node goes with it, in the same transaction."""
    return ForeignKeyConstraint(
        ["org_id", "node_id"], ["config_nodes.org_id", "config_nodes.node_id"], ondelete="CASCADE"
    )


def _node_key(**options: Any) -> tuple[Column[str], Column[str]]:
    return (
        Column("org_id", exact(63), nullable=False, **options),
        Column("node_id", exact(63), nullable=False, **options),
    )


nodes = Table(
    "config_nodes",
    metadata,
    *_node_key(primary_key=True),
    Column("type", String(8), nullable=False),
    Column("parent_id", exact(63)),
    Column("name", Text),
    Column("config", Text, nullable=False),
    Column("version", Integer, nullable=False),
    # What the routing lookup answers, kept beside the document so that it need not be parsed.
    Column("mode", String(16)),
    Column("dedicated_service_url", Text),
    Column("suspended", Boolean, nullable=False, server_default=false()),
    # The dedicated address the control plane itself has set last; no other is ever accepted.
    Column("granted_service_url", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    CheckConstraint("type IN ('org', 'unit', 'team')", name="type"),
    CheckConstraint("(type = 'org') = (parent_id IS NULL)", name="root"),
    # Without a cascade: a node with children cannot be deleted.
    ForeignKeyConstraint(["org_id", "parent_id"], ["config_nodes.org_id", "config_nodes.node_id"]),
    Index("config_nodes_parent_idx", "org_id", "parent_id"),
)

versions = Table(
    "config_versions",
    metadata,
    *_node_key(primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("config", Text, nullable=False),
    Column("written_by", Text, nullable=False),
    Column("written_at", Instant, nullable=False),
    _node_reference(),
)

channels = Table(
    "config_channels",
    metadata,
    Column("channel", exact(32), primary_key=True),
    *_node_key(),
    _node_reference(),
    Index("config_channels_node_idx", "org_id", "node_id"),
)

tokens = Table(
    "config_tokens",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),
    *_node_key(),
    Column("prefix", exact(16), nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("label", Text),
    # Set on tokens that a program minted for a purpose; made by hand: null.
    Column("purpose", exact(63)),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    CheckConstraint("kind IN ('team', 'org_admin')", name="kind"),
    _node_reference(),
    Index("config_tokens_node_idx", "org_id", "node_id"),
)

Index(
    "config_tokens_one_per_purpose",
    tokens.c.org_id,
    tokens.c.node_id,
    tokens.c.purpose,
    unique=True,
    sqlite_where=tokens.c.revoked_at.is_(None) & tokens.c.purpose.is_not(None),
    postgresql_where=tokens.c.revoked_at.is_(None) & tokens.c.purpose.is_not(None),
)

knowledge = Table(
    "config_knowledge",
    metadata,
    *_node_key(primary_key=True),
    Column("entry_id", exact(128), primary_key=True),
    Column("entry", Text, nullable=False),
    # Case-folded text of the entry, for finding terms.
    Column("terms", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    _node_reference(),
)

checkpoints = Table(
    "config_checkpoints",
    metadata,
    *_node_key(primary_key=True),
    Column("name", exact(128), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Instant, nullable=False),
    _node_reference(),
)
