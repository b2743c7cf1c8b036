"""The audit events: appended, read, never changed."""

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.audit import Entry, Event, chain
from bot.broadcast import Person
from bot.store import postgresql
from bot.store.tables import audit_events


class Record:
    """One hash chain for each server."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, entry: Entry) -> Event:
        """Add what happened to the end of its server's chain."""
        if self._connection.dialect.name == "postgresql":
            await postgresql.lock_guild(self._connection, entry.guild_id)
        row = (
            await self._connection.execute(
                select(audit_events)
                .where(audit_events.c.guild_id == entry.guild_id)
                .order_by(audit_events.c.sequence.desc())
                .limit(1)
            )
        ).mappings()
        last = row.first()
        event = chain(entry, previous=_event(last) if last else None)
        await self._connection.execute(
            insert(audit_events).values(
                guild_id=entry.guild_id,
                sequence=event.sequence,
                at=entry.at,
                actor_id=entry.actor.id,
                actor_name=entry.actor.name,
                action=entry.action,
                broadcast_id=entry.broadcast_id,
                proof=entry.proof,
                detail=entry.detail,
                previous=event.previous,
                digest=event.digest,
            )
        )
        return event

    async def get(self, guild_id: int, sequence: int) -> Event:
        """Return one line."""
        rows = await self._connection.execute(
            select(audit_events).where(
                audit_events.c.guild_id == guild_id, audit_events.c.sequence == sequence
            )
        )
        return _event(rows.mappings().one())

    async def of_guild(self, guild_id: int) -> list[Event]:
        """Return a server's whole chain in order."""
        rows = await self._connection.execute(
            select(audit_events).where(audit_events.c.guild_id == guild_id).order_by(audit_events.c.sequence)
        )
        return [_event(row) for row in rows.mappings()]

    async def of_broadcast(self, broadcast_id: int, *, limit: int) -> list[Event]:
        """Return what happened to one broadcast, newest first."""
        rows = await self._connection.execute(
            select(audit_events)
            .where(audit_events.c.broadcast_id == broadcast_id)
            .order_by(audit_events.c.sequence.desc())
            .limit(limit)
        )
        return [_event(row) for row in rows.mappings()]


def _event(row: RowMapping) -> Event:
    entry = Entry(
        guild_id=row["guild_id"],
        at=row["at"],
        actor=Person(row["actor_id"], row["actor_name"]),
        action=row["action"],
        broadcast_id=row["broadcast_id"],
        proof=row["proof"],
        detail=row["detail"],
    )
    return Event(sequence=row["sequence"], entry=entry, previous=row["previous"], digest=row["digest"])
