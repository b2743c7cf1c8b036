"""audiences are counted, and reached once by name."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Apply it."""

    # Columns are added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("broadcasts", sa.Column("counted", sa.Text(), nullable=True))
    op.add_column("broadcasts", sa.Column("count_id", sa.BigInteger(), nullable=True))
    number = bot.store.tables.RowId
    op.create_table(
        "counts",
        sa.Column("id", number, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("broadcast_id", number, nullable=True),
        sa.Column("wanted_at", bot.store.tables.UtcDateTime(), nullable=True),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("so_far", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("nameless", sa.Integer(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=True),
        sa.Column("lease_until", bot.store.tables.UtcDateTime(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("counted_at", bot.store.tables.UtcDateTime(), nullable=True),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["broadcast_id"], ["broadcasts.id"], name=op.f("fk_counts_broadcast_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_counts")),
    )
    _index("ix_counts_wanted", ["next_at", "id"], "wanted_at IS NOT NULL")
    running = "wanted_at IS NOT NULL AND broadcast_id IS NULL"
    _index("ix_counts_running", ["account", "digest"], running, unique=True)
    _index("ix_counts_kept", ["counted_at"], "kept")
    op.create_index(op.f("ix_counts_account_digest_id"), "counts", ["account", "digest", "id"])
    op.create_index(op.f("ix_counts_broadcast_id"), "counts", ["broadcast_id"])
    op.create_table(
        "recipients",
        sa.Column("count_id", number, autoincrement=False, nullable=False),
        sa.Column("via", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["count_id"], ["counts.id"], name=op.f("fk_recipients_count_id")),
        sa.PrimaryKeyConstraint("count_id", "via", "user_id", name=op.f("pk_recipients")),
        sa.UniqueConstraint("count_id", "user_id", name=op.f("uq_recipients_count_id_user_id")),
    )


def _index(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    only = sa.text(where)
    op.create_index(op.f(name), "counts", columns, unique=unique, sqlite_where=only, postgresql_where=only)
