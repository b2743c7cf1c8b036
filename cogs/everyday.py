"""How templates look that moderators made: everyday ones, which lend no approval."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import discord

from bot.chat.client import Interaction
from bot.chat.custom_ids import Subject
from bot.chat.rendering import Rendered, put
from bot.everyday import Blank, Kind, Outline
from bot.permissions import Action
from bot.policy.model import Server
from bot.service import Seen
from cogs.buttons import PHONE_EVERYDAY, USE_EVERYDAY, buttons
from cogs.embeds import FIELD_LIMIT, KEPT
from cogs.layout import Sheet, lay_out
from cogs.text import fitting, inline

ASKED: Final = "asked for each time"
LENDS_NOTHING: Final = (
    "Herald asks for its blanks and makes a draft of yours. It lends no approval: the draft is reviewed like"
    " any other, and not by whoever wrote these words."
)
_BUTTONS: Final[Mapping[Action, tuple[str, ...]]] = MappingProxyType(
    {
        Action.COMPOSE: (USE_EVERYDAY,),
        Action.EDIT_TEMPLATE: (Action.EDIT_TEMPLATE, PHONE_EVERYDAY),
        Action.RETIRE_TEMPLATE: (Action.RETIRE_TEMPLATE,),
        Action.RESTORE_TEMPLATE: (Action.RESTORE_TEMPLATE,),
    }
)


def draw_everyday(seen: Seen, server: Server) -> Rendered:
    """Draw a template as it stands, with what its reader may press."""
    template, outline = seen.template, seen.template.outline
    colour = discord.Colour.dark_grey() if template.retired else discord.Colour.blurple()
    name = f"“{inline(template.name)}”"
    title = f"Template {name} (retired)" if template.retired else f"Template {name}"
    head = discord.Embed(title=title, colour=colour)
    details = discord.Embed(colour=colour).set_footer(text=f"revision {template.revision}")
    head.add_field(name="Audience", value=_audience(outline, server))
    head.add_field(name="Topic", value=_topic(outline, server))
    head.add_field(name="Blanks", value=_blanks(outline), inline=False)
    if outline.words.all is None and outline.words.mobile is None:
        missing = "The words for the phone are missing: press **Phone words** to write them."
        head.add_field(name="Still to do", value=missing, inline=False)
    writers = fitting([inline(one.name) for one in seen.writers], FIELD_LIMIT, between=", ")
    details.add_field(name="Written by", value=writers, inline=False)
    if not template.retired:
        details.add_field(name="What it does", value=LENDS_NOTHING, inline=False)
    sheet = Sheet(
        name="template",
        title=f"Template “{template.name}” · revision {template.revision}",
        notification=outline.words,
        left_out={
            f"Choices for {one.name}": "\n".join(one.choices)
            for one in outline.blanks
            if _choices(one) != " or ".join(_quoted(one))
        },
    )
    laid = lay_out(head, details, sheet)
    actions = [one for action in seen.may for one in _BUTTONS[action]]
    if outline.words.all is not None and PHONE_EVERYDAY in actions:
        actions.remove(PHONE_EVERYDAY)
    view = buttons(actions, Subject(template.id, template.revision, seen.seal))
    return Rendered(embeds=laid.embeds, attached=laid.attached, view=view)


async def show_everyday(interaction: Interaction, seen: Seen, *, said: str | None = None) -> None:
    """Put a template where the deferred answer stands."""
    server = interaction.client.service.policy.server(seen.template.guild_id)
    if server is not None:
        await put(interaction, draw_everyday(seen, server), content=said)


def asked_as(blank: Blank) -> str:
    """Return what a form, or a card, says of what may stand in a blank."""
    return {
        Kind.WORD: "One word.",
        Kind.LINE: "One line.",
        Kind.NUMBER: "A number, such as 12 or 3.50.",
        Kind.TIME: "A time, such as friday 18:00.",
        Kind.CHOICE: "One of the list.",
    }[blank.kind]


def _audience(outline: Outline, server: Server) -> str:
    if outline.audience is None:
        return ASKED
    gone = "" if server.audience(outline.audience) else "\n⚠️ no longer in the policy: edit it"
    return f"{inline(outline.audience)}{gone}"


def _topic(outline: Outline, server: Server) -> str:
    if outline.topic is None:
        return ASKED
    topic = server.topic(outline.topic)
    return inline(topic.name) if topic else f"{inline(outline.topic)}\n⚠️ no longer in the policy: edit it"


def _blanks(outline: Outline) -> str:
    lines = [
        f"**{inline(one.name)}**: {_choices(one) if one.choices else f'a {one.kind}'}"
        for one in outline.blanks
    ]
    return "\n".join(lines) or "none"


def _choices(blank: Blank) -> str:
    """Return what may stand in a blank, as far as the card has room for it."""
    return fitting(_quoted(blank), KEPT, between=" or ") if blank.choices else ""


def _quoted(blank: Blank) -> list[str]:
    return [f"“{inline(one)}”" for one in blank.choices]
