"""Deliveries and their attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, case, exists, func, insert, or_, select, update

from bot.broadcast import Status
from bot.delivery import Attempt, Delivery, DeliveryStatus, Request
from bot.store.tables import attempts, broadcasts, deliveries, refusals

# How long a claim is nobody else's: much longer than a request may take.
LEASE: Final = timedelta(seconds=60)


class Work(NamedTuple):
    """What waits for a process that sends."""

    abandoned: bool
    expired: bool
    due: bool
    pending: bool
    refused: bool
    to_remind: bool


class Results(NamedTuple):
    """What became of a broadcast's deliveries, and each different trouble once."""

    statuses: frozenset[DeliveryStatus]
    troubles: tuple[str, ...]


class Deliveries:
    """Deliveries as rows; an attempt is written down before its first byte."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def add(self, broadcast_id: int, requests: Sequence[Request], *, account: str, at: datetime) -> None:
        """Store the frozen requests of a broadcast, which go out by that account."""
        self._connection.execute(
            insert(deliveries),
            [
                {
                    "broadcast_id": broadcast_id,
                    "position": position,
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
                for position, request in enumerate(requests, start=1)
            ],
        )

    def of(self, broadcast_id: int) -> list[Delivery]:
        """Return a broadcast's deliveries in order."""
        return self._load(deliveries.c.broadcast_id == broadcast_id, limit=None)

    def of_all(self, broadcast_ids: Sequence[int]) -> Mapping[int, Sequence[Delivery]]:
        """Return the deliveries of each of these broadcasts in order, by its number."""
        found: dict[int, list[Delivery]] = {one: [] for one in broadcast_ids}
        for delivery in self._load(deliveries.c.broadcast_id.in_(broadcast_ids), limit=None):
            found[delivery.broadcast_id].append(delivery)
        return found

    def due(self, now: datetime, *, limit: int) -> list[Delivery]:
        """Return deliveries that may be claimed, those that have waited longest first.

        In a transaction that may write, they and their broadcasts are nobody else's until the end of it;
        those that another transaction has are left out.
        """
        return self._load(
            deliveries.c.status == DeliveryStatus.PENDING,
            deliveries.c.next_at <= now,
            limit=limit,
            locked=self._locking,
            # One that fails again and again must not keep the others from being tried.
            order=[deliveries.c.next_at],
        )

    def abandoned(self, *, owner: str, outlived: str | None) -> list[Delivery]:
        """Return deliveries that were claimed by somebody else who will not tell what became of them.

        Their lease is over, or their owner's name begins with that of processes which are certainly gone.
        """
        return self._load(*self._is_abandoned(owner, outlived), limit=None)

    def work(self, now: datetime, *, owner: str, outlived: str | None) -> Work:
        """Return what there is to do, by one question that an index answers."""
        asked = (
            exists().where(*self._is_abandoned(owner, outlived)),
            exists().where(broadcasts.c.status == Status.REVIEW, broadcasts.c.review_expires_at <= now),
            exists().where(broadcasts.c.status == Status.APPROVED, broadcasts.c.due_at <= now),
            exists().where(deliveries.c.status == DeliveryStatus.PENDING, deliveries.c.next_at <= now),
            exists().where(refusals.c.until <= now),
            exists().where(broadcasts.c.remind_at <= now),
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

    def _is_abandoned(self, owner: str, outlived: str | None) -> Sequence[ColumnElement[bool]]:
        gone = deliveries.c.lease_until.is_(None) | (deliveries.c.lease_until <= self._database_time())
        if outlived is not None:
            gone = or_(gone, deliveries.c.owner.startswith(outlived))
        return (
            deliveries.c.status == DeliveryStatus.IN_FLIGHT,
            or_(deliveries.c.owner.is_(None), deliveries.c.owner != owner),
            gone,
        )

    def shorten_leases(self) -> None:
        """Let no lease be longer than one that begins now: the database's clock may have been set back."""
        latest = self._database_time(LEASE)
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

    def claim(self, wanted: Sequence[Delivery], *, owner: str, at: datetime) -> list[Delivery]:
        """Take those that are still pending and write their attempts down; return them as they are then."""
        if not wanted:
            return []
        # As many as were read: a claim of another process in between has counted on.
        attempted = case({one.id: one.attempts for one in wanted}, value=deliveries.c.id)
        taken = self._connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id.in_([one.id for one in wanted]),
                deliveries.c.status == DeliveryStatus.PENDING,
                # As many as were read; a claim of another process in between has counted on.
                deliveries.c.attempts == attempted,
            )
            .values(
                status=DeliveryStatus.IN_FLIGHT,
                attempts=deliveries.c.attempts + 1,
                owner=owner,
                lease_until=self._database_time(LEASE),
            )
            .returning(deliveries.c.id)
        )
        won = {row.id for row in taken}
        claimed = [_claimed(one, owner=owner, at=at) for one in wanted if one.id in won]
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
        bytes_left: bool | None = None,
        late: bool = False,
    ) -> bool:
        """Write what became of a delivery; return False if it is no longer as it is given."""
        done = self._connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery.id,
                deliveries.c.status == delivery.status,
                deliveries.c.attempts == delivery.attempts,
                deliveries.c.owner.is_not_distinct_from(delivery.owner),
            )
            .values(status=status, detail=detail, **({"next_at": next_at} if next_at else {}))
        )
        if done.rowcount != 1:
            return False
        # What became of an attempt is written once, unless its true answer came after all.
        open_or_late = attempts.c.outcome.is_not(None) if late else attempts.c.finished_at.is_(None)
        self._connection.execute(
            update(attempts)
            .where(
                attempts.c.delivery_id == delivery.id,
                attempts.c.number == delivery.attempts,
                open_or_late,
            )
            .values(
                finished_at=at, http_status=http_status, bytes_left=bytes_left, outcome=status, detail=detail
            )
        )
        return True

    def is_under_way(self, broadcast_id: int) -> bool:
        """Tell whether any of a broadcast has no outcome yet: as fast for the thousandth as for one."""
        left = select(deliveries.c.id).where(
            deliveries.c.broadcast_id == broadcast_id,
            deliveries.c.status.in_([DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT]),
        )
        return self._connection.scalar(left.limit(1)) is not None

    def results(self, broadcast_id: int) -> Results:
        """Return what became of a broadcast's deliveries: each status, and each trouble in their order."""
        rows = self._connection.execute(
            select(deliveries.c.status, deliveries.c.detail, func.min(deliveries.c.position).label("first"))
            .where(deliveries.c.broadcast_id == broadcast_id)
            .group_by(deliveries.c.status, deliveries.c.detail)
            .order_by(func.min(deliveries.c.position))
        ).all()
        return Results(
            statuses=frozenset(DeliveryStatus(row.status) for row in rows),
            troubles=tuple(dict.fromkeys(row.detail for row in rows if row.detail)),
        )

    def _database_time(self, after: timedelta = timedelta()) -> ColumnElement[datetime]:
        """Return the time by the database's clock, which all processes share, or so much after it."""
        if self._connection.dialect.name == "postgresql":
            return func.timezone("UTC", func.clock_timestamp()) + after
        # As the driver writes a moment, down to the microsecond.
        later = f"{after.total_seconds():+.3f} seconds"
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", later)

    def _load(
        self, *where: object, limit: int | None, locked: bool = False, order: Sequence[Any] = ()
    ) -> list[Delivery]:
        query = (
            select(deliveries)
            .where(*where)  # pyright: ignore[reportArgumentType] - column expressions
            .order_by(*order, deliveries.c.broadcast_id, deliveries.c.position)
            .limit(limit)
        )
        if locked:
            query = query.join(broadcasts).with_for_update(skip_locked=True)
        found = self._connection.execute(query).mappings().all()
        past = self._attempts_of([row["id"] for row in found if row["attempts"]])
        return [_delivery(row, past.get(row["id"], ())) for row in found]

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
            found[row["delivery_id"]].append(
                Attempt(
                    started_at=row["started_at"],
                    finished_at=row["finished_at"],
                    http_status=row["http_status"],
                    bytes_left=row["bytes_left"],
                    outcome=row["outcome"],
                    detail=row["detail"],
                )
            )
        return found


def _claimed(delivery: Delivery, *, owner: str, at: datetime) -> Delivery:
    return replace(
        delivery,
        status=DeliveryStatus.IN_FLIGHT,
        attempts=delivery.attempts + 1,
        owner=owner,
        past=(*delivery.past, Attempt(started_at=at)),
    )


def _delivery(row: RowMapping, past: Sequence[Attempt]) -> Delivery:
    return Delivery(
        id=row["id"],
        broadcast_id=row["broadcast_id"],
        position=row["position"],
        account=row["account"],
        request=Request(method=row["method"], url=row["url"], headers=row["headers"], body=row["body"]),
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        detail=row["detail"],
        past=tuple(past),
        owner=row["owner"],
    )
