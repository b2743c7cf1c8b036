"""Conditions that several questions share: what is frozen, and what is too late to be sent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, case, exists, literal, or_

from bot.store.freezes import EVERYTHING, NO_ACCOUNT
from bot.store.tables import broadcasts, freezes

# What concerns customers: whatever is listed, counted or compared leaves tests out.
NO_TEST: Final = broadcasts.c.test_of.is_(None)


def not_frozen(guild_id: ColumnElement[int], account: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a server may send by an account."""
    return ~exists().where(
        freezes.c.guild_id.in_([EVERYTHING, guild_id]), freezes.c.account.in_([NO_ACCOUNT, account])
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

    def are_passed(self) -> ColumnElement[bool]:
        """Return the condition that a broadcast is late."""
        return or_(
            broadcasts.c.guild_id.not_in(sorted(self.of_guild)),
            *(
                and_(broadcasts.c.guild_id == guild_id, broadcasts.c.due_at < moment)
                for guild_id, moment in self.of_guild.items()
            ),
        )
