"""broadcasts may have a time of their own."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Apply it."""

    # Columns are added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("broadcasts", sa.Column("schedule", sa.Text(), nullable=True))
    op.add_column("broadcasts", sa.Column("scheduled_at", bot.store.tables.UtcDateTime(), nullable=True))
    op.add_column("broadcasts", sa.Column("timeless", sa.String(length=64), nullable=True))
    op.add_column("revisions", sa.Column("schedule", sa.Text(), nullable=True))
    where = sa.text("timeless IS NOT NULL")
    op.create_index(
        op.f("ix_broadcasts_timeless"),
        "broadcasts",
        ["timeless", "updated_at"],
        sqlite_where=where,
        postgresql_where=where,
    )
