"""What Discord last said of people: their roles, and until when they are in its time-out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import sqlite

from bot.store.tables import members


def insert_of(connection: Connection) -> Any:
    """Return the insert of the connection's dialect, which can say what to do about a conflict."""
    # The two dialects spell it alike, each with a class of its own.
    if connection.dialect.name == "sqlite":
        return sqlite.insert
    # Whoever has a file never reads the other dialect, with the drivers that it knows.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert


class Answer(NamedTuple):
    """What Discord said of someone; their roles are None if they were no member of the server."""

    guild_id: int
    user_id: int
    roles: frozenset[int] | None
    timed_out_until: datetime | None
    at: datetime


class Seen(NamedTuple):
    """What someone was at a moment; their roles are None if they were no member of the server."""

    roles: frozenset[int] | None
    timed_out_until: datetime | None
    at: datetime


class Members:
    """Answers of Discord's, kept for the time in which it cannot be asked, and what members set."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def saw(
        self,
        guild_id: int,
        user_id: int,
        roles: Iterable[int] | None,
        *,
        timed_out_until: datetime | None = None,
        at: datetime,
    ) -> None:
        """Keep an answer in place of the one before."""
        held = None if roles is None else frozenset(roles)
        self.saw_all([Answer(guild_id, user_id, held, timed_out_until, at)])

    def saw_all(self, answers: Sequence[Answer]) -> None:
        """Keep answers in place of those before."""
        if not answers:
            return
        new = insert_of(self._connection)(members)
        self._connection.execute(
            new.on_conflict_do_update(
                index_elements=["guild_id", "user_id"],
                set_={
                    "roles": new.excluded.roles,
                    "timed_out_until": new.excluded.timed_out_until,
                    "at": new.excluded.at,
                },
            ),
            [
                {
                    "guild_id": one.guild_id,
                    "user_id": one.user_id,
                    "roles": None if one.roles is None else sorted(one.roles),
                    "timed_out_until": one.timed_out_until,
                    "at": one.at,
                }
                # Two that keep the same answers do so in the same order.
                for one in sorted(answers, key=lambda one: (one.guild_id, one.user_id))
            ],
        )

    def set_zone(self, guild_id: int, user_id: int, zone: str | None) -> None:
        """Keep by which clocks a known member types times, or that they no longer say."""
        self._connection.execute(
            update(members)
            .where(members.c.guild_id == guild_id, members.c.user_id == user_id)
            .values(time_zone=zone)
        )

    def zone_of(self, guild_id: int, user_id: int) -> str | None:
        """Return by which clocks somebody types times, if they have said so."""
        return self._connection.execute(
            select(members.c.time_zone).where(members.c.guild_id == guild_id, members.c.user_id == user_id)
        ).scalar()

    def of(self, guild_id: int, user_ids: Iterable[int]) -> Mapping[int, Seen]:
        """Return the newest answer about each of these people, where there ever was one."""
        rows = self._connection.execute(
            select(members).where(
                members.c.guild_id == guild_id, members.c.user_id.in_(sorted(set(user_ids)))
            )
        )
        return {
            row["user_id"]: Seen(
                None if row["roles"] is None else frozenset(row["roles"]), row["timed_out_until"], row["at"]
            )
            for row in rows.mappings()
        }
