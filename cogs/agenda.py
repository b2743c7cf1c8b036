"""What waits as a calendar: for whom, why and when, day by day."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from bot.agenda import Clash
from bot.broadcast import Broadcast, Status
from bot.policy.model import Server
from bot.quorum import missing
from bot.service.queueing import Calendar
from cogs.situation import moment
from cogs.text import inline, shorten

FIRST: Final = "__For somebody to decide, or under way__"
# So many others are named that reach the same people.
NAMED: Final = 3
WHOM: Final[Mapping[bool, str]] = {True: "same audience", False: "some of the same people"}
WHEN: Final[Mapping[bool, str]] = {True: "within an hour", False: "that day"}


class Line(NamedTuple):
    """A line of a list, and what stands above the first of those that belong together."""

    heading: str
    text: str


def headed(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the lines, each heading once above those that follow it."""
    above = ""
    for one in lines:
        yield f"{one.heading}\n{one.text}" if one.heading and one.heading != above else one.text
        above = one.heading


def listed(broadcast: Broadcast, brief: str, server: Server | None, calendar: Calendar) -> Line:
    """Return what waits below its day: when, why, and what else reaches the same people close by."""
    at, why = calendar.moments.get(broadcast.id), _why(broadcast, server)
    # With its day: by the reader's clock it may be another than that of the heading.
    begin = f"{moment(at, 'f')} · " if at else ""
    end = f" · {why}" if why else ""
    warning = _warning(calendar.clashes.get(broadcast.id, ()))
    return Line(_day(at, calendar) if at else FIRST, f"{begin}{brief}{end}{warning}")


def _day(at: datetime, calendar: Calendar) -> str:
    day, today = at.astimezone(calendar.zone).date(), calendar.now.astimezone(calendar.zone).date()
    near = {0: "Today, ", 1: "Tomorrow, "}.get((day - today).days, "")
    year = f" {day.year}" if day.year != today.year else ""
    return f"__{near}{day:%A} {day.day} {day:%B}{year} ({calendar.zone})__"


def _why(broadcast: Broadcast, server: Server | None) -> str:
    match broadcast.status:
        case Status.REVIEW:
            ends = broadcast.review_expires_at
            until = f" until {moment(ends, 'f')}" if ends else ""
            more = missing(server, broadcast) if server else 0
            return f"{more} approval{'' if more == 1 else 's'} missing{until}"
        case Status.HELD | Status.UNKNOWN:
            return inline(shorten(broadcast.reason, 80))
        case _:
            return ""


def _warning(found: Sequence[Clash]) -> str:
    """Say what else reaches the same people on that day, or within an hour."""
    shown, more = found[:NAMED], len(found) - NAMED
    parts = [
        f"{whom}: {', '.join(f'#{one.id} {WHEN[one.is_close]}' for one in those)}"
        for is_same, whom in WHOM.items()
        if (those := [one for one in shown if one.is_same_audience is is_same])
    ]
    end = f" and {more} more" if more > 0 else ""
    return f"\n-# ⚠️ {'; '.join(parts)}{end}" if parts else ""
