"""A delivery: one POST's worth for Whop, its attempts and its outcome. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.broadcast import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The exact bytes for Whop, frozen before the first attempt; the key to the door is added last."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What Whop answered; `body` is cut to a bounded size."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Why there is no answer, and whether anything of the request may have left this machine."""

    reason: str
    bytes_left: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """Whop queued it. Nobody can know more."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Whop refused it, or it provably never reached Whop and is given up."""

    reason: str


@dataclass(frozen=True, slots=True)
class RetryAt:
    """It provably did not reach customers and may be tried again from then on."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have reached customers."""

    reason: str


Outcome = Accepted | Rejected | RetryAt | Unknown


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One frozen request of a broadcast, and what became of it."""

    id: int
    broadcast_id: int
    position: int
    request: Request
    status: DeliveryStatus
    attempts: int
    detail: str


def conclude(statuses: Iterable[DeliveryStatus]) -> Step | None:
    """Return the step that ends a broadcast's sending, or None while a delivery is still under way."""
    seen = set(statuses)
    if seen & {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT}:
        return None
    if DeliveryStatus.UNKNOWN in seen:
        return Step.UNANSWERED
    if seen == {DeliveryStatus.ACCEPTED}:
        return Step.ACCEPTED
    if DeliveryStatus.ACCEPTED in seen:
        return Step.PARTLY
    return Step.NOT_ACCEPTED
