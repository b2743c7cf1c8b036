"""templates that moderators make themselves, and forms that come back filled in."""

from typing import Final

import sqlalchemy as sa
from alembic import op

import bot.store.tables

revision = "0023"
down_revision = "0022"

# Without the check on insert, INSERT OR REPLACE would change a row past the other triggers.
_SQLITE: Final = """
CREATE TRIGGER everyday_revisions_replace BEFORE INSERT ON everyday_revisions
WHEN EXISTS (
  SELECT 1 FROM everyday_revisions WHERE template_id = NEW.template_id AND revision = NEW.revision
)
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER everyday_revisions_update BEFORE UPDATE ON everyday_revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
---
CREATE TRIGGER everyday_revisions_delete BEFORE DELETE ON everyday_revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END
"""
_POSTGRESQL: Final = """
CREATE TRIGGER everyday_revisions_change BEFORE UPDATE OR DELETE ON everyday_revisions
FOR EACH ROW EXECUTE FUNCTION herald_unchanged()
---
CREATE TRIGGER everyday_revisions_truncate BEFORE TRUNCATE ON everyday_revisions
EXECUTE FUNCTION herald_unchanged()
"""


def upgrade() -> None:
    """Apply it."""

    op.create_table(
        "everyday_templates",
        sa.Column("id", bot.store.tables.RowId, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("author_name", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_everyday_templates")),
    )
    op.create_index(
        op.f("ix_everyday_templates_guild_id_retired_id"), "everyday_templates", ["guild_id", "retired", "id"]
    )
    where = sa.text("NOT retired")
    op.create_index(
        op.f("ix_everyday_templates_named"),
        "everyday_templates",
        ["guild_id", "name"],
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_table(
        "everyday_revisions",
        sa.Column("template_id", bot.store.tables.RowId, autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("editor_id", sa.BigInteger(), nullable=False),
        sa.Column("editor_name", sa.String(length=100), nullable=False),
        sa.Column("outline", sa.Text(), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_id"], ["everyday_templates.id"], name=op.f("fk_everyday_revisions_template_id")
        ),
        sa.PrimaryKeyConstraint("template_id", "revision", name=op.f("pk_everyday_revisions")),
    )
    op.create_table(
        "kept_forms",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("form", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("at", bot.store.tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "user_id", name=op.f("pk_kept_forms")),
    )
    statements = _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL
    for statement in statements.split("---"):
        op.execute(statement)
