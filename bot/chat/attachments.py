"""Files that people attach: read only as far as they may be a list, by what Discord says of them first."""

import aiohttp
import discord

from bot.errors import NotReady
from bot.own_list import refuse_announced


async def read_attachment(attachment: discord.Attachment) -> bytes | NotReady:
    """Return what a file says, or what to mend; what its name or its size rules out is never fetched."""
    try:
        refuse_announced(attachment.filename, attachment.size)
        return await attachment.read()
    except NotReady as refused:
        return refused
    except (discord.HTTPException, aiohttp.ClientError, OSError):
        return NotReady(f"Discord did not give “{attachment.filename[:60]}” to Herald: attach it again.")
