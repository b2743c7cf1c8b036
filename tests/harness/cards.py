"""Review cards as people read them."""

import discord

from bot import seal
from bot.chat.custom_ids import Subject
from bot.chat.rendering import Rendered
from bot.policy.model import ACCOUNT
from bot.sandbox.sandbox import Sandbox
from bot.store import Access
from cogs.buttons import ActionButton
from cogs.cards import Cards
from tests.harness.policy import GUILD
from tests.harness.process import Process


def subject_of(sandbox: Sandbox, number: int = 1) -> Subject:
    """Return what the buttons on a card of the broadcast are about, as it stands now."""
    with sandbox.herald.store.begin(Access.READ) as tx:
        broadcast = tx.broadcasts.get(number)
    return Subject(number, broadcast.revision, seal.of_broadcast(sandbox.herald.service.lifecycle, broadcast))


async def review_card(process: Process, number: int = 1) -> Rendered:
    """Draw the review card as it stands."""
    broadcast = await process.get(number)
    with process.store.begin(Access.READ) as tx:
        freeze = tx.freezes.over(GUILD, ACCOUNT)
    cards = Cards(process.service.lifecycle, role_name=lambda _, role: f"@{role}")
    return cards.review(
        broadcast,
        await process.deliveries(number),
        freeze=freeze,
        checkable=await process.service.can_check(broadcast),
    )


def words(shown: Rendered) -> str:
    """Return all that can be read on a card."""
    parts = [shown.content]
    for embed in shown.embeds:
        parts += [embed.title or "", embed.description or ""]
        parts += [f"{field.name}: {field.value}" for field in embed.fields]
    return "\n".join(part for part in parts if part)


def labels(shown: Rendered) -> list[str]:
    """Return what stands on the card's buttons."""
    view = shown.view or discord.ui.View()
    return [one.item.label or "" for one in view.children if isinstance(one, ActionButton)]
