"""How fast may be sent: Whop's rate, one pause for all after trouble, and the alarm that freezes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bot.clock import Clock
from bot.delivery import Accepted, NoAnswer, Outcome, Rejected, Response, RetryAt, Trouble, Unknown
from bot.store import Transaction
from bot.store.facts import NOT_BEFORE, UNKNOWN_CAUSE, UNKNOWN_STREAK
from bot.whop.gateway import NOT_WHOP, Rate

# So many sends in a row without a known answer mean that something is wrong.
UNKNOWNS_TO_FREEZE: Final = 3
# After a 5xx that is not repeated, for whatever is sent next.
PAUSE: Final = timedelta(seconds=10)

_PAUSING: Final = {Trouble.OVERLOAD, Trouble.NOT_WHOP}

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
        tx.facts.load(NOT_BEFORE, UNKNOWN_STREAK, UNKNOWN_CAUSE)
        trouble = None if isinstance(outcome, Accepted) else outcome.trouble
        if trouble in _PAUSING:
            again = outcome.at if isinstance(outcome, RetryAt) else self._clock() + PAUSE
            tx.facts.set(NOT_BEFORE, again)
        elif isinstance(answer, Response) and (pause := tx.facts.get(NOT_BEFORE)) and self._clock() >= pause:
            # What was under way when the pause began says nothing about its end.
            tx.facts.set(NOT_BEFORE, None)
        if trouble is Trouble.CREDENTIAL and isinstance(answer, Response):
            self._alarm(tx, f"Whop refuses the API key (it answered {answer.status})")
        if trouble is Trouble.OURS and not isinstance(outcome, Accepted):
            self._alarm(tx, f"Herald is at fault: {outcome.reason}")
        self._count(tx, outcome)

    def _count(self, tx: Transaction, outcome: Outcome) -> None:
        """Count what got no known answer, and freeze everything after so many in a row."""
        match outcome:
            case Accepted() | Rejected():
                streak, cause, trouble = 0, "", None
            case RetryAt(trouble=trouble):
                if trouble is not Trouble.NOT_WHOP:
                    return
                streak, cause = (tx.facts.get(UNKNOWN_STREAK) or 0) + 1, ""
            case Unknown(trouble=trouble, cause=cause):
                if cause and cause == tx.facts.get(UNKNOWN_CAUSE):
                    return
                streak = (tx.facts.get(UNKNOWN_STREAK) or 0) + 1
        tx.facts.set(UNKNOWN_STREAK, streak)
        if cause != (tx.facts.get(UNKNOWN_CAUSE) or ""):
            tx.facts.set(UNKNOWN_CAUSE, cause)
        if streak == UNKNOWNS_TO_FREEZE:
            seen = f": {NOT_WHOP} (a firewall or a proxy)" if trouble is Trouble.NOT_WHOP else ""
            self._alarm(tx, f"{streak} sends in a row got no known answer from Whop{seen}")
