"""Broadcasts, their revisions and approvals."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.broadcast import Approval, Broadcast, Status
from bot.notification import Notification
from bot.store.tables import approvals, broadcasts, revisions
from bot.value import Person


class Broadcasts:
    """Broadcasts as rows; every change names the status and revision it expects."""

    def __init__(self, connection: AsyncConnection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    async def add(
        self,
        *,
        guild_id: int,
        author: Person,
        audience: str,
        notification: Notification,
        fingerprint: str,
        origin_channel_id: int,
        at: datetime,
        writers: Sequence[Person] = (),
        repeats: int | None = None,
    ) -> Broadcast:
        """Store a new draft and return it with its number; `writers` are whose words it takes over."""
        editors = writers or (author,)
        row = await self._connection.execute(
            insert(broadcasts)
            .values(
                guild_id=guild_id,
                author_id=author.id,
                author_name=author.name,
                audience=audience,
                notification=notification.model_dump_json(),
                status=Status.DRAFT,
                revision=len(editors),
                fingerprint=fingerprint,
                origin_channel_id=origin_channel_id,
                note="",
                reason="",
                created_at=at,
                updated_at=at,
                repeats=repeats,
            )
            .returning(broadcasts.c.id)
        )
        identifier = row.scalar_one()
        # A revision for each of them: none may approve what is theirs.
        for number, editor in enumerate(editors, start=1):
            await self.add_revision(identifier, number, editor=editor, notification=notification, at=at)
        return await self.get(identifier)

    async def add_revision(
        self, broadcast_id: int, revision: int, *, editor: Person, notification: Notification, at: datetime
    ) -> None:
        """Keep what an editor wrote; a revision is never changed afterwards."""
        await self._connection.execute(
            insert(revisions).values(
                broadcast_id=broadcast_id,
                revision=revision,
                editor_id=editor.id,
                editor_name=editor.name,
                notification=notification.model_dump_json(),
                at=at,
            )
        )

    async def writers(self, broadcast: Broadcast) -> list[Person]:
        """Return everyone whose words may be in it, its author included."""
        rows = await self._connection.execute(
            select(revisions.c.editor_id, revisions.c.editor_name)
            .where(revisions.c.broadcast_id == broadcast.id)
            .order_by(revisions.c.revision)
        )
        named = {person.id: person for person in (Person(*row) for row in rows)}
        return list((named | {broadcast.author.id: broadcast.author}).values())

    async def find(self, broadcast_id: int) -> Broadcast | None:
        """Return the broadcast with that number, if there is one.

        In a transaction that may write, nobody else changes or approves it until the end of it.
        """
        found = await self._load(broadcasts.c.id == broadcast_id, locked=self._locking)
        return found[0] if found else None

    async def get(self, broadcast_id: int) -> Broadcast:
        """Return the broadcast with a number that is known to exist."""
        found = await self.find(broadcast_id)
        if found is None:
            raise LookupError(f"no broadcast {broadcast_id}")
        return found

    async def change(self, before: Broadcast, *, status: Status, at: datetime, **values: Any) -> bool:
        """Change a broadcast that is still as `before` says; return whether it was."""
        if "notification" in values:
            values["notification"] = values["notification"].model_dump_json()
        done = await self._connection.execute(
            update(broadcasts)
            .where(
                broadcasts.c.id == before.id,
                broadcasts.c.status == before.status,
                broadcasts.c.revision == before.revision,
            )
            .values(status=status, updated_at=at, **values)
        )
        return done.rowcount == 1

    async def approve(
        self, broadcast: Broadcast, *, approver: Person, at: datetime, template: str | None = None
    ) -> None:
        """Add an approval of what stands there now, or one that a template lends it."""
        await self._connection.execute(
            insert(approvals).values(
                broadcast_id=broadcast.id,
                approver_id=approver.id,
                approver_name=approver.name,
                revision=broadcast.revision,
                fingerprint=broadcast.fingerprint,
                at=at,
                template=template,
            )
        )

    async def retract(self, broadcast_id: int, approver_id: int) -> bool:
        """Drop one person's approval; return False if there is none."""
        done = await self._connection.execute(
            delete(approvals).where(
                approvals.c.broadcast_id == broadcast_id, approvals.c.approver_id == approver_id
            )
        )
        return done.rowcount == 1

    async def void_approvals(self, broadcast_id: int) -> None:
        """Drop the approvals: what they were given to is no longer under review. The record keeps them."""
        await self._connection.execute(delete(approvals).where(approvals.c.broadcast_id == broadcast_id))

    async def of_author(
        self, guild_id: int, author_id: int, status: Status, *, limit: int
    ) -> list[Broadcast]:
        """Return an author's broadcasts in one status, newest first."""
        return await self._load(
            broadcasts.c.guild_id == guild_id,
            broadcasts.c.author_id == author_id,
            broadcasts.c.status == status,
            limit=limit,
        )

    async def in_status(self, guild_id: int, statuses: Sequence[Status], *, limit: int) -> list[Broadcast]:
        """Return a server's broadcasts in any of the statuses, newest first."""
        return await self._load(
            broadcasts.c.guild_id == guild_id, broadcasts.c.status.in_(statuses), limit=limit
        )

    async def everywhere(self, status: Status) -> list[Broadcast]:
        """Return all servers' broadcasts in one status, oldest first."""
        return await self._load(broadcasts.c.status == status, limit=None, oldest=True)

    async def count(self, guild_id: int) -> dict[str, int]:
        """Return how many broadcasts of a server have each status."""
        query = select(broadcasts.c.status, func.count()).where(broadcasts.c.guild_id == guild_id)
        rows = await self._connection.execute(query.group_by(broadcasts.c.status))
        return {status: number for status, number in rows}  # noqa: C416 - a row is no pair to the type checker

    async def is_empty(self) -> bool:
        """Tell whether there has never been a broadcast."""
        return await self._connection.scalar(select(broadcasts.c.id).limit(1)) is None

    async def due(self, now: datetime, *, limit: int) -> list[Broadcast]:
        """Return approved broadcasts whose time has come, oldest first."""
        return await self._load(
            broadcasts.c.status == Status.APPROVED, broadcasts.c.due_at <= now, limit=limit, oldest=True
        )

    async def expired(self, now: datetime, *, limit: int) -> list[Broadcast]:
        """Return broadcasts that waited too long for a review."""
        return await self._load(
            broadcasts.c.status == Status.REVIEW,
            broadcasts.c.review_expires_at <= now,
            limit=limit,
            oldest=True,
        )

    async def next_moment(self) -> datetime | None:
        """Return when the next approved broadcast falls due."""
        return await self._connection.scalar(
            select(func.min(broadcasts.c.due_at)).where(broadcasts.c.status == Status.APPROVED)
        )

    async def _load(
        self, *where: Any, limit: int | None = 1, oldest: bool = False, locked: bool = False
    ) -> list[Broadcast]:
        order = broadcasts.c.id if oldest else broadcasts.c.id.desc()
        query = select(broadcasts).where(*where).order_by(order).limit(limit)
        # SQLite has one writer at a time and passes the lock over.
        rows = await self._connection.execute(query.with_for_update() if locked else query)
        return [await self._assemble(row) for row in rows.mappings().all()]

    async def _assemble(self, row: RowMapping) -> Broadcast:
        editors = await self._connection.scalars(
            select(revisions.c.editor_id).distinct().where(revisions.c.broadcast_id == row["id"])
        )
        # An approval counts only for the very revision and fingerprint it was given to.
        given = await self._connection.execute(
            select(approvals)
            .where(
                approvals.c.broadcast_id == row["id"],
                approvals.c.revision == row["revision"],
                approvals.c.fingerprint == row["fingerprint"],
            )
            .order_by(approvals.c.at)
        )
        agreed = [
            Approval(
                approver=Person(one["approver_id"], one["approver_name"]),
                at=one["at"],
                template=one["template"],
            )
            for one in given.mappings()
        ]
        plain = {name: row[name] for name in _PLAIN}
        return Broadcast(
            **plain,
            status=Status(row["status"]),
            author=Person(row["author_id"], row["author_name"]),
            editors=tuple(sorted(editors)),
            notification=Notification.model_validate_json(row["notification"]),
            approvals=tuple(one for one in agreed if one.template is None),
            lent=tuple(one for one in agreed if one.template is not None),
        )


_PLAIN = (
    "id",
    "guild_id",
    "audience",
    "revision",
    "fingerprint",
    "origin_channel_id",
    "note",
    "reason",
    "due_at",
    "review_expires_at",
    "created_at",
    "updated_at",
    "repeats",
)
