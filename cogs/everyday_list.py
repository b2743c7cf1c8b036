"""The list of templates that moderators made, in pages that outlive a restart."""

import re
from typing import Any, Final, Self, Unpack

import discord
from typing_extensions import override

from bot.chat.answers import answering
from bot.chat.client import HeraldBot, Interaction
from bot.chat.custom_ids import PAGE_OF_TEMPLATES, Subject
from bot.chat.members import actor_of
from bot.everyday import EverydayTemplate
from bot.policy.model import Server
from bot.service import PAGE, Beyond
from cogs.buttons import OPEN_EVERYDAY, ActionButton
from cogs.embeds import CONTENT_LIMIT
from cogs.text import first_of, inline, label, shorten, units

TITLE: Final = "**Templates**"
EMPTY: Final = "There are no templates yet. `/notify template create` makes one."
# So that two stand beside each other on a phone.
LABEL_LIMIT: Final = 30


class TemplatePageButton(
    discord.ui.DynamicItem[discord.ui.Button[Any]],
    template=PAGE_OF_TEMPLATES,
):
    """The templates next to the number `beyond`, older or newer, or the newest for 0.

    The custom_id carries no authority: each press asks anew whether its person may see them.
    """

    def __init__(self, beyond: int, *, newer: bool = False) -> None:
        self.beyond = beyond
        self.newer = newer
        shown = "Newer" if newer else "Older" if beyond else "Newest"
        custom_id = f"templates:{'n' if newer else ''}{beyond}"
        super().__init__(discord.ui.Button(label=shown, custom_id=custom_id))

    @classmethod
    @override
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Build the button that was pressed from its custom_id."""
        _ = interaction, item
        return cls(int(match["beyond"]), newer=bool(match["newer"]))

    @override
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page in place of the one before; discord.py would swallow an error, so it is answered."""
        async with answering(interaction):
            await interaction.response.defer()
            if self.newer:
                await show_templates(interaction, after=self.beyond)
            elif self.beyond:
                await show_templates(interaction, before=self.beyond)
            else:
                await show_templates(interaction)


async def show_templates(interaction: Interaction, **beyond: Unpack[Beyond]) -> None:
    """Put a page of the templates where the deferred answer stands; only whoever asked sees it."""
    service, actor = interaction.client.service, actor_of(interaction)
    found = await service.template_page(actor, **beyond)
    server = service.policy.server(interaction.guild_id)
    lines = [f"Nothing {'newer' if 'after' in beyond else 'older'} is there." if beyond else EMPTY]
    view = discord.ui.View(timeout=None)
    if found and server is not None:
        room = CONTENT_LIMIT - units(TITLE) - 1
        lines = first_of([_line(one, server) for one in found], room, most=PAGE)
        is_more, shown = len(found) > len(lines), found[: len(lines)]
        if "after" in beyond:
            # They came from the one next to the page before, and are read from the newest.
            lines, shown = lines[::-1], shown[::-1]
        for one in shown:
            # It shows what stands there now, whatever that is.
            subject = Subject(one.id, one.revision, "")
            called = shorten(label(one.name), LABEL_LIMIT)
            view.add_item(ActionButton(OPEN_EVERYDAY, subject, label=called))
        if "after" in beyond or is_more:
            view.add_item(TemplatePageButton(shown[-1].id))
        if "before" in beyond or ("after" in beyond and is_more):
            view.add_item(TemplatePageButton(shown[0].id, newer=True))
        lines = [TITLE, *lines]
    if beyond:
        view.add_item(TemplatePageButton(0))
    await interaction.edit_original_response(content="\n".join(lines), view=view)


def _line(template: EverydayTemplate, server: Server) -> str:
    outline = template.outline
    topic = server.topic(outline.topic) if outline.topic else None
    parts = [
        inline(outline.audience) if outline.audience else "any audience",
        inline(topic.name if topic else outline.topic) if outline.topic else "any topic",
        *([f"{len(outline.blanks)} blank{'s' if len(outline.blanks) > 1 else ''}"] if outline.blanks else []),
        f"by {inline(template.author.name)}",
    ]
    return f"**{inline(template.name)}** · {' · '.join(parts)}"


async def setup(bot: HeraldBot) -> None:
    """Register the one class of buttons once."""
    bot.add_dynamic_items(TemplatePageButton)
