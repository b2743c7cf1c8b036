"""The count at the end of a trial: what is on record beside what was pushed."""

import json
from collections import Counter
from collections.abc import Collection, Sequence

from bot.broadcast import TWICE, Broadcast, Status
from bot.delivery import Delivery, DeliveryStatus
from bot.key_trust import REFUTED_BY
from bot.policy.model import ACCOUNT
from bot.sending.claiming import REPEATS
from bot.store import Access, Store, Transaction
from bot.store.facts import key_trust
from tests.crash.fault_server import identity
from tests.crash.tally import Tally

UNDER_WAY = frozenset({Status.APPROVED, Status.SENDING})
# What a stale proof may cost while nobody is killed: what refutes it, and what is repeated at the same time.
COST = REFUTED_BY + REPEATS


def compared(store: Store, pushed: Counter[str], *, honoured: bool, unheard: int, copied: bool) -> Tally:
    """Compare what the database says with how often each request was pushed.

    `unheard` is how many processes were killed while they could repeat what was in doubt: nobody learns what
    their repeats cost. Where the database is `copied` from earlier times, it does not know all that was
    pushed, and nothing at all may be pushed twice.
    """
    tally = Tally(pushed=len(pushed))
    if copied:
        tally += Tally(doubled=sum(times > 1 for times in pushed.values()))
    with store.begin(Access.READ) as tx:
        trusted = tx.facts.get(key_trust(ACCOUNT))
        suspected = trusted.taken_as_new if trusted else ()
        for status in Status:
            for broadcast in tx.broadcasts.everywhere({status}):
                deliveries = tx.deliveries.of(broadcast.id)
                counted = [(one, pushed.pop(name(one), 0)) for one in deliveries]
                told = broadcast.id in suspected or TWICE in _actions(tx, broadcast)
                tally += _of(broadcast, counted, told=told)
    tally += Tally(doubled=max(0, tally.told - COST - REPEATS * unheard))
    # Nobody approved what is left.
    tally += Tally(doubled=0 if copied else len(pushed))
    return tally + Tally(needless=tally.unknown if honoured else 0)


def named(store: Store, audience: str, expected: Collection[str]) -> Tally:
    """Compare whom the requests of an audience name with who is in it, broadcast by broadcast."""
    tally = Tally()
    with store.begin(Access.READ) as tx:
        for broadcast in tx.broadcasts.everywhere(set(Status)):
            deliveries = tx.deliveries.of(broadcast.id) if broadcast.audience == audience else []
            users = Counter(user for one in deliveries for user in json.loads(one.request.body)["user_ids"])
            if users:
                tally += Tally(
                    doubled=sum(times > 1 for times in users.values()) + len(users.keys() - {*expected}),
                    lost=len({*expected} - users.keys()),
                )
    return tally


def name(delivery: Delivery) -> str:
    """Return the name under which a delivery's request is counted."""
    return identity(delivery.request.body)


def _actions(tx: Transaction, broadcast: Broadcast) -> set[str]:
    return {event.action for event in tx.audit.told([broadcast.id], [TWICE])[broadcast.id]}


def _of(broadcast: Broadcast, counted: Sequence[tuple[Delivery, int]], *, told: bool) -> Tally:
    def many(status: DeliveryStatus, *, pushed: bool) -> int:
        return sum(one.status is status and (times > 0) is pushed for one, times in counted)

    twice = [one for one, times in counted if times > 1]
    # Of what is unknown nobody says that it arrived once.
    silent = [one for one in twice if not told and one.status is not DeliveryStatus.UNKNOWN]
    return Tally(
        broadcasts=1,
        doubled=len(silent),
        told=len(twice) if told else 0,
        lost=int(broadcast.status in {Status.DRAFT, Status.REVIEW}),
        stuck=int(broadcast.status in UNDER_WAY),
        false_sent=many(DeliveryStatus.ACCEPTED, pushed=False)
        + int(broadcast.status is Status.SENT and not counted),
        false_failed=many(DeliveryStatus.REJECTED, pushed=True),
        held=int(broadcast.status is Status.HELD),
        unknown=many(DeliveryStatus.UNKNOWN, pushed=True) + many(DeliveryStatus.UNKNOWN, pushed=False),
    )
