"""broadcasts that were submitted to go out more often than the policy has it."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Apply it."""

    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column(
        "broadcasts", sa.Column("too_often", sa.Boolean(), nullable=False, server_default=sa.false())
    )
