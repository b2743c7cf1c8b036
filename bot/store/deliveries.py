"""Deliveries and their attempts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    String,
    and_,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from bot.broadcast import Broadcast, Status
from bot.delivery import Attempt, Delivery, DeliveryStatus, Request
from bot.store.conditions import Deadlines, database_time, not_frozen, to_count
from bot.store.delivery_rows import (
    CLAIM,
    END,
    END_LATE,
    REPEATING,
    SETTLE,
    STATE,
    Result,
    attempt_of,
    claimed_by,
    delivery_of,
)
from bot.store.tables import attempts, broadcasts, counts, deliveries, lists, refusals, series

# Spelled out, so that the index of what waits is known to answer.
_PENDING: Final = literal_column(f"'{DeliveryStatus.PENDING.value}'", String)
# How long a claim is nobody else's: much longer than a request may take.
LEASE: Final = timedelta(seconds=60)


class Work(NamedTuple):
    """What waits for a process that sends."""

    abandoned: bool
    expired: bool
    due: bool
    pending: bool
    late: bool
    refused: bool
    to_remind: bool
    to_make: bool
    to_count: bool
    to_read: bool


class Results(NamedTuple):
    """What became of a broadcast's deliveries, and each different trouble once."""

    statuses: frozenset[DeliveryStatus]
    troubles: tuple[str, ...]


class Frozen(NamedTuple):
    """The requests of a broadcast, which never change again, and by which account they go out."""

    broadcast: Broadcast
    requests: Sequence[Request]
    account: str


