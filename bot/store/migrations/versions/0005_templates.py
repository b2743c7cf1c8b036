"""templates that were approved beforehand."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Apply it."""

    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("approvals", sa.Column("template", sa.String(length=100), nullable=True))
    op.create_table(
        "template_approvals",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("approver_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("approver_name", sa.String(length=100), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "fingerprint", "approver_id", name=op.f("pk_template_approvals")),
    )
