"""The loop that claims what is due, sends it once and records what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, assert_never
from uuid import uuid4

import structlog

from bot.audit import HERALD
from bot.broadcast import Broadcast, Step
from bot.clock import Clock
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
from bot.freeze import Freeze
from bot.policy import Server
from bot.proof import Credential, Proof, recall
from bot.service import Service
from bot.store import Store, Transaction
from bot.whop import Transport

log = structlog.get_logger()

# How many POSTs may be under way at once.
WIDTH: Final = 4
# How many are looked at in one round: what a freeze holds back must not hide what it does not.
BATCH: Final = 100
# So many sends in a row without a known answer mean that something is wrong.
UNKNOWNS_TO_FREEZE: Final = 3
# The database is the clock's memory: polling heals whatever a nudge has missed.
POLL_SECONDS: Final = 1.0
CROWDED_POLL_SECONDS: Final = 0.1
RECORD_AGAIN_SECONDS: Final = 2.0
# After a 5xx that is not repeated, for whatever is sent next.
PAUSE: Final = timedelta(seconds=10)


_STREAK: Final = "unknown answers in a row"
_NOT_BEFORE: Final = "no request before"


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
        clock: Clock,
        bell: asyncio.Event,
        credential: Credential | None = None,
        new_key: Callable[[], str] = _new_key,
    ) -> None:
        self._store = store
        self._service = service
        self._lifecycle = service.lifecycle
        self._transport = transport
        self._clock = clock
        self._bell = bell
        self._new_key = new_key
        self._stopping = asyncio.Event()
        self._credential = credential
        self._proof: Proof | None = None

    def stop(self) -> None:
        """Let what is in flight finish and claim nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep once, then dispatch until told to stop; trouble with the database only delays."""
        await self._until_stored(self.sweep)
        if self._credential and self._credential.version_date:
            log.info("Whop's idempotency keys", proven=self._proof is not None)
        while not self._stopping.is_set():
            busy = False
            try:
                busy = await self.tick()
            except StoreError as error:
                log.error("nothing is sent while the database is in trouble", error=str(error))
            if not busy:
                # Where work waits for Whop's rate, the next place is free within moments.
                pause = CROWDED_POLL_SECONDS if self._crowded else POLL_SECONDS
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    async def tick(self) -> bool:
        """Do all that is due now, once; return whether there was anything to send."""
        await self._service.expire_reviews()
        await self._start_due()
        claims = await self._claim_due()
        await asyncio.gather(*(self._deliver(claim) for claim in claims))
        return bool(claims)

    async def sweep(self) -> None:
        """Settle claims that a stopped process left without an outcome: nobody knows what became of them.

        The lock on the database makes sure that no other process is still sending them.
        """
        async with self._store.reading() as tx:
            self._proof = await self._recall(tx)
            orphans = await tx.deliveries.in_flight()
            outcomes = [await self._orphaned(tx, orphan) for orphan in orphans]
        for orphan, outcome in zip(orphans, outcomes, strict=True):
            await self._record(orphan, outcome, None)

    async def _orphaned(self, tx: Transaction, orphan: Delivery) -> Outcome:
        why = "Herald stopped before an answer came"
        broadcast = await tx.broadcasts.get(orphan.broadcast_id)
        server = self._lifecycle.policy.server(broadcast.guild_id)
        if server and not self._is_late(broadcast, server) and self._may_repeat(orphan):
            return RetryAt(self._clock(), why)
        return Unknown(why)

    async def _recall(self, tx: Transaction) -> Proof | None:
        return await recall(tx, self._credential) if self._credential else None

    def _may_repeat(self, delivery: Delivery) -> bool:
        """Tell whether Whop certainly still knows the request, so that a repeat reaches nobody twice."""
        return self._proof is not None and self._proof.covers(delivery.past, now=self._clock())

    # --- starting ----------------------------------------------------------------------------------

    async def _start_due(self) -> None:
        async with self._store.reading() as tx:
            due = await tx.broadcasts.due(self._clock(), limit=BATCH)
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
        doubt = self._doubt(broadcast, server)
        if doubt or audience is None:
            await self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=doubt)
            return
        if await tx.freezes.over(broadcast.guild_id):
            return
        gateway = self._lifecycle.gateway
        requests = gateway.freeze(broadcast.notification, audience.targets, new_key=self._new_key)
        await tx.deliveries.add(broadcast.id, requests, at=self._clock())
        await self._lifecycle.advance(tx, broadcast, Step.START)

    def _doubt(self, broadcast: Broadcast, server: Server | None) -> str:
        """Return why it must not be sent without a person, or nothing."""
        if server is None:
            return "the policy no longer names this server"
        late = self._clock() - (broadcast.due_at or self._clock())
        if late > server.rules.missed_after:
            return f"it was due {_spoken(late)} ago and has been missed"
        if not self._lifecycle.is_unchanged(broadcast):
            return "what it would send is no longer what was approved: the policy or the address has changed"
        if len(broadcast.approvals) < server.quorum(broadcast.audience):
            return "it has fewer approvals than the policy asks for now"
        if any(one.approver.id in {broadcast.author.id, *broadcast.editors} for one in broadcast.approvals):
            return "it was approved by someone who wrote it"
        if lacking := self._lifecycle.shortcomings(broadcast):
            return lacking[0]
        return ""

    # --- sending -----------------------------------------------------------------------------------

    async def _claim_due(self) -> list[Delivery]:
        """Commit the claims before anything is sent: a claim without an outcome is never sent again."""
        claims: list[Delivery] = []
        now = self._clock()
        async with self._store.reading() as tx:
            self._crowded = bool(await tx.deliveries.due(now, limit=1))
        if not self._crowded:
            return claims
        async with self._store.transaction() as tx:
            self._proof = await self._recall(tx)
            room = await self._room(tx, now)
            for delivery in await tx.deliveries.due(now, limit=BATCH):
                broadcast = await tx.broadcasts.get(delivery.broadcast_id)
                server = self._lifecycle.policy.server(broadcast.guild_id)
                if server is None or self._is_late(broadcast, server):
                    await self._settle(tx, delivery, _given_up(delivery), None)
                elif in_doubt(delivery.past) and not self._may_repeat(delivery):
                    why = f"its idempotency key no longer makes a repeat safe ({delivery.detail})"
                    await self._settle(tx, delivery, Unknown(why), None)
                elif len(claims) >= room or await tx.freezes.over(broadcast.guild_id):
                    continue
                elif claim := await tx.deliveries.claim(delivery, at=now):
                    claims.append(claim)
        return claims

    async def _room(self, tx: Transaction, now: datetime) -> int:
        """Return how many requests may start now: within Whop's rate, and only one after a pause.

        The attempts in the database are the limiter's memory, so that a restart cannot burst.
        """
        pause = await tx.fact(_NOT_BEFORE)
        if pause and now < datetime.fromisoformat(pause):
            return 0
        rate = self._lifecycle.gateway.rate
        left = rate.requests - await tx.deliveries.started_since(now - rate.per)
        return min(left, 1 if pause else WIDTH)

    def _is_late(self, broadcast: Broadcast, server: Server) -> bool:
        return self._clock() - (broadcast.due_at or self._clock()) > server.rules.missed_after

    def _in_time(self, retry: RetryAt, broadcast: Broadcast) -> datetime:
        """Return when to look at it again: to repeat it, or to give it up as soon as that is too late."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        if server is None or broadcast.due_at is None:
            return retry.at
        return min(retry.at, broadcast.due_at + server.rules.missed_after + timedelta(seconds=1))

    async def _deliver(self, claim: Delivery) -> None:
        answer: Response | NoAnswer | None = None
        try:
            answer = await self._transport.send(claim.request)
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
            delivery=claim.position,
            attempt=claim.attempts,
            outcome=type(outcome).__name__,
            reason=getattr(outcome, "reason", ""),
        )
        await self._until_stored(lambda: self._record(claim, outcome, answer))

    async def _record(self, claim: Delivery, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        async with self._store.transaction() as tx:
            await self._settle(tx, claim, outcome, answer)
        self._bell.set()

    async def _settle(
        self, tx: Transaction, claim: Delivery, outcome: Outcome, answer: Response | NoAnswer | None
    ) -> None:
        status, detail = _written(outcome)
        broadcast = await tx.broadcasts.get(claim.broadcast_id)
        settled = await tx.deliveries.settle(
            claim,
            status=status,
            detail=detail,
            at=self._clock(),
            next_at=self._in_time(outcome, broadcast) if isinstance(outcome, RetryAt) else None,
            http_status=answer.status if isinstance(answer, Response) else None,
            bytes_left=answer.bytes_left if isinstance(answer, NoAnswer) else None,
        )
        if settled:
            await self._watch(tx, outcome, answer)
        all_of_it = await tx.deliveries.of(claim.broadcast_id)
        step = conclude(one.status for one in all_of_it)
        if settled and step is not None:
            # Each different trouble once, in the order of the requests.
            troubles = dict.fromkeys(one.detail for one in all_of_it if one.detail)
            await self._lifecycle.advance(tx, broadcast, step, detail="; ".join(troubles))
        elif settled and isinstance(outcome, RetryAt):
            await self._lifecycle.note_retry(tx, broadcast, detail)

    async def _watch(self, tx: Transaction, outcome: Outcome, answer: Response | NoAnswer | None) -> None:
        """Pause where Whop is overloaded; freeze everything where going on would be wrong."""
        if isinstance(answer, Response):
            await self._pace(tx, outcome, answer)
        if isinstance(answer, Response) and answer.status in {401, 403}:
            await self._alarm(tx, f"Whop refuses the API key (it answered {answer.status})")
        if isinstance(outcome, Unknown) and outcome.alarm:
            await self._alarm(tx, f"Herald is at fault: {outcome.reason}")
        if isinstance(outcome, RetryAt):
            return
        streak = int(await tx.fact(_STREAK) or 0) + 1 if isinstance(outcome, Unknown) else 0
        await tx.remember(_STREAK, str(streak))
        if streak == UNKNOWNS_TO_FREEZE:
            await self._alarm(tx, f"{streak} sends in a row got no known answer from Whop")

    async def _pace(self, tx: Transaction, outcome: Outcome, answer: Response) -> None:
        """Let all requests wait after a 429 or 5xx, then send one to see whether it is over."""
        if answer.status == 429 or answer.status >= 500:
            again = outcome.at if isinstance(outcome, RetryAt) else self._clock() + PAUSE
            await tx.remember(_NOT_BEFORE, again.isoformat())
        elif (pause := await tx.fact(_NOT_BEFORE)) and self._clock() >= datetime.fromisoformat(pause):
            # What was under way when the pause began says nothing about its end.
            await tx.remember(_NOT_BEFORE, "")

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


def _given_up(delivery: Delivery) -> Outcome:
    """Return the outcome of what is too late to be tried again."""
    why = f" ({delivery.detail})" if delivery.detail else ""
    if in_doubt(delivery.past):
        return Unknown(f"no final answer came in time{why}")
    return Rejected(f"it was not sent in time{why}")


def _spoken(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
