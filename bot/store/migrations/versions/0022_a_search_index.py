"""what broadcasts say can be searched, and by whom, on which topic and when."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables
from bot.notification import Notification
from bot.store.search_index import indexed

revision = "0022"
down_revision = "0021"

# So many are read and written at once, however many there are.
_AT_ONCE = 1000


def upgrade() -> None:
    """Apply it."""

    index = op.create_table(
        "search_index",
        sa.Column("broadcast_id", bot.store.tables.RowId, autoincrement=False, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcasts.id"], name=op.f("fk_search_index_broadcast_id")
        ),
        sa.PrimaryKeyConstraint("broadcast_id", name=op.f("pk_search_index")),
    )
    _fill(op.get_bind(), index)
    op.create_index(
        op.f("ix_search_index_guild_id_topic_broadcast_id"),
        "search_index",
        ["guild_id", "topic", "broadcast_id"],
    )
    op.create_table(
        "searches",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.String(length=16), nullable=False),
        sa.Column("looked_for", sa.Text(), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "mark", name=op.f("pk_searches")),
    )
    op.create_index(op.f("ix_searches_at"), "searches", ["at"])
    op.create_index(
        op.f("ix_approvals_approver_id_broadcast_id"), "approvals", ["approver_id", "broadcast_id"]
    )
    op.create_index(
        op.f("ix_broadcasts_guild_id_day_id"), "broadcasts", ["guild_id", sa.text("date(updated_at)"), "id"]
    )


def _fill(connection: sa.Connection, index: sa.Table) -> None:
    last: object = 0
    while rows := _rows_after(connection, last):
        connection.execute(index.insert(), rows)
        last = rows[-1]["broadcast_id"]


def _rows_after(connection: sa.Connection, last: object) -> list[dict[str, object]]:
    broadcasts = sa.table("broadcasts", *map(sa.column, ("id", "guild_id", "notification")))
    some = sa.select(broadcasts).where(broadcasts.c.id > last).order_by(broadcasts.c.id).limit(_AT_ONCE)
    return [
        {"broadcast_id": number, "guild_id": guild_id, **indexed(Notification.model_validate_json(words))}
        for number, guild_id, words in connection.execute(some)
    ]