class Deliveries:
    """Deliveries as rows; an attempt is written down before its first byte."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turns: dict[int, int] = {}

    def add(self, broadcast: Broadcast, requests: Sequence[Request], *, account: str, at: datetime) -> None:
        """Store the frozen requests of a broadcast, and by which account they go out."""
        self.add_all([Frozen(broadcast, requests, account)], at=at)

    def add_all(self, frozen: Sequence[Frozen], *, at: datetime) -> None:
        """Store the requests of several broadcasts, each with its turns."""
        rows = [
            {
                "broadcast_id": broadcast.id,
                "position": position,
                "guild_id": broadcast.guild_id,
                "turn": self._turn_before(broadcast.guild_id) + position,
                "account": account,
                "method": request.method,
                "url": request.url,
                "headers": dict(request.headers),
                "body": request.body,
                "status": DeliveryStatus.PENDING,
                "attempts": 0,
                "next_at": at,
                "detail": "",
            }
            for broadcast, requests, account in frozen
            for position, request in enumerate(requests, start=1)
        ]
        if rows:
            self._connection.execute(insert(deliveries), rows)

    def _turn_before(self, guild_id: int) -> int:
        """Return the turn before that of whatever waits first: whoever comes now begins beside it."""
        if guild_id not in self._turns:
            waits = select(func.min(deliveries.c.turn)).where(
                deliveries.c.guild_id == guild_id, deliveries.c.status == _PENDING
            )
            self._turns[guild_id] = (self._connection.scalar(waits) or 1) - 1
        return self._turns[guild_id]

    def of(self, broadcast_id: int) -> list[Delivery]:
        """Return a broadcast's deliveries in order."""
        return self._load(deliveries.c.broadcast_id == broadcast_id, limit=None)

    def forget_words(self, broadcast_id: int) -> None:
        """Forget what the answered requests of a broadcast said: it is for one person alone."""
        answered = deliveries.c.status.in_([DeliveryStatus.ACCEPTED, DeliveryStatus.REJECTED])
        self._connection.execute(
            update(deliveries).where(deliveries.c.broadcast_id == broadcast_id, answered).values(body=b"")
        )

    def of_all(self, broadcast_ids: Sequence[int]) -> Mapping[int, Sequence[Delivery]]:
        """Return the deliveries of each of these broadcasts in order, by its number."""
        found: dict[int, list[Delivery]] = {one: [] for one in broadcast_ids}
        for delivery in self._load(deliveries.c.broadcast_id.in_(broadcast_ids), limit=None):
            found[delivery.broadcast_id].append(delivery)
        return found

    def may_go(
        self, now: datetime, *, account: str, guild_ids: Sequence[int], limit: int, tried: bool | None = None
    ) -> list[list[Delivery]]:
        """Return what may be claimed of an account, in its turns: a list for each server, `limit` of each.

        With `tried`, only what was tried before, or never. Only whoever claims takes something away from it.
        """
        if not guild_ids:
            return []
        each = [
            select(deliveries)
            .where(
                deliveries.c.status == _PENDING,
                deliveries.c.guild_id == guild_id,
                deliveries.c.account == account,
                deliveries.c.next_at <= now,
                *([] if tried is None else [(deliveries.c.attempts > 0) == tried]),
            )
            .order_by(deliveries.c.turn, deliveries.c.next_at, deliveries.c.id)
            .limit(limit)
            .subquery()
            for guild_id in guild_ids
        ]
        found = self._connection.execute(union_all(*(select(one) for one in each))).mappings().all()
        waiting: dict[int, list[Delivery]] = {}
        for row, delivery in zip(found, self._with_attempts(found), strict=True):
            waiting.setdefault(row["guild_id"], []).append(delivery)
        return [waiting[one] for one in guild_ids if one in waiting]

    def late(self, deadlines: Deadlines, *, limit: int) -> list[Delivery]:
        """Return what waits of broadcasts that are too late, whether or not it may go."""
        return self._load(*_is_late(deadlines), limit=limit)

    def abandoned(self, *, owner: str, carried: Collection[int] = (), outlived: str | None) -> list[Delivery]:
        """Return deliveries that were claimed by somebody who will not tell what became of them.

        They are their `owner`'s own and none of those that it carries; or their lease is over, or their
        owner's name begins with that of processes which are certainly gone.
        """
        return self._load(*self._is_abandoned(owner, carried, outlived), limit=None)

    def work(
        self,
        now: datetime,
        *,
        owner: str,
        carried: Collection[int] = (),
        outlived: str | None,
        deadlines: Deadlines,
    ) -> Work:
        """Return what there is to do, by one question that indexes answer; nothing of what is frozen."""
        approved = broadcasts.c.status == Status.APPROVED
        asked = (
            exists().where(*self._is_abandoned(owner, carried, outlived)),
            exists().where(broadcasts.c.status == Status.REVIEW, broadcasts.c.review_expires_at <= now),
            exists().where(approved, broadcasts.c.due_at <= now, deadlines.or_counted()),
            exists().where(
                deliveries.c.status == _PENDING,
                deliveries.c.next_at <= now,
                not_frozen(deliveries.c.guild_id, deliveries.c.account),
            ),
            exists().where(*_is_late(deadlines)),
            exists().where(refusals.c.until <= now),
            exists().where(broadcasts.c.remind_at <= now),
            exists().where(series.c.make_at <= now),
            exists().where(*to_count(now, deadlines)),
            or_(
                exists().where(counts.c.wanted_at.is_not(None), counts.c.next_at <= now),
                exists().where(lists.c.checked_at.is_(None), lists.c.next_at <= now),
            ),
        )
        return Work(*map(bool, self._connection.execute(select(*asked)).one()))

    def oldest_due(self, now: datetime) -> datetime | None:
        """Return since when the broadcast or the request waits that was due first."""
        due = (
            select(func.min(broadcasts.c.due_at)).where(
                broadcasts.c.status == Status.APPROVED, broadcasts.c.due_at <= now
            ),
            select(func.min(deliveries.c.next_at)).where(
                deliveries.c.status == DeliveryStatus.PENDING, deliveries.c.next_at <= now
            ),
        )
        found = self._connection.execute(select(*(one.scalar_subquery() for one in due))).one()
        return min((one for one in found if one is not None), default=None)

    def _is_abandoned(
        self, owner: str, carried: Collection[int], outlived: str | None
    ) -> Sequence[ColumnElement[bool]]:
        gone = deliveries.c.lease_until.is_(None) | (
            deliveries.c.lease_until <= database_time(self._connection)
        )
        if outlived is not None:
            gone = or_(gone, deliveries.c.owner.startswith(outlived))
        is_own = deliveries.c.owner == owner
        return (
            deliveries.c.status == DeliveryStatus.IN_FLIGHT,
            or_(
                and_(is_own, deliveries.c.id.not_in(sorted(carried))),
                and_(or_(deliveries.c.owner.is_(None), ~is_own), gone),
            ),
        )

    def shorten_leases(self) -> None:
        """Let no lease be longer than one that begins now: the database's clock may have been set back."""
        latest = database_time(self._connection, LEASE)
        self._connection.execute(
            update(deliveries)
            .where(deliveries.c.status == DeliveryStatus.IN_FLIGHT, deliveries.c.lease_until > latest)
            .values(lease_until=latest)
        )

    def ended_after(self, moment: datetime, *, account: str, most: int) -> int:
        """Return how many attempts of an account ended after that moment, at most so many.

        By the clocks that went then.
        """
        ended = (
            select(attempts.c.number)
            .join(deliveries)
            .where(attempts.c.finished_at > moment, deliveries.c.account == account)
            .limit(most)
            .subquery()
        )
        return self._connection.scalar(select(func.count()).select_from(ended)) or 0

    def waiting(self, account: str, now: datetime, *, most: int) -> int:
        """Return how many requests of an account may go now and do not yet, at most so many."""
        due = (
            select(deliveries.c.id)
            .where(
                deliveries.c.status == _PENDING,
                deliveries.c.next_at <= now,
                deliveries.c.account == account,
                not_frozen(deliveries.c.guild_id, deliveries.c.account),
            )
            .limit(most)
            .subquery()
        )
        return self._connection.scalar(select(func.count()).select_from(due)) or 0

    def under_way(self, account: str) -> Mapping[tuple[int, int], datetime]:
        """Return when each attempt of an account was started that has no outcome yet.

        Each is known by its delivery and its number.
        """
        rows = self._connection.execute(
            select(attempts.c.delivery_id, attempts.c.number, attempts.c.started_at)
            .join(deliveries)
            .where(attempts.c.finished_at.is_(None), deliveries.c.account == account)
        )
        return {(row.delivery_id, row.number): row.started_at for row in rows}

    def repeating(self, account: str) -> int:
        """Return how many requests of an account are under way that repeat what was in doubt."""
        return self._connection.scalar(REPEATING, {"account": account}) or 0

    def claim(self, wanted: Sequence[Delivery], *, owner: str, at: datetime) -> list[Delivery]:
        """Take those that are still pending and write their attempts down; return them as they are then."""
        if not wanted:
            return []
        taken = self._connection.execute(
            CLAIM.values(owner=owner, lease_until=database_time(self._connection, LEASE)),
            {"wanted": [one.id for one in wanted], "as_read": [(one.id, one.attempts) for one in wanted]},
        )
        won = {row.id for row in taken}
        claimed = [claimed_by(one, owner=owner, at=at) for one in wanted if one.id in won]
        if claimed:
            self._connection.execute(
                insert(attempts),
                [
                    {"delivery_id": one.id, "number": one.attempts, "started_at": at, "detail": ""}
                    for one in claimed
                ],
            )
        return claimed

    def find(self, delivery_id: int) -> Delivery | None:
        """Return one delivery as it stands now, if there is one."""
        return next(iter(self._load(deliveries.c.id == delivery_id, limit=1)), None)

    def get(self, delivery_id: int) -> Delivery:
        """Return the delivery with a number that is known to exist."""
        found = self.find(delivery_id)
        if found is None:
            raise LookupError(f"no delivery {delivery_id}")
        return found

    def check_again(self, delivery: Delivery, *, at: datetime) -> bool:
        """Let an unknown delivery be sent once more; return False if it is no longer unknown."""
        done = self._connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery.id, deliveries.c.status == DeliveryStatus.UNKNOWN)
            .values(status=DeliveryStatus.PENDING, next_at=at)
        )
        return done.rowcount == 1

    def settle(
        self,
        delivery: Delivery,
        *,
        status: DeliveryStatus,
        detail: str,
        at: datetime,
        next_at: datetime | None = None,
        http_status: int | None = None,
        late: bool = False,
    ) -> bool:
        """Write what became of one delivery; return False if it is no longer as it is given."""
        result = Result(
            delivery=delivery, status=status, detail=detail, next_at=next_at, http_status=http_status
        )
        return bool(self.settle_all([result], at=at, late=late))

    def settle_all(
        self, results: Sequence[Result], *, at: datetime, late: bool = False
    ) -> set[tuple[int, int]]:
        """Write what became of deliveries; return which attempts were still as they are given."""
        rows = self._connection.execute(STATE, {"wanted": sorted(one.delivery.id for one in results)})
        state = {row.id: (row.status, row.attempts, row.owner) for row in rows}
        held = [one for one in results if state.get(one.delivery.id) == one.expected]
        if not held:
            return set()
        self._connection.execute(SETTLE, [one.settled for one in held])
        # What became of an attempt is written once, unless its true answer came after all.
        self._connection.execute(
            END_LATE if late else END, [{**one.ended, "finished_at": at} for one in held]
        )
        return {(one.delivery.id, one.delivery.attempts) for one in held}

    def results(self, broadcast_ids: Collection[int]) -> Mapping[int, Results]:
        """Return what became of the deliveries of those of the broadcasts that have none under way any more.

        Of each: every status, and each trouble in their order. As fast for the thousandth outcome as for one.
        """
        under_way = exists().where(
            deliveries.c.broadcast_id == broadcasts.c.id,
            deliveries.c.status.in_([DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT]),
        )
        over = select(broadcasts.c.id).where(broadcasts.c.id.in_(sorted(broadcast_ids)), ~under_way)
        rows = self._connection.execute(
            select(
                deliveries.c.broadcast_id,
                deliveries.c.status,
                deliveries.c.detail,
                func.min(deliveries.c.position).label("first"),
            )
            .where(deliveries.c.broadcast_id.in_(over))
            .group_by(deliveries.c.broadcast_id, deliveries.c.status, deliveries.c.detail)
            .order_by(deliveries.c.broadcast_id, func.min(deliveries.c.position))
        )
        each = groupby(rows, key=attrgetter("broadcast_id"))
        return {broadcast_id: _results(list(some)) for broadcast_id, some in each}

    def _load(self, *where: ColumnElement[bool], limit: int | None) -> list[Delivery]:
        query = (
            select(deliveries)
            .where(*where)
            .order_by(deliveries.c.broadcast_id, deliveries.c.position)
            .limit(limit)
        )
        return self._with_attempts(self._connection.execute(query).mappings().all())

    def _with_attempts(self, rows: Sequence[RowMapping]) -> list[Delivery]:
        past = self._attempts_of([row["id"] for row in rows if row["attempts"]])
        return [delivery_of(row, past.get(row["id"], ())) for row in rows]

    def _attempts_of(self, delivery_ids: Sequence[int]) -> dict[int, list[Attempt]]:
        """Return the attempts of each of these deliveries, oldest first."""
        if not delivery_ids:
            return {}
        rows = self._connection.execute(
            select(attempts)
            .where(attempts.c.delivery_id.in_(delivery_ids))
            .order_by(attempts.c.delivery_id, attempts.c.number)
        )
        found: dict[int, list[Attempt]] = {one: [] for one in delivery_ids}
        for row in rows.mappings():
            found[row["delivery_id"]].append(attempt_of(row))
        return found


def _is_late(deadlines: Deadlines) -> Sequence[ColumnElement[bool]]:
    return (
        deliveries.c.status == _PENDING,
        deliveries.c.broadcast_id == broadcasts.c.id,
        # A person who asks again about an unknown one knows that it is late.
        broadcasts.c.status == Status.SENDING,
        or_(deadlines.are_passed(), deliveries.c.account.not_in(sorted(deadlines.accounts))),
    )


def _results(rows: Sequence[Row[Any, Any, Any, Any]]) -> Results:
    return Results(
        statuses=frozenset(DeliveryStatus(row.status) for row in rows),
        troubles=tuple(dict.fromkeys(row.detail for row in rows if row.detail)),
    )
