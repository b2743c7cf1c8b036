"""What the simulated Whop remembers: the exchanges on the wire and the pushes that customers got."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from bot.sandbox.whop.people import UNKNOWN, Reached

GenerationName = Literal["v5", "v1"]
Text = tuple[str, str]


class Fault(StrEnum):
    """Name what goes wrong with an answer to a notification."""

    NONE = "none"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    UNAUTHORIZED = "unauthorized"
    REJECT = "reject"
    NOT_INSTALLED = "not_installed"
    FIREWALL = "firewall"
    SLOW = "slow"
    DROP_AFTER_ACCEPT = "drop_after_accept"
    DROP_BEFORE_ACCEPT = "drop_before_accept"


class ReadFault(StrEnum):
    """Name what goes wrong with an answer to a question."""

    NONE = "none"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    FORBIDDEN = "forbidden"
    FIREWALL = "firewall"
    HANG_UP = "hang_up"
    HIDDEN = "hidden"
    ENDLESS = "endless"
    LOST_CURSOR = "lost_cursor"


DROPS = frozenset({Fault.DROP_AFTER_ACCEPT, Fault.DROP_BEFORE_ACCEPT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Hold one HTTP exchange as it was on the wire, with the credential masked."""

    at: datetime
    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    status: int | None
    response: str
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Hold one accepted notification: what customers get in the feed and on the phone."""

    at: datetime
    generation: GenerationName
    audience: str
    feed: Text | None
    phone: Text | None
    subtitle: str | None
    link: str | None
    topic: str | None
    reached: Reached = UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Hold one request of a notification as Whop's own log shows it, whether or not its answer arrived."""

    id: str
    at: datetime
    status: int
    user_agent: str
    credential: str
    account: str
