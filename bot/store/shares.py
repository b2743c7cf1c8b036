"""Whom drafts are shared with."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert

from bot.broadcast import Broadcast
from bot.store.tables import shares
from bot.value import Person


class Shares:
    """Shares as rows, one for each draft and person."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, broadcast: Broadcast, person: Person, *, at: datetime) -> Broadcast:
        """Let somebody write a draft, too; return it so."""
        row = {"broadcast_id": broadcast.id, "person_id": person.id, "person_name": person.name, "at": at}
        self._connection.execute(insert(shares), [row])
        return broadcast.model_copy(update={"shared": in_order([*broadcast.shared, person])})

    def remove(self, broadcast: Broadcast, person: Person) -> Broadcast:
        """Let somebody write a draft no longer; return it so."""
        theirs = (shares.c.broadcast_id == broadcast.id, shares.c.person_id == person.id)
        self._connection.execute(delete(shares).where(*theirs))
        left = tuple(one for one in broadcast.shared if one.id != person.id)
        return broadcast.model_copy(update={"shared": left})


def in_order(people: Iterable[Person]) -> tuple[Person, ...]:
    """Return people as every broadcast has them, by their ids."""
    return tuple(sorted(people))
