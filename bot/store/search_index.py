"""Finding broadcasts by what they say, and by all else that is known of them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    FromClause,
    Select,
    and_,
    bindparam,
    insert,
    select,
    text,
    union_all,
    update,
)

from bot.broadcast import Status
from bot.characters import folded, storable
from bot.filter import Filter
from bot.notification import Notification
from bot.store.conditions import NO_TEST
from bot.store.tables import approvals, broadcasts, search_index

# No number is higher.
HIGHEST: Final = 2**63 - 1
# Each day is found after the one before it, and its lowest and highest number by an index.
_SPAN: Final = text(
    "WITH RECURSIVE days(day) AS ("
    " SELECT min(date(updated_at)) FROM broadcasts WHERE guild_id = :guild_id AND date(updated_at) >= :first"
    " UNION ALL"
    " SELECT (SELECT min(date(updated_at)) FROM broadcasts"
    " WHERE guild_id = :guild_id AND date(updated_at) > days.day)"
    " FROM days WHERE days.day < :last"
    ") SELECT"
    " min((SELECT min(id) FROM broadcasts WHERE guild_id = :guild_id AND date(updated_at) = days.day)),"
    " max((SELECT max(id) FROM broadcasts WHERE guild_id = :guild_id AND date(updated_at) = days.day))"
    " FROM days WHERE days.day <= :last"
).bindparams(bindparam("first", type_=Date), bindparam("last", type_=Date))

# Each topic is found after the one before it, however many broadcasts each has.
_TOPICS: Final = text(
    "WITH RECURSIVE known(topic) AS ("
    " SELECT min(topic) FROM search_index WHERE guild_id = :guild_id"
    " UNION ALL"
    " SELECT (SELECT min(topic) FROM search_index WHERE guild_id = :guild_id AND topic > known.topic)"
    " FROM known WHERE known.topic IS NOT NULL"
    ") SELECT topic FROM known WHERE topic IS NOT NULL"
)


def indexed(notification: Notification) -> dict[str, str]:
    """Return what a broadcast of these words is found by."""
    return {"topic": notification.topic, "words": folded(storable("\n".join(notification.words())))}


def add(connection: Connection, broadcast_id: int, guild_id: int, notification: Notification) -> None:
    """Let a new broadcast be found."""
    row = {"broadcast_id": broadcast_id, "guild_id": guild_id, **indexed(notification)}
    connection.execute(insert(search_index), [row])


def change(connection: Connection, broadcast_ids: Iterable[int], notification: Notification) -> None:
    """Let broadcasts be found by what they say now."""
    these = search_index.c.broadcast_id.in_(sorted(broadcast_ids))
    connection.execute(update(search_index).where(these).values(**indexed(notification)))


def says(words: str | None) -> list[ColumnElement[bool]]:
    """Return the condition that all of the words stand in a broadcast, in whatever case and accents.

    Each of the broadcasts that all other conditions leave is looked at by itself.
    """
    wanted = _each_of(search_index, words)
    if not wanted:
        return []
    # As a value, so that no planner goes through what all broadcasts say instead.
    said = select(and_(*wanted)).where(search_index.c.broadcast_id == broadcasts.c.id)
    return [said.correlate(broadcasts).scalar_subquery()]


def _each_of(index: FromClause, words: str | None) -> list[ColumnElement[bool]]:
    return [index.c.words.contains(word, autoescape=True) for word in folded(words or "").split()]


class SearchIndex:
    """Which of a server's broadcasts fit a filter."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def topics(self, guild_id: int) -> list[str]:
        """Return all topics that a broadcast of the server ever had."""
        return list(self._connection.scalars(_TOPICS, {"guild_id": guild_id}))

    def nearest(
        self,
        guild_id: int,
        only: Filter,
        statuses: Sequence[Status],
        *,
        zone: tzinfo,
        limit: int,
        before: int | None = None,
        after: int | None = None,
    ) -> Select[Any]:
        """Return the question for the numbers of the newest that fit, or of those next to a number.

        More than `limit` may come of it, of which the nearest count.
        """
        span, changed = self._changed(guild_id, only, zone)
        between = _Between(
            max(span.lowest, 0 if after is None else after + 1),
            min(span.highest, HIGHEST if before is None else before - 1),
        )
        # By what it says or is about no test is found, since none stands in the index.
        tests_too = only.words is not None or only.topic is not None
        wanted = [broadcasts.c.guild_id == guild_id, *([] if tests_too else [NO_TEST]), *changed]
        # Each is a walk along an index from its nearest on, which ends as soon as enough are found.
        walks = [
            one.where(*between.of(number))
            .order_by(number if after is not None else number.desc())
            .limit(limit)
            .subquery()
            for one, number in _walks(only, guild_id, statuses, wanted)
        ]
        return select(union_all(*(select(one.c[0]) for one in walks)).subquery())

    def _changed(
        self, guild_id: int, only: Filter, zone: tzinfo
    ) -> tuple["_Between", list[ColumnElement[bool]]]:
        """Return between which numbers those lie that changed last on the days in question, and when."""
        since, until = only.moments(zone)
        if since is None and until is None:
            return _Between(0, HIGHEST), []
        first = since.astimezone(UTC).date() if since else date.min
        last = (until - datetime.resolution).astimezone(UTC).date() if until else date.max
        asked = {"guild_id": guild_id, "first": first, "last": last}
        lowest, highest = self._connection.execute(_SPAN, asked).one()
        begin = [broadcasts.c.updated_at >= since] if since else []
        end = [broadcasts.c.updated_at < until] if until else []
        return _Between(lowest or 0, highest or 0), [*begin, *end]


