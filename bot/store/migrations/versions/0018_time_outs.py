"""what Discord last said of people has until when they are in its time-out."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Apply it."""

    op.add_column("members", sa.Column("timed_out_until", bot.store.tables.UtcDateTime(), nullable=True))
