"""The loop that claims what is due, sends it once and records what became of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import uuid4

import structlog

from bot.clock import Beat, Clock, Steady, Watch
from bot.delivery import Delivery, NoAnswer, Outcome, Response, RetryAt, Unknown
from bot.errors import Conflict, StoreError
from bot.freeze import first_over
from bot.key_trust import KeyTrust
from bot.lifecycle import Lifecycle
from bot.sending.restore_guard import RestoreGuard
from bot.sending.roles import RoleCheck, RoleSource
from bot.sending.settle import Settlement
from bot.sending.start import BATCH, Start
from bot.sending.timekeeping import Timekeeping
from bot.store import Store, Transaction
from bot.store.deliveries import Work
from bot.store.facts import HIGHEST_TIME
from bot.store.history import Mark
from bot.whop.transport import Transport

log = structlog.get_logger()

# How many POSTs may be under way at once: enough for Whop's rate when each takes two seconds.
WIDTH: Final = 20
# The database is the clock's memory: polling heals whatever a wakeup has missed.
POLL_SECONDS: Final = 1.0
CROWDED_POLL_SECONDS: Final = 0.1
RECORD_AGAIN_SECONDS: Final = 2.0
# Of its lease of 60 seconds, a request may need 30: what has not begun by then is given back.
FRESH_SECONDS: Final = 25.0
# When told to stop: how long requests may take to be answered, and then outcomes to be recorded.
ANSWER_SECONDS: Final = 15.0
RECORD_SECONDS: Final = 5.0
# When to look again at what could not be sent for a reason of our own.
GIVEN_BACK: Final = timedelta(seconds=60)


def _new_key() -> str:
    return str(uuid4())


class Claim(NamedTuple):
    """A delivery that this process has to send, its broadcast's proof code, and the trust in its key."""

    delivery: Delivery
    proof: str
    trust: KeyTrust | None


