"""How far the database has come: a random mark for each time that it let something out."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, func, insert, select, text

from bot.store.tables import audit_events, broadcasts, history

# The option of a connection that says by what question a server tells which database this is.
IDENTITY: Final = "herald_identity"
# A file is told by its marks alone.
_NO_IDENTITY: Final = "''"


class Mark(NamedTuple):
    """A place in the history: a copy that went on by itself has another value at the same counter."""

    counter: int
    value: str


class Numbers(NamedTuple):
    """The highest numbers that were given out: to broadcasts, and to the events of each server."""

    broadcasts: int
    events: Mapping[int, int]

    def above(self, other: "Numbers") -> "Numbers":
        """Return the higher one of each."""
        guilds = {*self.events, *other.events}
        events = {one: max(self.events.get(one, 0), other.events.get(one, 0)) for one in guilds}
        return Numbers(max(self.broadcasts, other.broadcasts), events)


NO_NUMBERS: Final = Numbers(0, MappingProxyType({}))


class Found(NamedTuple):
    """The newest mark and where it was set, where the database stands now, and what stands at a counter."""

    newest: Mark | None
    identity: str
    here: str
    at_counter: str | None

    @property
    def has_moved(self) -> bool:
        """Tell whether it is another server, database or timeline than the one that was written to last."""
        parts = zip(self.identity.split("/"), self.here.split("/"), strict=False)
        # What a server does not tell tells nothing.
        return any(before and now and before != now for before, now in parts)


class History:
    """Marks that follow each other; whoever adds one has made sure that nobody else does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._found: Found | None = None

    def find(self, counter: int) -> Found:
        """Return the newest mark, and the value at that counter."""
        here = self._connection.get_execution_options().get(IDENTITY, _NO_IDENTITY)
        row = self._connection.execute(text(_FIND.format(here=here)), {"counter": counter}).one()
        newest = None if row.counter is None else Mark(row.counter, row.mark)
        self._found = Found(newest, row.identity or "", row.here, row.known)
        return self._found

    def add(self, *, above: int = 0) -> Mark:
        """Set a mark that nobody could foresee, above all others and that counter."""
        found = self._found or self.find(above)
        newest = found.newest.counter if found.newest else 0
        mark = Mark(max(newest, above) + 1, uuid4().hex)
        values = {"counter": mark.counter, "mark": mark.value, "identity": found.here}
        self._connection.execute(_ADD, values)
        self._found = found._replace(newest=mark, identity=found.here)
        return mark

    def numbers(self, guilds: Sequence[int]) -> Numbers:
        """Return the highest numbers that stand in the database, of these servers."""
        highest = select(func.max(broadcasts.c.id)).scalar_subquery()
        events = (
            select(func.max(audit_events.c.sequence)).where(audit_events.c.guild_id == one).scalar_subquery()
            for one in guilds
        )
        given, *lines = self._connection.execute(select(highest, *events)).one()
        return Numbers(given or 0, {one: last for one, last in zip(guilds, lines, strict=True) if last})


_FIND: Final = (
    "SELECT newest.counter, newest.mark, newest.identity, here.here,"
    " (SELECT mark FROM history WHERE counter = :counter) AS known"
    " FROM (SELECT {here} AS here) AS here LEFT JOIN history AS newest"
    " ON newest.counter = (SELECT max(counter) FROM history)"
)
_ADD: Final = insert(history)
