"""A clock that moves only when told."""

from datetime import UTC, datetime, timedelta
from typing import Final

NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)


class ManualClock:
    """A wall clock that can be set, and a steady one that cannot."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = self._began = now
        self.seconds = self._started = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def steady(self) -> float:
        """Return the seconds of the clock that nobody can set."""
        return self.seconds

    def elsewhere(self) -> datetime:
        """Return the time by the wall clock of another machine, which goes right."""
        return self._began + timedelta(seconds=self.seconds - self._started)

    def advance(self, span: timedelta) -> None:
        """Let time pass, by both clocks."""
        self.now += span
        self.seconds += span.total_seconds()

    def jump(self, span: timedelta) -> None:
        """Set the wall clock."""
        self.now += span
