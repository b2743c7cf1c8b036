"""Sharing a draft: the form that asks with whom."""

from typing import Any

import discord
from discord import ui
from typing_extensions import override

from bot.broadcast import Broadcast
from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of, member_of
from bot.permissions import Action
from bot.service import SHARED_WITH
from cogs.modals import HeraldModal
from cogs.showing import show_draft


class ShareModal(HeraldModal):
    """Who writes a draft beside its author."""

    def __init__(self, interaction: discord.Interaction[Any], broadcast: Broadcast) -> None:
        super().__init__(interaction, f"Who else writes #{broadcast.id}?")
        self._broadcast = broadcast
        self.people = ui.UserSelect[Any](
            custom_id="people",
            required=False,
            min_values=0,
            max_values=SHARED_WITH,
            default_values=[discord.Object(one.id, type=discord.User) for one in broadcast.shared],
        )
        hint = "They edit it as you do and ask for approval, and neither you nor they can approve it."
        self.add_item(ui.Label(text="Shared with", description=hint, component=self.people))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Share it with those who are chosen, and with nobody else."""
        await interaction.response.defer()
        client: HeraldBot = interaction.client
        draft = await client.service.share(
            actor_of(interaction),
            self._broadcast.id,
            revision=self._broadcast.revision,
            chosen=[member_of(interaction.guild_id, one) for one in self.people.values],
            shown=[one.id for one in self._broadcast.shared],
        )
        await show_draft(interaction, draft)


async def share(interaction: Interaction, number: int, revision: int) -> None:
    """Ask with whom a draft is to be shared."""
    asked = await interaction.client.service.ask(
        actor_of(interaction), Action.SHARE, number, revision=revision
    )
    await interaction.response.send_modal(ShareModal(interaction, asked))
