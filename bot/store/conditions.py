"""Conditions that several questions share: what is frozen, and what is too late to be sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, literal, or_

from bot.broadcast import Status
from bot.store.freezes import EVERYTHING, NO_ACCOUNT
from bot.store.tables import broadcasts, counts, freezes

# How long before it goes out it is counted whom a broadcast reaches.
LEAD: Final = timedelta(minutes=5)

# What concerns customers: whatever is listed, counted or compared leaves tests out.
NO_TEST: Final = broadcasts.c.test_of.is_(None)


def not_frozen(guild_id: ColumnElement[int], account: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a server may send by an account."""
    return ~exists().where(
        freezes.c.guild_id.in_([EVERYTHING, guild_id]), freezes.c.account.in_([NO_ACCOUNT, account])
    )


def database_time(connection: Connection, after: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the time by the database's clock, which all processes share, or so much after it."""
    if connection.dialect.name == "postgresql":
        return func.timezone("UTC", func.clock_timestamp()) + after
    # As the driver writes a moment, down to the microsecond.
    later = f"{after.total_seconds():+.3f} seconds"
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", later)


def is_counted() -> ColumnElement[bool]:
    """Return the condition that the people whom a broadcast reaches were counted for its start."""
    under_way = exists().where(counts.c.id == broadcasts.c.count_id, counts.c.wanted_at.is_not(None))
    return and_(broadcasts.c.count_id.is_not(None), ~under_way)


def to_count(now: datetime, deadlines: "Deadlines") -> Sequence[ColumnElement[bool]]:
    """Return the conditions that it is time to count whom a broadcast reaches, just before it goes out."""
    return (
        broadcasts.c.status == Status.APPROVED,
        broadcasts.c.due_at <= now + LEAD,
        broadcasts.c.count_id.is_(None),
        deadlines.or_not_frozen(),
    )


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What of each server of the policy was due before that moment is late; of any other server all is.

    `account_of` names the account by which each server sends, `accounts` all by which anything can be sent.
    """

    of_guild: Mapping[int, datetime]
    account_of: Mapping[int, str]
    accounts: Collection[str]

    def or_not_frozen(self) -> ColumnElement[bool]:
        """Return the condition that a broadcast may go out, or is too late to wait for that."""
        guild_id = broadcasts.c.guild_id
        account = case(self.account_of, value=guild_id, else_=NO_ACCOUNT) if self.account_of else literal("")
        return or_(not_frozen(guild_id, account), self.are_passed())

    def or_counted(self) -> ColumnElement[bool]:
        """Return the condition that a broadcast has nothing to wait for, or is too late to wait."""
        return and_(self.or_not_frozen(), or_(is_counted(), self.are_passed()))

    def are_passed(self) -> ColumnElement[bool]:
        """Return the condition that a broadcast is late."""
        return or_(
            broadcasts.c.guild_id.not_in(sorted(self.of_guild)),
            *(
                and_(broadcasts.c.guild_id == guild_id, broadcasts.c.due_at < moment)
                for guild_id, moment in self.of_guild.items()
            ),
        )
