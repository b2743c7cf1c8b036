"""The clocks that are passed to everything that asks for the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

Clock = Callable[[], datetime]
# Seconds since some moment, which nobody can set.
Steady = Callable[[], float]

# Clocks are set right by less; by more, nobody can say what is due and how old a key is.
LARGEST_STEP: Final = timedelta(seconds=30)
# In which a clock that was set wrong may be set right again.
PAUSE_AFTER_JUMP: Final = timedelta(seconds=60)


def utc_now() -> datetime:
    """Return the wall clock in UTC."""
    return datetime.now(UTC)


def steady_now() -> float:
    """Return seconds of a clock that nobody can set and that counts while the machine is suspended."""
    # macOS counts suspension in its monotonic clock and has no other.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Beat(NamedTuple):
    """When something last went well, by both clocks: one to be read, and one to tell how long ago that is."""

    at: datetime
    steady: float


class Watch:
    """Compare the wall clock, by which things fall due, with one that cannot be set."""

    def __init__(self, clock: Clock, steady: Steady) -> None:
        self._clock = clock
        self._steady = steady
        self._wall, self._even = clock(), steady()
        self._doubtful_until = float("-inf")
        self.highest = self._wall

    def look(self) -> timedelta | None:
        """Return by how much the wall clock was moved since the last look, if that is too much."""
        wall, even = self._clock(), self._steady()
        moved = (wall - self._wall) - timedelta(seconds=even - self._even)
        self._wall, self._even = wall, even
        self.highest = max(self.highest, wall)
        if abs(moved) <= LARGEST_STEP:
            return None
        self._doubtful_until = even + PAUSE_AFTER_JUMP.total_seconds()
        return moved

    @property
    def is_doubtful(self) -> bool:
        """Tell whether the wall clock was moved so recently that it may be set right again."""
        return self._steady() < self._doubtful_until
