"""Deliveries and their attempts."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.delivery import Attempt, Delivery, DeliveryStatus, Request
from bot.store.tables import attempts, broadcasts, deliveries


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
        """Return deliveries that may be claimed.

        In a transaction that may write, they and their broadcasts are nobody else's until the end of it;
        those that another transaction has are left out.
        """
        return await self._load(
            deliveries.c.status == DeliveryStatus.PENDING,
            deliveries.c.next_at <= now,
            limit=limit,
            locked=self._locking,
        )

    async def in_flight(self) -> list[Delivery]:
        """Return deliveries that were claimed and have no outcome."""
        return await self._load(deliveries.c.status == DeliveryStatus.IN_FLIGHT, limit=None)

    async def started_since(self, moment: datetime) -> int:
        """Return how many attempts were started after that moment."""
        counted = select(func.count()).select_from(attempts).where(attempts.c.started_at > moment)
        return await self._connection.scalar(counted) or 0

    async def claim(self, delivery: Delivery, *, at: datetime) -> Delivery | None:
        """Take a pending delivery and write its attempt down; return None if it is no longer pending."""
        number = delivery.attempts + 1
        done = await self._connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery.id,
                deliveries.c.status == DeliveryStatus.PENDING,
                deliveries.c.attempts == delivery.attempts,
            )
            .values(status=DeliveryStatus.IN_FLIGHT, attempts=number)
        )
        if done.rowcount != 1:
            return None
        await self._connection.execute(
            insert(attempts).values(delivery_id=delivery.id, number=number, started_at=at, detail="")
        )
        return (await self._load(deliveries.c.id == delivery.id, limit=1))[0]

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
    ) -> bool:
        """Write what became of the claimed attempt; return False if it was settled already."""
        done = await self._connection.execute(
            update(deliveries)
            .where(
                deliveries.c.id == delivery.id,
                deliveries.c.status == delivery.status,
                deliveries.c.attempts == delivery.attempts,
            )
            .values(status=status, detail=detail, **({"next_at": next_at} if next_at else {}))
        )
        if done.rowcount != 1:
            return False
        await self._connection.execute(
            update(attempts)
            .where(
                attempts.c.delivery_id == delivery.id,
                attempts.c.number == delivery.attempts,
                attempts.c.finished_at.is_(None),
            )
            .values(
                finished_at=at, http_status=http_status, bytes_left=bytes_left, outcome=status, detail=detail
            )
        )
        return True

    async def _load(self, *where: object, limit: int | None, locked: bool = False) -> list[Delivery]:
        query = (
            select(deliveries)
            .where(*where)  # pyright: ignore[reportArgumentType] - column expressions
            .order_by(deliveries.c.broadcast_id, deliveries.c.position)
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
    )
