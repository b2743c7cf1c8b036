"""The loop that claims what is due, sends it once and records what became of it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import structlog

from bot.broadcast import Broadcast
from bot.clock import Beat, Clock, Steady, Watch
from bot.delivery import Delivery, NoAnswer, Outcome, Response, RetryAt, Unknown
from bot.errors import Conflict, StoreError
from bot.lifecycle import Lifecycle
from bot.sending.claiming import Claim, Claimed, Claiming
from bot.sending.counting import Counting
from bot.sending.digests import Digests
from bot.sending.first_bytes import FirstBytes
from bot.sending.occurrences import Occurrences
from bot.sending.recording import RECORD_AGAIN_SECONDS, Recorder
from bot.sending.restore_guard import RestoreGuard
from bot.sending.roles import RoleCheck, RoleSource
from bot.sending.settle import Claims, Done, Settlement
from bot.sending.start import Start
from bot.sending.timekeeping import Timekeeping
from bot.store import Store, Transaction
from bot.store.deliveries import Work
from bot.whop.transport import Transport

log = structlog.get_logger()

# The database is the clock's memory: polling heals whatever a wakeup has missed.
POLL_SECONDS: Final = 1.0
CROWDED_POLL_SECONDS: Final = 0.1
# Of its lease of 60 seconds, a request may need 30: what has not begun by then is given back.
FRESH_SECONDS: Final = 25.0
# When told to stop: how long requests may take to be answered, and then outcomes to be recorded.
ANSWER_SECONDS: Final = 15.0
RECORD_SECONDS: Final = 5.0
# When to look again at what could not be sent for a reason of our own.
GIVEN_BACK: Final = timedelta(seconds=60)


def _new_key() -> str:
    return str(uuid4())


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
        self._digests = Digests(store=store, policy=lifecycle.policy, clock=clock)
        self._woken = store.wakeup.listen()
        self._owner = f"{store.name}-{uuid4().hex[:8]}"
        folder = restore_guard.file.absolute().parent
        self._first_bytes = FirstBytes(folder, owner=self._owner, clock=clock)
        self._role_check = RoleCheck(role_source=role_source, policy=lifecycle.policy, clock=clock)
        self._start = Start(
            lifecycle=lifecycle,
            role_check=self._role_check,
            restore_guard=restore_guard,
            clock=clock,
            new_key=new_key,
        )
        self._occurrences = Occurrences(lifecycle=lifecycle, clock=clock)
        self._settlement = Settlement(lifecycle=lifecycle, clock=clock, steady=steady, watch=watch)
        self._claiming = Claiming(
            lifecycle=lifecycle,
            settlement=self._settlement,
            restore_guard=restore_guard,
            clock=clock,
            steady=steady,
        )
        self._counting = Counting(
            store=store,
            lifecycle=lifecycle,
            transports=transports,
            rate_limits=self._settlement.rate_limits,
            clock=clock,
            steady=steady,
            owner=self._owner,
        )
        self._recorder = Recorder(store, self._settlement.record)
        self._stopping = asyncio.Event()
        # What is claimed and not yet recorded: by its task, the delivery.
        self._flying: dict[asyncio.Task[None], Delivery] = {}
        # Attempts whose claim the database may have taken without saying so.
        self._never_begun: set[tuple[int, int]] = set()
        self._waits: dict[asyncio.Timeout, float] = {}
        self._crowded = False
        self._is_well = True
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
        counting = asyncio.create_task(self._counting.run())
        try:
            await self._rounds()
        finally:
            # What it has not read stands in the database, for whoever reads on.
            counting.cancel()
            await asyncio.wait({counting})
        if self._flying:
            await asyncio.wait(self._flying)
        self._first_bytes.close()

    async def _rounds(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                self._is_well = True
                await self._round()
                if self._is_well:
                    self.last_good_round = Beat(self._clock(), self._steady())
            except StoreError as error:
                log.error("nothing is sent while the database is in trouble", error=str(error))
            except Exception as error:  # noqa: BLE001 - what fails in one round must not end all sending
                log.error("a round failed inside Herald", kind=type(error).__name__)
            # Where work waits for Whop's rate, the next place is free within moments.
            pause = CROWDED_POLL_SECONDS if self._crowded else POLL_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

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
        while self._counting.is_woken and await self._counting.finish():
            busy = await self._round() or busy
        await asyncio.gather(*self._flying)
        return busy

    async def sweep(self) -> None:
        """Settle claims that nobody carries any more, neither a process that stopped nor this one.

        Whoever is still sending them has held on to them for longer than a lease, and comes too late.
        """
        claims = self._claims()
        left = await self._store.read(
            self._settlement.abandoned, claims=claims, outlived=self._store.outlived
        )
        for orphan in left:
            async with self._aside("settle what nobody carries"):
                begun = self._first_bytes.begun_by(orphan.claim.owner or "")
                never_left = begun is not None and (orphan.claim.id, orphan.claim.attempts) not in begun
                await self._store.write(self._settlement.settle_orphan, orphan, never_left=never_left)
                self._never_begun.discard((orphan.claim.id, orphan.claim.attempts))

    @asynccontextmanager
    async def _aside(self, step: str) -> AsyncGenerator[None, None]:
        """Let no fault of our own in a step beside the sending stop the sending."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - it is tried again each round, and the health page turns red
            self._is_well = False
            log.error("a step failed inside Herald", step=step, kind=type(error).__name__)

    def _claims(self) -> Claims:
        return Claims(self._owner, self._carried, [*self._never_begun])

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
        await self._settle_overdue(work)
        if work.to_count:
            async with self._aside("count who is reached"):
                await self._count_soon()
                # What needs no count may go at once.
                work = await self._store.glance(self._work)
        if work.to_read:
            self._counting.wake()
        if work.due:
            await self._start_due()
        if self._claiming.is_closed or not (work.pending or work.due or work.abandoned):
            self._crowded = False
            return False
        claimed = await self._claim_due()
        for done in claimed.given_up:
            # As carefully as an outcome: one that cannot be written must not keep the others from being sent.
            self._carry(done.claim, self._recorder.record(done))
        for claim in claimed.claims:
            self._carry(claim.delivery, self._deliver(claim, claimed.since))
        return bool(claimed.claims)

    async def _settle_overdue(self, work: Work) -> None:
        """Give up, end and remind of what has waited too long; make what a series brings."""
        if work.late:
            async with self._aside("give up what is late"):
                await self._store.write(self._settlement.give_up_late)
        if work.expired:
            async with self._aside("end reviews"):
                await self._expire_reviews()
        if work.to_make:
            for known in await self._store.read(self._occurrences.due):
                async with self._aside("make one of a series"):
                    await self._store.write(self._occurrences.make, known)
        if work.to_remind:
            async with self._aside("remind"):
                await self._store.write(self._start.remind)
        async with self._aside("tell of the week"):
            await self._digests.tell()

    def _carry(self, delivery: Delivery, carried: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(carried)
        self._flying[task] = delivery
        # One that was lost before may be claimed again by the same number.
        self._never_begun.discard((delivery.id, delivery.attempts))
        task.add_done_callback(self._landed)

    @property
    def _carried(self) -> list[int]:
        return [one.id for one in self._flying.values()]

    def _work(self, tx: Transaction) -> Work:
        return tx.deliveries.work(
            self._clock(),
            owner=self._owner,
            carried=self._carried,
            outlived=self._store.outlived,
            deadlines=self._lifecycle.deadlines(),
        )

    def _landed(self, task: asyncio.Task[None]) -> None:
        delivery = self._flying.pop(task).id
        if not task.cancelled() and (error := task.exception()):
            log.error("a delivery was lost inside Herald", delivery=delivery, kind=type(error).__name__)
        self._woken.set()

    async def _expire_reviews(self) -> None:
        for broadcast in await self._store.read(self._start.overdue):
            # Conflict: someone decided in this very moment.
            with suppress(Conflict):
                await self._store.write(self._start.expire, broadcast)

    async def _count_soon(self) -> None:
        """Let it be counted whom those reach that go out soon; one in trouble keeps no other waiting."""
        soon = await self._store.read(self._start.soon)
        try:
            await self._store.write(self._start.count, soon)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - each alone, so that a person sees which one it is
            for broadcast in soon:
                await self._alone(broadcast, self._start.count, [broadcast])

    async def _start_due(self) -> None:
        due, starting = await self._store.read(self._start.due)
        answers = await self._role_check.ask(starting)
        try:
            await self._store.write(self._start.start, due, answers)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - one that cannot be started must not keep others from it
            for broadcast in due:
                await self._alone(broadcast, self._start.start, [broadcast], answers)

    async def _alone(self, broadcast: Broadcast, step: Callable[..., None], *args: object) -> None:
        try:
            # Conflict: someone stopped it in this very moment.
            with suppress(Conflict):
                await self._store.write(step, *args)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a person has to look at what fails inside Herald
            kind = type(error).__name__
            log.error("a broadcast cannot be started", broadcast=broadcast.id, kind=kind)
            with suppress(Conflict):
                await self._store.write(self._start.hold, broadcast, f"a fault inside Herald ({kind})")

    # --- sending -----------------------------------------------------------------------------------

    async def _claim_due(self) -> Claimed:
        """Commit the claims before anything is sent: a claim without an outcome is never sent again."""
        self._claiming.attempted = ()
        self._first_bytes.open()
        try:
            claimed = await self._store.write(self._claim)
        except StoreError:
            # It may have been committed all the same: then the next round finds what nobody carries.
            self._never_begun.update(self._claiming.attempted)
            raise
        self._crowded = claimed.crowded
        if claimed.mark is None:
            return claimed
        self._claiming.pace(claimed.since)
        try:
            self._restore_guard.keep(claimed.mark)
        except StoreError as error:
            self._give_back(claimed.claims, str(error))
            return claimed._replace(claims=())
        return claimed

    def _claim(self, tx: Transaction) -> Claimed:
        if self._stopping.is_set():
            return Claimed((), self._steady())
        return self._claiming.claim(tx, owner=self._owner, flying=[*self._flying.values()])

    def _give_back(self, claims: Sequence[Claim], why: str) -> None:
        log.error("nothing is sent", error=why)
        again = RetryAt(self._clock() + GIVEN_BACK, why)
        for claim in claims:
            # Beside the rounds: the database may take long, and they are told to stop.
            self._carry(claim.delivery, self._record(claim, again, NoAnswer(reason=why, bytes_left=False)))

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
            self._first_bytes.note(delivery.id, delivery.attempts)
            # A process that was suspended must not send what others have taken over long ago.
            return self._steady() - claimed_at < FRESH_SECONDS

        try:
            async with self._bounded_once_stopped(ANSWER_SECONDS):
                return await self._transports[delivery.account].send(delivery.request, may_leave=is_fresh)
        except TimeoutError:
            return NoAnswer(reason="Herald was stopped before it came", bytes_left=True)

    async def _record(self, claim: Claim, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        await self._recorder.record(Done(claim.delivery, outcome, answer))

    async def _until_stored(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeat the writing, never the sending, until the database takes it."""
        while True:
            try:
                return await write()
            except StoreError as error:
                log.error("an outcome waits for the database", error=str(error))
                await asyncio.sleep(RECORD_AGAIN_SECONDS)
