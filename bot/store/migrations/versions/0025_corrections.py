"""which broadcast another one corrects."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Apply it."""

    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("broadcasts", sa.Column("corrects", sa.BigInteger(), nullable=True))
    where = sa.text("corrects IS NOT NULL")
    op.create_index(
        op.f("ix_broadcasts_corrects"),
        "broadcasts",
        ["corrects"],
        sqlite_where=where,
        postgresql_where=where,
    )
