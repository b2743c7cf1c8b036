"""What the same people got lately, and what its author sent: looked up for a broadcast and its card."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bot.agenda import together
from bot.broadcast import Broadcast
from bot.frequency import Limit
from bot.frequency_rules import NOTHING_LATELY, Lately, is_limited
from bot.lifecycle import Lifecycle
from bot.policy.model import Server
from bot.repeats import corrected_by
from bot.store import Transaction

# A day is as long where clocks are set back, and two hours in the few places where they are set by two.
DAY: Final = timedelta(hours=26)


def lately_of(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> Lately:
    """Return what went out to some of the same people, or by its author, or is open; not what it corrects."""
    server = lifecycle.policy.server(broadcast.guild_id)
    if server is None:
        return NOTHING_LATELY
    own = _own_limits(tx, server, broadcast)
    longest = max((one.cool_down for one in (server.limit_of(broadcast.audience), *own)), default=DAY)
    names = together(server, broadcast.audience)
    found = tx.pushes.lately(
        server.guild,
        sorted(names),
        author_id=broadcast.author.id if own else None,
        since=lifecycle.clock() - max(longest, DAY),
    )
    known = corrected_by(broadcast, found)
    others = [one for one in found if one.id not in known]
    return Lately(
        [one for one in others if one.audience in names],
        [one for one in others if own and one.author_id == broadcast.author.id],
        own,
    )


def limited_lately(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> Lately:
    """Return the same where the policy limits how often it goes out; nothing is asked where it does not."""
    server = lifecycle.policy.server(broadcast.guild_id)
    if server is None or not is_limited(server, broadcast):
        return NOTHING_LATELY
    return lately_of(tx, lifecycle, broadcast)


def _own_limits(tx: Transaction, server: Server, broadcast: Broadcast) -> Sequence[Limit]:
    if not server.caps:
        return []
    seen = tx.members.of(server.guild, {broadcast.author.id}).get(broadcast.author.id)
    return server.limits_by_roles((seen.roles if seen else None) or frozenset())
