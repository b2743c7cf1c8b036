"""Deliveries and their attempts."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.delivery import Delivery, DeliveryStatus, Request
from bot.store.tables import attempts, deliveries


class Deliveries:
    """Deliveries as rows; an attempt is written down before its first byte."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

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
        """Return deliveries that may be claimed."""
        return await self._load(
            deliveries.c.status == DeliveryStatus.PENDING, deliveries.c.next_at <= now, limit=limit
        )

    async def in_flight(self) -> list[Delivery]:
        """Return deliveries that were claimed and have no outcome."""
        return await self._load(deliveries.c.status == DeliveryStatus.IN_FLIGHT, limit=None)

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

    async def _load(self, *where: object, limit: int | None) -> list[Delivery]:
        rows = await self._connection.execute(
            select(deliveries)
            .where(*where)  # pyright: ignore[reportArgumentType] - column expressions
            .order_by(deliveries.c.broadcast_id, deliveries.c.position)
            .limit(limit)
        )
        return [_delivery(row) for row in rows.mappings()]


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        broadcast_id=row["broadcast_id"],
        position=row["position"],
        request=Request(method=row["method"], url=row["url"], headers=row["headers"], body=row["body"]),
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        detail=row["detail"],
    )
