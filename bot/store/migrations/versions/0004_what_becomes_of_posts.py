"""what was posted, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply it."""

    op.add_column("posts", sa.Column("trouble", sa.Text(), nullable=True))
    op.add_column("posts", sa.Column("words", sa.String(length=64), nullable=True))
    op.add_column("posts", sa.Column("edited_in", sa.BigInteger(), nullable=True))
    op.add_column("posts", sa.Column("gone_in", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_posts_message_id"), "posts", ["message_id"])
    op.create_index(op.f("ix_posts_guild_id_sequence"), "posts", ["guild_id", "sequence"])
