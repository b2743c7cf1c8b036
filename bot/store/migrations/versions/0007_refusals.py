"""a table of what people are refused again and again, while it goes on."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Apply it."""

    op.create_table(
        "refusals",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_name", sa.String(length=100), nullable=False),
        sa.Column("since", bot.store.tables.UtcDateTime(), nullable=False),
        sa.Column("last", bot.store.tables.UtcDateTime(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "user_id", name=op.f("pk_refusals")),
    )
    op.create_index(op.f("ix_refusals_until"), "refusals", ["until"])
