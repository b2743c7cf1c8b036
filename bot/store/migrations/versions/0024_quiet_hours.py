"""broadcasts that were submitted to go out in quiet hours."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Apply it."""

    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column(
        "broadcasts", sa.Column("in_quiet_hours", sa.Boolean(), nullable=False, server_default=sa.false())
    )
