"""when those for whom a broadcast waits are to be reminded of it."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply it."""

    op.add_column("broadcasts", sa.Column("remind_at", bot.store.tables.UtcDateTime(), nullable=True))
    op.create_index(op.f("ix_broadcasts_remind_at"), "broadcasts", ["remind_at"])
