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
    notification: Notification, colour: discord.Colour | None = None, *, limit: int = DESCRIPTION_LIMIT
) -> list[discord.Embed]:
    """Return the words as customers read them, each in its own frame so that none can forge a field."""
    shown: list[discord.Embed] = []
    for field, text in notification.texts():
        embed = discord.Embed(
            description=clip(f"**{plain(text.subject)}**\n{plain(text.content)}", limit),
            colour=colour,
        ).set_author(name=FIELD_NAMES[field])
        shown.append(embed)
    extras = (("Subtitle", notification.subtitle), ("A tap opens", notification.link))
    for name, value in extras:
        if value and shown:
            # Discord refuses a field that has only spaces.
            shown[-1].add_field(name=name, value=field_value(plain(value)).strip() or "(blank)", inline=False)
    return shown


def fitted(head: discord.Embed, notification: Notification, details: discord.Embed) -> list[discord.Embed]:
    """Return the card, with what surrounds the words cut until Discord takes it.

    The words of a broadcast that can be submitted always fit; only a draft that is too long anyway is cut.
    """
    words = words_of(notification, head.colour)
    embeds = [head, *words, details]
    while (over := sum(map(size_of, embeds)) - EMBED_LIMIT) > 0:
        around = [(embed, index) for embed in (head, details) for index in range(len(embed.fields))]
        embed, index = max(around, key=lambda place: _value(*place))
        if (long := _value(embed, index)) > KEPT:
            field = embed.fields[index]
            value = clip(field.value or "", max(KEPT, long - over))
            embed.set_field_at(index, name=field.name, value=value, inline=field.inline)
        elif units(head.description or "") > KEPT:
            _clip_description(head, over)
        else:
            _clip_description(max(words, key=size_of), over)
    return embeds


def _value(embed: discord.Embed, index: int) -> int:
    return units(embed.fields[index].value or "")


def _clip_description(embed: discord.Embed, over: int) -> None:
    text = embed.description or ""
    embed.description = clip(text, max(KEPT, units(text) - over))


def size_of(embed: discord.Embed) -> int:
    """Return the units that count in all embeds of a message together."""
    texts = [embed.title, embed.description, embed.footer.text, embed.author.name]
    texts += [text for field in embed.fields for text in (field.name, field.value)]
    return sum(units(text) for text in texts if text)


def field_value(markdown: str) -> str:
    """Return as much as fits the value of a field."""
    return clip(markdown, FIELD_LIMIT)
