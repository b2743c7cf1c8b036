"""When people are reminded of what waits for them. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from bot.broadcast import Broadcast, Status

# So long before a review ends who could still approve is reminded once more.
LAST_HOUR: Final = timedelta(hours=1)
# What waits for a decision of the operators has no end: they are reminded each day.
DAILY: Final = timedelta(days=1)
DECIDED_BY_PEOPLE: Final = frozenset({Status.HELD, Status.UNKNOWN})


def first_reminder(status: Status, *, now: datetime, ends: datetime | None) -> datetime | None:
    """Return when to remind of what has just come to that status, and whose review ends then."""
    if status in DECIDED_BY_PEOPLE:
        return now + DAILY
    if status is Status.REVIEW and ends is not None:
        return now + (ends - now) / 2
    return None


def next_reminder(broadcast: Broadcast, *, now: datetime) -> datetime | None:
    """Return when to remind of it once more, after the reminder that is due now."""
    if broadcast.status in DECIDED_BY_PEOPLE:
        return now + DAILY
    return next(_left(broadcast, now), None)


def _left(broadcast: Broadcast, now: datetime) -> Iterator[datetime]:
    ends = broadcast.review_expires_at
    if broadcast.status is Status.REVIEW and ends is not None and now < ends - LAST_HOUR:
        yield ends - LAST_HOUR
