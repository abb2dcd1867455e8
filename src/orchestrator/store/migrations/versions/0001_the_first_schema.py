"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(length=63).with_variant(sa.String(length=63, collation="C"), "postgresql")
DOCUMENT = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "channels",
        sa.Column("slack_channel_id", sa.String(length=32), nullable=False),
        sa.Column(
            "org_id",
            ID,
            nullable=False,
        ),
        sa.Column(
            "team_node_id",
            ID,
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("slack_channel_id"),
    )
    op.create_index("channels_of_team", "channels", ["org_id", "team_node_id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key"),
    )
    op.create_table(
        "names",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column(
            "org_id",
            ID,
            nullable=False,
        ),
        sa.Column(
            "team_node_id",
            ID,
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("names_of_team", "names", ["org_id", "team_node_id"], unique=False)
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column(
            "org_id",
            ID,
            nullable=False,
        ),
        sa.Column(
            "team_node_id",
            ID,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column(
            "request",
            DOCUMENT,
            nullable=False,
        ),
        sa.Column(
            "steps",
            DOCUMENT,
            nullable=False,
        ),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column(
            "error",
            DOCUMENT,
            nullable=True,
        ),
        sa.Column(
            "result",
            DOCUMENT,
            nullable=True,
        ),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("runs_by_status", "runs", ["status", "id"], unique=False)
    op.create_index("runs_of_team", "runs", ["org_id", "team_node_id", "id"], unique=False)
    op.create_table(
        "teams",
        sa.Column(
            "org_id",
            ID,
            nullable=False,
        ),
        sa.Column(
            "team_node_id",
            ID,
            nullable=False,
        ),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column(
            "spec",
            DOCUMENT,
            nullable=False,
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column(
            "names",
            DOCUMENT,
            nullable=False,
        ),
        sa.Column(
            "leaving",
            DOCUMENT,
            nullable=True,
        ),
        sa.Column(
            "inventory",
            DOCUMENT,
            nullable=False,
        ),
        sa.Column(
            "routed",
            DOCUMENT,
            nullable=True,
        ),
        sa.Column(
            "good_spec",
            DOCUMENT,
            nullable=True,
        ),
        sa.Column("good_generation", sa.BigInteger(), nullable=False),
        sa.Column("created_config", sa.Integer(), nullable=False),
        sa.Column("token_state", sa.String(length=16), nullable=False),
        sa.Column("observed_generation", sa.BigInteger(), nullable=False),
        sa.Column(
            "conditions",
            DOCUMENT,
            nullable=False,
        ),
        sa.Column("ready", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=True),
        sa.Column("due_at", sa.Double(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("lease_holder", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("restore_until", sa.Double(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "team_node_id"),
    )
    op.create_index("teams_due", "teams", ["due_at"], unique=False)


def downgrade() -> None:
    """Drop every table."""
    op.drop_index("teams_due", table_name="teams")
    op.drop_table("teams")
    op.drop_index("runs_of_team", table_name="runs")
    op.drop_index("runs_by_status", table_name="runs")
    op.drop_table("runs")
    op.drop_index("names_of_team", table_name="names")
    op.drop_table("names")
    op.drop_table("idempotency_keys")
    op.drop_index("channels_of_team", table_name="channels")
    op.drop_table("channels")
