"""Correcting what went out: the form for the right words."""

from typing import Any, Self

import discord
from typing_extensions import override

from bot.broadcast import Broadcast
from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of
from bot.whop import Form
from cogs.showing import show_draft, told_in
from cogs.text import numbered
from cogs.writing import ComposeModal


class CorrectionModal(ComposeModal):
    """The words that went out, to be mended; they become a draft of their own."""

    @classmethod
    def of(cls, interaction: discord.Interaction[Any], form: Form, wrong: Broadcast) -> Self:
        """Return the modal filled with what went out."""
        return cls(
            interaction,
            form,
            audience=wrong.audience,
            topic=wrong.notification.topic,
            title=f"Correct #{wrong.id}",
            broadcast=wrong,
        )

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Store it as a draft, then show that."""
        await interaction.response.defer(ephemeral=True, thinking=True)
        client: HeraldBot = interaction.client
        assert self._broadcast is not None  # noqa: S101 - `of` gives it
        draft = await client.service.correct(
            actor_of(interaction),
            self._broadcast.id,
            revision=self._broadcast.revision,
            notification=self.notification(),
            channel_id=told_in(interaction),
        )
        await show_draft(interaction, draft, said=f"A correction of {numbered(self._broadcast)}.")


async def correct(interaction: Interaction, number: int, revision: int) -> None:
    """Ask for the words that are right."""
    service, actor = interaction.client.service, actor_of(interaction)
    wrong = await service.correctable(actor, number, revision=revision)
    await interaction.response.send_modal(CorrectionModal.of(interaction, service.form(actor), wrong))
