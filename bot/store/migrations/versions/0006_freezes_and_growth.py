"""tables of the freezes and of how much has ended, and indexes: nobody waits longer the longer the past."""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0006"
down_revision = "0005"

_PREFIX = "freeze of "
_ENDED = "('sent', 'partial', 'failed', 'cancelled')"
_COUNT = (
    "INSERT INTO ended (guild_id, status, number) VALUES (NEW.guild_id, NEW.status, 1)"
    " ON CONFLICT (guild_id, status) DO UPDATE SET number = ended.number + 1;"
)
_SQLITE = f"""
CREATE TRIGGER broadcasts_ended AFTER UPDATE OF status ON broadcasts
WHEN NEW.status <> OLD.status AND NEW.status IN {_ENDED} BEGIN {_COUNT} END
"""
# At the end of a transaction, when it has its servers' chains: two that wait for each other would both fail.
_POSTGRESQL = f"""
CREATE FUNCTION herald_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  {_COUNT}
  RETURN NULL;
END $$
---
CREATE CONSTRAINT TRIGGER broadcasts_ended AFTER UPDATE OF status ON broadcasts
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.status <> OLD.status AND NEW.status IN {_ENDED}) EXECUTE FUNCTION herald_ended()
"""


def upgrade() -> None:
    """Apply it."""

    freezes = op.create_table(
        "freezes",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("by_id", sa.BigInteger(), nullable=False),
        sa.Column("by_name", sa.String(length=100), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", name=op.f("pk_freezes")),
    )
    facts = sa.table("facts", sa.column("name", sa.String), sa.column("value", sa.Text))
    kept = op.get_bind().execute(sa.select(facts.c.value).where(facts.c.name.startswith(_PREFIX))).scalars()
    found = [json.loads(value) for value in kept]
    op.bulk_insert(
        freezes,
        [
            {
                # Nothing stands for everything.
                "guild_id": one["guild_id"] or 0,
                "by_id": one["by"][0],
                "by_name": one["by"][1],
                "at": datetime.fromisoformat(one["at"]),
                "reason": one["reason"],
            }
            for one in found
        ],
    )
    op.execute(facts.delete().where(facts.c.name.startswith(_PREFIX)))

    op.create_table(
        "ended",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "status", name=op.f("pk_ended")),
    )
    op.execute(
        "INSERT INTO ended (guild_id, status, number) SELECT guild_id, status, count(*) FROM broadcasts"  # noqa: S608 - a constant
        f" WHERE status IN {_ENDED} GROUP BY guild_id, status"
    )
    for statement in (_SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL).split("---"):
        op.execute(statement)

    op.drop_index("ix_broadcasts_guild_id_status", table_name="broadcasts")
    op.drop_index("ix_audit_events_broadcast_id", table_name="audit_events")
    for table, columns in (
        ("broadcasts", ["guild_id", "status", "id"]),
        ("broadcasts", ["guild_id", "author_id", "status", "id"]),
        ("broadcasts", ["guild_id", "audience", "id"]),
        ("broadcasts", ["status", "review_expires_at"]),
        ("deliveries", ["broadcast_id", "status"]),
        ("posts", ["guild_id", "done", "kind"]),
        ("audit_events", ["broadcast_id", "sequence"]),
        ("audit_events", ["guild_id", "actor_id", "sequence"]),
        ("audit_events", ["guild_id", "proof", "sequence"]),
        ("interactions", ["at"]),
    ):
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    op.create_index(
        op.f("ix_audit_events_guild_id_day_sequence"),
        "audit_events",
        ["guild_id", sa.text("date(at)"), "sequence"],
    )
    for name, table, columns, only in (
        ("ix_cards_unshown", "cards", ["next_at"], "shown < wanted"),
        ("ix_posts_told", "posts", ["guild_id"], "gone_in IS NOT NULL OR edited_in IS NOT NULL"),
    ):
        where = sa.text(only)
        op.create_index(op.f(name), table, columns, sqlite_where=where, postgresql_where=where)
