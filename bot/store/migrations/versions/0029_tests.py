"""broadcasts may be tests that only one person gets; who that is at Whop, and what they have received."""

from typing import Final

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0029"
down_revision = "0028"

# What ended is counted as before, but for tests: they concern no customers.
_ENDED: Final = "NEW.status <> OLD.status AND NEW.status IN ('sent', 'partial', 'failed', 'cancelled')"
_COUNTED: Final = {
    "sqlite": (
        "DROP TRIGGER broadcasts_ended",
        "CREATE TRIGGER broadcasts_ended AFTER UPDATE OF status ON broadcasts"  # noqa: S608 - constants
        f" WHEN {_ENDED} AND NEW.test_of IS NULL BEGIN"
        " INSERT INTO ended (guild_id, status, number) VALUES (NEW.guild_id, NEW.status, 1)"
        " ON CONFLICT (guild_id, status) DO UPDATE SET number = ended.number + 1; END",
    ),
    "postgresql": (
        "DROP TRIGGER broadcasts_ended ON broadcasts",
        "CREATE CONSTRAINT TRIGGER broadcasts_ended AFTER UPDATE OF status ON broadcasts"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        f" WHEN ({_ENDED} AND NEW.test_of IS NULL) EXECUTE FUNCTION herald_ended()",
    ),
}


def _person() -> tuple["sa.Column[object]", ...]:
    """Return who it is in Discord, and at Whop."""
    return (
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person_name", sa.String(length=100), nullable=False),
        sa.Column("whop_id", sa.String(length=80), nullable=False),
        sa.Column("whop_name", sa.String(length=100), nullable=False),
        sa.Column("experience", sa.String(length=80), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
    )


def upgrade() -> None:
    """Apply it."""

    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("broadcasts", sa.Column("test_of", sa.BigInteger(), nullable=True))
    where = sa.text("test_of IS NOT NULL")
    op.create_index(
        op.f("ix_broadcasts_tests"),
        "broadcasts",
        ["guild_id", "author_id", "created_at"],
        sqlite_where=where,
        postgresql_where=where,
    )
    for statement in _COUNTED[op.get_bind().dialect.name]:
        op.execute(statement)
    op.create_table(
        "links",
        *_person(),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "account", "person_id", name=op.f("pk_links")),
        sa.UniqueConstraint("guild_id", "account", "whop_id", name=op.f("uq_links_guild_id_account_whop_id")),
    )
    op.create_table(
        "link_codes",
        *_person(),
        sa.Column("broadcast_id", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("expires_at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "account", "person_id", name=op.f("pk_link_codes")),
    )
    op.create_table(
        "received",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("broadcast_id", sa.BigInteger(), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "person_id", "fingerprint", name=op.f("pk_received")),
    )
