"""Who approved which template, by what it says."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, select

from bot.broadcast import Approval
from bot.store.members import insert_of
from bot.store.tables import template_approvals
from bot.value import Person


class TemplateApprovals:
    """Approvals of templates: of a fingerprint, so that a changed template has none."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def approvals(self, guild_id: int, named: Mapping[str, str]) -> Mapping[str, tuple[Approval, ...]]:
        """Return the approvals of what each template says now, oldest first, by the template's name.

        `named` has the fingerprint of each.
        """
        if not named:
            return {}
        rows = self._connection.execute(
            select(template_approvals)
            .where(
                template_approvals.c.guild_id == guild_id,
                template_approvals.c.fingerprint.in_(sorted(named.values())),
            )
            .order_by(template_approvals.c.at, template_approvals.c.approver_id)
        )
        given: dict[str, list[RowMapping]] = defaultdict(list)
        for row in rows.mappings():
            given[row["fingerprint"]].append(row)
        return {
            name: tuple(
                Approval(
                    approver=Person(row["approver_id"], row["approver_name"]), at=row["at"], template=name
                )
                for row in given[fingerprint]
            )
            for name, fingerprint in named.items()
        }

    def approvers(self, fingerprints: Collection[str]) -> set[tuple[int, str, int]]:
        """Return who approves templates of these fingerprints: the server, the fingerprint, the person."""
        columns = template_approvals.c.guild_id, template_approvals.c.fingerprint
        rows = self._connection.execute(
            select(*columns, template_approvals.c.approver_id).where(columns[1].in_(sorted(fingerprints)))
        )
        return {(guild_id, fingerprint, approver_id) for guild_id, fingerprint, approver_id in rows}

    def approve(self, guild_id: int, fingerprint: str, *, approver: Person, at: datetime) -> bool:
        """Add an approval; return False if the person has given it already."""
        new = self._connection.scalar(
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

    def void(self, guild_id: int, fingerprint: str) -> None:
        """Drop all approvals of a template."""
        self._connection.execute(
            delete(template_approvals).where(
                template_approvals.c.guild_id == guild_id, template_approvals.c.fingerprint == fingerprint
            )
        )

    def retract(self, guild_id: int, fingerprint: str, approver_id: int) -> bool:
        """Drop one person's approval; return False if there is none."""
        done = self._connection.execute(
            delete(template_approvals).where(
                template_approvals.c.guild_id == guild_id,
                template_approvals.c.fingerprint == fingerprint,
                template_approvals.c.approver_id == approver_id,
            )
        )
        return done.rowcount == 1
