"""what templates have lent, and what says the same or repeats the same."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Apply it."""

    op.create_table(
        "loans",
        sa.Column("broadcast_id", bot.store.tables.RowId, autoincrement=False, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.Column("void", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["broadcast_id"], ["broadcasts.id"], name=op.f("fk_loans_broadcast_id")),
        sa.PrimaryKeyConstraint("broadcast_id", name=op.f("pk_loans")),
    )
    op.create_index(op.f("ix_loans_guild_id_at"), "loans", ["guild_id", "at"])
    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("broadcasts", sa.Column("confirmed", sa.JSON(), server_default="[]", nullable=False))
    op.create_index(op.f("ix_broadcasts_fingerprint_updated_at"), "broadcasts", ["fingerprint", "updated_at"])
    where = sa.text("repeats IS NOT NULL")
    op.create_index(
        op.f("ix_broadcasts_repeats"),
        "broadcasts",
        ["repeats"],
        sqlite_where=where,
        postgresql_where=where,
    )
