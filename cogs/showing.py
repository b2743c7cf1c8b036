"""Putting a card before the one person who asked for it."""

from typing import cast

from bot.broadcast import Broadcast, Status
from bot.chat.channels import may_post_here
from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of
from bot.chat.rendering import put
from cogs.cards import Cards
from cogs.lines import told


def cards_of(client: HeraldBot) -> Cards:
    """Return the cards that this extension gave to the client."""
    return cast("Cards", client.cards)


async def show(interaction: Interaction, number: int) -> None:
    """Show one broadcast to one person: a draft with its buttons, anything else as it stands."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    course = await interaction.client.service.look(actor_of(interaction), number)
    broadcast, said = course.broadcast, told(course)
    if broadcast.status is Status.DRAFT:
        await show_draft(interaction, broadcast, said=said)
        return
    freeze, _ = await interaction.client.service.frozen(actor_of(interaction))
    checkable = await interaction.client.service.can_check(broadcast)
    members = await interaction.client.members.known(broadcast.guild_id)
    shown = cards_of(interaction.client).review(
        broadcast,
        course.deliveries,
        freeze=freeze,
        checkable=checkable,
        members=members,
        beside=await interaction.client.service.beside(broadcast),
        redrawn=False,
    )
    await put(interaction, shown, content=said)


def told_in(interaction: Interaction) -> int:
    """Return the channel in which the author of what is composed here is told what becomes of it."""
    server = interaction.client.service.policy.server(interaction.guild_id)
    if server is None or may_post_here(interaction):
        return interaction.channel_id or 0
    return server.channels.review


async def show_draft(interaction: Interaction, draft: Broadcast, *, said: str | None = None) -> None:
    """Put the draft card where the deferred answer stands; only its author sees it."""
    offer = await interaction.client.service.offer_of(draft)
    elsewhere = None
    if not may_post_here(interaction):
        here = draft.origin_channel_id == interaction.channel_id
        elsewhere = told_in(interaction) if here else draft.origin_channel_id
    beside = await interaction.client.service.beside(draft)
    shown = cards_of(interaction.client).draft(draft, offer=offer, beside=beside, elsewhere=elsewhere)
    await put(interaction, shown, content=said)
