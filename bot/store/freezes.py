"""The freezes that stand: at most one of everything, and one of each server."""

from typing import Final

from sqlalchemy import Connection, delete, insert, select

from bot.freeze import Freeze, first_over
from bot.store.tables import facts

_PREFIX: Final = "freeze of "


class Freezes:
    """Freezes as facts: read inside the transaction that claims, so that none is overlooked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def standing(self) -> list[Freeze]:
        """Return all freezes, that of everything first."""
        rows = self._connection.scalars(select(facts.c.value).where(facts.c.name.startswith(_PREFIX)))
        found = [Freeze.model_validate_json(row) for row in rows]
        return sorted(found, key=lambda freeze: freeze.guild_id or 0)

    def over(self, guild_id: int) -> Freeze | None:
        """Return the freeze that halts this server's sending, if there is one."""
        return first_over(self.standing(), guild_id)

    def add(self, freeze: Freeze) -> None:
        """Keep a freeze where there is none yet."""
        self._connection.execute(
            insert(facts).values(name=_name(freeze.guild_id), value=freeze.model_dump_json())
        )

    def remove(self, freeze: Freeze) -> bool:
        """Drop a freeze; return False if someone was faster."""
        done = self._connection.execute(delete(facts).where(facts.c.name == _name(freeze.guild_id)))
        return done.rowcount == 1


def _name(guild_id: int | None) -> str:
    return f"{_PREFIX}{guild_id or 'all'}"
