"""a freeze may be that of an account."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply it."""

    before = sa.table("freezes", *map(sa.column, ("guild_id", "by_id", "by_name", "reason")))
    before.append_column(sa.column("at", bot.store.tables.UtcDateTime()))
    kept = [dict(row) for row in op.get_bind().execute(sa.select(before)).mappings()]
    # The embedded database cannot put another column into the key of a table.
    op.drop_table("freezes")
    freezes = op.create_table(
        "freezes",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("by_id", sa.BigInteger(), nullable=False),
        sa.Column("by_name", sa.String(length=100), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "account", name=op.f("pk_freezes")),
    )
    op.bulk_insert(freezes, [{**one, "account": ""} for one in kept])
