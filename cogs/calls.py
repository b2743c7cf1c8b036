"""Who is mentioned, so that whoever has to act learns of it: those whose turn it is, as the policy says."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import discord

from bot.broadcast import Broadcast, Status
from bot.permissions import Actor, approvers
from bot.policy.model import Policy, Server
from cogs.situation import moment
from cogs.text import inline, numbered, shorten

# Where no more than so many could approve it, they are called instead of all who hold the role.
FEW: Final = 3


class Called(NamedTuple):
    """Who is mentioned: as a text that ends with a space, and as what may be pinged by it."""

    text: str
    mentions: discord.AllowedMentions


NOBODY: Final = Called("", discord.AllowedMentions.none())


def call_approvers(
    policy: Policy, broadcast: Broadcast, members: Sequence[Actor] | None, *, at: datetime
) -> Called:
    """Mention those who could approve it now: these people if they are few and known, else the roles."""
    server = policy.server(broadcast.guild_id)
    if server is None or server.notify.review is False:
        return NOBODY
    if server.notify.review is True and members is not None:
        able = approvers(policy, broadcast, members, at=at)
        if len(able) <= FEW:
            return _people(one.id for one in able)
    return call_holders(server)


def call_holders(server: Server) -> Called:
    """Mention the roles of those who may approve, whoever of them has given a yes already."""
    if server.notify.review is False:
        return NOBODY
    return _roles(server.roles.approve if server.notify.review is True else server.notify.review)


def call_operators(server: Server | None) -> Called:
    """Mention those who decide what is in trouble."""
    if server is None or server.notify.trouble is False:
        return NOBODY
    return _roles(server.roles.operate if server.notify.trouble is True else server.notify.trouble)


def asks_for_approval(broadcast: Broadcast) -> str:
    """Return what a review card says first: on a phone it is all that the notification shows."""
    return f"**{numbered(broadcast)}** for **{inline(broadcast.audience)}** waits for your approval."


def tells_of_loan(broadcast: Broadcast) -> str:
    """Return what the card of a broadcast says first for which nobody was asked."""
    name = inline(broadcast.lent[0].template or "")
    return (
        f"**{numbered(broadcast)}** for **{inline(broadcast.audience)}** goes out"
        f" {moment(broadcast.due_at, 'R')} on the approval that the template “{name}” lends it: read it now."
        " **Stop** takes it back."
    )


def reminds(broadcast: Broadcast, server: Server | None) -> str:
    """Return what is said to those for whom a broadcast waits."""
    which = f"**{numbered(broadcast)}** for **{inline(broadcast.audience)}**"
    reason = inline(shorten(broadcast.reason, 600).rstrip("."))
    ends = broadcast.review_expires_at
    match broadcast.status:
        case Status.REVIEW if broadcast.schedule is not None:
            return (
                f"{which} still waits for your approval: it is to go out"
                f" {moment(broadcast.schedule.at, 'R')}, and its review ends {moment(ends, 'R')}."
            )
        case Status.REVIEW if ends is not None and server is not None:
            since = moment(ends - server.rules.review_expires, "R")
            return (
                f"{which} still waits for your approval: it was submitted {since}, and its review ends"
                f" {moment(ends, 'R')}."
            )
        case Status.APPROVED if broadcast.schedule is not None or _has_waited(broadcast, server):
            return (
                f"{which} goes out {moment(broadcast.due_at, 'R')}, as it was approved: until then **Stop**"
                " on its card takes it back."
            )
        case Status.APPROVED:
            return (
                f"{which} has all the approvals that the policy asks for now: it goes out"
                f" {moment(broadcast.due_at, 'R')}, and until then **Stop** on its card takes it back."
            )
        case Status.UNKNOWN:
            return (
                f"Nobody knows whether customers got {which}: {reason}. Look into the app, then say on its"
                " card what you found."
            )
        case _:
            return (
                f"{which} is held and does **not** go out by itself: {reason}. Its card asks what is to"
                " become of it."
            )


def _has_waited(broadcast: Broadcast, server: Server | None) -> bool:
    """Tell whether it was approved longer ago than its undo window, and waited for the end of quiet hours."""
    due, undo = broadcast.due_at, server.rules.undo_window if server else None
    return due is not None and undo is not None and due - broadcast.updated_at > undo


def _roles(roles: Iterable[int]) -> Called:
    chosen = list(roles)
    text = " ".join(f"<@&{role}>" for role in chosen)
    allowed = discord.AllowedMentions.none()
    allowed.roles = [discord.Object(role) for role in chosen]
    return Called(f"{text} ", allowed)


def _people(ids: Iterable[int]) -> Called:
    chosen = list(ids)
    if not chosen:
        return NOBODY
    text = " ".join(f"<@{one}>" for one in chosen)
    allowed = discord.AllowedMentions.none()
    allowed.users = [discord.Object(one) for one in chosen]
    return Called(f"{text} ", allowed)
