"""people may bring lists of people along."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Apply it."""

    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("broadcasts", sa.Column("listed", sa.Text(), nullable=True))
    number, moment = bot.store.tables.RowId, bot.store.tables.UtcDateTime
    op.create_table(
        "lists",
        sa.Column("broadcast_id", number, autoincrement=False, nullable=False),
        sa.Column("account", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("experience", sa.String(64), nullable=True),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", moment(), nullable=False),
        sa.Column("checked_at", moment(), nullable=True),
        sa.Column("dropped", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["broadcast_id"], ["broadcasts.id"], name=op.f("fk_lists_broadcast_id")),
        sa.PrimaryKeyConstraint("broadcast_id", name=op.f("pk_lists")),
    )
    unchecked = sa.text("checked_at IS NULL")
    op.create_index(
        op.f("ix_lists_next_at"), "lists", ["next_at"], sqlite_where=unchecked, postgresql_where=unchecked
    )
    op.create_table(
        "list_rows",
        sa.Column("broadcast_id", number, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("typed", sa.String(100), nullable=False),
        sa.Column("key", sa.String(101), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=True),
        sa.Column("username", sa.String(100), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["lists.broadcast_id"], name=op.f("fk_list_rows_broadcast_id")
        ),
        sa.PrimaryKeyConstraint("broadcast_id", "position", name=op.f("pk_list_rows")),
    )
    for columns in (("state", "position"), ("key",), ("user_id",)):
        name = f"ix_list_rows_{'_'.join(('broadcast_id', *columns))}"
        op.create_index(op.f(name), "list_rows", ["broadcast_id", *columns])
