"""How templates for emergencies look in Discord."""

import discord

from bot.chat.client import Interaction
from bot.chat.custom_ids import Subject
from bot.permissions import Action
from bot.service import Standing
from bot.template import BLANK_LIMIT, skeleton
from cogs.buttons import USE_TEMPLATE, ActionButton
from cogs.embeds import FIELD_LIMIT, KEPT, fitted
from cogs.situation import moment
from cogs.text import fitting, inline


def draw_template(standing: Standing) -> tuple[list[discord.Embed], discord.ui.View]:
    """Draw a template as it stands, with what a person may press."""
    template = standing.template
    colour = discord.Colour.green() if standing.is_approved else discord.Colour.light_grey()
    head = discord.Embed(title=f"Template “{inline(template.name)}”", colour=colour)
    details = discord.Embed(colour=colour).set_footer(text=f"proof {standing.proof}")
    head.add_field(name="Audience", value=inline(template.audience))
    head.add_field(name="Blanks", value=_blanks(standing), inline=False)
    details.add_field(
        name=f"Approvals {len(standing.approvals)} of {standing.needed}",
        value=_approvals(standing),
        inline=False,
    )
    view = discord.ui.View(timeout=None)
    for action in (USE_TEMPLATE, Action.APPROVE_TEMPLATE, Action.RETRACT_TEMPLATE):
        view.add_item(ActionButton(action, Subject(standing.number, 0, standing.seal)))
    return fitted(head, skeleton(template), details), view


def _blanks(standing: Standing) -> str:
    template = standing.template
    names = [name for name in template.blanks() if not template.choices(name)]
    lines = [
        f"**{name}**: {fitting([f'“{inline(one)}”' for one in template.choices(name)], KEPT, between=' or ')}"
        for name in template.blanks()
        if template.choices(name)
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
    embeds, view = draw_template(standing)
    await interaction.edit_original_response(content=None, embeds=embeds, view=view)
