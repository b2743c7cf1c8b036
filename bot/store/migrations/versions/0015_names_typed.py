"""an approval says whether its audience's name was typed."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

# The record has said it all along: of an approval by its broadcast, of one that a template lends by what that
# template was approved for at that time.
_NAMED: Final = """
UPDATE approvals SET named = (1 = 1) WHERE EXISTS (
  SELECT 1 FROM audit_events
  WHERE audit_events.broadcast_id = approvals.broadcast_id
  AND audit_events.actor_id = approvals.approver_id AND audit_events.action = 'approve'
  AND audit_events.proof = upper(substr(approvals.fingerprint, 1, 8))
  AND audit_events.at >= approvals.at
  AND audit_events.detail = 'typed the audience''s name'
) OR EXISTS (
  SELECT 1 FROM broadcasts
  JOIN template_approvals ON template_approvals.guild_id = broadcasts.guild_id
  JOIN audit_events ON audit_events.guild_id = template_approvals.guild_id
  AND audit_events.proof = upper(substr(template_approvals.fingerprint, 1, 8))
  WHERE broadcasts.id = approvals.broadcast_id
  AND template_approvals.approver_id = approvals.approver_id AND template_approvals.at = approvals.at
  AND audit_events.actor_id = approvals.approver_id AND audit_events.action = 'approve_template'
  AND audit_events.at >= approvals.at
  AND audit_events.detail = 'template “' || approvals.template || '”: typed the audience''s name'
)
"""
_UNCHANGED: Final = {
    "sqlite": (
        "DROP TRIGGER approvals_update",
        "CREATE TRIGGER approvals_update BEFORE UPDATE ON approvals\n"
        "BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END",
    ),
    "postgresql": (
        "DROP TRIGGER approvals_update ON approvals",
        "CREATE TRIGGER approvals_update BEFORE UPDATE ON approvals"
        " FOR EACH ROW EXECUTE FUNCTION herald_unchanged()",
    ),
}


def upgrade() -> None:
    """Apply it."""

    op.add_column("approvals", sa.Column("named", sa.Boolean(), server_default=sa.false(), nullable=False))
    # What was written is never changed, but for this once.
    drop, create = _UNCHANGED[op.get_bind().dialect.name]
    op.execute(drop)
    op.execute(sa.text(_NAMED.replace(":", "\\:")))
    op.execute(create)
