"""When a broadcast is to go out, if not as soon as it is approved. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfoNotFoundError

from bot.value import Value
from bot.zones import local_time

# So much may be typed as a time.
TYPED_LIMIT: Final = 100
# A review needs that long at least before the undo window begins.
SHORTEST_REVIEW: Final = timedelta(minutes=1)
MISSED: Final = "its time came before it was approved"


class Meaning(Value):
    """One of the moments that were meant, perhaps."""

    at: datetime
    label: str


class Schedule(Value):
    """The time that somebody typed, in their zone: one moment, one of several, or nothing that is a time.

    `local` is what the clocks of the zone will show at that moment by the rules that were known when it was
    set. While there are `meanings` or there is a `problem`, nobody knows `at`. What would have been in quiet
    hours may have been `moved_from` there to their end.
    """

    typed: str
    zone: str
    at: datetime | None = None
    local: str = ""
    meanings: tuple[Meaning, ...] = ()
    problem: str = ""
    moved_from: datetime | None = None

    @property
    def shown(self) -> str:
        """Return what stands in a form: the same moment whenever it is read, or what has no moment yet."""
        return f"{datetime.fromisoformat(self.local):%Y-%m-%d %H:%M}" if self.local else self.typed

    def settled(self, at: datetime) -> "Schedule":
        """Return it with that moment."""
        local = local_time(at, self.zone).isoformat(timespec="minutes")
        return Schedule(typed=self.typed, zone=self.zone, at=at.astimezone(UTC), local=local)

    def printed(self) -> Mapping[str, object]:
        """Return what of it is fingerprinted."""
        if self.at is None:
            return {"typed": self.typed, "zone": self.zone}
        return {"at": self.at.astimezone(UTC).isoformat(), "zone": self.zone, "local": self.local}

    def today(self) -> "Schedule":
        """Return it as the zone's rules of today have it: another time of day if they have changed."""
        try:
            if self.at is None:
                return self
            return self.settled(self.at).model_copy(update={"moved_from": self.moved_from})
        except ZoneInfoNotFoundError:
            return self.model_copy(update={"local": ""})

    def shortcoming(self) -> str:
        """Return what keeps it from being a moment, or nothing."""
        if self.at is not None:
            return ""
        return self.problem or f"The time “{self.typed}” can mean more than one moment: choose which."

    def too_near(self, now: datetime, *, undo_window: timedelta) -> str:
        """Return why nobody could approve it in time any more, or nothing."""
        if self.at is None or self.at - undo_window - SHORTEST_REVIEW >= now:
            return ""
        if self.at <= now:
            return "The time at which it was to go out has passed: give it another one."
        return (
            "Its time is too near to be approved and stopped before it: give it another one, or none, so that"
            " it goes out once approved."
        )


def told(schedule: Schedule | None) -> str:
    """Return what the record says of a time, behind a blank; nothing where there is none."""
    if schedule is None:
        return ""
    at = f"{schedule.at:%Y-%m-%d %H:%M} UTC" if schedule.at else "no known moment"
    moved = f", moved from {schedule.moved_from:%Y-%m-%d %H:%M} UTC" if schedule.moved_from else ""
    return f" at {at} (“{schedule.typed}”, {schedule.zone}{moved})"
