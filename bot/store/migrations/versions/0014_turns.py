"""requests wait in turns: each server has its own, and in it each broadcast."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply it."""

    op.add_column("deliveries", sa.Column("guild_id", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("deliveries", sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE deliveries SET turn = position,"
        " guild_id = (SELECT guild_id FROM broadcasts WHERE broadcasts.id = deliveries.broadcast_id)"
    )
    op.create_index(
        op.f("ix_deliveries_waiting"),
        "deliveries",
        ["guild_id", "turn", "next_at", "id"],
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
