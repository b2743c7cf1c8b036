"""The Discord client: intents, extensions, command sync, and the one place that answers errors."""

import asyncio
import hashlib
import io
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.ext import commands
from typing_extensions import override

from bot.announcer import Cards
from bot.errors import REFUSED_BY_DISCORD, ConfigurationError, Refused, StoreError
from bot.permissions import Actor
from bot.service import Service
from bot.store import Store

log = structlog.get_logger()

SENTENCE_LIMIT: Final = 1800
_NOT_A_ROLE: Final = re.compile(r"<(?!@&\d+>)")
FIRST_WAIT_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 60.0
# Herald has no voice: discord.py need not warn that it cannot speak.
discord.VoiceClient.warn_nacl = False
discord.VoiceClient.warn_dave = False
EXTENSIONS: Final = ("cogs.cards", "cogs.modals", "cogs.presses", "cogs.notify")


class HeraldBot(commands.Bot):
    """Discord's side of Herald. It keeps no state that a restart could lose."""

    cards: Cards

    def __init__(self, *, service: Service, store: Store, environment: str) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            # Members come with each interaction: no privileged intent is needed.
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.service = service
        self.environment = environment
        self.session = secrets.token_hex(8)
        self.presses: Mapping[str, Press] = {}
        self._store = store
        self.tree.on_error = self._on_tree_error

    @override
    async def setup_hook(self) -> None:
        """Load what people use, and tell Discord about commands only if they changed."""
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        for server in self.service.policy.servers:
            await self._sync(discord.Object(server.guild), name=server.name)
        # Commands are installed per server: a global copy beside them would show each one twice.
        self.tree.clear_commands(guild=None)

    async def keep_connected(self, token: str) -> None:
        """Connect and stay connected, however long Discord is out of reach at the start.

        Raises ConfigurationError if Discord does not accept the token.
        """
        async with self:
            wait = FIRST_WAIT_SECONDS
            while not await self._logged_in(token):
                log.warning("Discord is out of reach; what is approved is sent all the same", again_in=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            await self.connect()

    async def _logged_in(self, token: str) -> bool:
        try:
            await self.login(token)
        except discord.LoginFailure:
            raise ConfigurationError(REFUSED_BY_DISCORD) from None
        except (discord.HTTPException, aiohttp.ClientError, OSError):
            # A login that fails leaves its session and connector behind; the next one makes its own.
            await self.http.close()
            self.http.connector = discord.utils.MISSING
            return False
        return True

    async def press(self, interaction: "Interaction", action: str, number: int, revision: int) -> None:
        """Do what a button of that name does."""
        press = self.presses.get(action)
        if press is None:
            await interaction.response.send_message("This button no longer does anything.", ephemeral=True)
            return
        await press(interaction, number, revision)

    async def fail(self, interaction: "Interaction", error: BaseException, *, typed: str = "") -> None:
        """Answer the person with one sentence and what they typed, and tell the log what it was."""
        try:
            await _answer(interaction, _sentence(error), typed)
        except discord.HTTPException as failure:
            log.warning("an answer did not reach its person", status=failure.status, code=failure.code)

    async def _on_tree_error(self, interaction: "Interaction", error: app_commands.AppCommandError) -> None:
        await self.fail(interaction, getattr(error, "original", error))

    async def _sync(self, guild: discord.Object, *, name: str) -> None:
        self.tree.copy_global_to(guild=guild)
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands(guild=guild)]
        digest = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
        fact = f"commands of {self.application_id} in {guild.id}"
        async with self._store.reading() as tx:
            if await tx.fact(fact) == digest:
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
        async with self._store.transaction() as tx:
            await tx.remember(fact, digest)


Interaction = discord.Interaction[HeraldBot]
Press = Callable[[Interaction, int, int], Awaitable[None]]


def actor_of(interaction: "discord.Interaction[Any]") -> Actor:
    """Return who acts, with the roles that Discord says they hold at this moment."""
    user = interaction.user
    roles = [role.id for role in user.roles] if isinstance(user, discord.Member) else []
    return Actor(
        id=user.id,
        name=user.display_name[:100],
        guild_id=interaction.guild_id,
        roles=frozenset(roles),
        bot=user.bot,
    )


def _sentence(error: BaseException) -> str:
    if isinstance(error, Refused):
        # What people typed or are called may stand in it; only the mention of a role is meant as one.
        return _NOT_A_ROLE.sub(r"\<", discord.utils.escape_markdown(str(error)))[:SENTENCE_LIMIT]
    if isinstance(error, StoreError):
        log.error("a person could not be served", error=str(error))
        return "Herald's database is in trouble, so nothing was changed or sent. Try again in a minute."
    if isinstance(error, app_commands.CheckFailure):
        return "You cannot use this here."
    reference = secrets.token_hex(4)
    log.error("a fault inside Herald", reference=reference, kind=type(error).__name__, exc_info=error)
    return (
        "Something went wrong inside Herald. Look at the broadcast's card before you try again,"
        f" and tell whoever runs Herald the reference {reference}."
    )


async def _answer(interaction: Interaction, sentence: str, typed: str) -> None:
    files: list[discord.File] = []
    if typed:
        sentence += "\nWhat you typed is attached, to copy."
        files.append(discord.File(io.BytesIO(typed.encode()), filename="what-you-typed.txt"))
    if not interaction.response.is_done():
        await interaction.response.send_message(sentence, files=files, ephemeral=True)
    elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.edit_original_response(content=sentence, attachments=files)
    else:
        await interaction.followup.send(sentence, files=files, ephemeral=True)
