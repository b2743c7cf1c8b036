"""The clocks that are passed to everything that asks for the time."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")

Clock = Callable[[], datetime]
# Seconds since some moment, which nobody can set.
Steady = Callable[[], float]

# Clocks are set right by less; by more, nobody can say what is due and how old a key is.
LARGEST_STEP: Final = timedelta(seconds=30)
# By less than that a clock is moved all the time, and still runs evenly.
SLIGHT_STEP: Final = timedelta(seconds=0.25)
# In which a clock that was set wrong may be set right again.
PAUSE_AFTER_JUMP: Final = timedelta(seconds=60)
# A clock that is moved again and again for so long is not set right any more.
LONGEST_DOUBT: Final = timedelta(minutes=5)


def utc_now() -> datetime:
    """Return the wall clock in UTC."""
    return datetime.now(UTC)


def boot_id() -> str:
    """Return what tells this run of the machine from others, or nothing where it does not say.

    Only within one run is the steady clock the same, and only a machine that fails loses what was written.
    """
    with suppress(OSError):
        return _BOOT.read_text(encoding="utf-8").strip()
    return ""


def steady_now() -> float:
    """Return seconds of a clock that nobody can set and that counts while the machine is suspended."""
    # macOS counts suspension in its monotonic clock and has no other.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Beat(NamedTuple):
    """When something last went well, by both clocks: one to be read, and one to tell how long ago that is."""

    at: datetime
    steady: float


class Pace(NamedTuple):
    """By how many seconds the wall clock is ahead of the steady one, and since when it has run evenly."""

    ahead: float
    since: float | None = None

    def is_like(self, other: "Pace | None") -> bool:
        """Tell whether the two say the same, but for what clocks are moved all the time."""
        slight = SLIGHT_STEP.total_seconds() / 2
        return other is not None and self.since == other.since and abs(self.ahead - other.ahead) <= slight


class Watch:
    """Compare the wall clock, by which things fall due, with one that cannot be set."""

    def __init__(self, clock: Clock, steady: Steady) -> None:
        self._clock = clock
        self._steady = steady
        self._wall, self._even = clock(), steady()
        self._since: float | None = None
        self._doubtful_since = self._doubtful_until = float("-inf")
        self.highest = self._wall

    def resume(self, kept: Pace) -> None:
        """Go on from what a process before saw, so that the next look notices what was moved since."""
        self._wall = datetime.fromtimestamp(self._even + kept.ahead, UTC)
        self._since = kept.since
        self.highest = max(self.highest, self._wall)

    def look(self) -> timedelta | None:
        """Return by how much the wall clock was moved since the last look, if that is too much."""
        wall, even = self._clock(), self._steady()
        moved = (wall - self._wall) - timedelta(seconds=even - self._even)
        self._wall, self._even = wall, even
        self.highest = max(self.highest, wall)
        if abs(moved) > SLIGHT_STEP:
            self._since = even
        if abs(moved) <= LARGEST_STEP:
            return None
        if not self.is_doubtful:
            self._doubtful_since = even
        self._doubtful_until = even + PAUSE_AFTER_JUMP.total_seconds()
        return moved

    @property
    def pace(self) -> Pace:
        """Return how the two clocks went at the last look."""
        return Pace(self._wall.timestamp() - self._even, self._since)

    def is_even_for(self, span: timedelta) -> bool:
        """Tell whether the wall clock was moved by nothing that counts for so long, as far as is known."""
        return self._since is None or self._steady() - self._since >= span.total_seconds()

    @property
    def is_unruly(self) -> bool:
        """Tell whether the wall clock is moved again and again, so that nobody can wait for the end of it."""
        longest = LONGEST_DOUBT.total_seconds()
        return self.is_doubtful and self._steady() - self._doubtful_since >= longest

    @property
    def is_doubtful(self) -> bool:
        """Tell whether the wall clock was moved so recently that it may be set right again."""
        return self._steady() < self._doubtful_until
