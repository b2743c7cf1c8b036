"""The record as an auditor searches it in Discord: pages that outlive a restart, as all buttons do."""

import hashlib
import re
from typing import Any, Final, Self

import discord
from typing_extensions import override

from bot.audit.search import Search
from bot.broadcast import Status
from bot.chat.answers import answering
from bot.chat.client import HeraldBot, Interaction
from bot.chat.custom_ids import PAGE_OF_RECORD
from bot.chat.members import actor_of
from bot.service import LISTED
from cogs.embeds import DESCRIPTION_LIMIT, EMBED_LIMIT, size_of, words_of
from cogs.lines import told
from cogs.showing import cards_of
from cogs.text import first_of

# So many characters of an audience's hash tell it from all others of a server.
_KEY: Final = 8
# So much of the words that customers read stands above the lines, which need room too; a card has them whole.
_WORDS: Final = 3000


class PageButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=PAGE_OF_RECORD,
):
    """The lines of a search with numbers below `before`, or its newest for 0.

    The custom_id carries no authority: each press asks anew whether its person may read the record.
    """

    def __init__(self, custom_id: str) -> None:
        label = "Newest" if custom_id.startswith("record:0:") else "Older"
        super().__init__(discord.ui.Button(label=label, custom_id=custom_id))
        self.search_id = custom_id

    @classmethod
    def of(cls, search: Search, *, before: int) -> Self:
        """Return the button that goes on with a search."""
        since = search.since.date().isoformat() if search.since else None
        audience = audience_key(search.audience) if search.audience else None
        parts = (search.person, since, search.proof, search.broadcast_id, audience)
        return cls(":".join(["record", str(before), *("" if part is None else str(part) for part in parts)]))

    @classmethod
    @override
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Build the button that was pressed from its custom_id."""
        _ = interaction, item
        return cls(match[0])

    @override
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page in place of the one before; discord.py would swallow an error, so it is answered."""
        async with answering(interaction):
            await interaction.response.defer()
            match = self.__discord_ui_compiled_template__.fullmatch(self.search_id)
            before, *typed = match.groups() if match else ("0",)
            search = await self._search(interaction, dict(zip(_TYPED, typed, strict=True)))
            await show_record(interaction, search, before=int(before) or None)

    async def _search(self, interaction: Interaction, typed: dict[str, str | None]) -> Search:
        actor, service = actor_of(interaction), interaction.client.service
        if key := typed["audience"]:
            named = (one for one in await service.recorded_audiences(actor) if audience_key(one) == key)
            typed["audience"] = next(named, key)
        return await service.read_search(actor, typed)


_TYPED: Final = ("person", "since", "proof", "broadcast", "audience")


def audience_key(name: str) -> str:
    """Return what stands for an audience's name where there is no room for it."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY]


async def show_record(interaction: Interaction, search: Search, *, before: int | None = None) -> None:
    """Put a page of what was found where the deferred answer stands; only whoever asked sees it."""
    service, actor = interaction.client.service, actor_of(interaction)
    events = await service.audit(actor, search, before=before)
    view = discord.ui.View(timeout=None)
    embed = discord.Embed(title="The record", description="No line fits what you look for.")
    said, words = await _answer(interaction, search) if before is None else (None, [])
    if events:
        cards = cards_of(interaction.client)
        places = await service.places_of(events)
        room = min(DESCRIPTION_LIMIT, EMBED_LIMIT - sum(map(size_of, [*words, embed])))
        lines = first_of([cards.audit(one, places=places).content for one in events], room, most=LISTED)
        embed.description = "\n".join(lines)
        if len(events) > len(lines):
            view.add_item(PageButton.of(search, before=events[len(lines) - 1].sequence))
    if before is not None:
        view.add_item(PageButton.of(search, before=0))
    await interaction.edit_original_response(content=said, embeds=[*words, embed], view=view)


async def _answer(interaction: Interaction, search: Search) -> tuple[str | None, list[discord.Embed]]:
    """Return the answer in one sentence, and the words that customers read, if it is about one broadcast."""
    if search.broadcast_id is None:
        return None, []
    course = await interaction.client.service.audited(actor_of(interaction), search.broadcast_id)
    if course is None:
        return None, []
    words, texts = course.broadcast.notification, course.broadcast.notification.texts()
    # A draft is for its author alone.
    is_draft = course.broadcast.status is Status.DRAFT
    return told(course), [] if is_draft else words_of(words, limit=_WORDS // max(1, len(texts)))


async def setup(bot: HeraldBot) -> None:
    """Register the one class of buttons once."""
    bot.add_dynamic_items(PageButton)
