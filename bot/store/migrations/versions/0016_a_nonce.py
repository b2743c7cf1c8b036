"""each broadcast has a random number that no copy of the database could repeat for another."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

# Only of those that have not ended there are cards to press.
_DRAWN = {
    "sqlite": "UPDATE broadcasts SET nonce = lower(hex(randomblob(16)))"
    " WHERE status NOT IN ('sent', 'partial', 'failed', 'cancelled')",
    "postgresql": "UPDATE broadcasts SET nonce = replace(gen_random_uuid()::text, '-', '')"
    " WHERE status NOT IN ('sent', 'partial', 'failed', 'cancelled')",
}


def upgrade() -> None:
    """Apply it."""

    op.add_column("broadcasts", sa.Column("nonce", sa.String(length=32), server_default="", nullable=False))
    op.execute(_DRAWN[op.get_bind().dialect.name])