class Dispatcher:
    """Claim before the first byte, record after the last; never repeat what is in doubt."""

    def __init__(
        self,
        *,
        store: Store,
        lifecycle: Lifecycle,
        transports: Mapping[str, Transport],
        role_source: RoleSource,
        restore_guard: RestoreGuard,
        clock: Clock,
        steady: Steady,
        new_key: Callable[[], str] = _new_key,
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._transports = transports
        self._restore_guard = restore_guard
        self._clock = clock
        self._steady = steady
        watch = Watch(clock, steady)
        self._timekeeping = Timekeeping(
            store=store, lifecycle=lifecycle, clock=clock, steady=steady, watch=watch
        )
        self._woken = store.wakeup.listen()
        self._owner = f"{store.name}-{uuid4().hex[:8]}"
        self._role_check = RoleCheck(role_source=role_source, policy=lifecycle.policy, clock=clock)
        self._start = Start(
            lifecycle=lifecycle,
            role_check=self._role_check,
            restore_guard=restore_guard,
            clock=clock,
            new_key=new_key,
        )
        self._settlement = Settlement(lifecycle=lifecycle, clock=clock, steady=steady, watch=watch)
        self._stopping = asyncio.Event()
        self._flying: set[asyncio.Task[None]] = set()
        self._waits: dict[asyncio.Timeout, float] = {}
        self._crowded = False
        # When all that was due was last looked for and begun.
        self.last_good_round: Beat | None = None

    def stop(self) -> None:
        """Claim nothing more, and let what is in flight finish or be given up in time."""
        self._stopping.set()
        self._woken.set()
        for wait, seconds in self._waits.items():
            wait.reschedule(asyncio.get_running_loop().time() + seconds)

    async def run(self) -> None:
        """Dispatch until told to stop; trouble with the database only delays.

        Raises StoreError if at the end an outcome could not be recorded in time.
        """
        try:
            async with self._bounded_once_stopped(ANSWER_SECONDS + RECORD_SECONDS):
                await self._dispatch()
        except TimeoutError:
            left = len(self._flying)
            log.error("the stop did not wait any longer for the database", outcomes=left)
            for task in self._flying:
                task.cancel()
            if left:
                raise StoreError(
                    f"{left} outcome(s) could not be recorded before the stop: the next start will ask."
                ) from None

    async def _dispatch(self) -> None:
        await self._until_stored(self._begin)
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                await self._round()
                self.last_good_round = Beat(self._clock(), self._steady())
            except StoreError as error:
                log.error("nothing is sent while the database is in trouble", error=str(error))
            # Where work waits for Whop's rate, the next place is free within moments.
            pause = CROWDED_POLL_SECONDS if self._crowded else POLL_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)
        if self._flying:
            await asyncio.wait(self._flying)

    @asynccontextmanager
    async def _bounded_once_stopped(self, seconds: float) -> AsyncGenerator[None, None]:
        """Raise TimeoutError in what takes longer than so many seconds after it was told to stop."""
        wait = asyncio.timeout(seconds if self._stopping.is_set() else None)
        self._waits[wait] = seconds
        try:
            async with wait:
                yield
        finally:
            del self._waits[wait]

    async def tick(self) -> bool:
        """Do all that is due now, to its end; return whether there was anything to send."""
        busy = await self._round()
        await asyncio.gather(*self._flying)
        return busy

    async def sweep(self) -> None:
        """Settle claims that a stopped process left without an outcome: nobody knows what became of them.

        Whoever is still sending them has held on to them for longer than a lease, and comes too late.
        """
        left = await self._store.read(
            self._settlement.abandoned, owner=self._owner, outlived=self._store.outlived
        )
        for orphan, outcome in left:
            await self._store.write(self._settlement.settle, orphan, outcome)

    async def _begin(self) -> None:
        await self.sweep()
        for name, account in self._lifecycle.accounts.items():
            if account.version_date is not None:
                trust = await self._store.read(self._settlement.trust, name)
                log.info("Whop's idempotency keys", account=name, proven=trust is not None)

    async def _round(self) -> bool:
        await self._timekeeping.look()
        work = await self._store.glance(self._work)
        if work.abandoned:
            await self.sweep()
        if work.refused:
            await self._store.write(self._lifecycle.note_refused_again)
        if self._timekeeping.is_doubtful:
            return False
        if work.expired:
            await self._expire_reviews()
        if work.to_remind:
            await self._store.write(self._start.remind)
        if work.due:
            await self._start_due()
        claimed_at = self._steady()
        claims: Sequence[Claim] = ()
        if work.pending or work.due or work.abandoned:
            claims = await self._claim_due()
        for claim in claims:
            self._carry(self._deliver(claim, claimed_at))
        return bool(claims)

    def _carry(self, claim: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(claim)
        self._flying.add(task)
        task.add_done_callback(self._landed)

    def _work(self, tx: Transaction) -> Work:
        return tx.deliveries.work(self._clock(), owner=self._owner, outlived=self._store.outlived)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._woken.set()

    async def _expire_reviews(self) -> None:
        for broadcast in await self._store.read(self._start.overdue):
            # Conflict: someone decided in this very moment.
            with suppress(Conflict):
                await self._store.write(self._start.expire, broadcast)

    async def _start_due(self) -> None:
        due, starting = await self._store.read(self._start.due)
        answers = await self._role_check.ask(starting)
        for broadcast in due:
            # Conflict: someone stopped it in this very moment.
            with suppress(Conflict):
                await self._store.write(self._start.start, broadcast, answers)

    # --- sending -----------------------------------------------------------------------------------

    async def _claim_due(self) -> Sequence[Claim]:
        """Commit the claims before anything is sent: a claim without an outcome is never sent again."""
        claims, mark = await self._store.write(self._claim)
        if mark is None:
            return claims
        try:
            self._restore_guard.keep(mark)
        except StoreError as error:
            self._give_back(claims, str(error))
            return []
        return claims

    def _claim(self, tx: Transaction) -> tuple[list[Claim], Mark | None]:
        if self._stopping.is_set():
            return [], None
        now = self._clock()
        # Two that count at the same time would each find the same room.
        tx.claim_alone()
        if self._restore_guard.check(tx):
            return [], self._restore_guard.advance(tx)
        tx.facts.load(HIGHEST_TIME, *self._settlement.facts)
        trusts = {name: self._settlement.trust(tx, name) for name in self._lifecycle.accounts}
        freezes = tx.freezes.standing()
        pending = tx.deliveries.due(now, limit=BATCH)
        limits = self._settlement.rate_limits
        rooms = {name: limits[name].room(tx) for name in {one.account for one in pending} & limits.keys()}
        free = WIDTH - len(self._flying)
        self._crowded = bool(pending)
        broadcasts = tx.broadcasts.heads({one.broadcast_id for one in pending})
        chosen: list[Delivery] = []
        for delivery in pending:
            account = delivery.account
            room = min(rooms.get(account, 0), free)
            if room <= 0 and not delivery.past and account in rooms:
                continue
            broadcast = broadcasts[delivery.broadcast_id]
            if outcome := self._settlement.given_up(delivery, broadcast, trusts.get(account)):
                self._settlement.settle(tx, delivery, outcome)
            elif room > 0 and not first_over(freezes, broadcast.guild_id, account):
                chosen.append(delivery)
                rooms[account] -= 1
                free -= 1
        claimed = tx.deliveries.claim(chosen, owner=self._owner, at=now)
        for account, requests in Counter(one.account for one in claimed).items():
            limits[account].begin(tx, requests)
        mark = self._restore_guard.advance(tx) if claimed else None
        return [Claim(one, broadcasts[one.broadcast_id].proof, trusts[one.account]) for one in claimed], mark

    def _give_back(self, claims: Sequence[Claim], why: str) -> None:
        log.error("nothing is sent", error=why)
        again = RetryAt(self._clock() + GIVEN_BACK, why)
        for claim in claims:
            # Beside the rounds: the database may take long, and they are told to stop.
            self._carry(self._record(claim, again, NoAnswer(reason=why, bytes_left=False)))

    async def _deliver(self, claim: Claim, claimed_at: float) -> None:
        delivery = claim.delivery
        answer: Response | NoAnswer | None = None
        try:
            answer = await self._send(delivery, claimed_at)
            outcome = self._lifecycle.accounts[delivery.account].gateway.read(
                answer,
                attempt=delivery.attempts,
                now=self._clock(),
                proven=self._settlement.may_repeat(delivery, claim.trust),
                earlier=delivery.past[:-1],
            )
        except Exception as error:  # noqa: BLE001 - after the claim, any fault of ours means that nobody knows
            log.error("a delivery failed inside Herald", delivery=delivery.id, kind=type(error).__name__)
            outcome = Unknown(f"a fault inside Herald ({type(error).__name__})")
        log.info(
            "delivery attempted",
            broadcast=delivery.broadcast_id,
            proof=claim.proof,
            delivery=delivery.position,
            attempt=delivery.attempts,
            outcome=type(outcome).__name__,
            reason=getattr(outcome, "reason", ""),
        )
        await self._record(claim, outcome, answer)

    async def _send(self, delivery: Delivery, claimed_at: float) -> Response | NoAnswer:
        def is_fresh() -> bool:
            # A process that was suspended must not send what others have taken over long ago.
            return self._steady() - claimed_at < FRESH_SECONDS

        try:
            async with self._bounded_once_stopped(ANSWER_SECONDS):
                return await self._transports[delivery.account].send(delivery.request, may_leave=is_fresh)
        except TimeoutError:
            return NoAnswer(reason="Herald was stopped before it came", bytes_left=True)

    async def _record(self, claim: Claim, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        record = self._settlement.record
        await self._until_stored(lambda: self._store.write(record, claim.delivery, outcome, answer))

    async def _until_stored(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeat the writing, never the sending, until the database takes it."""
        while True:
            try:
                return await write()
            except StoreError as error:
                log.error("an outcome waits for the database", error=str(error))
                await asyncio.sleep(RECORD_AGAIN_SECONDS)
