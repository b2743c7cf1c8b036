"""What Discord tells of messages that are deleted or edited: the lookout knows which of them matter."""

import discord
from discord.ext import commands

from bot.client import HeraldBot


class Mirror(commands.Cog):
    """Hears of every message that is deleted or edited where Herald can see it."""

    def __init__(self, bot: HeraldBot) -> None:
        self._bot = bot

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Look for what happened while there was no connection."""
        self._bot.lookout.wake()

    @commands.Cog.listener()
    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """Tell of a deleted message."""
        await self._bot.lookout.deleted([event.message_id])

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Tell of all messages that were deleted at once."""
        await self._bot.lookout.deleted(event.message_ids)

    @commands.Cog.listener()
    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        """Tell of an edit of Herald's own message: what others write is none of its business."""
        mine = self._bot.user is not None and event.message.author.id == self._bot.user.id
        if mine and "content" in event.data:
            await self._bot.lookout.edited(event.message_id, event.data["content"])


async def setup(bot: HeraldBot) -> None:
    """Listen."""
    await bot.add_cog(Mirror(bot))
