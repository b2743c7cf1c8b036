"""what is shown in each channel has turns of its own, and a message that was lost is a new one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply it."""

    op.add_column("cards", sa.Column("remade", sa.Integer(), server_default="0", nullable=False))
    op.add_column("posts", sa.Column("remade", sa.Integer(), server_default="0", nullable=False))
    op.add_column("posts", sa.Column("rank", sa.SmallInteger(), server_default="2", nullable=False))
    posts = sa.table("posts", sa.column("kind", sa.String), sa.column("rank", sa.SmallInteger))
    op.execute(posts.update().where(posts.c.kind == "echo").values(rank=1))
    op.execute(posts.update().where(posts.c.kind.in_(["freeze", "template"])).values(rank=0))
    op.drop_index("ix_posts_done_next_at", table_name="posts")
    op.drop_index("ix_cards_unshown", table_name="cards")
    op.create_index(op.f("ix_cards_message_id"), "cards", ["message_id"])
    unshown, undone = ("shown < wanted",) * 2, ("done IS 0", "done IS false")
    for name, table, columns, (sqlite, postgresql) in (
        ("ix_cards_unshown", "cards", ["next_at", "channel_id"], unshown),
        ("ix_cards_of_channel", "cards", ["channel_id", "next_at"], unshown),
        ("ix_posts_undone", "posts", ["next_at", "channel_id"], undone),
        ("ix_posts_of_channel", "posts", ["channel_id", "rank", "id"], undone),
    ):
        op.create_index(
            op.f(name),
            table,
            columns,
            sqlite_where=sa.text(sqlite),
            postgresql_where=sa.text(postgresql),
        )
