"""What customers may get twice: broadcasts that say the same, and those that send one again. Pure."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from bot.broadcast import Broadcast, Status
from bot.frequency_rules import NOTHING_LATELY, Lately, Nearby
from bot.notification import Notification
from bot.sentences import spoken_span

# What goes out by itself, has gone out, or may have.
GOING_OUT: Final = frozenset({Status.APPROVED, Status.SENDING, Status.SENT, Status.PARTIAL, Status.UNKNOWN})
# Out of a hundred: an hour or a name in a sentence may be another one.
_NEAR: Final = 90
NEARLY: Final = "Nearly the same"
GONE_OUT: Final = GOING_OUT - {Status.APPROVED}


class Beside(NamedTuple):
    """What stands beside a broadcast, newest first.

    `alike` are those with an equal proof code that go out, or did lately; `repeated` is the one that it sends
    again, as that stands now, and `copies` are the others that do so. `near` are those of which only a few
    words are others; `lately` is what the same people got.
    """

    alike: Sequence[Broadcast] = ()
    repeated: Broadcast | None = None
    copies: Sequence[Broadcast] = ()
    near: Sequence[Broadcast] = ()
    lately: Lately = NOTHING_LATELY


ALONE: Final = Beside()


def expected(broadcast: Broadcast) -> datetime:
    """Return when it goes out, or when it went as far as it has come."""
    return broadcast.due_at or broadcast.updated_at


def corrected_by(broadcast: Broadcast, newest: Iterable[Broadcast | Nearby]) -> set[int]:
    """Return it, what it corrects, and what that corrected in turn, of others that are given newest first."""
    known = {broadcast.id, broadcast.corrects or broadcast.id}
    for one in newest:
        # The newest first: each is known before what it corrects.
        if one.id in known and one.corrects is not None:
            known.add(one.corrects)
    return known


def is_near(one: Notification, other: Notification) -> bool:
    """Tell whether two notifications differ in a few words at most, or in how they are written."""
    # It takes more than all the rest of a start, and only who writes or reads a draft needs it.
    from rapidfuzz import fuzz

    return fuzz.ratio(_plain(one), _plain(other)) >= _NEAR


def _plain(notification: Notification) -> str:
    words = (part for _, text in notification.texts() for part in (text.subject, text.content))
    return " ".join(unicodedata.normalize("NFKC", " ".join(words)).casefold().split())


def tell_alike(one: Broadcast, *, which: str, when: str, what: str = "The same") -> str:
    """Say of a broadcast that says the same what becomes of it; `which` and `when` for its reader."""
    match one.status:
        case Status.APPROVED:
            return f"{what} goes out as {which} {when}"
        case Status.SENDING:
            return f"{what} is being sent as {which}"
        case Status.UNKNOWN:
            return f"{what} may have been sent as {which}, {when}"
        case _:
            return f"{what} was sent as {which}, {when}"


def tell_all_alike(alike: Sequence[Broadcast], now: datetime, *, what: str = "The same") -> str:
    """Say of the newest of them what becomes of it, and how many more there are, for the record."""
    if not alike:
        return ""
    one = alike[0]
    due = expected(one)
    when = f"in {spoken_span(due - now)}" if due > now else f"{spoken_span(now - due)} ago"
    more = f", and {len(alike) - 1} more" if len(alike) > 1 else ""
    return f"{tell_alike(one, which=f'#{one.id}', when=when, what=what)}{more}"


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
