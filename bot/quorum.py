"""Which approvals of a broadcast count by the rules of this moment, and how many are missing. Pure."""

from bot.audience import audience_of, is_large
from bot.broadcast import Broadcast
from bot.policy.model import Server


def counting(server: Server, broadcast: Broadcast) -> Broadcast:
    """Return it with those approvals alone that count: for a large audience, those that typed its name."""
    if not is_large(server, broadcast):
        return broadcast
    return broadcast.model_copy(
        update={
            "approvals": tuple(one for one in broadcast.approvals if one.named),
            "lent": tuple(one for one in broadcast.lent if one.named),
        }
    )


def needed(server: Server, broadcast: Broadcast) -> int:
    """Return how many approvals it needs: one more to go out in quiet hours, and one for too often."""
    more = broadcast.in_quiet_hours + broadcast.too_often
    return server.quorum_of(audience_of(server, broadcast), corrects=broadcast.corrects is not None) + more


def missing(server: Server, broadcast: Broadcast) -> int:
    """Return how many more approvals it needs."""
    return max(0, needed(server, broadcast) - counting(server, broadcast).agreed)
