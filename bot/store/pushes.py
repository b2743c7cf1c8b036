"""What went out to whom and when, or is about to: read without what it says."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Date, RowMapping, func, or_, select, union_all

from bot.broadcast import Place, Status
from bot.frequency_rules import Nearby
from bot.store import postgresql
from bot.store.broadcast_rows import CARD
from bot.store.tables import attempts, broadcasts, deliveries

_OPEN: Final = sorted({Status.REVIEW, Status.APPROVED, Status.SENDING})
_GONE: Final = sorted({Status.SENT, Status.PARTIAL, Status.UNKNOWN})
# When the first byte of the first request could leave.
_BEGAN: Final = (
    select(attempts.c.started_at)
    .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
    .where(deliveries.c.broadcast_id == broadcasts.c.id, deliveries.c.position == 1, attempts.c.number == 1)
    .correlate(broadcasts)
    .scalar_subquery()
)


class Pushes:
    """Broadcasts as far as it matters when they reach people; tests to one person are none."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking

    def start_alone(self, guild_id: int) -> None:
        """Wait until nobody else starts anything in a server, so that two at once never count the same."""
        if self._locking and self._connection.dialect.name == "postgresql":
            postgresql.lock_starting(self._connection, guild_id)

    def lately(
        self, guild_id: int, audiences: Collection[str], *, author_id: int | None, since: datetime
    ) -> list[Nearby]:
        """Return what went out since then for these audiences, or by that author, and all that is open.

        The newest first.
        """
        whose = [broadcasts.c.audience.in_(sorted(audiences))]
        whose += [] if author_id is None else [broadcasts.c.author_id == author_id]
        mine = (broadcasts.c.guild_id == guild_id, broadcasts.c.test_of.is_(None), or_(*whose))
        # By the index of days: whatever went out since then has changed since then.
        changed = func.date(broadcasts.c.updated_at, type_=Date)
        gone = (broadcasts.c.status.in_(_GONE), changed >= since.astimezone(UTC).date())
        ids = union_all(
            select(broadcasts.c.id).where(*mine, broadcasts.c.status.in_(_OPEN)),
            select(broadcasts.c.id).where(*mine, *gone),
        )
        rows = self._connection.execute(
            select(*(broadcasts.c[name] for name in _COLUMNS), _BEGAN.label("began"), CARD)
            .where(broadcasts.c.id.in_(ids))
            .order_by(broadcasts.c.id.desc())
        )
        found = [_nearby(row) for row in rows.mappings()]
        return [one for one in found if not one.is_gone or (one.at is not None and one.at >= since)]

    def under_review(self, guild_id: int, audiences: Collection[str]) -> list[int]:
        """Return the numbers of what waits for its approvals, or for its time, for these audiences."""
        wanted = select(broadcasts.c.id).where(
            broadcasts.c.guild_id == guild_id,
            broadcasts.c.status.in_(sorted({Status.REVIEW, Status.APPROVED})),
            broadcasts.c.audience.in_(sorted(audiences)),
        )
        return list(self._connection.scalars(wanted))


def _nearby(row: RowMapping) -> Nearby:
    status = Status(row["status"])
    at = {Status.APPROVED: row["due_at"], Status.REVIEW: row["scheduled_at"]}
    return Nearby(
        id=row["id"],
        guild_id=row["guild_id"],
        audience=row["audience"],
        author_id=row["author_id"],
        status=status,
        # What was recorded as sent on somebody's word may have no attempt of ours.
        at=at[status] if status in at else row["began"] or row["updated_at"],
        corrects=row["corrects"],
        card=Place(*map(int, row["card"].split(":"))) if row["card"] else None,
    )


_COLUMNS: Final = (
    "id",
    "guild_id",
    "audience",
    "author_id",
    "status",
    "due_at",
    "scheduled_at",
    "updated_at",
    "corrects",
)
