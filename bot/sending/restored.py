"""What is done about a database that may have gone back: nothing of it goes out before people have looked."""

from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog

from bot.audit.chain import HERALD
from bot.broadcast import Status, Step
from bot.delivery import DeliveryStatus
from bot.errors import Conflict
from bot.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.store import Transaction

log = structlog.get_logger()

RESTORED: Final = "the database was restored from a copy; it may have gone out since that was made"


def hold_everything(tx: Transaction, doubt: str, *, lifecycle: Lifecycle, at: datetime) -> None:
    """Keep a copy of the database from sending once more what has gone out since it was made."""
    log.error("sending is frozen", reason=doubt)
    # Conflict: it is frozen already, which is all that is wanted.
    with suppress(Conflict):
        lifecycle.freeze(tx, Freeze(guild_id=None, by=HERALD, at=at, reason=doubt))
    for broadcast in tx.broadcasts.everywhere(Status.APPROVED):
        lifecycle.advance(tx, broadcast, Step.HOLD, detail=RESTORED)
    for broadcast in tx.broadcasts.everywhere(Status.SENDING):
        for delivery in tx.deliveries.of(broadcast.id):
            if delivery.status in {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT}:
                tx.deliveries.settle(delivery, status=DeliveryStatus.UNKNOWN, detail=RESTORED, at=at)
        lifecycle.advance(tx, broadcast, Step.UNANSWERED, detail=RESTORED)
