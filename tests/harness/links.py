"""Herald's links to its cards, and what is read of them."""

import re

from bot.sandbox.sandbox import Sandbox


def link(sandbox: Sandbox, number: int = 1) -> str:
    """Return a broadcast's number as it links to the newest card."""
    card = sandbox.review_card()
    return f"[#{number}](https://discord.com/channels/{sandbox.world.guild.id}/{card.channel.id}/{card.id})"


def unlinked(text: str) -> str:
    """Return what is read where a link stands."""
    return re.sub(r"\[(#\d+)\]\(\S+?\)", r"\1", text)
