"""How a card shows who has approved it, and who still could."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import discord

from bot.broadcast import Approval, Broadcast, Status
from bot.lifecycle import Lifecycle
from bot.permissions import Actor, approvers
from bot.policy.model import Policy
from bot.quorum import needed
from cogs.situation import moment
from cogs.text import fitting, inline

ABLE_LIMIT: Final = 300
HOLDERS_LIMIT: Final = 250
APPROVALS_LIMIT: Final = 900

# Names stand in cards instead of mentions: a phone that has not met a member shows a bare number.
RoleName = Callable[[int, int], str]


def add_approvals(
    lifecycle: Lifecycle,
    embed: discord.Embed,
    broadcast: Broadcast,
    role_name: RoleName,
    *,
    members: Sequence[Actor] | None = None,
) -> None:
    """Add a field of the approvals that were given, and of those that are missing."""
    server = lifecycle.server_of(broadcast)
    wanted = needed(server, broadcast)
    given = [
        f"✅ {inline(one.approver.name)} {moment(one.at, 'R')} · {_approved_what(one, broadcast)}"
        for one in broadcast.approvals
    ]
    if broadcast.lent:
        given.append(lent_to(broadcast))
    missing = wanted - broadcast.agreed
    if broadcast.status in {Status.DRAFT, Status.REVIEW} and missing > 0:
        roles = [inline(role_name(server.guild, role)) for role in server.roles.approve]
        holders = fitting(roles, HOLDERS_LIMIT, between=" or ")
        wrote = "those who write it" if broadcast.shared else "the author"
        given.append(f"{missing} more needed, from {holders}; not from {wrote}")
        if members is not None and broadcast.status is Status.REVIEW:
            given.append(
                f"Could approve it now: {_able(lifecycle.policy, broadcast, members, at=lifecycle.clock())}"
            )
    embed.add_field(
        name=f"Approvals {broadcast.agreed} of {wanted}",
        value=fitting(given, APPROVALS_LIMIT, between="\n") or "none",
        inline=False,
    )


def lent_to(broadcast: Broadcast) -> str:
    """Say what a template lends a broadcast."""
    names = fitting([inline(one.approver.name) for one in broadcast.lent], ABLE_LIMIT, between=", ")
    name = inline(broadcast.lent[0].template or "")
    return f"📄 words of the template “{name}”, which {names} approved beforehand: counts as one approval"


def _approved_what(given: Approval, broadcast: Broadcast) -> str:
    if given.series is None:
        return f"proof {broadcast.proof}"
    return f"the same words, as #{given.series} of this series"


def _able(policy: Policy, broadcast: Broadcast, members: Sequence[Actor], *, at: datetime) -> str:
    """Name those who could approve it now."""
    names = [inline(one.name) for one in approvers(policy, broadcast, members, at=at)]
    return fitting(names, ABLE_LIMIT, between=", ") if names else "nobody"
