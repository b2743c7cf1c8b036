"""What people looked for, kept for as long as the pages of what was found are turned."""

import hashlib
from datetime import datetime

from sqlalchemy import Connection, delete, select

from bot.filter import Filter
from bot.store.members import insert_of
from bot.store.tables import searches

# Of what is no longer needed: far more than come in the hour between two times.
FORGOTTEN_AT_ONCE = 20_000


class Searches:
    """Filters by a mark of theirs, which fits a button."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, guild_id: int, only: Filter, *, at: datetime) -> str:
        """Keep what was looked for at that time, and return its mark: for the same always the same."""
        looked_for = only.model_dump_json(exclude_none=True)
        mark = hashlib.sha256(looked_for.encode()).hexdigest()[:16]
        new = insert_of(self._connection)(searches).values(
            guild_id=guild_id, mark=mark, looked_for=looked_for, at=at
        )
        renewed = new.on_conflict_do_update(index_elements=["guild_id", "mark"], set_={"at": at})
        self._connection.execute(renewed)
        return mark

    def find(self, guild_id: int, mark: str) -> Filter | None:
        """Return what was looked for; None if that is forgotten."""
        kept = self._connection.scalar(
            select(searches.c.looked_for).where(searches.c.guild_id == guild_id, searches.c.mark == mark)
        )
        return None if kept is None else Filter.model_validate_json(kept)

    def forget(self, *, before: datetime) -> None:
        """Drop what nobody has looked for since, the oldest first, no more at once than nobody notices."""
        old = select(searches.c.mark).where(searches.c.at < before).order_by(searches.c.at)
        self._connection.execute(
            delete(searches).where(searches.c.at < before, searches.c.mark.in_(old.limit(FORGOTTEN_AT_ONCE)))
        )
