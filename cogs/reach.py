"""Whom a broadcast reaches, and by which account, as cards say it."""

from typing import Final

from bot.audience import audience_of, is_counted, is_large, size_of
from bot.broadcast import Broadcast, Status
from bot.lifecycle import Lifecycle
from bot.whop import Account
from cogs.embeds import FIELD_LIMIT, KEPT
from cogs.situation import moment
from cogs.text import fitting, inline, units

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
    audience = audience_of(lifecycle.server_of(broadcast), broadcast)
    if audience is None:
        return ["no longer in the policy"]
    lines = account_of(lifecycle, broadcast).gateway.describe(audience)
    if len(lines) > 1 and not audience.is_once:
        # First, so that it is not among what a long list leaves out.
        several = f"{len(lines)} requests: whoever is in several of these gets one push for each"
        return [several, *lines]
    return [*lines]


def size(lifecycle: Lifecycle, broadcast: Broadcast) -> str:
    """Say whom it reaches at most, as far as the policy knows, and what that asks of approvers."""
    server, counted = lifecycle.server_of(broadcast), broadcast.counted
    named = audience_of(server, broadcast)
    count = size_of(named, counted)
    if counted is not None and counted.at is not None and is_counted(named, counted):
        count += f", counted {moment(counted.at, 'f')}"
    if counted is not None and counted.repeats is not None and counted.is_done:
        left_out = f"{counted.repeats:,} repeats are spared" if counted.repeats else "each once"
        nameless = f"; {counted.nameless:,} cannot be named, and get nothing" if counted.nameless else ""
        count += f", {left_out}{nameless}"
    if counted is not None and counted.why:
        count += f" ({inline(counted.why)})"
    # What left its review meanwhile is told of no more.
    is_told = broadcast.status in {Status.REVIEW, Status.APPROVED}
    if counted is not None and counted.so_far is not None and is_told:
        count += f"; being counted: {counted.so_far:,} so far"
    large = is_large(server, broadcast)
    return f"{count}; **large**: approving it asks for its name" if large else count
