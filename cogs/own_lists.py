"""Giving a draft a list of people, as a file or pasted; confirming and downloading who they are."""

from dataclasses import replace
from typing import Any, Final

import discord
from discord import ui
from typing_extensions import override

from bot.broadcast import Broadcast
from bot.chat.attachments import read_attachment
from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of
from bot.chat.rendering import TextFile
from bot.errors import NotReady, Refused
from bot.own_list import PASTED, PASTED_LIMIT
from bot.permissions import Action
from bot.sentences import people
from cogs.modals import HeraldModal, paragraph_input
from cogs.showing import show_draft
from cogs.text import inline

KEPT: Final = "The words are kept, and nobody gets anything. **Give its list…** takes it anew."
NEITHER: Final = "Attach a file, or paste user ids or usernames: one of the two."


class ListModal(HeraldModal):
    """The people of a draft: a file, or ids and usernames to paste."""

    def __init__(self, interaction: discord.Interaction[Any], broadcast: Broadcast) -> None:
        super().__init__(interaction, f"The list of #{broadcast.id}")
        self._broadcast = broadcast
        self.file = ui.FileUpload[Any](custom_id="file", required=False, min_values=0, max_values=1)
        self.people = paragraph_input("people", "", limit=PASTED_LIMIT, required=False)
        hint = "CSV or text: one user id or username a row, up to 20,000 rows and 2 MB."
        self.add_item(ui.Label(text="A file", description=hint, component=self.file))
        hint = "Or paste them here, between spaces, commas or lines."
        self.add_item(ui.Label(text="User ids or usernames", description=hint, component=self.people))

    @override
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Take the list, and show how it is with it."""
        await interaction.response.defer()
        files, typed = self.file.values, self.people.value.strip()
        content = NotReady(NEITHER) if bool(files) is bool(typed) else typed
        if files and not typed:
            content = await read_attachment(files[0])
        client: HeraldBot = interaction.client
        draft = await client.service.give_list(
            actor_of(interaction),
            self._broadcast.id,
            revision=self._broadcast.revision,
            name=files[0].filename if files else PASTED,
            content=content,
        )
        await show_draft(interaction, draft)


async def show_with_list(interaction: Interaction, draft: Broadcast, attachment: discord.Attachment) -> None:
    """Give a draft that is stored already the list that came with its command, and show it either way."""
    # What was done by this very interaction was done: this is the other half of it.
    actor = replace(actor_of(interaction), interaction=None, seen=None)
    try:
        draft = await interaction.client.service.give_list(
            actor,
            draft.id,
            revision=draft.revision,
            name=attachment.filename,
            content=await read_attachment(attachment),
        )
    except Refused as refused:
        await show_draft(interaction, draft, said=f"{inline(str(refused))} {KEPT}")
    else:
        await show_draft(interaction, draft)


async def give_list(interaction: Interaction, number: int, revision: int) -> None:
    """Open the form for the list of a draft."""
    broadcast = await interaction.client.service.ask(
        actor_of(interaction), Action.GIVE_LIST, number, revision=revision
    )
    await interaction.response.send_modal(ListModal(interaction, broadcast))


async def use_list(interaction: Interaction, number: int, revision: int) -> None:
    """Confirm the people of a draft's list."""
    service, actor = interaction.client.service, actor_of(interaction)
    # A refusal is for whoever pressed alone, and not for the card.
    draft = await service.use_list(actor, number, revision=revision)
    await interaction.response.defer()
    listed = draft.listed
    said = f"#{draft.id} goes to these {people(listed.people)} and nobody else." if listed else None
    await show_draft(interaction, draft, said=said)


async def download_list(interaction: Interaction, number: int, revision: int) -> None:
    """Hand out who the people of a list are."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    text = await interaction.client.service.download_list(actor_of(interaction), number, revision=revision)
    file = TextFile(f"list-of-{number}.csv", text)
    said = f"The people whom #{number} is for. That you have this file stands in the record."
    await interaction.edit_original_response(content=said, attachments=[file.file()])
