"""The Discord client: its intents, its extensions, and what people asked for that is under way."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

import discord
import structlog
from discord import app_commands
from discord.ext import commands
from typing_extensions import override

from bot.audit.watcher import Watcher
from bot.broadcast import BEFORE_SENDING, Broadcast
from bot.chat.answers import calm, fail, typed_in
from bot.chat.commands import Commands
from bot.chat.connection import Connection
from bot.chat.members import Members
from bot.chat.rendering import Cards
from bot.clock import Steady
from bot.errors import NotReady
from bot.preview.drawing import Preview, Previews
from bot.service import Service

log = structlog.get_logger()

RESTARTING: Final = "Herald is restarting; nothing was changed. Try again in a minute."
EXTENSIONS: Final = (
    "cogs.cards", "cogs.modals", "cogs.presses", "cogs.audit", "cogs.lists", "cogs.everyday_list",
    "cogs.mirror", "cogs.notify",
)  # fmt: skip


class HeraldBot(commands.Bot):
    """Discord's side of Herald. It keeps no state that a restart could lose."""

    cards: Cards

    def __init__(
        self,
        *,
        service: Service,
        watcher: Watcher,
        previews: Previews | None = None,
        steady: Steady = time.monotonic,
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            # Members come with each interaction, and Herald's own messages with their words: no privileged
            # intent is needed. Without the second, nobody would hear of a post that is deleted.
            intents=discord.Intents(guilds=True, guild_messages=True),
            # What people write to each other is not kept.
            max_messages=None,
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.service = service
        self.watcher = watcher
        self.previews = previews or Previews()
        self.members = Members(self, steady=steady)
        self.session = secrets.token_hex(8)
        self.presses: Mapping[str, Press] = {}
        self.connection = Connection(self, steady=steady)
        self.commands_of_servers = Commands(self, service.policy)
        self._draining = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self.tree.on_error = self._on_tree_error
        logging.getLogger("discord.app_commands.tree").addFilter(calm)
        # Commands, buttons and modals part ways behind this one place.
        self._parse_interaction = self._connection.parsers["INTERACTION_CREATE"]
        self._connection.parsers["INTERACTION_CREATE"] = self._take
        for event in ("READY", "RESUMED"):
            self._connection.parsers[event] = self.connection.noting(self._connection.parsers[event])

    @override
    async def setup_hook(self) -> None:
        """Load what people use; it is installed beside the connection."""
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        for server in self.service.policy.servers:
            self.tree.copy_global_to(guild=discord.Object(server.guild))
        # Commands are installed per server: a global copy beside them would show each one twice.
        self.tree.clear_commands(guild=None)

    @override
    async def on_message(self, message: discord.Message, /) -> None:
        """Take no commands from messages."""

    async def keep_connected(self, token: str) -> None:
        """Connect and stay connected until it is closed, however long Discord is out of reach.

        Raises ConfigurationError for what a person has to mend: the token, the intents. Whoever runs it has
        to close it, also after that: what is in flight is still to be shown.
        """
        await self.__aenter__()
        await self.connection.log_in(token)
        installing = asyncio.create_task(self.commands_of_servers.keep())
        try:
            await self.connection.keep()
        finally:
            installing.cancel()
            await asyncio.wait({installing})

    async def on_ready(self) -> None:
        """Tell the log who is connected as whom, to which servers."""
        known = {guild.id: guild for guild in self.guilds}
        servers = self.service.policy.servers
        log.info(
            "connected to Discord",
            account=str(self.user),
            id=self.user.id if self.user else None,
            servers=[one.name for one in servers if one.guild in known and not known[one.guild].unavailable],
            unavailable=[one.name for one in servers if one.guild in known and known[one.guild].unavailable],
            not_invited=[one.name for one in servers if one.guild not in known],
        )

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Give a server its commands as soon as Herald is invited."""
        self.commands_of_servers.look_again(guild.id)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """Give a server its commands as soon as it can be reached again."""
        self.commands_of_servers.look_again(guild.id)

    async def drain(self, seconds: float) -> None:
        """Turn new interactions away, and wait at most so long until those under way are answered."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds):
                while self._under_way:
                    await asyncio.wait(self._under_way)
        except TimeoutError:
            log.warning("what people asked for did not end in time", left=len(self._under_way))

    async def preview(
        self, broadcast: Broadcast, *, late: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> Preview | None:
        """Return the picture of what customers read, if a card of the broadcast shows one.

        One that is `late` is announced once it is there; without it, the card does without.
        """
        server = self.service.policy.server(broadcast.guild_id)
        if server is None or not server.rules.preview or broadcast.status not in BEFORE_SENDING:
            return None
        return await self.previews.of(broadcast.notification, late=late)

    async def press(self, interaction: "Interaction", action: str, number: int, revision: int) -> None:
        """Do what a button of that name does."""
        press = self.presses.get(action)
        if press is None:
            await interaction.response.send_message("This button no longer does anything.", ephemeral=True)
            return
        await press(interaction, number, revision)

    def _take(self, data: Any) -> None:
        if self._draining:
            interaction = Interaction(data=data, state=self._connection)
            started = {asyncio.create_task(self._turn_away(interaction))}
        else:
            before = asyncio.all_tasks()
            self._parse_interaction(data)
            started = asyncio.all_tasks() - before
        for task in started:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _turn_away(self, interaction: "Interaction") -> None:
        # No sentence fits where Discord wants choices to offer.
        if interaction.type is not discord.InteractionType.autocomplete:
            await fail(interaction, NotReady(RESTARTING), typed="\n\n".join(typed_in(interaction.data)))

    async def _on_tree_error(self, interaction: "Interaction", error: app_commands.AppCommandError) -> None:
        await fail(interaction, getattr(error, "original", error))


Interaction = discord.Interaction[HeraldBot]
Press = Callable[[Interaction, int, int], Awaitable[None]]
