"""how far the database has come: a random mark for each time that it let something out."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_INSTANCE = "instance"


def upgrade() -> None:
    """Apply it."""

    history = op.create_table(
        "history",
        sa.Column("counter", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("counter", name=op.f("pk_history")),
    )
    # Until now one line counted, which the file beside the database has as well: it goes on from there.
    facts = sa.table("facts", sa.column("name", sa.String), sa.column("value", sa.Text))
    kept = op.get_bind().scalar(sa.select(facts.c.value).where(facts.c.name == _INSTANCE))
    if kept is not None:
        instance, counter = json.loads(kept)
        op.bulk_insert(history, [{"counter": counter, "mark": instance, "identity": ""}])
        op.execute(sa.delete(facts).where(facts.c.name == _INSTANCE))
