"""What became of a request is written down: its outcome, a late answer, and what a stopped process left."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, assert_never

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
from bot.errors import Conflict
from bot.freeze import Freeze
from bot.key_trust import REFUTED, KeyTrust, excuse, recall, weigh
from bot.lifecycle import Lifecycle
from bot.sending.rate import RateLimit
from bot.store import Transaction
from bot.store.delivery_rows import Result
from bot.store.facts import Fact, begun, key_trust, not_before, reads_begun, unknown_cause, unknown_streak
from bot.testing import OF_A_LINK

log = structlog.get_logger()

# What the outcomes of an account change.
_HEEDED: Final = (key_trust, not_before, unknown_streak, unknown_cause)
_NEVER_BEGUN: Final = NoAnswer(reason="Herald never began with it", bytes_left=False)
# So many are given up in one transaction: others in the next round.
BATCH: Final = 100


class Done(NamedTuple):
    """A claimed delivery, what became of it, and what Whop answered if it was asked."""

    claim: Delivery
    outcome: Outcome
    answer: Response | NoAnswer | None = None

    def is_in(self, written: Collection[tuple[int, int]]) -> bool:
        """Tell whether it is among these, each a delivery and the number of its attempt."""
        return (self.claim.id, self.claim.attempts) in written


class Claims(NamedTuple):
    """What a process has claimed: by which name, what it still carries, and what it never began with.

    The last are attempts whose claim the database may have taken without saying so.
    """

    owner: str
    carried: Collection[int]
    never_begun: Collection[tuple[int, int]]


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
            fact(name) for name in lifecycle.accounts for fact in (key_trust, not_before, begun, reads_begun)
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
        try:
            return self._given_up(delivery, broadcast, trust)
        except Exception as error:  # noqa: BLE001 - one that cannot be judged must not keep others from being sent
            log.error("a delivery failed inside Herald", delivery=delivery.id, kind=type(error).__name__)
            why = f"a fault inside Herald ({type(error).__name__})"
            return Unknown(why) if in_doubt(delivery.past) else Rejected(why)

    def _given_up(self, delivery: Delivery, broadcast: Broadcast, trust: KeyTrust | None) -> Outcome | None:
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

    # --- what was left -------------------------------------------------------------------------------

    def abandoned(self, tx: Transaction, *, claims: Claims, outlived: str | None) -> list[Done]:
        """Return claims that nobody carries any more, and what to make of each."""
        orphans = tx.deliveries.abandoned(owner=claims.owner, carried=claims.carried, outlived=outlived)
        broadcasts = tx.broadcasts.heads({one.broadcast_id for one in orphans})
        return [
            Done(one, RetryAt(self._clock(), "the database did not say that it was claimed"), _NEVER_BEGUN)
            # Another process may have claimed it by the same number, and have begun.
            if one.owner == claims.owner and (one.id, one.attempts) in claims.never_begun
            else Done(one, self._orphaned(one, broadcasts[one.broadcast_id], self.trust(tx, one.account)))
            for one in orphans
        ]

    def _orphaned(self, orphan: Delivery, broadcast: Broadcast, trust: KeyTrust | None) -> Outcome:
        why = "Herald stopped before an answer came"
        known = self._is_known(broadcast, orphan)
        if known and not self._is_late(broadcast) and self.may_repeat(orphan, trust):
            return RetryAt(self._clock(), why)
        # However many it left, it stopped once.
        return Unknown(why, cause=orphan.owner or "")

    def settle_orphan(self, tx: Transaction, orphan: Done, *, never_left: bool) -> None:
        """Write down what became of a claim that nobody carries, and whether nothing of it ever left."""
        self.settle(tx, [orphan])
        account = self._lifecycle.accounts.get(orphan.claim.account)
        # After the broadcast, as everywhere: else two would wait for each other.
        if never_left and account:
            excuse(tx, account, (orphan.claim.id, orphan.claim.attempts))

    # --- outcomes -----------------------------------------------------------------------------------

    def record(self, tx: Transaction, done: Sequence[Done]) -> None:
        """Write down what became of claims, also of those that others have given up meanwhile."""
        for late in self.settle(tx, done):
            self._settle_late(tx, late)

    def settle(self, tx: Transaction, done: Sequence[Done], *, late: bool = False) -> list[Done]:
        """Write down outcomes; return those whose deliveries are no longer as they are given."""
        broadcasts = tx.broadcasts.heads({one.claim.broadcast_id for one in done})
        # Of what is not there, the database went back meanwhile.
        known = [
            _asked_once(one, broadcasts[one.claim.broadcast_id])
            for one in done
            if one.claim.broadcast_id in broadcasts
        ]
        results = [self._result(one, broadcasts[one.claim.broadcast_id]) for one in known]
        written = tx.deliveries.settle_all(results, at=self._clock(), late=late)
        settled = [one for one in known if one.is_in(written)]
        # All at once: whoever claims locks the same ones, and two orders would make each wait for the other.
        tx.facts.load(*(fact(one.claim.account) for one in settled for fact in _HEEDED))
        for one in settled:
            if rate_limit := self.rate_limits.get(one.claim.account):
                rate_limit.heed(tx, one.outcome, one.answer)
            if isinstance(one.outcome, RetryAt):
                self._lifecycle.note_retry(tx, broadcasts[one.claim.broadcast_id], one.outcome.reason)
        ended = {one.claim.broadcast_id for one in settled if not isinstance(one.outcome, RetryAt)}
        self._move_on(tx, [broadcasts[one] for one in sorted(ended)])
        for one in settled:
            if isinstance(one.answer, Response):
                self._weigh(tx, one.claim, one.answer)
        return [one for one in done if not one.is_in(written)]

    def _result(self, done: Done, broadcast: Broadcast) -> Result:
        status, detail = _written(done.outcome)
        answer, outcome = done.answer, done.outcome
        return Result(
            delivery=done.claim,
            status=status,
            detail=detail,
            next_at=self._in_time(outcome, broadcast) if isinstance(outcome, RetryAt) else None,
            http_status=answer.status if isinstance(answer, Response) else None,
            bytes_left=answer.bytes_left if isinstance(answer, NoAnswer) else None,
        )

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

    def _move_on(self, tx: Transaction, broadcasts: Sequence[Broadcast]) -> None:
        """Show how far each of these has come, or where all its deliveries have led it."""
        if not broadcasts:
            return
        over = tx.deliveries.results([one.id for one in broadcasts])
        alike: defaultdict[tuple[bool, Status, Step, str], list[Broadcast]] = defaultdict(list)
        for broadcast in broadcasts:
            results = over.get(broadcast.id)
            step = conclude(results.statuses) if results else None
            if results and step:
                troubles = "; ".join(results.troubles)
                alike[broadcast.is_test, broadcast.status, step, troubles].append(broadcast)
            else:
                self._lifecycle.show_progress(tx, broadcast)
        for (*_, step, detail), some in alike.items():
            self._lifecycle.advance_all(tx, some, step, detail=detail)
            for one in some:
                if one.test_of == OF_A_LINK:
                    tx.deliveries.forget_words(one.id)

    def _settle_late(self, tx: Transaction, done: Done) -> None:
        """Let the true answer to an attempt count, though others have given it up meanwhile."""
        claim, outcome, answer = done
        now = tx.deliveries.find(claim.id)
        if now is None or now.request != claim.request:
            log.error("an answer came to what the database does not know: it went back", delivery=claim.id)
            return
        if (
            isinstance(answer, NoAnswer)
            and not answer.bytes_left
            # What is pending again is so by this very answer, which the database had taken without saying so.
            and now.status is DeliveryStatus.UNKNOWN
            and not in_doubt(now.past[:-1])
        ):
            outcome = Rejected(f"nothing of it left this machine ({answer.reason})")
        log.warning("an answer came late", delivery=claim.id, outcome=type(outcome).__name__)
        if now.attempts != claim.attempts or not isinstance(outcome, Accepted | Rejected):
            return
        if now.status is DeliveryStatus.UNKNOWN or (
            now.status is DeliveryStatus.PENDING and isinstance(outcome, Accepted)
        ):
            self.settle(tx, [Done(now, outcome, answer)], late=True)
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

    def give_up_late(self, tx: Transaction) -> None:
        """Give up what waits of broadcasts that are too late, also while nothing may go."""
        late = tx.deliveries.late(self._lifecycle.deadlines(), limit=BATCH)
        broadcasts = tx.broadcasts.heads({one.broadcast_id for one in late})
        given_up = (
            Done(one, outcome)
            for one in late
            if (outcome := self.given_up(one, broadcasts[one.broadcast_id], self.trust(tx, one.account)))
        )
        self.settle(tx, [*given_up])

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


def _asked_once(done: Done, broadcast: Broadcast) -> Done:
    if isinstance(done.outcome, RetryAt) and broadcast.status is Status.UNKNOWN:
        # A person asked once, and is asked again.
        return done._replace(outcome=Unknown(done.outcome.reason, done.outcome.trouble))
    return done


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
