"""several processes on one database, and what a send is checked against."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Apply it."""

    # Columns are added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("deliveries", sa.Column("owner", sa.String(length=64), nullable=True))
    op.add_column("deliveries", sa.Column("lease_until", bot.store.tables.UtcDateTime(), nullable=True))
    op.add_column("broadcasts", sa.Column("repeats", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_attempts_finished_at"), "attempts", ["finished_at"])
    op.create_table(
        "members",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("roles", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "user_id", name=op.f("pk_members")),
    )
    op.create_table(
        "interactions",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interactions")),
    )
