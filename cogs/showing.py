"""Putting a card before the one person who asked for it."""

from dataclasses import replace
from typing import cast

from bot.broadcast import Broadcast, Status
from bot.chat.channels import may_post_here
from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of
from bot.chat.rendering import Rendered, put
from bot.permissions import Action
from cogs.buttons import DUPLICATE, ActionButton
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
        earlier=await interaction.client.service.read_before(broadcast),
        pair=await interaction.client.service.pair_of(broadcast),
        given=await interaction.client.service.list_of(broadcast),
        redrawn=False,
    )
    # Where nobody knows what became of it, its card offers to send it again, which warns of that.
    if broadcast.status is not Status.UNKNOWN:
        _offer_reuse(interaction, shown, broadcast)
    # Whom it calls on its card it does not call here.
    shown = replace(shown, content="").with_preview(await interaction.client.preview(broadcast))
    await put(interaction, shown, content=said)


def _offer_reuse(
    interaction: Interaction, shown: Rendered, broadcast: Broadcast, *, label: str | None = None
) -> None:
    """Add the button that makes a draft with the same words, for those who may compose one."""
    client = interaction.client
    if shown.view is not None and client.service.permits(actor_of(interaction), Action.REUSE):
        subject = cards_of(client).subject(broadcast)
        shown.view.add_item(ActionButton(Action.REUSE, subject, label=label))


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
    pair = await interaction.client.service.pair_of(draft)
    given = await interaction.client.service.list_of(draft)
    untested = await interaction.client.service.untested(actor_of(interaction), draft)
    shown = cards_of(interaction.client).draft(
        draft,
        offer=offer,
        beside=beside,
        pair=pair,
        given=given,
        elsewhere=elsewhere,
        untested=untested,
    )
    _offer_reuse(interaction, shown, draft, label=DUPLICATE)
    await put(interaction, shown.with_preview(await interaction.client.preview(draft)), content=said)
