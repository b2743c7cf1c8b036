"""How fast may be sent: Whop's rate, one pause for all after trouble, and the alarm that freezes."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from bot.clock import Clock
from bot.delivery import NoAnswer, Outcome, Response, RetryAt, Unknown
from bot.store import Transaction
from bot.whop.gateway import Rate

# So many sends in a row without a known answer mean that something is wrong.
UNKNOWNS_TO_FREEZE: Final = 3
# After a 5xx that is not repeated, for whatever is sent next.
PAUSE: Final = timedelta(seconds=10)

_STREAK: Final = "unknown answers in a row"
_NOT_BEFORE: Final = "no request before"

Alarm = Callable[[Transaction, str], Awaitable[None]]


class RateLimit:
    """One limiter for all processes that use the credential: all it knows stands in the database."""

    def __init__(self, rate: Rate, *, clock: Clock, alarm: Alarm) -> None:
        self._rate = rate
        self._clock = clock
        self._alarm = alarm

    async def room(self, tx: Transaction) -> int:
        """Return how many requests may start now: within Whop's rate, and only one after a pause.

        The attempts in the database are the limiter's memory, so that a restart cannot burst.
        """
        now = self._clock()
        # Two that count at the same time would each find the same room.
        await tx.claim_alone()
        pause = await tx.fact(_NOT_BEFORE)
        if not pause:
            return await self._left(tx, now)
        over = datetime.fromisoformat(pause)
        if now < over or await tx.deliveries.under_way_since(over):
            return 0
        return min(1, await self._left(tx, now))

    async def _left(self, tx: Transaction, now: datetime) -> int:
        return self._rate.requests - await tx.deliveries.arrived_since(now - self._rate.per)

    async def heed(self, tx: Transaction, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        """Pause where Whop is overloaded; freeze everything where going on would be wrong."""
        if isinstance(answer, Response):
            await self._heed_status(tx, outcome, answer)
        if isinstance(outcome, Unknown) and outcome.alarm:
            await self._alarm(tx, f"Herald is at fault: {outcome.reason}")
        if isinstance(outcome, RetryAt):
            return
        streak = int(await tx.fact(_STREAK) or 0) + 1 if isinstance(outcome, Unknown) else 0
        await tx.remember(_STREAK, str(streak))
        if streak == UNKNOWNS_TO_FREEZE:
            await self._alarm(tx, f"{streak} sends in a row got no known answer from Whop")

    async def _heed_status(self, tx: Transaction, outcome: Outcome, answer: Response) -> None:
        if answer.status in {401, 403}:
            await self._alarm(tx, f"Whop refuses the API key (it answered {answer.status})")
        if answer.status == 429 or answer.status >= 500:
            again = outcome.at if isinstance(outcome, RetryAt) else self._clock() + PAUSE
            await tx.remember(_NOT_BEFORE, again.isoformat())
        elif (pause := await tx.fact(_NOT_BEFORE)) and self._clock() >= datetime.fromisoformat(pause):
            # What was under way when the pause began says nothing about its end.
            await tx.remember(_NOT_BEFORE, "")
