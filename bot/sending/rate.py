"""How fast may be sent by an account: its rate, its pause after trouble, and the alarm that freezes."""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from bot.clock import SLIGHT_STEP, Clock, Steady, Watch
from bot.delivery import Accepted, NoAnswer, Outcome, Rejected, Response, RetryAt, Trouble, Unknown
from bot.store import Transaction
from bot.store.facts import ReadsBegun, begun, not_before, reads_begun, unknown_cause, unknown_streak
from bot.whop.gateway import LONGEST_WAIT, NOT_WHOP, Rate

# So many sends in a row without a known answer mean that something is wrong.
UNKNOWNS_TO_FREEZE: Final = 3
# One in so many requests of the rate is left to what is sent: no read takes it.
RESERVED: Final = 10
# Within so long a read arrives at Whop after it has begun.
READ: Final = timedelta(seconds=0.5)
# After a 5xx that is not repeated, for whatever is sent next.
PAUSE: Final = timedelta(seconds=10)

LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)
# Whoever counts so often knows well enough when each request had arrived.
OFTEN_SECONDS: Final = 1.0

_PAUSING: Final = {Trouble.OVERLOAD, Trouble.NOT_WHOP}

Alarm = Callable[[Transaction, str], None]
# An attempt: its delivery and its number.
Attempts = Mapping[tuple[int, int], datetime]


class Count(NamedTuple):
    """How many requests had ever begun at a moment of the steady clock, and how many were under way."""

    at: float
    begun: int
    under_way: int


class Pause(NamedTuple):
    """A pause as the database has it, when it is over by the steady clock, and what was under way before."""

    until: datetime
    over: float
    before: Collection[tuple[int, int]]


def count_read(tx: Transaction, account: str, clock: Clock, *, number: int = 1) -> None:
    """Count reads of an account that begin with this transaction, so that all who send know of them."""
    fact = reads_begun(account)
    before = tx.facts.get(fact)
    tx.facts.set(fact, ReadsBegun((before.number if before else 0) + number, clock()))


