"""What is said of a freeze, and the question whether to lift it."""

from collections.abc import Callable, Sequence

import discord

from bot import seal
from bot.broadcast import Broadcast
from bot.chat.custom_ids import Subject
from bot.chat.rendering import Rendered
from bot.freeze import Freeze, describe, lifted_on_host
from bot.lifecycle import Lifecycle
from bot.permissions import Action
from bot.service import PAGE
from cogs.buttons import ActionButton
from cogs.calls import call_operators
from cogs.embeds import CONTENT_LIMIT, FIELD_LIMIT, KEPT
from cogs.situation import moment
from cogs.text import clip, first_of, fitting, inline, units


def draw_freeze(lifecycle: Lifecycle, freeze: Freeze | None, *, guild_id: int) -> Rendered:
    """Tell a server's approvers of a freeze that stands, or of one that was lifted."""
    if freeze is None:
        return Rendered(content="☀️ The freeze is lifted: what is approved goes out again.")
    called = call_operators(lifecycle.policy.server(guild_id))
    return Rendered(
        content=f"{called.text}❄️ **{describe(freeze, spoken=inline)}**\n"
        f"{_lifted_by(lifecycle, freeze)} can lift it: `/notify unfreeze` shows what would go out.",
        mentions=called.mentions,
    )


def _lifted_by(lifecycle: Lifecycle, freeze: Freeze) -> str:
    halted = [inline(server.name) for server in lifecycle.halted_by(freeze)]
    if len(halted) < 2:
        return "Someone else than who froze it"
    names = fitting(halted, KEPT, between=", ")
    return f"Someone else than who froze it, who may do so in each of {names}{lifted_on_host(freeze)},"


def draw_thaw(freeze: Freeze, waiting: Sequence[Broadcast], *, brief: Callable[[Broadcast], str]) -> Rendered:
    """Ask whether to lift a freeze, and show what would go out then."""
    frozen = clip(f"❄️ {describe(freeze, spoken=inline)}", FIELD_LIMIT)
    above = [frozen, "**What goes out once it is lifted:**"]
    more = "-# … and older ones: `/notify queue` lists them all"
    room = CONTENT_LIMIT - sum(units(line) + 1 for line in (*above, more))
    due = [f"{brief(one)} · due {moment(one.due_at, 'F' if one.schedule else 'T')}" for one in waiting]
    lines = first_of(due or ["nothing"], room, most=PAGE)
    below = [more] if len(due) > len(lines) else []
    view = discord.ui.View(timeout=None)
    view.add_item(ActionButton(Action.UNFREEZE, Subject(0, 0, seal.of_freeze(freeze, waiting))))
    return Rendered(content="\n".join([*above, *lines, *below]), view=view)
