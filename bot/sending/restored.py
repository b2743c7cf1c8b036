"""What is done about a database that may have gone back: nothing of it goes out before people have looked.

What was lost had numbers, which stand on cards and in the record's channel: they are not given out again, or
an old card would approve other words. So all go on far enough above the highest that anybody has seen.
"""

from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog

from bot.approvals import void
from bot.audit.chain import HERALD
from bot.broadcast import OPEN, Status, Step
from bot.delivery import DeliveryStatus
from bot.errors import Conflict
from bot.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.store import Transaction
from bot.store.facts import BROADCASTS_ABOVE, REVISIONS_ABOVE
from bot.store.history import Numbers

log = structlog.get_logger()

RESTORED: Final = "the database was restored from a copy; it may have gone out since that was made"
# More than are given out in the time in which nobody has looked at the database.
BROADCASTS_SKIPPED: Final = 100
REVISIONS_SKIPPED: Final = 100
EVENTS_SKIPPED: Final = 1000
POSTS_SKIPPED: Final = 1000


def hold_everything(
    tx: Transaction, doubt: str, *, lifecycle: Lifecycle, at: datetime, given: Numbers
) -> None:
    """Keep a copy of the database from sending once more what has gone out since it was made.

    `given` are the highest numbers that anybody has seen.
    """
    log.error("sending is frozen", reason=doubt)
    # Nobody else's before cards and the record are, as everywhere: else two would wait for each other.
    waiting = tx.broadcasts.everywhere(OPEN)
    approved, reviewed, sending = (
        [one for one in waiting if one.status is status]
        for status in (Status.APPROVED, Status.REVIEW, Status.SENDING)
    )
    # Before the first post that tells of it.
    tx.outbox.skip_numbers(POSTS_SKIPPED)
    # Conflict: it is frozen already, which is all that is wanted.
    with suppress(Conflict):
        lifecycle.freeze(tx, Freeze(guild_id=None, by=HERALD, at=at, reason=doubt))
    for broadcast in approved:
        lifecycle.advance(tx, broadcast, Step.HOLD, detail=RESTORED)
    for broadcast in reviewed:
        voided = void(tx, lifecycle, broadcast, RESTORED) if broadcast.agreed else broadcast
        if broadcast.schedule and broadcast.schedule.at and broadcast.schedule.at <= at:
            # It was approved in time, perhaps.
            lifecycle.advance(tx, voided, Step.HOLD, detail=RESTORED, review_expires_at=None)
    for series in tx.series.running():
        # What it makes next may have been made, and gone out.
        tx.series.change(series, series.model_copy(update={"reason": RESTORED}))
    for broadcast in sending:
        for delivery in tx.deliveries.of(broadcast.id):
            if delivery.status in {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT}:
                tx.deliveries.settle(delivery, status=DeliveryStatus.UNKNOWN, detail=RESTORED, at=at)
        lifecycle.advance(tx, broadcast, Step.UNANSWERED, detail=RESTORED)
    tx.outbox.redraw()
    # In the record it stands before all that was only noted so far.
    _skip_numbers(tx, lifecycle, given)


def _skip_numbers(tx: Transaction, lifecycle: Lifecycle, given: Numbers) -> None:
    guilds = [server.guild for server in lifecycle.policy.servers]
    highest = tx.history.numbers(guilds).above(given)
    broadcasts = highest.broadcasts + BROADCASTS_SKIPPED
    tx.broadcasts.number_above(broadcasts)
    tx.facts.set(BROADCASTS_ABOVE, broadcasts)
    changed = [one.revision for one in tx.broadcasts.everywhere(OPEN)]
    before = tx.facts.get(REVISIONS_ABOVE) or 0
    tx.facts.set(REVISIONS_ABOVE, max([before, *changed]) + REVISIONS_SKIPPED)
    for guild in guilds:
        end = tx.audit.end(guild)
        first, above = end.sequence + 1 if end else 1, highest.events.get(guild, 0) + EVENTS_SKIPPED
        lifecycle.skip_numbers(
            tx,
            guild,
            above=above,
            detail=f"lines {first} to {above} are left out, and broadcasts up to #{broadcasts}: they may have"
            " been given out already",
        )
