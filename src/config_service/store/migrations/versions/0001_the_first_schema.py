"""The first schema.

Revision: 0001
Follows: nothing
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

_LIVE = sa.text("revoked_at IS NULL AND purpose IS NOT NULL")

revision = "0001"
down_revision = None


def _exact(length: int) -> TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "config_nodes",
        sa.Column("org_id", _exact(63), nullable=False),
        sa.Column("node_id", _exact(63), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("parent_id", _exact(63), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=True),
        sa.Column("dedicated_service_url", sa.Text(), nullable=True),
        sa.Column("granted_service_url", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(type = 'org') = (parent_id IS NULL)", name=op.f("config_nodes_root_check")),
        sa.CheckConstraint("type IN ('org', 'unit', 'team')", name=op.f("config_nodes_type_check")),
        sa.ForeignKeyConstraint(
            ["org_id", "parent_id"],
            ["config_nodes.org_id", "config_nodes.node_id"],
            name=op.f("config_nodes_org_id_fk"),
        ),
        sa.PrimaryKeyConstraint("org_id", "node_id", name=op.f("config_nodes_pk")),
    )
    op.create_index("config_nodes_parent_idx", "config_nodes", ["org_id", "parent_id"])

    op.create_table(
        "config_channels",
        sa.Column("channel", _exact(32), nullable=False),
        sa.Column("org_id", _exact(63), nullable=False),
        sa.Column("node_id", _exact(63), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "node_id"],
            ["config_nodes.org_id", "config_nodes.node_id"],
            name=op.f("config_channels_org_id_fk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("channel", name=op.f("config_channels_pk")),
    )
    op.create_index("config_channels_node_idx", "config_channels", ["org_id", "node_id"])

    op.create_table(
        "config_checkpoints",
        sa.Column("org_id", _exact(63), nullable=False),
        sa.Column("node_id", _exact(63), nullable=False),
        sa.Column("name", _exact(128), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "node_id"],
            ["config_nodes.org_id", "config_nodes.node_id"],
            name=op.f("config_checkpoints_org_id_fk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "node_id", "name", name=op.f("config_checkpoints_pk")),
    )
    op.create_table(
        "config_knowledge",
        sa.Column("org_id", _exact(63), nullable=False),
        sa.Column("node_id", _exact(63), nullable=False),
        sa.Column("entry_id", _exact(128), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "node_id"],
            ["config_nodes.org_id", "config_nodes.node_id"],
            name=op.f("config_knowledge_org_id_fk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "node_id", "entry_id", name=op.f("config_knowledge_pk")),
    )
    op.create_table(
        "config_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("org_id", _exact(63), nullable=False),
        sa.Column("node_id", _exact(63), nullable=False),
        sa.Column("prefix", _exact(16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("purpose", _exact(63), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('team', 'org_admin')", name=op.f("config_tokens_kind_check")),
        sa.ForeignKeyConstraint(
            ["org_id", "node_id"],
            ["config_nodes.org_id", "config_nodes.node_id"],
            name=op.f("config_tokens_org_id_fk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("config_tokens_pk")),
        sa.UniqueConstraint("prefix", name=op.f("config_tokens_prefix_key")),
    )
    op.create_index("config_tokens_node_idx", "config_tokens", ["org_id", "node_id"])
    op.create_index(
        "config_tokens_one_per_purpose",
        "config_tokens",
        ["org_id", "node_id", "purpose"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )

    op.create_table(
        "config_versions",
        sa.Column("org_id", _exact(63), nullable=False),
        sa.Column("node_id", _exact(63), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "node_id"],
            ["config_nodes.org_id", "config_nodes.node_id"],
            name=op.f("config_versions_org_id_fk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "node_id", "version", name=op.f("config_versions_pk")),
    )


def downgrade() -> None:
    op.drop_table("config_versions")

    op.drop_table("config_tokens")
    op.drop_table("config_knowledge")
    op.drop_table("config_checkpoints")

    op.drop_table("config_channels")

    op.drop_table("config_nodes")
