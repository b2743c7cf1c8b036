"""an approval says whether its audience's name was typed."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply it."""

    op.add_column("approvals", sa.Column("named", sa.Boolean(), server_default=sa.false(), nullable=False))
    # The record has said it all along.
    op.execute(
        "UPDATE approvals SET named = (1 = 1) WHERE EXISTS (SELECT 1 FROM audit_events"
        " WHERE audit_events.broadcast_id = approvals.broadcast_id"
        " AND audit_events.actor_id = approvals.approver_id AND audit_events.action = 'approve'"
        " AND audit_events.proof = upper(substr(approvals.fingerprint, 1, 8))"
        " AND audit_events.detail = 'typed the audience''s name')"
    )
