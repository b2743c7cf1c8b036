"""Lists of broadcasts, in pages that outlive a restart, as all buttons do."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self, Unpack

import discord
from typing_extensions import override

from bot.broadcast import Broadcast
from bot.chat.answers import answering
from bot.chat.client import HeraldBot, Interaction
from bot.chat.custom_ids import PAGE_OF_LIST, Subject
from bot.chat.members import actor_of
from bot.filter import EVERYTHING, Filter
from bot.freeze import describe
from bot.service import PAGE, Beyond
from cogs.agenda import Line, headed, listed
from cogs.buttons import OPEN, ActionButton
from cogs.embeds import CONTENT_LIMIT, FIELD_LIMIT
from cogs.filters import counted, spoken_filter
from cogs.showing import cards_of
from cogs.text import clip, first_of, inline, units


class Listing(NamedTuple):
    """How a list is called, what is said when it is empty, and how its pages are turned."""

    title: str
    empty: str
    on: str = "Older"
    back: str = "Newer"
    first: str = "Newest"


LISTS: Final[Mapping[str, Listing]] = {
    "drafts": Listing("Your drafts", "You have no drafts. `/notify compose` starts one."),
    "queue": Listing("Under way", "Nothing waits for anybody.", on="Later", back="Earlier", first="First"),
    "history": Listing(
        "The latest that were sent or have ended", "Nothing was sent yet, and nothing has ended."
    ),
}


class ListButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=PAGE_OF_LIST,
):
    """The broadcasts of a list next to the number `beyond`, older or newer, or its newest for 0.

    `search` is the mark of what the list looks for. The custom_id carries no authority: each press asks anew
    whether its person may see the list.
    """

    def __init__(self, name: str, beyond: int, *, newer: bool = False, search: str = "") -> None:
        self.name = name
        self.beyond = beyond
        self.newer = newer
        self.search = search
        listing = LISTS[name]
        label = listing.back if newer else listing.on if beyond else listing.first
        custom_id = f"list:{name}:{'n' if newer else ''}{beyond}{f':{search}' if search else ''}"
        super().__init__(discord.ui.Button(label=label, custom_id=custom_id))

    @classmethod
    @override
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Build the button that was pressed from its custom_id."""
        _ = interaction, item
        return cls(
            match["name"], int(match["beyond"]), newer=bool(match["newer"]), search=match["search"] or ""
        )

    @override
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page in place of the one before; discord.py would swallow an error, so it is answered."""
        async with answering(interaction):
            await interaction.response.defer()
            only = EVERYTHING
            if self.search:
                actor = actor_of(interaction)
                only = await interaction.client.service.kept_search(actor, self.search)
            beyond = Beyond()
            if self.beyond:
                beyond = Beyond(after=self.beyond) if self.newer else Beyond(before=self.beyond)
            await show_list(interaction, self.name, only, **beyond)


async def show_list(
    interaction: Interaction, name: str, only: Filter = EVERYTHING, **beyond: Unpack[Beyond]
) -> None:
    """Put a page of a list where the deferred answer stands; only whoever asked sees it."""
    service, actor = interaction.client.service, actor_of(interaction)
    listing = await _listing(interaction, name, only)
    found = await service.page_of(name, actor, only, **beyond)
    freeze = (await service.frozen(actor))[0] if name == "queue" else None
    above = [clip(f"❄️ {describe(freeze, spoken=inline)}", FIELD_LIMIT)] if freeze else []
    nothing = f"Nothing {(listing.back if 'after' in beyond else listing.on).lower()} is there."
    lines = [nothing if beyond else listing.empty]
    shown: Sequence[Broadcast] = ()
    if found:
        above.append(f"**{listing.title}**")
        room = CONTENT_LIMIT - sum(units(line) + 1 for line in above)
        drawn = await _lines(interaction, name, found)
        lines = first_of(list(headed(drawn)), room, most=PAGE)
        shown, drawn = found[: len(lines)], drawn[: len(lines)]
        if "after" in beyond and len(lines) > 1:
            # They came from the one next to the page before, and are read from the first.
            shown, lines = shown[::-1], list(headed(drawn[::-1]))
    is_more = len(found) > len(shown)
    view = discord.ui.View(timeout=None)
    for one in shown:
        # It shows what stands there now, whatever that is.
        view.add_item(ActionButton(OPEN, Subject(one.id, one.revision, "")))
    if is_more or beyond:
        search = await service.keep_search(actor, only) if only != EVERYTHING else ""
        for button in _turning(name, shown, beyond, is_more=is_more, search=search):
            view.add_item(button)
    await interaction.edit_original_response(content="\n".join([*above, *lines]), view=view)


def _turning(
    name: str, shown: Sequence[Broadcast], beyond: Beyond, *, is_more: bool, search: str
) -> Iterator[ListButton]:
    """Yield what turns the page to all that is older, newer, or the newest."""
    if shown and ("after" in beyond or is_more):
        yield ListButton(name, shown[-1].id, search=search)
    if shown and ("before" in beyond or ("after" in beyond and is_more)):
        yield ListButton(name, shown[0].id, newer=True, search=search)
    if beyond:
        yield ListButton(name, 0, search=search)


async def _listing(interaction: Interaction, name: str, only: Filter) -> Listing:
    """Return what a list is called, which says what it looks for."""
    if only == EVERYTHING:
        return LISTS[name]
    known = await interaction.client.service.searchable(actor_of(interaction))
    looked_for = spoken_filter(only, known.topics)
    return Listing(f"{LISTS[name].title}: {looked_for}", f"Nothing fits what you look for: {looked_for}.")


async def _lines(interaction: Interaction, name: str, found: Sequence[Broadcast]) -> list[Line]:
    """Return a line for each: of what waits when and why, of all else how many requests there were."""
    client = interaction.client
    brief = cards_of(client).brief
    if name == "queue":
        calendar = await client.service.calendar(actor_of(interaction), found)
        server = client.service.policy.server(interaction.guild_id)
        return [
            listed(one, brief(one, since=one.id not in calendar.moments), server, calendar) for one in found
        ]
    tallies = await client.service.tallies_of(found)
    return [Line("", f"{brief(one)}{counted(tallies.get(one.id, {}))}") for one in found]


async def setup(bot: HeraldBot) -> None:
    """Register the one class of buttons once."""
    bot.add_dynamic_items(ListButton)
