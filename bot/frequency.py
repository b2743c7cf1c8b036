"""How often people may get something: so long between two, and so many a day by their own clocks. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple

from bot.zones import local_time, shown_at

# What becomes of a broadcast that goes beyond it: it is refused, or needs one approval more.
WhenBeyond = Literal["refuse", "approval"]


class Push(NamedTuple):
    """When something reached people, or may have; or is to, if it is not `gone` yet."""

    number: int
    at: datetime
    gone: bool = True


class Overrun(NamedTuple):
    """What stands in the way of one more, those that are too close or all of a day, and until when."""

    pushes: Sequence[Push]
    until: datetime
    day: date | None = None


class Limit(NamedTuple):
    """At least so long between two, and at most so many on a day by the clocks of the zone; None for any."""

    cool_down: timedelta
    daily_cap: int | None
    beyond: WhenBeyond
    zone: str

    @property
    def is_none(self) -> bool:
        """Tell whether nothing could go beyond it."""
        return not self.cool_down and self.daily_cap is None

    def overrun(self, pushes: Sequence[Push], at: datetime) -> Overrun | None:
        """Return what one more at that moment would be too many beside; None if it would not."""
        close = [one for one in pushes if abs(at - one.at) < self.cool_down]
        if close:
            nearest = min(close, key=lambda one: abs(at - one.at))
            return Overrun([nearest], max(one.at for one in close) + self.cool_down)
        day = self.day_of(at)
        same = [one for one in pushes if self.day_of(one.at) == day]
        if self.daily_cap is None or len(same) < self.daily_cap:
            return None
        # Where clocks leave midnight out, a day begins as they are set.
        return Overrun(same, shown_at(datetime.combine(day + timedelta(days=1), time()), self.zone)[0], day)

    def day_of(self, at: datetime) -> date:
        """Return on which day a moment is."""
        return local_time(at, self.zone).date()


def free_from(limits: Sequence[tuple[Limit, Sequence[Push]]], at: datetime) -> datetime:
    """Return the first moment from then on at which one more goes beyond none of the limits."""
    while found := [one for one in (limit.overrun(pushes, at) for limit, pushes in limits) if one]:
        at = max(one.until for one in found)
    return at
