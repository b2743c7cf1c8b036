"""A delivery: one POST's worth for Whop, its attempts and its outcome. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.broadcast import Step

# What Herald is called by those who answer; a delivery's request bears a mark of its own after it.
AGENT: Final = "Herald/1.0"
# Answers that say: not now. Whoever gives them has not begun with the work.
NOT_BEGUN: Final = frozenset({425, 429})
# Answers of what stands before Whop where it does not reach it, as far as anybody knows.
NOT_REACHED: Final = frozenset({502, 503})


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


class Trouble(StrEnum):
    """What an answer says of more than its own request."""

    OVERLOAD = "Whop asks for time, or is in trouble itself"
    CREDENTIAL = "Whop refuses the API key, whatever is asked for with it"
    NOT_WHOP = "something on the way to Whop answered in its place"
    OURS = "Herald itself is at fault"


@dataclass(frozen=True, slots=True)
class Accepted:
    """Whop queued it. Nobody can know more."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Whop refused it, or it provably never reached Whop and is given up."""

    reason: str
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class RetryAt:
    """It may be tried again from then on: it reached nobody, or its key makes a repeat harmless."""

    at: datetime
    reason: str
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have reached customers; what has the same `cause` is one event."""

    reason: str
    trouble: Trouble | None = None
    cause: str = ""


Outcome = Accepted | Rejected | RetryAt | Unknown


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a delivery; what is None was never learnt."""

    started_at: datetime
    finished_at: datetime | None = None
    http_status: int | None = None
    bytes_left: bool | None = None
    outcome: str | None = None
    detail: str = ""

    @property
    def in_doubt(self) -> bool:
        """Tell whether customers may have got it from this try."""
        if self.http_status is not None:
            return self.http_status not in NOT_BEGUN
        return self.bytes_left is not False

    @property
    def was_given_up(self) -> bool:
        """Tell whether Whop had it, as far as anybody knows, and gave no final answer."""
        return self.in_doubt and self.http_status not in NOT_REACHED


def in_doubt(attempts: Sequence[Attempt]) -> bool:
    """Tell whether customers may have got it from any of these tries."""
    return any(one.in_doubt for one in attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One frozen request of a broadcast, its tries so far, and what became of it."""

    id: int
    broadcast_id: int
    position: int
    account: str
    request: Request
    status: DeliveryStatus
    attempts: int
    detail: str
    past: tuple[Attempt, ...] = ()
    owner: str | None = None

    @property
    def mark(self) -> str:
        """Return what its request says of itself, and no other request does; empty if it says nothing."""
        agent = self.request.headers.get("User-Agent", "")
        return agent if agent.startswith(f"{AGENT} ") else ""

    @property
    def may_be_looked_up(self) -> bool:
        """Tell whether Whop's log of requests could say more of it than is known.

        Where an answer of success was in doubt, such as for its body, a row of success says nothing new.
        """
        said_yes = any(200 <= (one.http_status or 0) < 300 for one in self.past)
        return self.status is DeliveryStatus.UNKNOWN and self.mark != "" and not said_yes


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
