"""What customers may get twice: broadcasts that say the same, and those that send one again. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from bot.broadcast import Broadcast, Status
from bot.sentences import spoken_span

# What goes out by itself, has gone out, or may have.
GOING_OUT: Final = frozenset({Status.APPROVED, Status.SENDING, Status.SENT, Status.PARTIAL, Status.UNKNOWN})
GONE_OUT: Final = GOING_OUT - {Status.APPROVED}


class Beside(NamedTuple):
    """What stands beside a broadcast, newest first.

    `alike` are those with an equal proof code that go out, or did lately; `repeated` is the one that it sends
    again, as that stands now, and `copies` are the others that do so.
    """

    alike: Sequence[Broadcast] = ()
    repeated: Broadcast | None = None
    copies: Sequence[Broadcast] = ()


ALONE: Final = Beside()


def expected(broadcast: Broadcast) -> datetime:
    """Return when it goes out, or when it went as far as it has come."""
    return broadcast.due_at or broadcast.updated_at


def tell_alike(one: Broadcast, *, which: str, when: str) -> str:
    """Say of a broadcast with an equal proof code what becomes of it; `which` and `when` for its reader."""
    match one.status:
        case Status.APPROVED:
            return f"The same goes out as {which} {when}"
        case Status.SENDING:
            return f"The same is being sent as {which}"
        case Status.UNKNOWN:
            return f"The same may have been sent as {which}, {when}"
        case _:
            return f"The same was sent as {which}, {when}"


def tell_all_alike(alike: Sequence[Broadcast], now: datetime) -> str:
    """Say of the newest of them what becomes of it, and how many more there are, for the record."""
    if not alike:
        return ""
    one = alike[0]
    due = expected(one)
    when = f"in {spoken_span(due - now)}" if due > now else f"{spoken_span(now - due)} ago"
    more = f", and {len(alike) - 1} more" if len(alike) > 1 else ""
    return f"{tell_alike(one, which=f'#{one.id}', when=when)}{more}"


def tell_repeated(repeated: Broadcast, *, which: str, reason: str) -> str:
    """Say how that one stands now which is sent again; `which` and `reason` for its reader."""
    because = f" ({reason})" if reason else ""
    match repeated.status:
        case Status.UNKNOWN:
            return f"nobody knows whether customers got {which}: whoever did gets it twice"
        case Status.FAILED:
            return f"{which} is recorded as not sent{because}"
        case Status.PARTIAL:
            return f"{which} is recorded as sent in part{because}: whoever got it gets it twice"
        case _:
            return f"{which} is recorded as sent{because}: whoever got it gets it twice"
