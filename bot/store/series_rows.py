"""Series as rows, one for each first broadcast."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, insert, select, update

from bot.notification import Notification
from bot.schedule import Schedule
from bot.series import AHEAD, Every, Series, SeriesStatus
from bot.store.tables import series
from bot.value import Person

_STANDING: Final = sorted({SeriesStatus.RUNNING, SeriesStatus.PAUSED})


class SeriesRows:
    """Series as rows; every change names the version it expects."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, one: Series) -> None:
        """Store a new series."""
        self._connection.execute(insert(series), [_row(one)])

    def find(self, first: int) -> Series | None:
        """Return the series that began with that broadcast, if one did."""
        row = self._connection.execute(select(series).where(series.c.first == first)).mappings().first()
        return _series(row) if row else None

    def standing(self, guild_id: int, *, limit: int) -> list[Series]:
        """Return what has not ended of a server's series, the newest first."""
        rows = self._connection.execute(
            select(series)
            .where(series.c.guild_id == guild_id, series.c.status.in_(_STANDING))
            .order_by(series.c.first.desc())
            .limit(limit)
        )
        return [_series(row) for row in rows.mappings()]

    def due(self, now: datetime, *, limit: int) -> list[Series]:
        """Return those whose next occurrence is to be made, the longest waiting first."""
        rows = self._connection.execute(
            select(series).where(series.c.make_at <= now).order_by(series.c.make_at).limit(limit)
        )
        return [_series(row) for row in rows.mappings()]

    def running(self) -> list[Series]:
        """Return all servers' series of which something is still to be made."""
        rows = self._connection.execute(select(series).where(series.c.make_at.is_not(None)))
        return [_series(row) for row in rows.mappings()]

    def change(self, before: Series, after: Series) -> Series | None:
        """Replace a series that is still as `before` says; return it as it is now, None if it was not."""
        changed = after.model_copy(update={"version": before.version + 1})
        done = self._connection.execute(
            update(series)
            .where(series.c.first == before.first, series.c.version == before.version)
            .values(_row(changed))
        )
        return changed if done.rowcount == 1 else None


def _row(one: Series) -> Mapping[str, object]:
    makes = one.status is SeriesStatus.RUNNING and one.next_at is not None
    return {
        **{name: getattr(one, name) for name in _PLAIN},
        "author_id": one.author.id,
        "author_name": one.author.name,
        "notification": one.notification.model_dump_json(),
        "schedule": one.schedule.model_dump_json(),
        "make_at": one.next_at - AHEAD if makes and one.next_at else None,
    }


def _series(row: RowMapping) -> Series:
    return Series(
        **{name: row[name] for name in _PLAIN if name not in {"every", "status"}},
        every=Every(row["every"]),
        status=SeriesStatus(row["status"]),
        author=Person(row["author_id"], row["author_name"]),
        notification=Notification.model_validate_json(row["notification"]),
        schedule=Schedule.model_validate_json(row["schedule"]),
    )


_PLAIN: Final = (
    "first",
    "guild_id",
    "audience",
    "every",
    "times",
    "until",
    "made",
    "next_at",
    "status",
    "reason",
    "origin_channel_id",
    "version",
)