class RateLimit:
    """One limiter for all processes that use an account, by a clock that nobody can set.

    All are counted in the database: how many requests have ever begun, and which are under way. Those that
    are no longer under way have arrived since they were last counted, and are taken to have arrived now.
    """

    def __init__(
        self, account: str, rate: Rate, *, clock: Clock, steady: Steady, watch: Watch, alarm: Alarm
    ) -> None:
        self._account = account
        self._rate = rate
        self._begun = begun(account)
        self._reads_begun = reads_begun(account)
        self._not_before = not_before(account)
        self._unknown_streak = unknown_streak(account)
        self._unknown_cause = unknown_cause(account)
        self._clock = clock
        self._steady = steady
        self._watch = watch
        self._alarm = alarm
        self._counted: Count | None = None
        # When so many were seen to have arrived, oldest first.
        self._arrived: deque[tuple[float, int]] = deque()
        self._lately = 0
        # How many reads had ever begun when it was last looked at, and when they may have arrived.
        self._reads_counted = -1
        self._read: deque[tuple[float, int]] = deque()
        self._pause: Pause | None = None

    def room(self, tx: Transaction) -> int:
        """Return how many requests may start now: within Whop's rate, and only one after a pause.

        Whoever asks has to be the only one that claims until the end of the transaction, and to tell what it
        begins.
        """
        tx.facts.load(self._not_before, self._begun, self._reads_begun)
        under_way = tx.deliveries.under_way(self._account)
        self._tally(tx, len(under_way))
        left = self._rate.requests - len(under_way) - self._lately - self._reads_lately(tx)
        until = tx.facts.get(self._not_before)
        if until is None:
            return left
        pause = self._noticed(until, under_way)
        if self._steady() < pause.over or under_way.keys() - pause.before:
            return 0
        return min(1, left)

    def begin_read(self, tx: Transaction, number: int = 1) -> None:
        """Count reads that begin with this transaction."""
        count_read(tx, self._account, self._clock, number=number)

    def _reads_lately(self, tx: Transaction) -> int:
        """Return how many reads may have arrived within the span of the rate, as if each had just begun."""
        begun, now = tx.facts.get(self._reads_begun), self._steady()
        if begun is not None:
            new = begun.number - self._reads_counted
            if self._reads_counted < 0:
                # Whoever has just started knows of none, and of all when the last one was.
                since = self._clock() - begun.at
                new = min(begun.number, self._for_reads) if abs(since) < self._rate.per + READ else 0
            if new > 0:
                self._read.append((now + READ.total_seconds(), new))
            self._reads_counted = begun.number
        while self._read and now - self._read[0][0] >= self._rate.per.total_seconds():
            self._read.popleft()
        return sum(number for _, number in self._read)

    @property
    def _for_reads(self) -> int:
        """Return how many of the requests of the rate may be reads."""
        return self._rate.requests - max(1, self._rate.requests // RESERVED)

    def room_behind(self, tx: Transaction, waiting: int) -> int:
        """Return how many reads may start now: behind what waits, and never the whole of the rate.

        After a pause one may start at a time, as always, and none before what waits.
        """
        room = self.room(tx)
        if tx.facts.get(self._not_before) is not None:
            return 0 if waiting else room
        return max(0, room - waiting - (self._rate.requests - self._for_reads))

    def pause(self, tx: Transaction, until: datetime) -> None:
        """Start nothing before that moment: Whop has refused a read by the rate that sends have, too."""
        standing = tx.facts.get(self._not_before)
        if standing is None or standing < until:
            tx.facts.set(self._not_before, until)

    @property
    def opens_at(self) -> float:
        """Return when the pause that was last seen is over, by the steady clock."""
        return self._pause.over if self._pause else float("-inf")

    def begin(self, tx: Transaction, requests: int) -> None:
        """Count requests that begin with this transaction."""
        if requests:
            tx.facts.set(self._begun, (tx.facts.get(self._begun) or 0) + requests)

    def _tally(self, tx: Transaction, under_way: int) -> None:
        """Count how many requests have arrived within the span of the rate."""
        count, before = tx.facts.get(self._begun) or 0, self._counted
        now = self._steady()
        self._counted = Count(now, count, under_way)
        ended = self._rate.requests
        if before is not None:
            ended = max(0, before.under_way + count - before.begun - under_way)
        if ended and (before is None or now - before.at > OFTEN_SECONDS):
            # Most of them long ago, if the times that were written down can be believed.
            is_even = self._watch.is_even_for(self._rate.per)
            since = self._clock() - self._rate.per - SLIGHT_STEP if is_even else LONG_AGO
            ended = tx.deliveries.ended_after(since, account=self._account, most=ended)
        if ended:
            self._arrived.append((now, ended))
            self._lately += ended
        while self._arrived and now - self._arrived[0][0] >= self._rate.per.total_seconds():
            self._lately -= self._arrived.popleft()[1]

    def _noticed(self, until: datetime, under_way: Attempts) -> Pause:
        """Return the pause that stands in the database, whose rest passes by the steady clock."""
        if self._pause is None or self._pause.until != until:
            rest = until - self._clock()
            # No pause is that long: it was written by a clock that has been set back.
            over = self._steady() + (rest.total_seconds() if rest <= LONGEST_WAIT else 0)
            before = [attempt for attempt, started_at in under_way.items() if started_at < until]
            self._pause = Pause(until, over, frozenset(before))
        return self._pause

    def heed(self, tx: Transaction, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        """Pause where Whop is overloaded; freeze the account where going on would be wrong."""
        tx.facts.load(self._not_before, self._unknown_streak, self._unknown_cause)
        trouble = None if isinstance(outcome, Accepted) else outcome.trouble
        if trouble in _PAUSING:
            again = outcome.at if isinstance(outcome, RetryAt) else self._clock() + PAUSE
            standing = tx.facts.get(self._not_before)
            # Another answer that asks for less takes nothing back; what lies too far ahead was written by a
            # clock that has been set back.
            if standing is None or not again < standing <= self._clock() + LONGEST_WAIT:
                tx.facts.set(self._not_before, again)
        elif isinstance(answer, Response) and self._is_over(tx.facts.get(self._not_before)):
            # What was under way when the pause began says nothing about its end.
            tx.facts.set(self._not_before, None)
        if trouble is Trouble.CREDENTIAL and isinstance(answer, Response):
            self._alarm(tx, f"Whop refuses the API key (it answered {answer.status})")
        if trouble is Trouble.OURS and not isinstance(outcome, Accepted):
            self._alarm(tx, f"Herald is at fault: {outcome.reason}")
        self._count(tx, outcome)

    def _count(self, tx: Transaction, outcome: Outcome) -> None:
        """Count what got no known answer, and freeze the account after so many in a row."""
        match outcome:
            case Accepted() | Rejected():
                streak, cause, trouble = 0, "", None
            case RetryAt(trouble=trouble):
                if trouble is not Trouble.NOT_WHOP:
                    return
                streak, cause = (tx.facts.get(self._unknown_streak) or 0) + 1, ""
            case Unknown(trouble=trouble, cause=cause):
                if cause and cause == tx.facts.get(self._unknown_cause):
                    return
                streak = (tx.facts.get(self._unknown_streak) or 0) + 1
        tx.facts.set(self._unknown_streak, streak)
        if cause != (tx.facts.get(self._unknown_cause) or ""):
            tx.facts.set(self._unknown_cause, cause)
        if streak == UNKNOWNS_TO_FREEZE:
            seen = f": {NOT_WHOP} (a firewall or a proxy)" if trouble is Trouble.NOT_WHOP else ""
            self._alarm(tx, f"{streak} sends in a row got no known answer from Whop{seen}")

    def _is_over(self, until: datetime | None) -> bool:
        """Tell whether a pause was noticed and has passed."""
        pause = self._pause
        return pause is not None and pause.until == until and self._steady() >= pause.over
