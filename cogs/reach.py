"""Whom a broadcast reaches, and by which account, as cards say it."""

from typing import Final

from bot.broadcast import Broadcast
from bot.lifecycle import Lifecycle
from bot.whop import Account
from cogs.embeds import FIELD_LIMIT, KEPT
from cogs.text import fitting, units

REACH_LIMIT: Final = 700


def account_of(lifecycle: Lifecycle, broadcast: Broadcast) -> Account:
    """Return the account by which it goes out."""
    return lifecycle.account_of(lifecycle.server_of(broadcast))


def listed_reach(lifecycle: Lifecycle, broadcast: Broadcast, named: str) -> str:
    """Return whom it reaches, as far as there is room for it below the audience's name."""
    room = min(REACH_LIMIT, FIELD_LIMIT - units(named) - 1)
    return fitting([f"• {line}" for line in reach(lifecycle, broadcast)], room, between="\n")


def reach(lifecycle: Lifecycle, broadcast: Broadcast) -> list[str]:
    """Return a line for each request, of which each alone has room on a card."""
    lines = whole_reach(lifecycle, broadcast)
    return [fitting(line.split("; "), REACH_LIMIT - KEPT, between="; ") for line in lines]


def whole_reach(lifecycle: Lifecycle, broadcast: Broadcast) -> list[str]:
    """Return a line for each request, however long."""
    audience = lifecycle.server_of(broadcast).audience(broadcast.audience)
    if audience is None:
        return ["no longer in the policy"]
    lines = account_of(lifecycle, broadcast).gateway.describe(audience.targets)
    if len(lines) > 1:
        # First, so that it is not among what a long list leaves out.
        several = f"{len(lines)} requests: whoever is in several of these gets one push for each"
        return [several, *lines]
    return [*lines]


def size(lifecycle: Lifecycle, broadcast: Broadcast) -> str:
    """Say whom it reaches at most, as far as the policy knows, and what that asks of approvers."""
    server = lifecycle.server_of(broadcast)
    named = server.audience(broadcast.audience)
    at_most = named.reach() if named else None
    count = "of unknown size" if at_most is None else f"up to about {people(at_most)}"
    large = server.is_large(broadcast.audience)
    return f"{count}; **large**: approving it asks for its name" if large else count


def people(count: int) -> str:
    """Return a number of people in words."""
    return "1 person" if count == 1 else f"{count:,} people"
