"""How a delivery and its attempts stand in rows, and what is written of an outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Integer, RowMapping, and_, bindparam, exists, func, or_, select, tuple_, update

from bot.delivery import NOT_BEGUN, Attempt, Delivery, DeliveryStatus, Request
from bot.store.tables import UtcDateTime, attempts, deliveries

CLAIM: Final = (
    update(deliveries)
    .where(
        deliveries.c.id.in_(bindparam("wanted", expanding=True)),
        deliveries.c.status == DeliveryStatus.PENDING,
        # As often tried as was read; a claim of another process in between has counted on.
        tuple_(deliveries.c.id, deliveries.c.attempts).in_(bindparam("as_read", expanding=True)),
    )
    .values(status=DeliveryStatus.IN_FLIGHT, attempts=deliveries.c.attempts + 1)
    .returning(deliveries.c.id)
)
STATE: Final = (
    select(deliveries.c.id, deliveries.c.status, deliveries.c.attempts, deliveries.c.owner)
    .where(deliveries.c.id.in_(bindparam("wanted", expanding=True)))
    .order_by(deliveries.c.id)
    .with_for_update()
)
SETTLE: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("its_id"))
    .values(
        status=bindparam("status"),
        detail=bindparam("detail"),
        next_at=func.coalesce(bindparam("next_at", type_=UtcDateTime()), deliveries.c.next_at),
        # One that fails again and again must not keep the others from being tried.
        turn=deliveries.c.turn + bindparam("later", type_=Integer),
    )
)
_ENDED: Final = (
    update(attempts)
    .where(attempts.c.delivery_id == bindparam("its_delivery"), attempts.c.number == bindparam("its_number"))
    .values(
        {name: bindparam(name) for name in ("finished_at", "http_status", "bytes_left", "outcome", "detail")}
    )
)
END: Final = _ENDED.where(attempts.c.finished_at.is_(None))
END_LATE: Final = _ENDED.where(attempts.c.outcome.is_not(None))
# What is under way of an account and was in doubt before, as `Attempt.in_doubt` has it.
REPEATING: Final = (
    select(func.count())
    .select_from(deliveries)
    .where(
        deliveries.c.status == DeliveryStatus.IN_FLIGHT,
        deliveries.c.account == bindparam("account"),
        exists().where(
            attempts.c.delivery_id == deliveries.c.id,
            attempts.c.number < deliveries.c.attempts,
            or_(
                and_(attempts.c.http_status.is_(None), attempts.c.bytes_left.is_not(False)),
                attempts.c.http_status.not_in(sorted(NOT_BEGUN)),
            ),
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What is written of a delivery, and of its last attempt."""

    delivery: Delivery
    status: DeliveryStatus
    detail: str
    next_at: datetime | None = None
    http_status: int | None = None
    bytes_left: bool | None = None

    @property
    def expected(self) -> tuple[str, int, str | None]:
        """Return the state of the row in which it may be written."""
        return self.delivery.status, self.delivery.attempts, self.delivery.owner

    @property
    def settled(self) -> Mapping[str, object]:
        """Return what is written of the delivery."""
        return {
            "its_id": self.delivery.id,
            "status": self.status,
            "detail": self.detail,
            "next_at": self.next_at,
            "later": 1 if self.next_at else 0,
        }

    @property
    def ended(self) -> Mapping[str, object]:
        """Return what is written of the attempt."""
        return {
            "its_delivery": self.delivery.id,
            "its_number": self.delivery.attempts,
            "outcome": self.status,
            "detail": self.detail,
            "http_status": self.http_status,
            "bytes_left": self.bytes_left,
        }


def claimed_by(delivery: Delivery, *, owner: str, at: datetime) -> Delivery:
    """Return a delivery as it is once it was claimed."""
    return replace(
        delivery,
        status=DeliveryStatus.IN_FLIGHT,
        attempts=delivery.attempts + 1,
        owner=owner,
        past=(*delivery.past, Attempt(started_at=at)),
    )


def delivery_of(row: RowMapping, past: Sequence[Attempt]) -> Delivery:
    """Return the delivery that stands in a row."""
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


def attempt_of(row: RowMapping) -> Attempt:
    """Return the attempt that stands in a row."""
    return Attempt(
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        http_status=row["http_status"],
        bytes_left=row["bytes_left"],
        outcome=row["outcome"],
        detail=row["detail"],
    )
