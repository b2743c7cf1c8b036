"""The freezes that stand: at most one of everything, one of each account, and one of each server."""

from typing import Final

from sqlalchemy import Connection, delete, insert, select

from bot.freeze import Freeze, first_over
from bot.store.tables import freezes
from bot.value import Person

# Under which number a freeze of more than one server stands, and under which name one of no account:
# no server and no account has it.
EVERYTHING: Final = 0
NO_ACCOUNT: Final = ""


class Freezes:
    """Freezes as rows: read inside the transaction that claims, so that none is overlooked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def standing(self) -> list[Freeze]:
        """Return all freezes: that of everything, then those of accounts, then those of servers."""
        rows = self._connection.execute(select(freezes).order_by(freezes.c.guild_id, freezes.c.account))
        return [
            Freeze(
                guild_id=row.guild_id or None,
                account=row.account or None,
                by=Person(row.by_id, row.by_name),
                at=row.at,
                reason=row.reason,
            )
            for row in rows
        ]

    def over(self, guild_id: int, account: str | None) -> Freeze | None:
        """Return the freeze that halts what a server sends by that account, if there is one."""
        return first_over(self.standing(), guild_id, account)

    def add(self, freeze: Freeze) -> None:
        """Keep a freeze where there is none yet."""
        self._connection.execute(
            insert(freezes).values(
                guild_id=freeze.guild_id or EVERYTHING,
                account=freeze.account or NO_ACCOUNT,
                by_id=freeze.by.id,
                by_name=freeze.by.name,
                at=freeze.at,
                reason=freeze.reason,
            )
        )

    def remove(self, freeze: Freeze) -> bool:
        """Drop a freeze; return False if someone was faster."""
        dropped = delete(freezes).where(
            freezes.c.guild_id == (freeze.guild_id or EVERYTHING),
            freezes.c.account == (freeze.account or NO_ACCOUNT),
        )
        return self._connection.execute(dropped).rowcount == 1
