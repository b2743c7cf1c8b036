"""How fast may be sent: Whop's rate, one pause for all after trouble, and the alarm that freezes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bot.clock import Clock
from bot.delivery import NoAnswer, Outcome, Response, RetryAt, Unknown
from bot.store import Transaction
from bot.store.facts import NOT_BEFORE, UNKNOWN_STREAK
from bot.whop.gateway import Rate

# So many sends in a row without a known answer mean that something is wrong.
UNKNOWNS_TO_FREEZE: Final = 3
# After a 5xx that is not repeated, for whatever is sent next.
PAUSE: Final = timedelta(seconds=10)

Alarm = Callable[[Transaction, str], None]


class RateLimit:
    """One limiter for all processes that use the credential: all it knows stands in the database."""

    def __init__(self, rate: Rate, *, clock: Clock, alarm: Alarm) -> None:
        self._rate = rate
        self._clock = clock
        self._alarm = alarm

    def room(self, tx: Transaction) -> int:
        """Return how many requests may start now: within Whop's rate, and only one after a pause.

        The attempts in the database are the limiter's memory, so that a restart cannot burst. Whoever asks
        has to be the only one that claims until the end of the transaction.
        """
        now = self._clock()
        over = tx.facts.get(NOT_BEFORE)
        if over is None:
            return self._left(tx, now)
        if now < over or tx.deliveries.under_way_since(over):
            return 0
        return min(1, self._left(tx, now))

    def _left(self, tx: Transaction, now: datetime) -> int:
        return self._rate.requests - tx.deliveries.arrived_since(now - self._rate.per)

    def heed(self, tx: Transaction, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        """Pause where Whop is overloaded; freeze everything where going on would be wrong."""
        tx.facts.load(NOT_BEFORE, UNKNOWN_STREAK)
        if isinstance(answer, Response):
            self._heed_status(tx, outcome, answer)
        if isinstance(outcome, Unknown) and outcome.alarm:
            self._alarm(tx, f"Herald is at fault: {outcome.reason}")
        if isinstance(outcome, RetryAt):
            return
        streak = (tx.facts.get(UNKNOWN_STREAK) or 0) + 1 if isinstance(outcome, Unknown) else 0
        tx.facts.set(UNKNOWN_STREAK, streak)
        if streak == UNKNOWNS_TO_FREEZE:
            self._alarm(tx, f"{streak} sends in a row got no known answer from Whop")

    def _heed_status(self, tx: Transaction, outcome: Outcome, answer: Response) -> None:
        if answer.status in {401, 403}:
            self._alarm(tx, f"Whop refuses the API key (it answered {answer.status})")
        if answer.status == 429 or answer.status >= 500:
            again = outcome.at if isinstance(outcome, RetryAt) else self._clock() + PAUSE
            tx.facts.set(NOT_BEFORE, again)
        elif (pause := tx.facts.get(NOT_BEFORE)) and self._clock() >= pause:
            # What was under way when the pause began says nothing about its end.
            tx.facts.set(NOT_BEFORE, None)
