"""What waits for a moment that a clock took away again."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, update

from bot.broadcast import Status
from bot.delivery import DeliveryStatus
from bot.reminders import DAILY, DECIDED_BY_PEOPLE
from bot.store.tables import broadcasts, cards, counts, deliveries, lists, posts, refusals

# What is tried again, and whatever else ends after a while; none of it is due to anybody later than now.
_PASSING: Final = (
    (deliveries, deliveries.c.next_at, deliveries.c.status == DeliveryStatus.PENDING),
    (cards, cards.c.next_at, cards.c.wanted > cards.c.shown),
    (posts, posts.c.next_at, posts.c.done.is_(False)),
    (refusals, refusals.c.until, None),
    (counts, counts.c.next_at, counts.c.wanted_at.is_not(None)),
    (lists, lists.c.next_at, lists.c.checked_at.is_(None)),
)


class Waits:
    """Moments that were set by a clock which has been set back since."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def end(self, now: datetime, *, beyond: timedelta = timedelta()) -> None:
        """Let what is to be tried again later than that be tried now."""
        for table, column, waiting in _PASSING:
            which = [column > now + beyond, *([] if waiting is None else [waiting])]
            self._connection.execute(update(table).where(*which).values({column: now}))

    def shorten(
        self,
        guild_id: int,
        now: datetime,
        *,
        undo_window: timedelta,
        review: timedelta,
        quiet_until: Mapping[str, datetime],
    ) -> None:
        """Let a server's broadcasts wait no longer than if each had come to where it is just now.

        For some audiences what is approved now waits for the end of their quiet hours.
        """
        of_server = broadcasts.c.guild_id == guild_id
        in_review = broadcasts.c.status == Status.REVIEW
        # What has a time of its own waits for that, by whatever clock.
        undo_window_open = (broadcasts.c.status == Status.APPROVED) & broadcasts.c.scheduled_at.is_(None)
        for column, latest, waiting in (
            (
                broadcasts.c.due_at,
                now + undo_window,
                undo_window_open & broadcasts.c.audience.not_in(sorted(quiet_until)),
            ),
            *(
                (broadcasts.c.due_at, end, undo_window_open & (broadcasts.c.audience == audience))
                for audience, end in quiet_until.items()
            ),
            # How late it is.
            (broadcasts.c.due_at, now, broadcasts.c.status == Status.SENDING),
            (broadcasts.c.review_expires_at, now + review, in_review),
            (broadcasts.c.remind_at, now + review / 2, in_review),
            (broadcasts.c.remind_at, now + DAILY, broadcasts.c.status.in_(sorted(DECIDED_BY_PEOPLE))),
        ):
            self._connection.execute(
                update(broadcasts).where(column > latest, of_server, waiting).values({column: latest})
            )
