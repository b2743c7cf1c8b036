"""members have the time zone that they set for themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Apply it."""

    op.add_column("members", sa.Column("time_zone", sa.String(64), nullable=True))
