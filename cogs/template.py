"""How templates for emergencies look in Discord."""

import discord

from bot.chat.client import Interaction
from bot.chat.custom_ids import Subject
from bot.chat.rendering import Rendered, put
from bot.permissions import Action
from bot.policy.template import Template
from bot.service import Standing
from bot.template import BLANK_LIMIT, skeleton
from cogs.buttons import USE_TEMPLATE, buttons
from cogs.embeds import FIELD_LIMIT, KEPT
from cogs.layout import Sheet, lay_out
from cogs.situation import moment
from cogs.text import fitting, inline


def draw_template(standing: Standing, *, attaches: bool = True) -> Rendered:
    """Draw a template as it stands, with what a person may press."""
    template = standing.template
    colour = discord.Colour.green() if standing.is_approved else discord.Colour.light_grey()
    head = discord.Embed(title=f"Emergency template “{inline(template.name)}”", colour=colour)
    details = discord.Embed(colour=colour).set_footer(text=f"proof {standing.proof}")
    head.add_field(name="Audience", value=inline(template.audience))
    head.add_field(name="Blanks", value=_blanks(standing), inline=False)
    details.add_field(
        name=f"Approvals {len(standing.approvals)} of {standing.needed}",
        value=_approvals(standing),
        inline=False,
    )
    sheet = Sheet(
        name="template",
        title=f"Emergency template “{template.name}” · proof {standing.proof}",
        notification=skeleton(template),
        left_out=_choices_left_out(template),
        attaches=attaches,
    )
    laid = lay_out(head, details, sheet)
    actions = (USE_TEMPLATE, Action.APPROVE_TEMPLATE, Action.RETRACT_TEMPLATE)
    possible = [one for one in actions if laid.is_whole or one is not Action.APPROVE_TEMPLATE]
    view = buttons(possible, Subject(standing.number, 0, standing.seal))
    return Rendered(embeds=laid.embeds, attached=laid.attached, view=view)


def _choices_left_out(template: Template) -> dict[str, str]:
    """Return the choices that the card has no room for, by the names of their blanks."""
    return {
        f"Choices for {name}": "\n".join(template.choices(name))
        for name in template.blanks()
        if _choices(template, name) != " or ".join(_quoted(template, name))
    }


def _choices(template: Template, name: str) -> str:
    """Return what may stand in a blank, as far as the card has room for it."""
    return fitting(_quoted(template, name), KEPT, between=" or ")


def _quoted(template: Template, name: str) -> list[str]:
    return [f"“{inline(one)}”" for one in template.choices(name)]


def _blanks(standing: Standing) -> str:
    template = standing.template
    names = [name for name in template.blanks() if not template.choices(name)]
    lines = [
        f"**{name}**: {_choices(template, name)}" for name in template.blanks() if template.choices(name)
    ]
    if names:
        typed = ", ".join(f"**{name}**" for name in names)
        lines.append(
            f"{typed}: words of letters and digits, at most {BLANK_LIMIT} characters each, no address"
        )
    return "\n".join(lines) or "none"


def _approvals(standing: Standing) -> str:
    lines = [f"✅ {inline(one.approver.name)} {moment(one.at, 'R')}" for one in standing.approvals]
    lines.append(
        "A broadcast of these words counts as approved once, by one of these who did not write it."
        if standing.is_approved
        else "Until it has them all, a broadcast of these words is reviewed as any other."
    )
    return fitting(lines, FIELD_LIMIT, between="\n")


async def show_template(interaction: Interaction, standing: Standing) -> None:
    """Put a template where the deferred answer stands."""
    await put(interaction, draw_template(standing), content=None)
