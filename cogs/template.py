"""Templates for emergencies in Discord: how they look, and the form that fills their blanks."""

from collections.abc import Mapping
from typing import Any

import discord
from discord import ui
from typing_extensions import override

from bot.client import HeraldBot, Interaction, actor_of
from bot.permissions import Action
from bot.service import Standing
from bot.template import BLANK_LIMIT, skeleton
from cogs.buttons import USE_TEMPLATE, ActionButton
from cogs.cards import FIELD_LIMIT, fitted, show_draft
from cogs.modals import HeraldModal, line_input
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
        view.add_item(ActionButton(action, standing.number, 0))
    return fitted(head, skeleton(template), details), view


def _blanks(standing: Standing) -> str:
    names = ", ".join(f"**{inline(name)}**" for name in standing.template.blanks())
    return f"{names}: at most {BLANK_LIMIT} characters each, no address" if names else "none"


def _approvals(standing: Standing) -> str:
    lines = [f"✅ {inline(one.approver.name)} {moment(one.at, 'R')}" for one in standing.approvals]
    lines.append(
        "A broadcast of these words counts as approved once, by one of these who did not write it."
        if standing.is_approved
        else "Until it has them all, a broadcast of these words is reviewed as any other."
    )
    return fitting(lines, FIELD_LIMIT, between="\n")


async def show_template(interaction: Interaction, standing: Standing) -> None:
    """Put a template where the deferred answer stands; only whoever asked sees it."""
    embeds, view = draw_template(standing)
    await interaction.edit_original_response(embeds=embeds, view=view)


async def compose_from(interaction: discord.Interaction[Any], number: int, values: Mapping[str, str]) -> None:
    """Store a draft of a template and show it to its author."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    client: HeraldBot = interaction.client
    draft = await client.service.compose_from(
        actor_of(interaction), number, values, channel_id=interaction.channel_id or 0
    )
    await show_draft(interaction, draft)


class BlanksModal(HeraldModal):
    """The blanks of a template, one line each."""

    def __init__(self, interaction: discord.Interaction[Any], standing: Standing) -> None:
        super().__init__(interaction, f"Fill in “{standing.template.name}”")
        self._number = standing.number
        self.blanks = {name: line_input(name, "", limit=BLANK_LIMIT) for name in standing.template.blanks()}
        for name, field in self.blanks.items():
            self.add_item(ui.Label(text=name, component=field))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Store the draft that they make."""
        values = {name: field.value for name, field in self.blanks.items()}
        await compose_from(interaction, self._number, values)
