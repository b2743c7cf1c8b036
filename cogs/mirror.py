"""What Discord tells of deleted and edited messages, and of channels: the watcher knows what matters."""

import discord
from discord.ext import commands

from bot.chat.channels import things_beside
from bot.chat.client import HeraldBot


class Mirror(commands.Cog):
    """Hears of every message that is deleted or edited where Herald can see it."""

    def __init__(self, bot: HeraldBot) -> None:
        self._bot = bot

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Look for what happened while there was no connection."""
        self._bot.watcher.wake()

    @commands.Cog.listener()
    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """Look whether the record's channel is still there."""
        self._look(channel)

    @commands.Cog.listener()
    async def on_guild_channel_update(self, _: object, channel: discord.abc.GuildChannel) -> None:
        """Look whether the record's channel may still be read, or may again."""
        self._look(channel)

    def _look(self, channel: discord.abc.GuildChannel) -> None:
        if channel.id in {server.channels.audit for server in self._bot.service.policy.servers}:
            self._bot.watcher.wake()

    @commands.Cog.listener()
    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """Tell of a deleted message."""
        await self._bot.watcher.deleted([event.message_id])

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Tell of all messages that were deleted at once."""
        await self._bot.watcher.deleted(event.message_ids)

    @commands.Cog.listener()
    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        """Tell of an edit of Herald's own message: what others write is none of its business."""
        mine = self._bot.user is not None and event.message.author.id == self._bot.user.id
        if mine and "content" in event.data:
            beside = things_beside(event.data)
            await self._bot.watcher.edited(event.message_id, event.data["content"], beside=beside)


async def setup(bot: HeraldBot) -> None:
    """Listen."""
    await bot.add_cog(Mirror(bot))
