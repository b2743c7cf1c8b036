"""Who approved which template, by what it says."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.broadcast import Approval
from bot.store.members import insert_of
from bot.store.tables import template_approvals
from bot.value import Person


class TemplateApprovals:
    """Approvals of templates: of a fingerprint, so that a changed template has none."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def approvals(self, guild_id: int, fingerprint: str, *, name: str) -> tuple[Approval, ...]:
        """Return the approvals of what a template says now, oldest first."""
        rows = await self._connection.execute(
            select(template_approvals)
            .where(template_approvals.c.guild_id == guild_id, template_approvals.c.fingerprint == fingerprint)
            .order_by(template_approvals.c.at, template_approvals.c.approver_id)
        )
        return tuple(
            Approval(approver=Person(row["approver_id"], row["approver_name"]), at=row["at"], template=name)
            for row in rows.mappings()
        )

    async def approve(self, guild_id: int, fingerprint: str, *, approver: Person, at: datetime) -> bool:
        """Add an approval; return False if the person has given it already."""
        new = await self._connection.scalar(
            insert_of(self._connection)(template_approvals)
            .values(
                guild_id=guild_id,
                fingerprint=fingerprint,
                approver_id=approver.id,
                approver_name=approver.name,
                at=at,
            )
            .on_conflict_do_nothing()
            .returning(template_approvals.c.approver_id)
        )
        return new is not None

    async def retract(self, guild_id: int, fingerprint: str, approver_id: int) -> bool:
        """Drop one person's approval; return False if there is none."""
        done = await self._connection.execute(
            delete(template_approvals).where(
                template_approvals.c.guild_id == guild_id,
                template_approvals.c.fingerprint == fingerprint,
                template_approvals.c.approver_id == approver_id,
            )
        )
        return done.rowcount == 1
