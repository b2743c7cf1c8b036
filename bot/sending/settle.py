"""What became of a request is written down: its outcome, a late answer, and what a stopped process left."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never

import structlog

from bot.audit.chain import HERALD
from bot.broadcast import Broadcast, Status
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
from bot.errors import Conflict
from bot.freeze import Freeze
from bot.key_trust import REFUTED, KeyTrust, recall, weigh
from bot.lifecycle import Lifecycle
from bot.sending.rate import RateLimit
from bot.store import Transaction
from bot.store.facts import Fact, begun, key_trust, not_before

log = structlog.get_logger()


class Settlement:
    """Write each outcome down once, and move its broadcast on when all are known."""

    def __init__(self, *, lifecycle: Lifecycle, clock: Clock, steady: Steady, watch: Watch) -> None:
        self._lifecycle = lifecycle
        self._clock = clock
        self._watch = watch
        self.rate_limits: Mapping[str, RateLimit] = {
            name: RateLimit(
                name,
                one.gateway.rate,
                clock=clock,
                steady=steady,
                watch=watch,
                alarm=partial(self._alarm, name),
            )
            for name, one in lifecycle.accounts.items()
        }
        # What is asked for at each claim, so that it can be asked for at once.
        self.facts: Sequence[Fact[Any]] = [
            fact(name) for name in lifecycle.accounts for fact in (key_trust, not_before, begun)
        ]

    # --- what may be repeated -----------------------------------------------------------------------

    def trust(self, tx: Transaction, account: str) -> KeyTrust | None:
        """Return the proof that Whop honours idempotency keys, if it holds for the account's key here."""
        found = self._lifecycle.accounts.get(account)
        return recall(tx, found) if found else None

    def may_repeat(self, delivery: Delivery, trust: KeyTrust | None) -> bool:
        """Tell whether Whop certainly still knows the request, so that a repeat reaches nobody twice."""
        return trust is not None and trust.covers(
            delivery.past, now=self._clock(), highest=self._watch.highest
        )

    def given_up(self, delivery: Delivery, broadcast: Broadcast, trust: KeyTrust | None) -> Outcome | None:
        """Return the outcome of what must not be tried again, or None."""
        # A person who asks again about an unknown one knows that it is late.
        in_time = self._is_known(broadcast, delivery) and (
            broadcast.status is Status.UNKNOWN or not self._is_late(broadcast)
        )
        why = f" ({delivery.detail})" if delivery.detail else ""
        if delivery.account not in self._lifecycle.accounts:
            why = f": there is no account “{delivery.account}” any more"
        if not in_doubt(delivery.past):
            return None if in_time else Rejected(f"it was not sent in time{why}")
        if not in_time:
            return Unknown(f"no final answer came in time{why}")
        if not self.may_repeat(delivery, trust):
            return Unknown(f"its idempotency key no longer makes a repeat safe{why}")
        return None

    # --- what others left ---------------------------------------------------------------------------

    def abandoned(
        self, tx: Transaction, *, owner: str, outlived: str | None
    ) -> list[tuple[Delivery, Outcome]]:
        """Return claims that a stopped process left without an outcome, and what to make of each."""
        orphans = tx.deliveries.abandoned(owner=owner, outlived=outlived)
        broadcasts = tx.broadcasts.heads({one.broadcast_id for one in orphans})
        return [
            (one, self._orphaned(one, broadcasts[one.broadcast_id], self.trust(tx, one.account)))
            for one in orphans
        ]

    def _orphaned(self, orphan: Delivery, broadcast: Broadcast, trust: KeyTrust | None) -> Outcome:
        why = "Herald stopped before an answer came"
        known = self._is_known(broadcast, orphan)
        if known and not self._is_late(broadcast) and self.may_repeat(orphan, trust):
            return RetryAt(self._clock(), why)
        # However many it left, it stopped once.
        return Unknown(why, cause=orphan.owner or "")

    # --- outcomes -----------------------------------------------------------------------------------

    def record(
        self, tx: Transaction, claim: Delivery, outcome: Outcome, answer: Response | NoAnswer | None
    ) -> None:
        """Write down what became of a claim, also if others have given it up meanwhile."""
        if not self.settle(tx, claim, outcome, answer):
            self._settle_late(tx, claim, outcome, answer)

    def settle(
        self,
        tx: Transaction,
        claim: Delivery,
        outcome: Outcome,
        answer: Response | NoAnswer | None = None,
        *,
        late: bool = False,
    ) -> bool:
        """Write down an outcome; return False if the delivery is no longer as it is given."""
        broadcast = tx.broadcasts.heads([claim.broadcast_id]).get(claim.broadcast_id)
        if broadcast is None:
            # The database went back meanwhile.
            return False
        if isinstance(outcome, RetryAt) and broadcast.status is Status.UNKNOWN:
            # A person asked once, and is asked again.
            outcome = Unknown(outcome.reason, outcome.trouble)
        status, detail = _written(outcome)
        settled = tx.deliveries.settle(
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
        if rate_limit := self.rate_limits.get(claim.account):
            rate_limit.heed(tx, outcome, answer)
        if isinstance(outcome, RetryAt):
            self._lifecycle.note_retry(tx, broadcast, detail)
        elif tx.deliveries.is_under_way(broadcast.id):
            self._lifecycle.show_progress(tx, broadcast)
        else:
            self._conclude(tx, broadcast)
        if isinstance(answer, Response):
            self._weigh(tx, claim, answer)
        return True

    def _weigh(self, tx: Transaction, claim: Delivery, answer: Response) -> None:
        """Say what can no longer be believed to have gone out once, and stop where the proof is refuted."""
        account = self._lifecycle.accounts.get(claim.account)
        if account is None:
            return
        finding = weigh(tx, account, claim, answer)
        for broadcast_id in finding.twice:
            self._lifecycle.doubt_once(tx, broadcast_id)
        if finding.refuted:
            self._alarm(claim.account, tx, REFUTED)

    def _conclude(self, tx: Transaction, broadcast: Broadcast) -> None:
        results = tx.deliveries.results(broadcast.id)
        step = conclude(results.statuses)
        if step is not None:
            self._lifecycle.advance(tx, broadcast, step, detail="; ".join(results.troubles))

    def _settle_late(
        self, tx: Transaction, claim: Delivery, outcome: Outcome, answer: Response | NoAnswer | None
    ) -> None:
        """Let the true answer to an attempt count, though others have given it up meanwhile."""
        now = tx.deliveries.find(claim.id)
        if now is None or now.request != claim.request:
            log.error("an answer came to what the database does not know: it went back", delivery=claim.id)
            return
        if isinstance(answer, NoAnswer) and not answer.bytes_left and not in_doubt(now.past[:-1]):
            outcome = Rejected(f"nothing of it left this machine ({answer.reason})")
        log.warning("an answer came late", delivery=claim.id, outcome=type(outcome).__name__)
        if now.attempts != claim.attempts or not isinstance(outcome, Accepted | Rejected):
            return
        if now.status is DeliveryStatus.UNKNOWN or (
            now.status is DeliveryStatus.PENDING and isinstance(outcome, Accepted)
        ):
            self.settle(tx, now, outcome, answer, late=True)
        elif now.status.value != _written(outcome)[0].value:
            said = f"{_written(outcome)[0].value}, which is not what stands on the card"
            broadcast = tx.broadcasts.head(claim.broadcast_id)
            self._lifecycle.note(tx, broadcast, HERALD, "late answer", said)

    def _alarm(self, account: str, tx: Transaction, reason: str) -> None:
        log.error("sending is frozen", account=account, reason=reason)
        # Conflict: it is frozen already, which is all that is wanted.
        with suppress(Conflict):
            # Where there is one account only, it is everything.
            only = account if len(self._lifecycle.accounts) > 1 else None
            wanted = Freeze(guild_id=None, account=only, by=HERALD, at=self._clock(), reason=reason)
            self._lifecycle.freeze(tx, wanted)

    # --- lateness -----------------------------------------------------------------------------------

    def _is_known(self, broadcast: Broadcast, delivery: Delivery) -> bool:
        """Tell whether the policy still names the server, and the account by which it was to go out."""
        known = self._lifecycle.policy.server(broadcast.guild_id) is not None
        return known and delivery.account in self._lifecycle.accounts

    def _is_late(self, broadcast: Broadcast) -> bool:
        server = self._lifecycle.server_of(broadcast)
        return self._clock() - (broadcast.due_at or self._clock()) > server.rules.missed_after

    def _in_time(self, retry: RetryAt, broadcast: Broadcast) -> datetime:
        """Return when to look at it again: to repeat it, or to give it up as soon as that is too late."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        if server is None or broadcast.due_at is None:
            return retry.at
        return min(retry.at, broadcast.due_at + server.rules.missed_after + timedelta(seconds=1))


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
