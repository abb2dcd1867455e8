"""The brake: teams that were about to be made anew or emptied though nobody asked.

Expands only: a process of the version before goes on beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.String(length=63).with_variant(sa.String(length=63, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and the one row that everybody locks."""
    brake = op.create_table(
        "brake",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("engaged_at", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("released_at", sa.Double(), nullable=True),
        sa.Column("released_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(brake, [{"id": 1}])
    op.create_table(
        "brake_marks",
        sa.Column("org_id", ID, nullable=False),
        sa.Column("team_node_id", ID, nullable=False),
        sa.Column("marked_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "team_node_id"),
    )
