"""broadcasts may go out again and again."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Apply it."""

    op.create_table(
        "series",
        sa.Column("first", bot.store.tables.RowId, autoincrement=False, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("author_name", sa.String(length=100), nullable=False),
        sa.Column("audience", sa.String(length=100), nullable=False),
        sa.Column("notification", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("every", sa.String(length=16), nullable=False),
        sa.Column("times", sa.Integer(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("next_at", bot.store.tables.UtcDateTime(), nullable=True),
        sa.Column("make_at", bot.store.tables.UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("origin_channel_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["first"], ["broadcasts.id"], name=op.f("fk_series_first")),
        sa.PrimaryKeyConstraint("first", name=op.f("pk_series")),
    )
    op.create_index(op.f("ix_series_make_at"), "series", ["make_at"])
    op.create_index(op.f("ix_series_guild_id_status_first"), "series", ["guild_id", "status", "first"])
    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("broadcasts", sa.Column("series", sa.BigInteger(), nullable=True))
