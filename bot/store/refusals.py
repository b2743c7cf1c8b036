"""What people are refused again and again, while it goes on."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, select, update

from bot.refusals import Streak
from bot.store.members import insert_of
from bot.store.tables import refusals
from bot.value import Person

# So many people's streaks are ended in one transaction.
ENDED_AT_ONCE: Final = 50


class Refusals:
    """One row for each person who was refused something a moment ago."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, guild_id: int, person: Person, *, at: datetime) -> Streak:
        """Return the person's streak, which nobody else changes before the end, or a new one."""
        begun = Streak(guild_id=guild_id, person=person, since=at, last=at)
        new = insert_of(self._connection)(refusals).values(_row(begun))
        locked = new.on_conflict_do_update(
            index_elements=["guild_id", "user_id"], set_={"user_name": new.excluded.user_name}
        ).returning(refusals)
        return _streak(self._connection.execute(locked).mappings().one())

    def keep(self, streak: Streak) -> None:
        """Keep a streak as it goes on."""
        self._connection.execute(update(refusals).where(*_is(streak)).values(_row(streak)))

    def standing(self) -> list[Streak]:
        """Return the streaks that go on, or that nobody has ended yet."""
        rows = self._connection.execute(select(refusals).order_by(refusals.c.guild_id, refusals.c.user_id))
        return [_streak(row) for row in rows.mappings()]

    def end(self, now: datetime) -> list[Streak]:
        """Forget some of the streaks that are over, and return them."""
        rows = self._connection.execute(
            select(refusals)
            .where(refusals.c.until <= now)
            .order_by(refusals.c.guild_id, refusals.c.user_id)
            .limit(ENDED_AT_ONCE)
            # Whoever is refused once more at this moment goes on from it.
            .with_for_update(skip_locked=True)
        )
        over = [_streak(row) for row in rows.mappings()]
        for streak in over:
            self._connection.execute(delete(refusals).where(*_is(streak)))
        return over


def _is(streak: Streak) -> Any:
    return refusals.c.guild_id == streak.guild_id, refusals.c.user_id == streak.person.id


def _row(streak: Streak) -> dict[str, Any]:
    return {
        "guild_id": streak.guild_id,
        "user_id": streak.person.id,
        "user_name": streak.person.name,
        "since": streak.since,
        "last": streak.last,
        "count": streak.count,
        "until": streak.until,
    }


def _streak(row: RowMapping) -> Streak:
    return Streak(
        guild_id=row["guild_id"],
        person=Person(row["user_id"], row["user_name"]),
        since=row["since"],
        last=row["last"],
        count=row["count"],
    )
