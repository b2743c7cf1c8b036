"""The freezes that stand: at most one of everything, and one of each server."""

from typing import Final

from sqlalchemy import Connection, delete, insert, select

from bot.freeze import Freeze, first_over
from bot.store.tables import freezes
from bot.value import Person

# Under which number the freeze of everything stands: no server has it.
_EVERYTHING: Final = 0


class Freezes:
    """Freezes as rows: read inside the transaction that claims, so that none is overlooked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def standing(self) -> list[Freeze]:
        """Return all freezes, that of everything first."""
        rows = self._connection.execute(select(freezes).order_by(freezes.c.guild_id))
        return [
            Freeze(
                guild_id=row.guild_id or None,
                by=Person(row.by_id, row.by_name),
                at=row.at,
                reason=row.reason,
            )
            for row in rows
        ]

    def over(self, guild_id: int) -> Freeze | None:
        """Return the freeze that halts this server's sending, if there is one."""
        return first_over(self.standing(), guild_id)

    def add(self, freeze: Freeze) -> None:
        """Keep a freeze where there is none yet."""
        self._connection.execute(
            insert(freezes).values(
                guild_id=freeze.guild_id or _EVERYTHING,
                by_id=freeze.by.id,
                by_name=freeze.by.name,
                at=freeze.at,
                reason=freeze.reason,
            )
        )

    def remove(self, freeze: Freeze) -> bool:
        """Drop a freeze; return False if someone was faster."""
        scope = freeze.guild_id or _EVERYTHING
        return self._connection.execute(delete(freezes).where(freezes.c.guild_id == scope)).rowcount == 1
