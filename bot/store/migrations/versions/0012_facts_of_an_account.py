"""what is remembered of a credential belongs to an account."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_OF_AN_ACCOUNT = (
    "proof of the key",
    "unknown answers in a row",
    "cause of the last unknown answer",
    "no request before",
    "requests begun",
)


def upgrade() -> None:
    """Apply it."""

    facts = sa.table("facts", sa.column("name", sa.String))
    for name in _OF_AN_ACCOUNT:
        # There was one account only.
        op.execute(facts.update().where(facts.c.name == name).values(name=f"{name} of whop"))
