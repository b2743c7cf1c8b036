"""How many people broadcasts reach, as their rows say it, and the counts that they wait for."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from bot.broadcast import Broadcast, Status
from bot.counted import Counted
from bot.store.broadcast_rows import JOINED, gathered, kept_count
from bot.store.conditions import Deadlines, to_count
from bot.store.tables import approvals, broadcasts


class Sizes:
    """What is counted of broadcasts; it says nothing of who acted, and moves none of them on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def to_count(self, now: datetime, deadlines: Deadlines, *, limit: int) -> list[Broadcast]:
        """Return broadcasts that go out soon, the next first, and whose people were not counted for that."""
        soon = (
            select(broadcasts.c.id)
            .where(*to_count(now, deadlines))
            .order_by(broadcasts.c.due_at, broadcasts.c.id)
            .limit(limit)
        )
        return self._load(broadcasts.c.id.in_(soon))

    def wait_for(self, awaited: Mapping[int, int | None]) -> None:
        """Let each of these approved broadcasts wait for a count before it goes out; 0 if it needs none."""
        if awaited:
            self._connection.execute(
                update(broadcasts)
                .where(broadcasts.c.id == bindparam("number"), broadcasts.c.status == Status.APPROVED)
                .values(count_id=bindparam("awaited")),
                [{"number": number, "awaited": count} for number, count in awaited.items()],
            )

    def show(self, broadcast: Broadcast, counted: Counted) -> Broadcast:
        """Let a broadcast say how many people it reaches; return it so."""
        self._connection.execute(
            update(broadcasts).where(broadcasts.c.id == broadcast.id).values(counted=kept_count(counted))
        )
        return broadcast.model_copy(update={"counted": counted})

    def before_approvers(self, guild_id: int, audiences: Collection[str]) -> list[int]:
        """Return what waits for approvers, or for its time, and is for one of these audiences."""
        found = select(broadcasts.c.id).where(
            broadcasts.c.guild_id == guild_id,
            broadcasts.c.audience.in_(sorted(audiences)),
            broadcasts.c.status.in_([Status.APPROVED, Status.REVIEW]),
        )
        return [*self._connection.scalars(found)]

    def _load(self, *wanted: ColumnElement[bool]) -> list[Broadcast]:
        found = JOINED.where(*wanted).order_by(broadcasts.c.due_at, broadcasts.c.id, approvals.c.at)
        return gathered(self._connection.execute(found).mappings())
