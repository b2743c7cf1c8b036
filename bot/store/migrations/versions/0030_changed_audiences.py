"""a revision says which audience it was for, since drafts may be for another one later."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"

# No draft could change its audience before.
_FOR: Final = (
    "UPDATE revisions SET audience ="
    " (SELECT broadcasts.audience FROM broadcasts WHERE broadcasts.id = revisions.broadcast_id)"
)
_UNCHANGED: Final = {
    "sqlite": (
        "DROP TRIGGER revisions_update",
        "CREATE TRIGGER revisions_update BEFORE UPDATE ON revisions\n"
        "BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END",
    ),
    "postgresql": (
        "DROP TRIGGER revisions_change ON revisions",
        "CREATE TRIGGER revisions_change BEFORE UPDATE OR DELETE ON revisions"
        " FOR EACH ROW EXECUTE FUNCTION herald_unchanged()",
    ),
}


def upgrade() -> None:
    """Apply it."""

    # The column is added in place: a table made anew on SQLite would lose its triggers.
    op.add_column("revisions", sa.Column("audience", sa.String(100), server_default="", nullable=False))
    # What was written is never changed, but for this once.
    drop, create = _UNCHANGED[op.get_bind().dialect.name]
    op.execute(drop)
    op.execute(_FOR)
    op.execute(create)
