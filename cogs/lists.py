"""Lists of broadcasts, in pages that outlive a restart, as all buttons do."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self, Unpack

import discord
from typing_extensions import override

from bot.chat.answers import answering
from bot.chat.client import HeraldBot, Interaction
from bot.chat.custom_ids import PAGE_OF_LIST, Subject
from bot.chat.members import actor_of
from bot.freeze import describe
from bot.service import PAGE, Beyond
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
    template=PAGE_OF_LIST,
):
    """The broadcasts of a list next to the number `beyond`, older or newer, or its newest for 0.

    The custom_id carries no authority: each press asks anew whether its person may see the list.
    """

    def __init__(self, name: str, beyond: int, *, newer: bool = False) -> None:
        self.name = name
        self.beyond = beyond
        self.newer = newer
        label = "Newer" if newer else "Older" if beyond else "Newest"
        custom_id = f"list:{name}:{'n' if newer else ''}{beyond}"
        super().__init__(discord.ui.Button(label=label, custom_id=custom_id))

    @classmethod
    @override
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Build the button that was pressed from its custom_id."""
        _ = interaction, item
        return cls(match["name"], int(match["beyond"]), newer=bool(match["newer"]))

    @override
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page in place of the one before; discord.py would swallow an error, so it is answered."""
        async with answering(interaction):
            await interaction.response.defer()
            if self.newer:
                await show_list(interaction, self.name, after=self.beyond)
            elif self.beyond:
                await show_list(interaction, self.name, before=self.beyond)
            else:
                await show_list(interaction, self.name)


async def show_list(interaction: Interaction, name: str, **beyond: Unpack[Beyond]) -> None:
    """Put a page of a list where the deferred answer stands; only whoever asked sees it."""
    listing, service, actor = LISTS[name], interaction.client.service, actor_of(interaction)
    found = await service.page_of(name, actor, **beyond)
    freeze = (await service.frozen(actor))[0] if name == "queue" else None
    above = [clip(f"❄️ {describe(freeze, spoken=inline)}", FIELD_LIMIT)] if freeze else []
    lines = [f"Nothing {'newer' if 'after' in beyond else 'older'} is there." if beyond else listing.empty]
    view = discord.ui.View(timeout=None)
    if found:
        above.append(f"**{listing.title}**")
        room = CONTENT_LIMIT - sum(units(line) + 1 for line in above)
        lines = first_of([cards_of(interaction.client).brief(one) for one in found], room, most=PAGE)
        is_more, shown = len(found) > len(lines), found[: len(lines)]
        if "after" in beyond:
            # They came from the one next to the page before, and are read from the newest.
            lines, shown = lines[::-1], shown[::-1]
        for one in shown:
            # It shows what stands there now, whatever that is.
            view.add_item(ActionButton(OPEN, Subject(one.id, one.revision, "")))
        if "after" in beyond or is_more:
            view.add_item(ListButton(name, shown[-1].id))
        if "before" in beyond or ("after" in beyond and is_more):
            view.add_item(ListButton(name, shown[0].id, newer=True))
    if beyond:
        view.add_item(ListButton(name, 0))
    await interaction.edit_original_response(content="\n".join([*above, *lines]), view=view)


async def setup(bot: HeraldBot) -> None:
    """Register the one class of buttons once."""
    bot.add_dynamic_items(ListButton)
