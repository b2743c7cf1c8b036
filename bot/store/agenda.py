"""What waits, read without what it says: however much that is, it is soon put in order."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, select

from bot.agenda import Waits
from bot.broadcast import OPEN, Status
from bot.store.conditions import NO_TEST
from bot.store.tables import broadcasts

_WAITS: Final = select(
    broadcasts.c.id,
    broadcasts.c.status,
    broadcasts.c.audience,
    broadcasts.c.due_at,
    broadcasts.c.scheduled_at,
)


class Agenda:
    """What waits for people or for its time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def waiting(self, guild_id: int) -> Sequence[Waits]:
        """Return all that waits in a server, in no order."""
        return self._ask(broadcasts.c.guild_id == guild_id, broadcasts.c.status.in_(sorted(OPEN)))

    def find(self, guild_id: int, broadcast_id: int) -> Waits | None:
        """Return what is known of one broadcast of a server, whether it still waits or not."""
        found = self._ask(broadcasts.c.id == broadcast_id, broadcasts.c.guild_id == guild_id)
        return found[0] if found else None

    def _ask(self, *where: ColumnElement[bool]) -> Sequence[Waits]:
        rows: Any = self._connection.execute(_WAITS.where(NO_TEST, *where))
        return [Waits(number, Status(status), *rest) for number, status, *rest in rows]
