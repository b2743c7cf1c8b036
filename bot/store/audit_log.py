"""The audit events: appended, read, never changed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    RowMapping,
    Select,
    String,
    and_,
    bindparam,
    func,
    insert,
    select,
    text,
    type_coerce,
)

from bot.audit.chain import Anchor, Event, NewEvent, StoredEvent, chain
from bot.audit.search import EVERYTHING, Search
from bot.store import postgresql
from bot.store.conditions import NO_TEST
from bot.store.tables import audit_events, broadcasts
from bot.value import Person

BATCH: Final = 2000
# So many broadcasts of an audience are looked at one by one, when its events are searched for.
RARE: Final = 500
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}")
# Just what stands there: what is made of a moment on the way might hide that its text was changed.
_AS_IT_STANDS: Final = [
    type_coerce(column, String) if column is audit_events.c.at else column
    for column in (audit_events.c[name] for name in StoredEvent._fields)
]


_APPEND: Final = insert(audit_events)
_LAST: Final = (
    select(audit_events)
    .where(audit_events.c.guild_id == bindparam("guild_id"))
    .order_by(audit_events.c.sequence.desc())
    .limit(1)
)

# Each audience is found after the one before it, however many broadcasts each has.
_AUDIENCES: Final = text(
    "WITH RECURSIVE known(audience) AS ("
    # What concerns a link alone is for no audience.
    " SELECT min(audience) FROM broadcasts WHERE guild_id = :guild_id AND audience > ''"
    " UNION ALL"
    " SELECT (SELECT min(audience) FROM broadcasts WHERE guild_id = :guild_id AND audience > known.audience)"
    " FROM known WHERE known.audience IS NOT NULL"
    ") SELECT audience FROM known WHERE audience IS NOT NULL"
)

# Each day of a chain is found after the one before it, and its lowest and highest number by an index: a clock
# that was put back may have left the lines of a day in several places.
_SPAN: Final = text(
    "WITH RECURSIVE days(day) AS ("
    " SELECT min(date(at)) FROM audit_events WHERE guild_id = :guild_id AND date(at) >= :first"
    " UNION ALL"
    " SELECT (SELECT min(date(at)) FROM audit_events WHERE guild_id = :guild_id AND date(at) > days.day)"
    " FROM days WHERE days.day < :last"
    ") SELECT"
    " min((SELECT min(sequence) FROM audit_events WHERE guild_id = :guild_id AND date(at) = days.day)),"
    " max((SELECT max(sequence) FROM audit_events WHERE guild_id = :guild_id AND date(at) = days.day))"
    " FROM days WHERE days.day <= :last"
).bindparams(bindparam("first", type_=Date), bindparam("last", type_=Date))


class AuditLog:
    """One hash chain for each server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # The first number that was given in each server's chain.
        self.begun: dict[int, int] = {}
        # The ends of the chains that nobody else can write to before this transaction is over.
        self._last: dict[int, Event | None] = {}
        self._new: list[dict[str, Any]] = []

    def append(self, new: NewEvent, *, above: int = 0) -> Event:
        """Add what happened to the end of its server's chain, with a number above all that are given.

        It is written at the end of the transaction.
        """
        event = chain(new, previous=self.end(new.guild_id), above=above)
        self._new.append(event.stored._asdict() | {"at": new.at})
        self._last[new.guild_id] = event
        self.begun.setdefault(new.guild_id, event.sequence)
        return event

    def finish(self) -> None:
        """Write what was added."""
        if self._new:
            self._connection.execute(_APPEND, self._new)
            self._new = []

    def end(self, guild_id: int) -> Event | None:
        """Return the last event of a server's chain, which nobody else can follow in the meantime."""
        if guild_id not in self._last:
            if self._connection.dialect.name == "postgresql":
                postgresql.lock_guild(self._connection, guild_id)
            row = self._connection.execute(_LAST, {"guild_id": guild_id}).mappings().first()
            self._last[guild_id] = _event(row) if row else None
        return self._last[guild_id]

    def get(self, guild_id: int, sequence: int) -> Event:
        """Return one line."""
        rows = self._connection.execute(
            select(audit_events).where(
                audit_events.c.guild_id == guild_id, audit_events.c.sequence == sequence
            )
        )
        return _event(rows.mappings().one())

    def of_guild(self, guild_id: int) -> list[Event]:
        """Return a server's whole chain in order."""
        rows = self._connection.execute(
            select(audit_events).where(audit_events.c.guild_id == guild_id).order_by(audit_events.c.sequence)
        )
        return [_event(row) for row in rows.mappings()]

    def of_broadcast(self, broadcast_id: int, *, limit: int) -> list[Event]:
        """Return what happened to one broadcast, newest first."""
        rows = self._connection.execute(
            select(audit_events)
            .where(audit_events.c.broadcast_id == broadcast_id)
            .order_by(audit_events.c.sequence.desc())
            .limit(limit)
        )
        return [_event(row) for row in rows.mappings()]

    def told(self, broadcast_ids: Sequence[int], actions: Iterable[str]) -> Mapping[int, Sequence[Event]]:
        """Return the lines of each of these broadcasts that tell of one of the actions, oldest first."""
        rows = self._connection.execute(
            select(audit_events)
            .where(audit_events.c.broadcast_id.in_(broadcast_ids), audit_events.c.action.in_(sorted(actions)))
            .order_by(audit_events.c.broadcast_id, audit_events.c.sequence)
        )
        found: dict[int, list[Event]] = {one: [] for one in broadcast_ids}
        for row in rows.mappings():
            found[row["broadcast_id"]].append(_event(row))
        return found

    def newest(self, search: Search, *, before: int | None = None, limit: int) -> list[Event]:
        """Return what was found, newest first, of the lines with a number below `before`.

        As fast in a long chain as in a short one, but for a part of a name that hardly anybody has: that is
        looked for line by line, down to the date since when it is looked for.
        """
        query = select(audit_events).where(*_conditions(search))
        if search.guild_id is not None and search.audience is not None:
            query = select(audit_events).where(*self._of_audience(search, search.guild_id, search.audience))
        if search.guild_id is not None and (search.since or search.until):
            query = query.where(audit_events.c.sequence.between(*self._span(search, search.guild_id)))
        if before is not None:
            query = query.where(audit_events.c.sequence < before)
        query = query.order_by(audit_events.c.sequence.desc(), audit_events.c.guild_id).limit(limit)
        return [_event(row) for row in (self._connection.execute(query)).mappings()]

    def broadcasts(self, search: Search, *, after: int, limit: int) -> list[int]:
        """Return the numbers above `after` of broadcasts of which a line is found, in order."""
        query = _broadcasts(search).where(broadcasts.c.id > after).order_by(broadcasts.c.id).limit(limit)
        return list(self._connection.scalars(query))

    def count_broadcasts(self, search: Search) -> int:
        """Return of how many broadcasts a line is found."""
        return self._connection.scalar(select(func.count()).select_from(_broadcasts(search).subquery())) or 0

    def count(self, search: Search = EVERYTHING) -> int:
        """Return how many lines `lines` would yield."""
        query = select(func.count()).select_from(audit_events).where(*_conditions(search))
        return self._connection.scalar(query) or 0

    def lines(self, search: Search = EVERYTHING) -> Iterator[Sequence[StoredEvent]]:
        """Yield the lines that were found exactly as they stand, server by server, some at a time."""
        query = (
            select(*_AS_IT_STANDS)
            .where(*_conditions(search))
            .order_by(audit_events.c.guild_id, audit_events.c.sequence)
        )
        result = self._connection.execute(query, execution_options={"yield_per": BATCH})
        for rows in result.partitions():
            yield [_line(row) for row in rows]

    def heads(self, guild_id: int | None = None) -> dict[int, Anchor]:
        """Return the last line of each server's chain."""
        if guild_id is not None:
            # The end of one chain is found, where the greatest of a group would be searched for.
            row = self._connection.execute(_LAST, {"guild_id": guild_id}).first()
            return {guild_id: Anchor(row.sequence, row.digest)} if row else {}
        last = (
            select(audit_events.c.guild_id, func.max(audit_events.c.sequence).label("sequence"))
            .group_by(audit_events.c.guild_id)
            .subquery()
        )
        rows = self._connection.execute(
            select(audit_events.c.guild_id, audit_events.c.sequence, audit_events.c.digest)
            .join(
                last,
                and_(audit_events.c.guild_id == last.c.guild_id, audit_events.c.sequence == last.c.sequence),
            )
            .order_by(audit_events.c.guild_id)
        )
        return {guild: Anchor(sequence, digest) for guild, sequence, digest in rows}

    def audiences(self, guild_id: int | None = None) -> list[str]:
        """Return the names of all audiences that a broadcast was ever meant for."""
        if guild_id is not None:
            return list(self._connection.scalars(_AUDIENCES, {"guild_id": guild_id}))
        known = select(broadcasts.c.audience).where(broadcasts.c.audience > "")
        query = known.distinct().order_by(broadcasts.c.audience)
        return list(self._connection.scalars(query))

    def _span(self, search: Search, guild_id: int) -> tuple[int, int]:
        """Return the first and the last number that lines of the days in question have; 0 and 0 if none."""
        first = search.since.astimezone(UTC).date() if search.since else date.min
        last = (search.until - datetime.resolution).astimezone(UTC).date() if search.until else date.max
        asked = {"guild_id": guild_id, "first": first, "last": last}
        lowest, highest = self._connection.execute(_SPAN, asked).one()
        return lowest or 0, highest or 0

    def _of_audience(self, search: Search, guild_id: int, audience: str) -> list[ColumnElement[bool]]:
        """Return the conditions so that the newest are found soon, whether they are few or many."""
        rest = _conditions(search.model_copy(update={"audience": None}))
        meant = _meant_for(guild_id, audience)
        if self._is_rare(guild_id, audience):
            # From their broadcasts on: as a sum, the server's number leads no planner to its whole chain.
            rest = _conditions(search.model_copy(update={"audience": None, "guild_id": None}))
            return [*rest, audit_events.c.guild_id + 0 == guild_id, audit_events.c.broadcast_id.in_(meant)]
        # From the newest event on, each is asked whom its broadcast is for.
        whom = select(broadcasts.c.audience).where(
            broadcasts.c.id == audit_events.c.broadcast_id, broadcasts.c.guild_id == guild_id
        )
        return [*rest, whom.scalar_subquery() == audience]

    def _is_rare(self, guild_id: int, audience: str) -> bool:
        """Tell whether so few broadcasts are meant for an audience that each of them can be looked at."""
        meant = _meant_for(guild_id, audience).limit(1).offset(RARE)
        return self._connection.scalar(meant) is None


