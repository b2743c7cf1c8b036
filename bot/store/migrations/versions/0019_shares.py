"""whom drafts are shared with."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Apply it."""

    op.create_table(
        "shares",
        sa.Column("broadcast_id", bot.store.tables.RowId, autoincrement=False, nullable=False),
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person_name", sa.String(length=100), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["broadcast_id"], ["broadcasts.id"], name=op.f("fk_shares_broadcast_id")),
        sa.PrimaryKeyConstraint("broadcast_id", "person_id", name=op.f("pk_shares")),
    )
    op.create_index(op.f("ix_shares_person_id_broadcast_id"), "shares", ["person_id", "broadcast_id"])
