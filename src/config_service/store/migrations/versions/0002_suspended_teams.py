"""Teams that are not to be answered.

Revision: 0002
Follows: 0001

Expands only: a process of the version before goes on beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "config_nodes", sa.Column("suspended", sa.Boolean(), nullable=False, server_default=sa.false())
    )
