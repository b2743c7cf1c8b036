"""How embeds are laid out, so that Discord takes them and nobody's words forge a field."""

from typing import Final

import discord

from bot.notification import Notification
from cogs.text import clip, plain, units

# What Discord takes in all embeds of a message together.
CONTENT_LIMIT: Final = 2000
EMBED_LIMIT: Final = 6000
DESCRIPTION_LIMIT: Final = 4096
FIELD_LIMIT: Final = 1024
KEPT: Final = 120
FIELD_NAMES: Final = {"all": "Feed and phone", "in_app": "Feed", "mobile": "Phone"}


def words_of(
    notification: Notification, colour: discord.Colour | None = None, *, limit: int | None = DESCRIPTION_LIMIT
) -> list[discord.Embed]:
    """Return the words as customers read them, each in its own frame so that none can forge a field.

    Without a limit they are whole, however long.
    """
    shown: list[discord.Embed] = []
    for field, text in notification.texts():
        markdown = f"**{plain(text.subject)}**\n{plain(text.content)}"
        description = markdown if limit is None else clip(markdown, limit)
        embed = discord.Embed(description=description, colour=colour).set_author(name=FIELD_NAMES[field])
        shown.append(embed)
    extras = (("Subtitle", notification.subtitle), ("A tap opens", notification.link))
    for name, value in extras:
        if value and shown:
            markdown = plain(value) if limit is None else field_value(plain(value))
            # Discord refuses a field that has only spaces.
            shown[-1].add_field(name=name, value=markdown.strip() or "(blank)", inline=False)
    return shown


def size_of(embed: discord.Embed) -> int:
    """Return the units that count in all embeds of a message together."""
    texts = [embed.title, embed.description, embed.footer.text, embed.author.name]
    texts += [text for field in embed.fields for text in (field.name, field.value)]
    return sum(units(text) for text in texts if text)


def field_value(markdown: str) -> str:
    """Return as much as fits the value of a field."""
    return clip(markdown, FIELD_LIMIT)
