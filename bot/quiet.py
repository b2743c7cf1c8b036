"""Quiet hours: from when to when an audience is left in peace, by its own clocks. Pure."""

from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

from typing_extensions import override

from bot.zones import local_time, shown_at, written

# What becomes of a broadcast in them: it is refused, moved to their end, or needs one approval more.
InQuietHours = Literal["refuse", "shift", "approval"]


class Hours(NamedTuple):
    """Two times of day: from the first on, and no longer at the second, which may be on the next day."""

    begin: time
    end: time

    @override
    def __str__(self) -> str:
        return f"{self.begin:%H:%M} to {self.end:%H:%M}"


class QuietHours(NamedTuple):
    """The quiet hours of an audience, in its time zone, and what becomes of a broadcast in them."""

    audience: str
    hours: Hours
    zone: str
    mode: InQuietHours

    def end_after(self, at: datetime) -> datetime | None:
        """Return when they end if a moment lies in them; None if it does not.

        A night is whole: where clocks are set back it begins when they show its begin for the first time, and
        ends when they show its end for the last time. What they never show is the moment of their change.
        """
        day = local_time(at, self.zone).date()
        nights = (self._night(day + timedelta(days=days)) for days in (-1, 0, 1))
        ends = [end for begin, end in nights if begin <= at < end]
        if not ends:
            return None
        # One night may run into the next where clocks are set back.
        return self.end_after(max(ends)) or max(ends)

    def _night(self, day: date) -> tuple[datetime, datetime]:
        begin, end = self.hours
        morning = day + timedelta(days=1) if end <= begin else day
        return (
            shown_at(datetime.combine(day, begin), self.zone)[0],
            shown_at(datetime.combine(morning, end), self.zone)[-1],
        )

    def told(self, end: datetime) -> str:
        """Return whose they are, from when to when, and when they end."""
        return f"the quiet hours of “{self.audience}”, {self.hours}, which end at {written(end, self.zone)}"

    @override
    def __str__(self) -> str:
        return f"the quiet hours of “{self.audience}”, {self.hours} ({self.zone})"
