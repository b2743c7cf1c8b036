"""The loop that counts audiences: page after page, within the account's rate and behind all that is sent."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from bot import sizes
from bot.broadcast import Broadcast
from bot.clock import Clock, Steady
from bot.counted import UNTOLD
from bot.errors import Conflict, StoreError
from bot.lifecycle import Lifecycle
from bot.sending.list_checks import Answer, ListChecks
from bot.sending.rate import RateLimit
from bot.store import Store, Transaction
from bot.store.counts import Count, Recipient
from bot.store.own_lists import ListCheck
from bot.whop.gateway import LONGEST_WAIT, Rate, backoff
from bot.whop.reads import MOST_PEOPLE, Failed, Part
from bot.whop.transport import Transport

log = structlog.get_logger()

# What waits for room in the rate looks again after so long.
CROWDED_SECONDS: Final = 0.25
# How often a page is asked for that cannot be read.
TRIES: Final = 6
# A card says how far it has come after so many pages.
SHOWN_PAGES: Final = 25
# How often is looked for people who are no longer kept.
LOOK_OVER_SECONDS: Final = 60.0


class Counting:
    """Read on for what is to be counted, one page of each account at a time."""

    def __init__(
        self,
        *,
        store: Store,
        lifecycle: Lifecycle,
        transports: Mapping[str, Transport],
        rate_limits: Mapping[str, RateLimit],
        clock: Clock,
        steady: Steady,
        owner: str,
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._transports = transports
        self._rate_limits = rate_limits
        self._clock = clock
        self._steady = steady
        self._owner = owner
        self._woken = asyncio.Event()
        self._crowded = False
        self._looked_over = float("-inf")
        self._lists = ListChecks(lifecycle=lifecycle, clock=clock)

    @property
    def is_woken(self) -> bool:
        """Tell whether there is something to look at."""
        return self._woken.is_set()

    def wake(self) -> None:
        """Look at once for what is to be counted."""
        self._woken.set()

    async def run(self) -> None:
        """Count until cancelled; trouble with the database only delays."""
        while True:
            try:
                await self.finish()
            except StoreError as error:
                log.error("nothing is counted while the database is in trouble", error=str(error))
            except Exception as error:  # noqa: BLE001 - one fault must not end all counting
                log.error("counting failed inside Herald", kind=type(error).__name__)
            pause = CROWDED_SECONDS if self._crowded else LOOK_OVER_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

    async def finish(self) -> bool:
        """Read on as far as there is anything to read now; return whether there was."""
        self._woken.clear()
        busy = False
        while await self.step():
            busy = True
        return busy

    async def step(self) -> bool:
        """Read one page for each account; return whether there was anything to do."""
        self._crowded = False
        # While an account pauses, asking is of no use.
        working = [name for name, one in self._rate_limits.items() if one.opens_at <= self._steady()]
        lanes = [read(name) for name in working for read in (self._page, self._check)]
        # One account's trouble is its own: all are looked at before any of it is told.
        done = await asyncio.gather(*lanes, return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException):
                raise one
        return any(done) or await self._drop()

    async def _drop(self) -> bool:
        """Drop people whom nobody needs any more, some at a time."""
        if self._steady() - self._looked_over < LOOK_OVER_SECONDS:
            return False
        if await self._store.write(self._drop_some):
            return True
        self._looked_over = self._steady()
        return False

    def _drop_some(self, tx: Transaction) -> bool:
        kept = max(one.rules.recipients_kept for one in self._lifecycle.policy.servers)
        before = self._clock() - kept
        return tx.counts.drop(before=before) or tx.lists.drop(before=before)

    async def _page(self, account: str) -> bool:
        if not await self._store.glance(self._is_wanted, account):
            return False
        count = await self._store.write(self._claim, account)
        if count is None:
            return False
        if not (sources := sizes.SOURCES.validate_json(count.sources)):
            # All whom it is about were named from the start.
            await self._store.write(self._end, count, "")
            return True
        reads = self._lifecycle.accounts[account].gateway.reads
        answer = await self._transports[account].send(reads.ask(sources[0]))
        told = reads.read(sources[0], answer, now=self._clock())
        if isinstance(told, Part) and sources[0].kind == "total" and told.people is None:
            # It says none where numbers are hidden, too.
            told = Failed(UNTOLD)
        if isinstance(told, Part) and count.so_far + (told.people or 0) > MOST_PEOPLE:
            told = Failed("Whop tells of more people than there are")
        if isinstance(told, Failed):
            await self._store.write(self._fail, count, told)
        else:
            left = (*told.then, *sources[1:])
            recipients = [Recipient(sources[0].via or "", one.id) for one in told.members]
            kept = sizes.SOURCES.dump_json(left).decode()
            after = await self._store.write(self._read_on, count, told, kept, recipients)
            if after is not None and after.pages % SHOWN_PAGES == 0:
                await self._store.write(sizes.show_progress, self._lifecycle, after)
        return True

    def _is_wanted(self, tx: Transaction, account: str) -> bool:
        return tx.counts.wanted(self._clock(), owner=self._owner, account=account) is not None

    def _claim(self, tx: Transaction, account: str) -> Count | None:
        """Take the next page to read, if there is room in the rate behind what is to be sent."""
        limit, now = self._rate_limits[account], self._clock()
        # As whoever claims what is sent: together they keep to one rate.
        tx.claim_alone()
        count = tx.counts.wanted(now, owner=self._owner, account=account)
        if count is None:
            return None
        if count.sources != "[]":
            if self._room(tx, account) < 1:
                self._crowded = True
                return None
            limit.begin_read(tx)
        return count if tx.counts.hold(count, owner=self._owner) else None

    async def _check(self, account: str) -> bool:
        """Ask about some people of a list that somebody brought along; return whether there was anything."""
        if not await self._store.glance(self._lists.is_wanted, account):
            return False
        check = await self._store.write(self._claim_check, account)
        if check is None:
            return False
        send = self._transports[account].send
        answers = await asyncio.gather(*map(send, self._lists.ask(check)))
        # Conflict: somebody else has taken the step in the meantime.
        with suppress(Conflict):
            await self._store.write(self._record, check, answers)
        return True

    def _claim_check(self, tx: Transaction, account: str) -> ListCheck | None:
        tx.claim_alone()
        room = self._room(tx, account)
        if room < 1:
            self._crowded = True
            return None
        check = self._lists.claim(tx, account, room=room)
        if check is not None:
            self._rate_limits[account].begin_read(tx, len(self._lists.ask(check)))
        return check

    def _record(self, tx: Transaction, check: ListCheck, answers: Sequence[Answer]) -> None:
        again = self._lists.record(tx, check, answers)
        if again is not None and self._rate_of(check.account).for_all:
            self._rate_limits[check.account].pause(tx, again)

    def _room(self, tx: Transaction, account: str) -> int:
        """Return how many reads may begin behind what is to be sent."""
        waiting = tx.deliveries.waiting(account, self._clock(), most=self._rate_of(account).requests)
        return self._rate_limits[account].room_behind(tx, waiting)

    def _rate_of(self, account: str) -> Rate:
        return self._lifecycle.accounts[account].gateway.rate

    def _read_on(
        self, tx: Transaction, count: Count, told: Part, left: str, recipients: list[Recipient]
    ) -> Count | None:
        """Write down what a page has told; return the count if there is more to read."""
        about = sizes.concerned(tx, self._lifecycle, count) if left == "[]" else ()
        if tx.counts.find(count.id) != count:
            return None
        new = tx.counts.add(count.id, recipients) if recipients else 0
        after = tx.counts.read_on(
            count,
            sources=left,
            people=new + (told.people or 0),
            rows=len(recipients),
            nameless=told.nameless,
            at=self._clock(),
        )
        if after is None or left != "[]":
            return after
        self._end_of(tx, after, "", about)
        return None

    def _fail(self, tx: Transaction, count: Count, failed: Failed) -> None:
        """Ask for a page again that may be told later; else nobody knows how many they are."""
        if not failed.again or count.tries + 1 >= TRIES:
            self._end(tx, count, failed.why)
            return
        wait = min(failed.wait or timedelta(), LONGEST_WAIT)
        again = self._clock() + max(backoff(count.tries + 1), wait)
        if tx.counts.try_again(count, at=again) and failed.wait and self._rate_of(count.account).for_all:
            self._rate_limits[count.account].pause(tx, again)

    def _end(self, tx: Transaction, count: Count, why: str) -> None:
        self._end_of(tx, count, why, sizes.concerned(tx, self._lifecycle, count))

    def _end_of(self, tx: Transaction, count: Count, why: str, about: Sequence[Broadcast]) -> None:
        told = tx.counts.end(count, why=why, at=self._clock())
        if told is None:
            return
        log.info("an audience was counted", count=count.id, people=told.people, pages=count.pages, why=why)
        sizes.tell(tx, self._lifecycle, about, told)
