"""by which of Whop's accounts each delivery goes out."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply it."""

    # There was one account only.
    op.add_column(
        "deliveries", sa.Column("account", sa.String(length=100), server_default="whop", nullable=False)
    )
