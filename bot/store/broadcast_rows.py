"""How a broadcast, with its editors, its approvals and the place of its card, stands in rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Final

from sqlalchemy import RowMapping, String, bindparam, cast, func, select

from bot.broadcast import Approval, Broadcast, Place, Status
from bot.counted import Counted
from bot.notification import Notification
from bot.policy.audience import Listed
from bot.schedule import Schedule
from bot.store.shares import in_order
from bot.store.tables import approvals, broadcasts, cards, revisions, shares
from bot.value import Person

_EDITORS: Final = (
    select(func.aggregate_strings(cast(revisions.c.editor_id, String), ","))
    .where(revisions.c.broadcast_id == broadcasts.c.id)
    .correlate(broadcasts)
    .scalar_subquery()
    .label("editors")
)
# A name has no such sign: it stands on one line.
_BETWEEN: Final = "\x1f"
_SHARED: Final = (
    select(func.aggregate_strings(cast(shares.c.person_id, String) + ":" + shares.c.person_name, _BETWEEN))
    .where(shares.c.broadcast_id == broadcasts.c.id)
    .correlate(broadcasts)
    .scalar_subquery()
    .label("shared")
)
_CORRECTION: Final = broadcasts.alias("corrections")
_CORRECTED_BY: Final = (
    select(func.aggregate_strings(cast(_CORRECTION.c.id, String), ","))
    .where(_CORRECTION.c.corrects == broadcasts.c.id, _CORRECTION.c.status != Status.CANCELLED)
    .correlate(broadcasts)
    .scalar_subquery()
    .label("corrected_by")
)
CARD: Final = (
    select(cast(cards.c.channel_id, String) + ":" + cast(cards.c.message_id, String))
    .where(cards.c.broadcast_id == broadcasts.c.id, cards.c.current, cards.c.message_id.is_not(None))
    .limit(1)
    .correlate(broadcasts)
    .scalar_subquery()
    .label("card")
)
NONE: Final[Mapping[int, Sequence[RowMapping]]] = MappingProxyType({})
GIVEN: Final = tuple(
    approvals.c[name].label(f"given_{name}")
    for name in (
        "approver_id",
        "approver_name",
        "revision",
        "fingerprint",
        "at",
        "template",
        "named",
        "covers",
        "series",
    )
)
# What stands in rows of others, and is read with each broadcast.
BESIDE: Final = (_EDITORS, _SHARED, _CORRECTED_BY, CARD)
JOINED: Final = select(broadcasts, *BESIDE, *GIVEN).outerjoin_from(broadcasts, approvals)
# Every use case begins with it: building it anew would cost more than asking.
FOUND: Final = JOINED.where(broadcasts.c.id == bindparam("wanted")).order_by(approvals.c.at)


def gathered(rows: Iterable[RowMapping]) -> list[Broadcast]:
    """Return the broadcasts of rows that have one approval each, or none."""
    return [
        assembled(some[0], [row for row in some if row["given_approver_id"] is not None])
        for some in (list(one) for _, one in groupby(rows, key=itemgetter("id")))
    ]


def assembled(row: RowMapping, given: Iterable[RowMapping]) -> Broadcast:
    """Return the broadcast of a row, with those of the approvals given to it that count."""
    agreed = [
        Approval(
            approver=Person(one["given_approver_id"], one["given_approver_name"]),
            at=one["given_at"],
            template=one["given_template"],
            named=one["given_named"],
            covers=one["given_covers"],
            series=one["given_series"],
        )
        for one in given
        # An approval counts only for the very revision and fingerprint it was given to.
        if (one["given_revision"], one["given_fingerprint"]) == (row["revision"], row["fingerprint"])
    ]
    return Broadcast(
        **{name: row[name] for name in _PLAIN},
        status=Status(row["status"]),
        confirmed=tuple(row["confirmed"]),
        author=Person(row["author_id"], row["author_name"]),
        editors=_numbers(row["editors"]),
        corrected_by=_numbers(row["corrected_by"]),
        shared=_shared(row["shared"] or ""),
        notification=_notification(row["notification"]),
        schedule=schedule_of(row),
        counted=Counted.model_validate_json(row["counted"]) if row["counted"] else None,
        listed=Listed.model_validate_json(row["listed"]) if row["listed"] else None,
        card=Place(*map(int, row["card"].split(":"))) if row["card"] else None,
        approvals=_given(agreed, lent=False),
        lent=_given(agreed, lent=True),
    )


def _numbers(packed: str | None) -> tuple[int, ...]:
    return tuple(sorted({int(one) for one in (packed or "").split(",") if one}))


def _shared(packed: str) -> tuple[Person, ...]:
    people = (one.partition(":") for one in packed.split(_BETWEEN) if one)
    return in_order(Person(int(number), name) for number, _, name in people)


def with_approvals(broadcast: Broadcast, agreed: Sequence[Approval]) -> Broadcast:
    """Return it with these approvals alone, the lent ones apart."""
    return broadcast.model_copy(
        update={"approvals": _given(agreed, lent=False), "lent": _given(agreed, lent=True)}
    )


def _given(agreed: Sequence[Approval], *, lent: bool) -> tuple[Approval, ...]:
    return tuple(one for one in agreed if (one.template is not None) is lent)


# The same broadcast is loaded again and again on its way.
@lru_cache(maxsize=1024)
def _notification(words: str) -> Notification:
    return Notification.model_validate_json(words)


def schedule_of(row: RowMapping) -> Schedule | None:
    """Return the time that a row of a broadcast or of a revision has."""
    return Schedule.model_validate_json(row["schedule"]) if row["schedule"] else None


def time_columns(schedule: Schedule | None) -> dict[str, object]:
    """Return how a broadcast's time is kept: whole, and the moment by which it is looked for."""
    return {"schedule": _kept(schedule), "scheduled_at": schedule.at if schedule else None}


def _kept(schedule: Schedule | None) -> str | None:
    return schedule.model_dump_json() if schedule else None


def kept_count(counted: Counted | None) -> str | None:
    """Return how it is kept what is known of the size of a broadcast's audience."""
    return counted.model_dump_json(exclude_defaults=True) if counted else None


def kept_list(listed: Listed | None) -> str | None:
    """Return how it is kept for the people of which list a broadcast is."""
    return listed.model_dump_json() if listed else None


def revision_row(
    broadcast_id: int,
    number: int,
    editor: Person,
    words: str,
    at: datetime,
    *,
    audience: str,
    schedule: Schedule | None = None,
) -> dict[str, object]:
    """Return the row that keeps what an editor wrote."""
    return {
        "broadcast_id": broadcast_id,
        "revision": number,
        "editor_id": editor.id,
        "editor_name": editor.name,
        "notification": words,
        "schedule": _kept(schedule),
        "audience": audience,
        "at": at,
    }


_PLAIN = (
    "id",
    "guild_id",
    "audience",
    "revision",
    "fingerprint",
    "origin_channel_id",
    "note",
    "reason",
    "due_at",
    "review_expires_at",
    "created_at",
    "updated_at",
    "remind_at",
    "repeats",
    "corrects",
    "nonce",
    "timeless",
    "in_quiet_hours",
    "too_often",
    "series",
    "test_of",
    "count_id",
)
