"""${message}."""

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Apply it."""
    ${upgrades if upgrades else "pass"}
