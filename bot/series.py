"""What goes out again and again: the times of a series, and how many are still to come. Pure."""

import re
from calendar import monthrange
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bot.notification import Notification
from bot.schedule import Schedule
from bot.value import Person, Value
from bot.zones import instants

# So long before its time each occurrence is put before its approvers.
AHEAD: Final = timedelta(days=1)
FEWEST, MOST = 2, 104
_TIMES: Final = re.compile(r"([0-9]{1,4})\s*(?:x|times)?", re.IGNORECASE)


class Every(StrEnum):
    """How often something goes out."""

    WEEK = "week"
    FORTNIGHT = "fortnight"
    MONTH = "month"


class SeriesStatus(StrEnum):
    """Where a series stands."""

    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


SPOKEN: Final = MappingProxyType(
    {Every.WEEK: "every week", Every.FORTNIGHT: "every two weeks", Every.MONTH: "every month"}
)
_WEEKS: Final = MappingProxyType({Every.WEEK: 1, Every.FORTNIGHT: 2})


class Series(Value):
    """Broadcasts that say the same to the same people, at the times that follow from that of the `first`.

    It ends after so many `times` or with the day `until`. `made` are the occurrences whose turn has come, the
    first included; the next one is at `next_at`, unless there is none. Each change makes a new `version`.
    """

    first: int
    guild_id: int
    author: Person
    audience: str
    notification: Notification
    schedule: Schedule
    every: Every
    times: int | None
    until: date | None
    made: int
    next_at: datetime | None
    status: SeriesStatus
    reason: str
    origin_channel_id: int
    version: int

    def at(self, number: int) -> datetime | None:
        """Return when its occurrence of that number goes out, from 1 on; None after its end."""
        if self.times is not None and number > self.times:
            return None
        local = _later(datetime.fromisoformat(self.schedule.local), self.every, number - 1)
        if self.until is not None and local.date() > self.until:
            return None
        on_clock = instants(local, self.schedule.zone)
        # Where clocks are moved: never earlier than meant, and at the first of two.
        return on_clock.instants[0] if on_clock.exists else on_clock.instants[-1]

    def after(self, number: int) -> "Series":
        """Return it once its occurrence of that number was made."""
        following = self.at(number + 1)
        status = self.status if following else SeriesStatus.ENDED
        return self.model_copy(update={"made": number, "next_at": following, "status": status})

    def following(self, audience: str, notification: Notification, schedule: Schedule) -> "Series":
        """Return it with the audience, the words and the time of its first one."""
        update = {"audience": audience, "notification": notification, "schedule": schedule}
        return self.model_copy(update=update).after(self.made)

    def ended(self, why: str) -> "Series":
        """Return it with nothing to come any more."""
        return self.model_copy(
            update={"status": SeriesStatus.ENDED, "next_at": None, "reason": why},
        )

    @property
    def spoken(self) -> str:
        """Return how often it goes out, and until when."""
        end = f"{self.times} times" if self.times is not None else f"until {self.until}"
        return f"{SPOKEN[self.every]}, {end}"

    @property
    def left(self) -> int:
        """Return how many are still to come."""
        number = self.made
        while self.at(number + 1) is not None:
            number += 1
        return number - self.made


def _later(first: datetime, every: Every, count: int) -> datetime:
    if every is not Every.MONTH:
        return first + timedelta(weeks=_WEEKS[every] * count)
    years, month = divmod(first.month - 1 + count, 12)
    year, month = first.year + years, month + 1
    # Where a month has no such day, its last one.
    return first.replace(year=year, month=month, day=min(first.day, monthrange(year, month)[1]))


class Ends(Value):
    """After how many times, or with which day, a series ends."""

    times: int | None = None
    until: date | None = None


def read_times(typed: str) -> Ends | str | None:
    """Return after how many times a series ends, a sentence if that is not possible, None for no number."""
    match = _TIMES.fullmatch(typed.strip())
    if match is None:
        return None
    times = int(match[1])
    if not FEWEST <= times <= MOST:
        return f"A series goes out {FEWEST} to {MOST} times: write such a number, or the day of its end."
    return Ends(times=times)
