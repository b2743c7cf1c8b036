"""A time of the week, as a policy has it. Pure."""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Weekly(NamedTuple):
    """A time of the week, by the clocks of whichever zone is asked about."""

    day: int
    at: time

    def last(self, now: datetime, zone: tzinfo) -> datetime:
        """Return the last such moment that has come, in UTC."""
        there = now.astimezone(zone)
        for back in range(8):
            day = there.date() - timedelta(days=back)
            moment = datetime.combine(day, self.at, zone).astimezone(UTC)
            if day.weekday() == self.day and moment <= now:
                return moment
        raise AssertionError("each day of the week comes once in eight days")


def read_weekly(typed: object) -> Weekly | None:
    """Return the time of the week that stands in a policy, None for "off"; raise ValueError with the mend."""
    if typed is None or typed == "off":
        return None
    match = re.fullmatch(rf"({'|'.join(DAYS)}) ([01][0-9]|2[0-3]):([0-5][0-9])", str(typed).strip().lower())
    if match is None or not isinstance(typed, str):
        raise ValueError('write "off", or a day of the week and a time, such as "monday 09:00"')
    return Weekly(DAYS.index(match[1]), time(int(match[2]), int(match[3])))
