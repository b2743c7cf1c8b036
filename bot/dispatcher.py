"""The loop that claims what is due, sends it once and records what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, assert_never
from uuid import uuid4

import structlog

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
)
from bot.errors import Conflict, StoreError
from bot.policy import Server
from bot.service import Service
from bot.store import Store, Transaction
from bot.whop import Transport

log = structlog.get_logger()

# How many POSTs may be under way at once.
WIDTH: Final = 4
# The database is the clock's memory: polling heals whatever a nudge has missed.
POLL_SECONDS: Final = 1.0
RECORD_AGAIN_SECONDS: Final = 2.0


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

    def stop(self) -> None:
        """Let what is in flight finish and claim nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep once, then dispatch until told to stop; trouble with the database only delays."""
        await self._until_stored(self.sweep)
        while not self._stopping.is_set():
            busy = False
            try:
                busy = await self.tick()
            except StoreError as error:
                log.error("nothing is sent while the database is in trouble", error=str(error))
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), POLL_SECONDS)

    async def tick(self) -> bool:
        """Do all that is due now, once; return whether there was anything to send."""
        await self._service.expire_reviews()
        await self._start_due()
        claims = await self._claim_due()
        await asyncio.gather(*(self._deliver(claim) for claim in claims))
        return bool(claims)

    async def sweep(self) -> None:
        """Mark claims that a stopped process left without an outcome: nobody knows what became of them.

        The lock on the data folder makes sure that no other process is still sending them.
        """
        async with self._store.reading() as tx:
            orphans = await tx.deliveries.in_flight()
        for orphan in orphans:
            await self._record(orphan, Unknown("Herald stopped before an answer came"), None)

    # --- starting ----------------------------------------------------------------------------------

    async def _start_due(self) -> None:
        async with self._store.reading() as tx:
            due = await tx.broadcasts.due(self._clock(), limit=WIDTH)
        for broadcast in due:
            # Conflict: someone stopped it in this very moment.
            with suppress(Conflict):
                async with self._store.transaction() as tx:
                    await self._start(tx, await tx.broadcasts.get(broadcast.id))

    async def _start(self, tx: Transaction, broadcast: Broadcast) -> None:
        server = self._lifecycle.policy.server(broadcast.guild_id)
        audience = server.audience(broadcast.audience) if server else None
        doubt = self._doubt(broadcast, server)
        if doubt or audience is None:
            await self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=doubt)
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
            if not await tx.deliveries.due(now, limit=1):
                return claims
        async with self._store.transaction() as tx:
            for delivery in await tx.deliveries.due(now, limit=WIDTH):
                broadcast = await tx.broadcasts.get(delivery.broadcast_id)
                server = self._lifecycle.policy.server(broadcast.guild_id)
                if server is None or self._is_late(broadcast, server):
                    why = (
                        f"it was not sent in time ({delivery.detail})"
                        if delivery.detail
                        else "it was not sent in time"
                    )
                    await self._settle(tx, delivery, Rejected(why), None)
                elif claim := await tx.deliveries.claim(delivery, at=now):
                    claims.append(claim)
        return claims

    def _is_late(self, broadcast: Broadcast, server: Server) -> bool:
        return self._clock() - (broadcast.due_at or self._clock()) > server.rules.missed_after

    async def _deliver(self, claim: Delivery) -> None:
        answer: Response | NoAnswer | None = None
        try:
            answer = await self._transport.send(claim.request)
            outcome = self._lifecycle.gateway.read(answer, attempt=claim.attempts, now=self._clock())
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
        settled = await tx.deliveries.settle(
            claim,
            status=status,
            detail=detail,
            at=self._clock(),
            next_at=outcome.at if isinstance(outcome, RetryAt) else None,
            http_status=answer.status if isinstance(answer, Response) else None,
            bytes_left=answer.bytes_left if isinstance(answer, NoAnswer) else None,
        )
        all_of_it = await tx.deliveries.of(claim.broadcast_id)
        step = conclude(one.status for one in all_of_it)
        broadcast = await tx.broadcasts.get(claim.broadcast_id)
        if settled and step is not None:
            # Each different trouble once, in the order of the requests.
            troubles = dict.fromkeys(one.detail for one in all_of_it if one.detail)
            await self._lifecycle.advance(tx, broadcast, step, detail="; ".join(troubles))
        elif settled and isinstance(outcome, RetryAt):
            await self._lifecycle.note_retry(tx, broadcast, detail)

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
