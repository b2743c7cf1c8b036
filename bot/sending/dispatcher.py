"""The loop that claims what is due, sends it once and records what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import uuid4

import structlog

from bot.audit.chain import HERALD
from bot.broadcast import Broadcast, Status, Step
from bot.clock import Clock, Steady, Watch
from bot.delivery import (
    Accepted,
    Delivery,
    DeliveryStatus,
    NoAnswer,
    Outcome,
    Rejected,
    Response,
    RetryAt,
    Unknown,
    conclude,
    in_doubt,
)
from bot.errors import Conflict, StoreError
from bot.freeze import Freeze, first_over
from bot.lifecycle import CHANGED
from bot.policy.model import Server
from bot.sending.key_trust import Credential, KeyTrust, recall, remember_highest
from bot.sending.rate import RateLimit
from bot.sending.restore_guard import RestoreGuard
from bot.sending.roles import RoleCheck, RoleSource
from bot.service import Service
from bot.store import Store, Transaction
from bot.wakeup import Wakeup
from bot.whop import Transport

log = structlog.get_logger()

# How many POSTs may be under way at once: enough for Whop's rate when each takes two seconds.
WIDTH: Final = 20
# How many are looked at in one round: what a freeze holds back must not hide what it does not.
BATCH: Final = 100
# The database is the clock's memory: polling heals whatever a ring of the wakeup has missed.
POLL_SECONDS: Final = 1.0
CROWDED_POLL_SECONDS: Final = 0.1
RECORD_AGAIN_SECONDS: Final = 2.0
# Of its lease of 60 seconds, a request may need 30: what has not begun by then is given back.
FRESH_SECONDS: Final = 25.0
# When told to stop: how long requests may take to be answered, and then outcomes to be recorded.
ANSWER_SECONDS: Final = 20.0
RECORD_SECONDS: Final = 10.0
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
        service: Service,
        transport: Transport,
        role_source: RoleSource,
        restore_guard: RestoreGuard,
        clock: Clock,
        steady: Steady,
        wakeup: Wakeup,
        credential: Credential | None = None,
        new_key: Callable[[], str] = _new_key,
    ) -> None:
        self._store = store
        self._service = service
        self._lifecycle = service.lifecycle
        self._transport = transport
        self._restore_guard = restore_guard
        self._clock = clock
        self._steady = steady
        self._watch = Watch(clock, steady)
        self._wakeup = wakeup
        self._woken = wakeup.listen()
        self._new_key = new_key
        self._owner = f"{store.name}-{uuid4().hex[:8]}"
        self._role_check = RoleCheck(store=store, role_source=role_source, policy=service.policy, clock=clock)
        self._rate_limit = RateLimit(self._lifecycle.gateway.rate, clock=clock, alarm=self._alarm)
        self._stopping = asyncio.Event()
        self._credential = credential
        self._proof: KeyTrust | None = None
        self._flying: set[asyncio.Task[None]] = set()
        self._waits: set[asyncio.Timeout] = set()
        self._crowded = False
        self._moved = timedelta()

    def stop(self) -> None:
        """Claim nothing more, and let what is in flight finish or be given up in time."""
        self._stopping.set()
        self._woken.set()
        for wait in self._waits:
            wait.reschedule(asyncio.get_running_loop().time() + ANSWER_SECONDS)

    async def run(self) -> None:
        """Dispatch until told to stop; trouble with the database only delays.

        Raises StoreError if at the end an outcome could not be recorded in time.
        """
        await self._until_stored(self.sweep)
        if self._credential and self._credential.version_date:
            log.info("Whop's idempotency keys", proven=self._proof is not None)
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                await self._round()
            except StoreError as error:
                log.error("nothing is sent while the database is in trouble", error=str(error))
            # Where work waits for Whop's rate, the next place is free within moments.
            pause = CROWDED_POLL_SECONDS if self._crowded else POLL_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)
        await self._land()

    async def tick(self) -> bool:
        """Do all that is due now, to its end; return whether there was anything to send."""
        busy = await self._round()
        await asyncio.gather(*self._flying)
        return busy

    async def _land(self) -> None:
        """Wait for what is in flight; what cannot be recorded is found by the next sweep."""
        if not self._flying:
            return
        _, stuck = await asyncio.wait(self._flying, timeout=ANSWER_SECONDS + RECORD_SECONDS)
        for task in stuck:
            task.cancel()
        if stuck:
            raise StoreError(
                f"{len(stuck)} outcome(s) could not be recorded before the stop: the next start will ask."
            )

    async def _round(self) -> bool:
        await self._look_at_clock()
        await self.sweep()
        if self._watch.is_doubtful:
            return False
        await self._service.expire_reviews()
        await self._start_due()
        claimed_at = self._steady()
        claims = await self._claim_due()
        for claim, proof in claims:
            task = asyncio.create_task(self._deliver(claim, claimed_at, proof=proof))
            self._flying.add(task)
            task.add_done_callback(self._landed)
        return bool(claims)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._woken.set()

    async def _look_at_clock(self) -> None:
        moved = self._moved + (self._watch.look() or timedelta())
        if not moved:
            return
        # Until it is written down, so that a busy database forgets nothing.
        self._moved = moved
        said = f"the clock was moved by {moved.total_seconds():+.0f} seconds; nothing starts for a minute"
        log.error("the clock was moved", seconds=moved.total_seconds())
        async with self._store.transaction() as tx:
            await self._lifecycle.note_everywhere(tx, "clock moved", said)
            if moved < timedelta():
                await remember_highest(tx, self._watch.highest)
        self._moved = timedelta()

    # --- what others left ---------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Settle claims that a stopped process left without an outcome: nobody knows what became of them.

        Whoever is still sending them has held on to them for longer than a lease, and comes too late.
        """
        async with self._store.reading() as tx:
            await self._recall(tx)
            orphans = await tx.deliveries.abandoned(owner=self._owner, outlived=self._store.outlived)
            outcomes = [await self._orphaned(tx, orphan) for orphan in orphans]
        for orphan, outcome in zip(orphans, outcomes, strict=True):
            async with self._store.transaction() as tx:
                await self._settle(tx, orphan, outcome, None)
            self._wakeup.wake()

    async def _orphaned(self, tx: Transaction, orphan: Delivery) -> Outcome:
        why = "Herald stopped before an answer came"
        broadcast = await tx.broadcasts.get(orphan.broadcast_id)
        server = self._lifecycle.policy.server(broadcast.guild_id)
        if server and not self._is_late(broadcast, server) and self._may_repeat(orphan):
            return RetryAt(self._clock(), why)
        return Unknown(why)

    async def _recall(self, tx: Transaction) -> None:
        self._proof = await recall(tx, self._credential) if self._credential else None

    def _may_repeat(self, delivery: Delivery) -> bool:
        """Tell whether Whop certainly still knows the request, so that a repeat reaches nobody twice."""
        return self._proof is not None and self._proof.covers(
            delivery.past, now=self._clock(), highest=self._watch.highest
        )

    # --- starting ----------------------------------------------------------------------------------

    async def _start_due(self) -> None:
        async with self._store.reading() as tx:
            due = await tx.broadcasts.due(self._clock(), limit=BATCH)
            freezes = await tx.freezes.standing()
        if not due:
            return
        starting = [one for one in due if not first_over(freezes, one.guild_id) and not self._doubt(one)]
        await self._role_check.ask(starting)
        for broadcast in due:
            # Conflict: someone stopped it in this very moment.
            with suppress(Conflict):
                async with self._store.transaction() as tx:
                    # Loaded again, and nobody else's now: it may have been stopped, or started, meanwhile.
                    if await tx.broadcasts.get(broadcast.id) == broadcast:
                        await self._start(tx, broadcast)

    async def _start(self, tx: Transaction, broadcast: Broadcast) -> None:
        server = self._lifecycle.policy.server(broadcast.guild_id)
        audience = server.audience(broadcast.audience) if server else None
        if (doubt := self._doubt(broadcast)) or audience is None:
            await self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=doubt)
            return
        if await tx.freezes.over(broadcast.guild_id):
            return
        if doubt := await self._role_check.doubt(tx, broadcast):
            await self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=doubt)
            return
        gateway = self._lifecycle.gateway
        requests = gateway.build(broadcast.notification, audience.targets, new_key=self._new_key)
        await tx.deliveries.add(broadcast.id, requests, at=self._clock())
        await self._lifecycle.advance(tx, broadcast, Step.START)

    def _doubt(self, broadcast: Broadcast) -> str:
        """Return why it must not be sent without a person, or nothing."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        if server is None:
            return "the policy no longer names this server"
        late = self._clock() - (broadcast.due_at or self._clock())
        if late > server.rules.missed_after:
            return f"it was due {_spoken(late)} ago and has been missed"
        if not self._lifecycle.is_unchanged(broadcast):
            return CHANGED
        if broadcast.agreed < server.quorum(broadcast.audience):
            return "it has fewer approvals than the policy asks for now"
        wrote = {broadcast.author.id, *broadcast.editors}
        if any(one.approver.id in wrote for one in (*broadcast.approvals, *broadcast.lent)):
            return "it was approved by someone who wrote it"
        if lacking := self._lifecycle.shortcomings(broadcast):
            return lacking[0]
        return ""

    # --- sending -----------------------------------------------------------------------------------

    async def _claim_due(self) -> list[tuple[Delivery, str]]:
        """Commit the claims before anything is sent: a claim without an outcome is never sent again.

        Each comes with the proof code of its broadcast.
        """
        claims: list[tuple[Delivery, str]] = []
        now = self._clock()
        async with self._store.reading() as tx:
            self._crowded = bool(await tx.deliveries.due(now, limit=1))
        if not self._crowded:
            return claims
        async with self._store.transaction() as tx:
            await self._recall(tx)
            room = min(await self._rate_limit.room(tx), WIDTH - len(self._flying))
            freezes = await tx.freezes.standing()
            for delivery in await tx.deliveries.due(now, limit=BATCH):
                if len(claims) >= room and not delivery.past:
                    continue
                broadcast = await tx.broadcasts.get(delivery.broadcast_id)
                if outcome := self._given_up(delivery, broadcast):
                    await self._settle(tx, delivery, outcome, None)
                elif len(claims) >= room or first_over(freezes, broadcast.guild_id):
                    continue
                elif claim := await tx.deliveries.claim(delivery, owner=self._owner, at=now):
                    claims.append((claim, broadcast.proof))
            mark = await self._restore_guard.advance(tx) if claims else None
        if mark:
            try:
                self._restore_guard.keep(mark)
            except StoreError as error:
                await self._give_back([claim for claim, _ in claims], str(error))
                return []
        return claims

    def _given_up(self, delivery: Delivery, broadcast: Broadcast) -> Outcome | None:
        """Return the outcome of what must not be tried again, or None."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        # A person who asks again about an unknown one knows that it is late.
        in_time = server and (broadcast.status is Status.UNKNOWN or not self._is_late(broadcast, server))
        why = f" ({delivery.detail})" if delivery.detail else ""
        if not in_doubt(delivery.past):
            return None if in_time else Rejected(f"it was not sent in time{why}")
        if not in_time:
            return Unknown(f"no final answer came in time{why}")
        if not self._may_repeat(delivery):
            return Unknown(f"its idempotency key no longer makes a repeat safe{why}")
        return None

    async def _give_back(self, claims: list[Delivery], why: str) -> None:
        log.error("nothing is sent", error=why)
        again = RetryAt(self._clock() + GIVEN_BACK, why)
        for claim in claims:
            await self._record(claim, again, NoAnswer(reason=why, bytes_left=False))

    def _is_late(self, broadcast: Broadcast, server: Server) -> bool:
        return self._clock() - (broadcast.due_at or self._clock()) > server.rules.missed_after

    def _in_time(self, retry: RetryAt, broadcast: Broadcast) -> datetime:
        """Return when to look at it again: to repeat it, or to give it up as soon as that is too late."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        if server is None or broadcast.due_at is None:
            return retry.at
        return min(retry.at, broadcast.due_at + server.rules.missed_after + timedelta(seconds=1))

    async def _deliver(self, claim: Delivery, claimed_at: float, *, proof: str) -> None:
        answer: Response | NoAnswer | None = None
        try:
            answer = await self._send(claim, claimed_at)
            outcome = self._lifecycle.gateway.read(
                answer,
                attempt=claim.attempts,
                now=self._clock(),
                proven=self._may_repeat(claim),
                earlier=claim.past[:-1],
            )
        except Exception as error:  # noqa: BLE001 - after the claim, any fault of ours means that nobody knows
            log.error("a delivery failed inside Herald", delivery=claim.id, kind=type(error).__name__)
            outcome = Unknown(f"a fault inside Herald ({type(error).__name__})")
        log.info(
            "delivery attempted",
            broadcast=claim.broadcast_id,
            proof=proof,
            delivery=claim.position,
            attempt=claim.attempts,
            outcome=type(outcome).__name__,
            reason=getattr(outcome, "reason", ""),
        )
        await self._record(claim, outcome, answer)

    async def _send(self, claim: Delivery, claimed_at: float) -> Response | NoAnswer:
        def is_fresh() -> bool:
            # A process that was suspended must not send what others have taken over long ago.
            return self._steady() - claimed_at < FRESH_SECONDS

        wait = asyncio.timeout(ANSWER_SECONDS if self._stopping.is_set() else None)
        self._waits.add(wait)
        try:
            async with wait:
                return await self._transport.send(claim.request, may_leave=is_fresh)
        except TimeoutError:
            return NoAnswer(reason="Herald was stopped before it came", bytes_left=True)
        finally:
            self._waits.discard(wait)

    async def _record(self, claim: Delivery, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        async def write() -> None:
            async with self._store.transaction() as tx:
                if not await self._settle(tx, claim, outcome, answer):
                    await self._settle_late(tx, claim, outcome, answer)

        await self._until_stored(write)
        self._wakeup.wake()

    async def _settle(
        self,
        tx: Transaction,
        claim: Delivery,
        outcome: Outcome,
        answer: Response | NoAnswer | None,
        *,
        late: bool = False,
    ) -> bool:
        broadcast = await tx.broadcasts.get(claim.broadcast_id)
        if isinstance(outcome, RetryAt) and broadcast.status is Status.UNKNOWN:
            # A person asked once, and is asked again.
            outcome = Unknown(outcome.reason)
        status, detail = _written(outcome)
        settled = await tx.deliveries.settle(
            claim,
            status=status,
            detail=detail,
            at=self._clock(),
            next_at=self._in_time(outcome, broadcast) if isinstance(outcome, RetryAt) else None,
            http_status=answer.status if isinstance(answer, Response) else None,
            bytes_left=answer.bytes_left if isinstance(answer, NoAnswer) else None,
            late=late,
        )
        if not settled:
            return False
        await self._rate_limit.heed(tx, outcome, answer)
        all_of_it = await tx.deliveries.of(claim.broadcast_id)
        step = conclude(one.status for one in all_of_it)
        if step is not None:
            # Each different trouble once, in the order of the requests.
            troubles = dict.fromkeys(one.detail for one in all_of_it if one.detail)
            await self._lifecycle.advance(tx, broadcast, step, detail="; ".join(troubles))
        elif isinstance(outcome, RetryAt):
            await self._lifecycle.note_retry(tx, broadcast, detail)
        else:
            await self._lifecycle.show_progress(tx, broadcast)
        return True

    async def _settle_late(
        self, tx: Transaction, claim: Delivery, outcome: Outcome, answer: Response | NoAnswer | None
    ) -> None:
        """Let the true answer to an attempt count, though others have given it up meanwhile."""
        now = await tx.deliveries.get(claim.id)
        if isinstance(answer, NoAnswer) and not answer.bytes_left and not in_doubt(now.past[:-1]):
            outcome = Rejected(f"nothing of it left this machine ({answer.reason})")
        log.warning("an answer came late", delivery=claim.id, outcome=type(outcome).__name__)
        if now.attempts != claim.attempts or not isinstance(outcome, Accepted | Rejected):
            return
        if now.status is DeliveryStatus.UNKNOWN or (
            now.status is DeliveryStatus.PENDING and isinstance(outcome, Accepted)
        ):
            await self._settle(tx, now, outcome, answer, late=True)
        elif now.status.value != _written(outcome)[0].value:
            said = f"{_written(outcome)[0].value}, which is not what stands on the card"
            broadcast = await tx.broadcasts.get(claim.broadcast_id)
            await self._lifecycle.note(tx, broadcast, HERALD, "late answer", said)

    async def _alarm(self, tx: Transaction, reason: str) -> None:
        log.error("sending is frozen", reason=reason)
        # Conflict: it is frozen already, which is all that is wanted.
        with suppress(Conflict):
            await self._lifecycle.freeze(
                tx, Freeze(guild_id=None, by=HERALD, at=self._clock(), reason=reason)
            )

    async def _until_stored(self, write: Callable[[], Awaitable[None]]) -> None:
        """Repeat the writing, never the sending, until the database takes it."""
        while True:
            try:
                await write()
            except StoreError as error:
                log.error("an outcome waits for the database", error=str(error))
                await asyncio.sleep(RECORD_AGAIN_SECONDS)
            else:
                return


def _written(outcome: Outcome) -> tuple[DeliveryStatus, str]:
    match outcome:
        case Accepted():
            return DeliveryStatus.ACCEPTED, ""
        case Rejected(reason):
            return DeliveryStatus.REJECTED, reason
        case RetryAt(_, reason):
            return DeliveryStatus.PENDING, reason
        case Unknown(reason):
            return DeliveryStatus.UNKNOWN, reason
        case _:
            assert_never(outcome)


def _spoken(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