def _broadcasts(search: Search) -> Select[Any]:
    line = select(audit_events.c.broadcast_id).where(
        audit_events.c.broadcast_id == broadcasts.c.id, *_conditions(search)
    )
    return select(broadcasts.c.id).where(line.exists(), NO_TEST)


def _meant_for(guild_id: int, audience: str) -> Select[tuple[int]]:
    return select(broadcasts.c.id).where(broadcasts.c.guild_id == guild_id, broadcasts.c.audience == audience)


def _by_person(person: int | str) -> ColumnElement[bool]:
    if isinstance(person, int):
        return audit_events.c.actor_id == person
    return audit_events.c.actor_name.icontains(person, autoescape=True)


def _by_audience(name: str) -> ColumnElement[bool]:
    # A line does not say whom its broadcast is for, but that never changes.
    meant = select(broadcasts.c.id).where(
        broadcasts.c.audience == name, broadcasts.c.guild_id == audit_events.c.guild_id
    )
    return audit_events.c.broadcast_id.in_(meant)


_CONDITIONS: Final[Mapping[str, Callable[[Any], ColumnElement[bool]]]] = {
    "guild_id": lambda value: audit_events.c.guild_id == value,
    "person": _by_person,
    "audience": _by_audience,
    "since": lambda value: audit_events.c.at >= value,
    "until": lambda value: audit_events.c.at < value,
    "proof": lambda value: audit_events.c.proof == value,
    "broadcast_id": lambda value: audit_events.c.broadcast_id == value,
}


def _conditions(search: Search) -> list[ColumnElement[bool]]:
    return [_CONDITIONS[name](value) for name, value in search if value is not None]


def _told(at: Any) -> str:
    """Return a moment as the digest has it; what this store would not write so, as something else."""
    if isinstance(at, datetime):
        return at.replace(tzinfo=UTC).isoformat()
    if isinstance(at, str) and _MOMENT.fullmatch(at):
        return f"{at[:10]}T{at[11:].removesuffix('.000000')}+00:00"
    return repr(at)


def _line(row: Sequence[Any]) -> StoredEvent:
    return StoredEvent._make((row[0], row[1], _told(row[2]), *row[3:]))


def _event(row: RowMapping) -> Event:
    return Event(
        guild_id=row["guild_id"],
        at=row["at"],
        actor=Person(row["actor_id"], row["actor_name"]),
        action=row["action"],
        broadcast_id=row["broadcast_id"],
        proof=row["proof"],
        detail=row["detail"],
        sequence=row["sequence"],
        previous=row["previous"],
        digest=row["digest"],
    )
