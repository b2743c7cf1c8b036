"""one approval of a series may cover more of it."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Apply it."""

    # Columns are added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("approvals", sa.Column("covers", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("approvals", sa.Column("series", sa.BigInteger(), nullable=True))
    where = sa.text("series IS NOT NULL")
    op.create_index(
        op.f("ix_broadcasts_series"), "broadcasts", ["series"], sqlite_where=where, postgresql_where=where
    )
