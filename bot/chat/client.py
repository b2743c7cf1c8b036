"""The Discord client: intents, extensions, and the commands that are installed in a server."""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.ext import commands
from typing_extensions import override

from bot.audit.watcher import Watcher
from bot.chat.answers import fail, typed_in
from bot.chat.connection import insist, log_in
from bot.chat.members import Members
from bot.chat.rendering import Cards
from bot.clock import Steady
from bot.errors import REFUSED_BY_DISCORD, ConfigurationError, NotReady
from bot.service import Service
from bot.store import Store
from bot.store.facts import commands_digest

log = structlog.get_logger()

RESTARTING: Final = "Herald is restarting; nothing was changed. Try again in a minute."
# Herald has no voice: discord.py need not warn that it cannot speak.
discord.VoiceClient.warn_nacl = False
discord.VoiceClient.warn_dave = False
EXTENSIONS: Final = (
    "cogs.cards", "cogs.modals", "cogs.presses", "cogs.audit", "cogs.lists", "cogs.mirror", "cogs.notify",
)  # fmt: skip


class HeraldBot(commands.Bot):
    """Discord's side of Herald. It keeps no state that a restart could lose."""

    cards: Cards

    def __init__(
        self,
        *,
        service: Service,
        store: Store,
        watcher: Watcher,
        environment: str,
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
        self.members = Members(self, steady=steady)
        self.environment = environment
        self.session = secrets.token_hex(8)
        self.presses: Mapping[str, Press] = {}
        self._store = store
        self._draining = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self.tree.on_error = self._on_tree_error
        # Commands, buttons and modals part ways behind this one place.
        self._parse_interaction = self._connection.parsers["INTERACTION_CREATE"]
        self._connection.parsers["INTERACTION_CREATE"] = self._take

    @override
    async def setup_hook(self) -> None:
        """Load what people use, and tell Discord about commands only if they changed."""
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        for server in self.service.policy.servers:
            await self._sync(discord.Object(server.guild), name=server.name)
        # Commands are installed per server: a global copy beside them would show each one twice.
        self.tree.clear_commands(guild=None)

    @override
    async def on_message(self, message: discord.Message, /) -> None:
        """Take no commands from messages."""

    async def keep_connected(self, token: str) -> None:
        """Connect and stay connected, however long Discord is out of reach at the start.

        Raises ConfigurationError if Discord does not accept the token.
        """
        async with self:
            await insist(lambda: self._logged_in(token))
            await insist(self._was_connected)

    async def _logged_in(self, token: str) -> bool:
        try:
            await log_in(self, token)
        except discord.LoginFailure:
            raise ConfigurationError(REFUSED_BY_DISCORD) from None
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            return False
        return True

    async def _was_connected(self) -> bool:
        try:
            await self.connect()
        except AttributeError as error:
            # discord.py wants to resume the session of a connection that never was: only then is it None
            # that lacks the attribute.
            if error.obj is not None or error.name != "sequence":
                raise
            return False
        return True

    async def drain(self, seconds: float) -> None:
        """Turn new interactions away, and wait at most so long until those under way are answered."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds):
                while self._under_way:
                    await asyncio.wait(self._under_way)
        except TimeoutError:
            log.warning("what people asked for did not end in time", left=len(self._under_way))

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

    async def _sync(self, guild: discord.Object, *, name: str) -> None:
        self.tree.copy_global_to(guild=guild)
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands(guild=guild)]
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        installed = commands_digest(self.application_id, guild.id)
        if await self._store.glance(lambda tx: tx.facts.get(installed)) == digest:
            return
        try:
            await self.tree.sync(guild=guild)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.error(
                "commands could not be installed: invite Herald with the scope applications.commands",
                server=name,
                kind=type(error).__name__,
                status=getattr(error, "status", None),
                code=getattr(error, "code", None),
            )
            return
        await self._store.write(lambda tx: tx.facts.set(installed, digest))


Interaction = discord.Interaction[HeraldBot]
Press = Callable[[Interaction, int, int], Awaitable[None]]
