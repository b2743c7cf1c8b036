"""What waits to be sent, without the rate and the turns of accounts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from bot.delivery import Delivery
from bot.policy.model import ACCOUNT
from bot.store import Transaction
from bot.store.conditions import Deadlines
from bot.store.tables import broadcasts

_NEVER: Final = timedelta(days=36_500)


def guilds(tx: Transaction) -> Sequence[int]:
    """Return the servers that have broadcasts."""
    return sorted(set(tx._connection.scalars(select(broadcasts.c.guild_id))))  # pyright: ignore[reportPrivateUsage]


def may_go(tx: Transaction, now: datetime) -> list[Delivery]:
    """Return what may be claimed at that time."""
    found = tx.deliveries.may_go(now, account=ACCOUNT, guild_ids=guilds(tx), limit=99)
    return [one for of_server in found for one in of_server]


def nothing_is_late(tx: Transaction, now: datetime) -> Deadlines:
    """Return deadlines that nothing of any server has passed."""
    return Deadlines(dict.fromkeys(guilds(tx), now - _NEVER), dict.fromkeys(guilds(tx), ACCOUNT), [ACCOUNT])
