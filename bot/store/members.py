"""What Discord last said of people's roles."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables import members

# The two dialects spell it alike, each with a class of its own.
_INSERT: Final[Mapping[str, Any]] = MappingProxyType(
    {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
)


def insert_of(connection: AsyncConnection) -> Any:
    """Return the insert of the connection's dialect, which can say what to do about a conflict."""
    return _INSERT[connection.dialect.name]


class Seen(NamedTuple):
    """The roles that someone held at a moment; None if they were no member of the server."""

    roles: frozenset[int] | None
    at: datetime


class Members:
    """Answers of Discord's, kept for the time in which it cannot be asked."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def saw(self, guild_id: int, user_id: int, roles: Iterable[int] | None, *, at: datetime) -> None:
        """Keep an answer in place of the one before."""
        values = {
            "guild_id": guild_id,
            "user_id": user_id,
            "roles": None if roles is None else sorted(roles),
            "at": at,
        }
        new = insert_of(self._connection)(members).values(values)
        await self._connection.execute(
            new.on_conflict_do_update(
                index_elements=["guild_id", "user_id"],
                set_={"roles": new.excluded.roles, "at": new.excluded.at},
            )
        )

    async def of(self, guild_id: int, user_id: int) -> Seen | None:
        """Return the newest answer, if there ever was one."""
        rows = await self._connection.execute(
            select(members).where(members.c.guild_id == guild_id, members.c.user_id == user_id)
        )
        row = rows.mappings().first()
        if row is None:
            return None
        return Seen(None if row["roles"] is None else frozenset(row["roles"]), row["at"])
