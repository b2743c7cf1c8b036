"""what must never be is refused by the database itself."""

from typing import Final

from alembic import op

revision = "0002"
down_revision = "0001"

# Without the check on insert, INSERT OR REPLACE would change a row past the other triggers.
_SQLITE: Final = """
CREATE TRIGGER approvals_insert BEFORE INSERT ON approvals
WHEN EXISTS (SELECT 1 FROM broadcasts WHERE id = NEW.broadcast_id AND author_id = NEW.approver_id)
  OR EXISTS (SELECT 1 FROM revisions WHERE broadcast_id = NEW.broadcast_id AND editor_id = NEW.approver_id)
BEGIN SELECT RAISE(ABORT, 'nobody approves what they wrote'); END
---
CREATE TRIGGER approvals_update BEFORE UPDATE ON approvals
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER revisions_insert BEFORE INSERT ON revisions
WHEN EXISTS (SELECT 1 FROM approvals WHERE broadcast_id = NEW.broadcast_id AND approver_id = NEW.editor_id)
BEGIN SELECT RAISE(ABORT, 'nobody approves what they wrote'); END
---
CREATE TRIGGER revisions_replace BEFORE INSERT ON revisions
WHEN EXISTS (SELECT 1 FROM revisions WHERE broadcast_id = NEW.broadcast_id AND revision = NEW.revision)
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER revisions_update BEFORE UPDATE ON revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER revisions_delete BEFORE DELETE ON revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER audit_events_replace BEFORE INSERT ON audit_events
WHEN EXISTS (
  SELECT 1 FROM audit_events
  WHERE guild_id = NEW.guild_id AND (sequence = NEW.sequence OR previous = NEW.previous)
)
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
"""

# Both locks on the broadcast make the checks true however much happens at once.
_POSTGRESQL: Final = """
CREATE FUNCTION herald_unchanged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION USING ERRCODE = '23000', MESSAGE = 'what was written is never changed';
END $$
---
CREATE FUNCTION herald_approval() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM 1 FROM broadcasts WHERE id = NEW.broadcast_id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM broadcasts WHERE id = NEW.broadcast_id AND author_id = NEW.approver_id)
  OR EXISTS (SELECT 1 FROM revisions WHERE broadcast_id = NEW.broadcast_id AND editor_id = NEW.approver_id)
  THEN
    RAISE EXCEPTION USING ERRCODE = '23000', MESSAGE = 'nobody approves what they wrote';
  END IF;
  RETURN NEW;
END $$
---
CREATE FUNCTION herald_revision() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM 1 FROM broadcasts WHERE id = NEW.broadcast_id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM approvals WHERE broadcast_id = NEW.broadcast_id AND approver_id = NEW.editor_id)
  THEN
    RAISE EXCEPTION USING ERRCODE = '23000', MESSAGE = 'nobody approves what they wrote';
  END IF;
  RETURN NEW;
END $$
---
CREATE TRIGGER approvals_insert BEFORE INSERT ON approvals FOR EACH ROW EXECUTE FUNCTION herald_approval()
---
CREATE TRIGGER approvals_update BEFORE UPDATE ON approvals FOR EACH ROW EXECUTE FUNCTION herald_unchanged()
---
CREATE TRIGGER revisions_insert BEFORE INSERT ON revisions FOR EACH ROW EXECUTE FUNCTION herald_revision()
---
CREATE TRIGGER revisions_change BEFORE UPDATE OR DELETE ON revisions
FOR EACH ROW EXECUTE FUNCTION herald_unchanged()
---
CREATE TRIGGER revisions_truncate BEFORE TRUNCATE ON revisions EXECUTE FUNCTION herald_unchanged()
---
CREATE TRIGGER audit_events_change BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION herald_unchanged()
---
CREATE TRIGGER audit_events_truncate BEFORE TRUNCATE ON audit_events EXECUTE FUNCTION herald_unchanged()
"""


def upgrade() -> None:
    """Apply it."""

    with op.batch_alter_table("broadcasts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_broadcasts_id_revision_fingerprint"),
            ["id", "revision", "fingerprint"],
            unique=True,
        )
    # Approvals of anything else than what stands there now have never counted.
    op.execute(
        "DELETE FROM approvals WHERE NOT EXISTS (SELECT 1 FROM broadcasts"
        " WHERE id = approvals.broadcast_id AND revision = approvals.revision"
        " AND fingerprint = approvals.fingerprint)"
    )
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.drop_constraint("fk_approvals_broadcast_id", type_="foreignkey")
        batch_op.create_foreign_key(
            batch_op.f("fk_approvals_broadcast_id_revision"),
            "revisions",
            ["broadcast_id", "revision"],
            ["broadcast_id", "revision"],
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_approvals_broadcast_id_revision_fingerprint"),
            "broadcasts",
            ["broadcast_id", "revision", "fingerprint"],
            ["id", "revision", "fingerprint"],
        )
    # A later migration that makes one of these tables anew on SQLite has to make its triggers anew too.
    statements = _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL
    for statement in statements.split("---"):
        op.execute(statement)
