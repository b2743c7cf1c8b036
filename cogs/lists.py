"""Lists of broadcasts, in pages that outlive a restart, as all buttons do."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

import discord
from typing_extensions import override

from bot.chat.answers import answering
from bot.chat.client import HeraldBot, Interaction
from bot.chat.members import actor_of
from bot.freeze import describe
from bot.service import PAGE
from cogs.buttons import OPEN, ActionButton
from cogs.embeds import CONTENT_LIMIT, FIELD_LIMIT
from cogs.showing import cards_of
from cogs.text import clip, first_of, inline, units


class Listing(NamedTuple):
    """How a list is called, and what is said when it is empty."""

    title: str
    empty: str


LISTS: Final[Mapping[str, Listing]] = {
    "drafts": Listing("Your drafts", "You have no drafts. `/notify compose` starts one."),
    "queue": Listing("Under way", "Nothing waits for anybody."),
    "history": Listing(
        "The latest that were sent or have ended", "Nothing was sent yet, and nothing has ended."
    ),
}


class ListButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=rf"list:(?P<name>{'|'.join(LISTS)}):(?P<before>[0-9]{{1,18}})",
):
    """The broadcasts of a list with numbers below `before`, or its newest for 0.

    The custom_id carries no authority: each press asks anew whether its person may see the list.
    """

    def __init__(self, name: str, before: int) -> None:
        self.name = name
        self.before = before
        label = "Older" if before else "Newest"
        super().__init__(discord.ui.Button(label=label, custom_id=f"list:{name}:{before}"))

    @classmethod
    @override
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Build the button that was pressed from its custom_id."""
        _ = interaction, item
        return cls(match["name"], int(match["before"]))

    @override
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page in place of the one before; discord.py would swallow an error, so it is answered."""
        async with answering(interaction):
            await interaction.response.defer()
            await show_list(interaction, self.name, before=self.before or None)


async def show_list(interaction: Interaction, name: str, *, before: int | None = None) -> None:
    """Put a page of a list where the deferred answer stands; only whoever asked sees it."""
    listing, service, actor = LISTS[name], interaction.client.service, actor_of(interaction)
    found = await service.page_of(name, actor, before=before)
    freeze = (await service.frozen(actor))[0] if name == "queue" else None
    above = [clip(f"❄️ {inline(describe(freeze))}", FIELD_LIMIT)] if freeze else []
    lines = [listing.empty if before is None else "Nothing older is there."]
    view = discord.ui.View(timeout=None)
    if found:
        above.append(f"**{listing.title}**")
        room = CONTENT_LIMIT - sum(units(line) + 1 for line in above)
        lines = first_of([cards_of(interaction.client).brief(one) for one in found], room, most=PAGE)
        for one in found[: len(lines)]:
            view.add_item(ActionButton(OPEN, one.id, one.revision))
        if len(found) > len(lines):
            view.add_item(ListButton(name, found[len(lines) - 1].id))
    if before is not None:
        view.add_item(ListButton(name, 0))
    await interaction.edit_original_response(content="\n".join([*above, *lines]), view=view)


async def setup(bot: HeraldBot) -> None:
    """Register the one class of buttons once."""
    bot.add_dynamic_items(ListButton)
