"""What an author is told of what others did, and of what became of it."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import discord

from bot import seal
from bot.broadcast import Broadcast, Status, Step
from bot.chat.custom_ids import Subject
from bot.chat.rendering import Rendered
from bot.own_list import Kept
from bot.permissions import Action
from bot.policy.model import Server
from bot.testing import CODE_LIVES, MOST_TRIES, OF_A_LINK
from cogs.buttons import OPEN, TYPE_CODE, ActionButton, buttons
from cogs.situation import moment
from cogs.text import inline, numbered, shorten

SAID: Final[Mapping[Step, str]] = MappingProxyType(
    {
        Step.REQUEST_CHANGES: "needs changes; it is a draft again (`/notify drafts`)",
        Step.REJECT: "was rejected",
        Step.EXPIRE: "was not decided in time; it is a draft again (`/notify drafts`)",
        Step.STOP: "was stopped before it went out; it is a draft again (`/notify drafts`)",
        Step.CANCEL: "was cancelled",
        Step.HOLD: "is held and will not go out by itself",
        Step.RETURN: "is a draft again (`/notify drafts`)",
        Step.ACCEPTED: "was accepted by Whop",
        Step.PARTLY: "was accepted by Whop only in part",
        Step.NOT_ACCEPTED: "was not accepted by Whop; customers got nothing",
        Step.UNANSWERED: "was sent, but Whop's answer is unknown: a person has to decide on its card",
        Step.CONFIRM: "did go out, a teammate says",
        Step.DENY: "did not go out, a teammate says",
    }
)


def echo(broadcast: Broadcast, step: Step, *, place: str, server: Server | None) -> Rendered:
    """Tell the author what happened; `place` says where it goes. The card has the words."""
    if broadcast.is_test:
        return _tell_of_test(broadcast)
    which = f"**{numbered(broadcast)}** for **{inline(broadcast.audience)}**"
    line = f"{_writers(broadcast)} {which} {SAID[step]}."
    if broadcast.reason and step is not Step.EXPIRE:
        line += f"\n> {inline(shorten(broadcast.reason, 600))}"
    return _to_author(broadcast, f"{line}\n-# proof {broadcast.proof}{place}", server)


def goes_out(broadcast: Broadcast, *, server: Server | None) -> Rendered | None:
    """Tell the author that what they set a time for goes out now; None if it does not any more."""
    if broadcast.status is not Status.APPROVED:
        return None
    which = f"**{numbered(broadcast)}** for **{inline(broadcast.audience)}**"
    said = (
        f"{_writers(broadcast)} {which} goes out {moment(broadcast.due_at, 'R')}: until then **Stop** on"
        f" its card takes it back.\n-# proof {broadcast.proof}"
    )
    return _to_author(broadcast, said, server)


def not_asked(broadcast: Broadcast, *, server: Server | None) -> Rendered | None:
    """Tell the author that one of a series waits for them, and why; None if it has gone on since."""
    if broadcast.status is not Status.DRAFT or not broadcast.reason:
        return None
    which = f"**{numbered(broadcast)}** for **{inline(broadcast.audience)}**"
    said = (
        f"{_writers(broadcast)} {which}, the next of your series, could not be put before its approvers;"
        f" it is a draft (`/notify drafts`):\n> {inline(shorten(broadcast.reason, 600))}"
    )
    return _to_author(broadcast, said, server)


def list_checked(broadcast: Broadcast, kept: Kept, *, server: Server | None) -> Rendered | None:
    """Tell the author that Whop was asked about everybody of a list; None if it has gone on since."""
    if broadcast.status is not Status.DRAFT or broadcast.listed is None or broadcast.listed.people:
        return None
    rows = kept.good + kept.out
    of_them = f"{kept.good:,} of the {rows:,} rows" if kept.out else f"all {rows:,} rows"
    next_step = f"**Use these {kept.good:,}** confirms them" if kept.good else "give it another list"
    said = (
        f"{_writers(broadcast)} The list of **{numbered(broadcast)}** is checked: {of_them} can be reached."
        f" `/notify drafts` opens it; {next_step}."
    )
    shown = _to_author(broadcast, said, server)
    view = discord.ui.View(timeout=None)
    view.add_item(ActionButton(OPEN, Subject(broadcast.id, broadcast.revision, "")))
    return replace(shown, view=view)


def explanation(broadcast: Broadcast, *, server: Server | None) -> Rendered | None:
    """Tell the author why it was stopped, of which they know already; None if it has gone on since."""
    if broadcast.status is not Status.DRAFT or not broadcast.reason:
        return None
    why = inline(shorten(broadcast.reason, 600))
    said = f"{_writers(broadcast)} Why **{numbered(broadcast)}** was stopped:\n> {why}"
    return _to_author(broadcast, said, server)


def shared(broadcast: Broadcast, person_id: int, *, opens: bool) -> Rendered | None:
    """Tell somebody that a draft is shared with them; it `opens` by a button, where that works."""
    if broadcast.status is not Status.DRAFT or person_id not in {one.id for one in broadcast.shared}:
        return None
    view = discord.ui.View(timeout=None) if opens else None
    if view is not None:
        view.add_item(ActionButton(OPEN, Subject(broadcast.id, broadcast.revision, "")))
    return Rendered(
        content=(
            f"<@{person_id}> **{numbered(broadcast)}** for **{inline(broadcast.audience)}**, a draft of"
            f" {inline(broadcast.author.name)}'s, is shared with you: both of you write it, and neither can"
            " approve it. `/notify drafts` opens it."
        ),
        view=view,
        mentions=discord.AllowedMentions(users=[discord.Object(person_id)], everyone=False, roles=False),
    )


def _writers(broadcast: Broadcast) -> str:
    """Return the mention of its author, and of those it is shared with."""
    return " ".join(f"<@{one.id}>" for one in (broadcast.author, *broadcast.shared))


def _to_author(broadcast: Broadcast, content: str, server: Server | None) -> Rendered:
    told = [broadcast.author, *broadcast.shared]
    mentioned = [discord.Object(one.id) for one in told] if server is None or server.notify.author else []
    return Rendered(
        content=content, mentions=discord.AllowedMentions(users=mentioned, everyone=False, roles=False)
    )


def _tell_of_test(test: Broadcast) -> Rendered:
    """Tell somebody what Whop said of a test of theirs, or of the code for their link, and no more."""
    is_code = test.test_of == OF_A_LINK
    what = "code for your link to Whop" if is_code else f"test of **#{test.test_of}**"
    reason = inline(shorten(test.reason, 600).rstrip("."))
    minutes = CODE_LIVES.total_seconds() // 60
    then = (
        f"Once you have it, press **Type the code**: it does for {minutes:.0f} minutes, {MOST_TRIES} tries."
        if is_code
        else "Once it has reached you, press **It arrived**."
    )
    match test.status:
        case Status.FAILED:
            said = f"Whop did not take your {what}: {reason}. Nobody got it."
        case Status.UNKNOWN:
            said = f"Nobody knows what became of your {what}: {reason}. It concerns nobody else. {then}"
        case _:
            said = f"Whop has queued your {what}, and never says more. {then}"
    proof = "" if is_code else f"\n-# proof {test.proof}"
    offered = [] if test.status is Status.FAILED else [TYPE_CODE if is_code else Action.ARRIVED]
    return Rendered(
        content=f"<@{test.author.id}> {said}{proof}",
        view=buttons(offered, Subject(test.id, test.revision, seal.of_test(test))) if offered else None,
        # They asked for it themselves, and wait.
        mentions=discord.AllowedMentions(users=[discord.Object(test.author.id)], everyone=False, roles=False),
    )
