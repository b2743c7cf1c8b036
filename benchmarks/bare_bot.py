"""A minimal discord.py bot, which Herald is measured beside."""

import discord
from discord import ui
from discord.ext import commands
from typing_extensions import override


class _Form(ui.Modal, title="Compose"):
    subject = ui.TextInput["_Form"](label="Subject")


class _Buttons(ui.View):
    @ui.button(label="Press", custom_id="press")
    async def press(self, interaction: discord.Interaction, _button: ui.Button["_Buttons"]) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await interaction.edit_original_response(content="Done.")


class BareBot(commands.Bot):
    def __init__(self) -> None:
        super().__init__(command_prefix=commands.when_mentioned, intents=discord.Intents(guilds=True))

    @override
    async def setup_hook(self) -> None:
        @self.tree.command(description="Open a form")
        async def form(interaction: discord.Interaction) -> None:
            await interaction.response.send_modal(_Form())

        @self.tree.command(description="Tell a list")
        async def queue(interaction: discord.Interaction) -> None:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await interaction.edit_original_response(content="Nothing waits.")

        @self.tree.command(description="Show a card")
        async def card(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("Card", view=_Buttons(timeout=None))

        await self.tree.sync()