class _Between(NamedTuple):
    """The lowest and the highest number that count."""

    lowest: int
    highest: int

    def of(self, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Return the conditions of what is between them: a planner reckons with each that is given."""
        above = [number >= self.lowest] if self.lowest > 0 else []
        return [*above, *([number <= self.highest] if self.highest < HIGHEST else [])]


def _walks(
    only: Filter, guild_id: int, statuses: Sequence[Status], wanted: Sequence[ColumnElement[bool]]
) -> Iterator[tuple[Select[Any], ColumnElement[int]]]:
    """Yield walks that together come by all that fits, by the narrowest index that there is."""
    any_of = broadcasts.c.status.in_(statuses)
    if only.audience is not None:
        wanted = [*wanted, broadcasts.c.audience == only.audience]
    if only.person is not None:
        fits = [*wanted, *_has_topic(only.topic), *says(only.words)]
        for one in statuses:
            theirs = (broadcasts.c.author_id == only.person, broadcasts.c.status == one)
            yield select(broadcasts.c.id).where(*theirs, *fits), broadcasts.c.id
        given = (approvals.c.approver_id == only.person, _that_fits(approvals, [any_of, *fits]))
        yield select(approvals.c.broadcast_id).where(*given), approvals.c.broadcast_id
    elif only.audience is not None:
        fits = [*wanted, *_has_topic(only.topic), *says(only.words)]
        yield select(broadcasts.c.id).where(any_of, *fits), broadcasts.c.id
    elif only.topic is not None or only.words is not None:
        index = search_index.alias()
        # As a sum, the server's number leads no planner to an index of topics: it goes by the numbers alone.
        within = (
            (index.c.guild_id + 0 == guild_id,)
            if only.topic is None
            else (index.c.guild_id == guild_id, index.c.topic == only.topic)
        )
        said = (*within, *_each_of(index, only.words))
        yield (
            select(index.c.broadcast_id).where(*said, _that_fits(index, [any_of, *wanted])),
            index.c.broadcast_id,
        )
    else:
        for one in statuses:
            yield select(broadcasts.c.id).where(broadcasts.c.status == one, *wanted), broadcasts.c.id


def _that_fits(rows: FromClause, wanted: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the condition that the broadcast of each of these rows is wanted."""
    fits = select(and_(*wanted)).where(broadcasts.c.id == rows.c.broadcast_id)
    return fits.correlate(rows).scalar_subquery()


def _has_topic(topic: str | None) -> list[ColumnElement[bool]]:
    if topic is None:
        return []
    found = select(search_index.c.topic).where(search_index.c.broadcast_id == broadcasts.c.id)
    return [found.correlate(broadcasts).scalar_subquery() == topic]
