"""Deliveries and their attempts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import RowMapping, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.delivery import Attempt, Delivery, DeliveryStatus, Request
from bot.store.tables import attempts, broadcasts, deliveries

# How long a claim is nobody else's: much longer than a request may take.
LEASE: Final = timedelta(seconds=60)


class Deliveries:
    """Deliveries as rows; an attempt is written down before its first byte."""

    def __init__(self, connection: AsyncConnection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    async def add(self, broadcast_id: int, requests: Sequence[Request], *, at: datetime) -> None:
        """Store the frozen requests of a broadcast."""
        await self._connection.execute(
            insert(deliveries),
            [
                {
                    "broadcast_id": broadcast_id,
                    "position": position,
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

    async def of(self, broadcast_id: int) -> list[Delivery]:
        """Return a broadcast's deliveries in order."""
        return await self._load(deliveries.c.broadcast_id == broadcast_id, limit=None)

    async def due(self, now: datetime, *, limit: int) -> list[Delivery]:
        """Return deliveries that may be claimed, those that have waited longest first.

        In a transaction that may write, they and their broadcasts are nobody else's until the end of it;
        those that another transaction has are left out.
        """
        return await self._load(
            deliveries.c.status == DeliveryStatus.PENDING,
            deliveries.c.next_at <= now,
            limit=limit,
            locked=self._locking,
            # One that fails again and again must not keep the others from being tried.
            order=[deliveries.c.next_at],
        )

    async def abandoned(self, *, owner: str, outlived: str | None) -> list[Delivery]:
        """Return deliveries that were claimed by somebody else who will not tell what became of them.

        Their lease is over, or their owner's name begins with that of processes which are certainly gone.
        """
        gone = deliveries.c.lease_until.is_(None) | (deliveries.c.lease_until <= await self._database_time())
        if outlived is not None:
            gone = or_(gone, deliveries.c.owner.startswith(outlived))
        return await self._load(
            deliveries.c.status == DeliveryStatus.IN_FLIGHT,
            or_(deliveries.c.owner.is_(None), deliveries.c.owner != owner),
            gone,
            limit=None,
        )

    async def arrived_since(self, moment: datetime) -> int:
        """Return how many attempts may have reached Whop after that moment: it took them until their end."""
        counted = (
            select(func.count())
            .select_from(attempts)
            .where(or_(attempts.c.finished_at.is_(None), attempts.c.finished_at > moment))
        )
        return await self._connection.scalar(counted) or 0

    async def under_way_since(self, moment: datetime) -> int:
        """Return how many attempts that were started at that moment or later have no outcome yet."""
        counted = (
            select(func.count())
            .select_from(attempts)
            .where(attempts.c.started_at >= moment, attempts.c.finished_at.is_(None))
        )
        return await self._connection.scalar(counted) or 0

    async def claim(self, delivery: Delivery, *, owner: str, at: datetime) -> Delivery | None:
        """Take a pending delivery and write its attempt down; return None if it is no longer pending."""
        number = delivery.attempts + 1
        done = await self._connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery.id,
                deliveries.c.status == DeliveryStatus.PENDING,
                deliveries.c.attempts == delivery.attempts,
            )
            .values(
                status=DeliveryStatus.IN_FLIGHT,
                attempts=number,
                owner=owner,
                lease_until=await self._database_time() + LEASE,
            )
        )
        if done.rowcount != 1:
            return None
        await self._connection.execute(
            insert(attempts).values(delivery_id=delivery.id, number=number, started_at=at, detail="")
        )
        return await self.get(delivery.id)

    async def get(self, delivery_id: int) -> Delivery:
        """Return one delivery as it stands now."""
        return (await self._load(deliveries.c.id == delivery_id, limit=1))[0]

    async def check_again(self, delivery: Delivery, *, at: datetime) -> bool:
        """Let an unknown delivery be sent once more; return False if it is no longer unknown."""
        done = await self._connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery.id, deliveries.c.status == DeliveryStatus.UNKNOWN)
            .values(status=DeliveryStatus.PENDING, next_at=at)
        )
        return done.rowcount == 1

    async def settle(
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
        done = await self._connection.execute(
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
        await self._connection.execute(
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

    async def _database_time(self) -> datetime:
        """Return the time by the database's clock, which all processes share."""
        if self._connection.dialect.name == "postgresql":
            moment = await self._connection.scalar(select(func.timezone("UTC", func.clock_timestamp())))
        else:
            moment = datetime.fromisoformat(
                await self._connection.scalar(select(func.strftime("%Y-%m-%d %H:%M:%f", "now"))) or ""
            )
        return cast("datetime", moment).replace(tzinfo=UTC)

    async def _load(
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
        rows = await self._connection.execute(query)
        found = rows.mappings().all()
        past = await self._attempts_of([row["id"] for row in found])
        return [_delivery(row, past[row["id"]]) for row in found]

    async def _attempts_of(self, delivery_ids: Sequence[int]) -> dict[int, list[Attempt]]:
        """Return the attempts of each of these deliveries, oldest first."""
        rows = await self._connection.execute(
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
                )
            )
        return found


def _delivery(row: RowMapping, past: Sequence[Attempt]) -> Delivery:
    return Delivery(
        id=row["id"],
        broadcast_id=row["broadcast_id"],
        position=row["position"],
        request=Request(method=row["method"], url=row["url"], headers=row["headers"], body=row["body"]),
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        detail=row["detail"],
        past=tuple(past),
        owner=row["owner"],
    )
