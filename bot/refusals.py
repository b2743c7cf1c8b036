"""How much of what one person is refused is recorded: each for a while, then how many more. Pure."""

from datetime import datetime, timedelta
from typing import Final

from bot.value import Person, Value

# So many within a minute are recorded one by one; what follows is counted, until a minute passes without.
RECORDED: Final = 10
PERIOD: Final = timedelta(minutes=1)
# Whoever never ends is told of all the same.
LONGEST: Final = timedelta(hours=1)
AGAIN: Final = "refused again"


class Streak(Value):
    """What one person was refused in one server without a pause: since when, how often, and when last."""

    guild_id: int
    person: Person
    since: datetime
    last: datetime
    count: int = 0

    def one_more(self, at: datetime) -> "Streak":
        """Return it with one more refusal."""
        return self.model_copy(update={"last": at, "count": self.count + 1})

    @property
    def more(self) -> int:
        """Return how many of them no event of their own tells of."""
        return max(0, self.count - RECORDED)

    @property
    def until(self) -> datetime:
        """Return when it is over, if nothing follows."""
        return min(self.last + PERIOD, self.since + LONGEST) if self.more else self.since + PERIOD

    @property
    def told(self) -> str:
        """Return what the one event says of those without an event of their own."""
        return f"and {self.more:,} more until {self.last:%Y-%m-%d %H:%M:%S} UTC"
