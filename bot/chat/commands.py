"""The slash commands: seeing to it that each server has them, however often that takes."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.ext import commands

from bot.policy.model import Policy

log = structlog.get_logger()

# The extension that has them.
EXTENSION: Final = "cogs.notify"
FIRST_WAIT_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 60.0
# What makes a command another one for people; Discord adds more, and leaves out what is as usual.
_TOLD: Final[Mapping[str, Any]] = {
    "name": "", "description": "", "type": 1, "required": False, "autocomplete": False, "choices": [],
    "min_length": None, "max_length": None, "min_value": None, "max_value": None,
}  # fmt: skip


class Commands:
    """Installs the commands of a client in the servers of the policy, each beside all others."""

    def __init__(self, client: commands.Bot, policy: Policy) -> None:
        self._client = client
        self._names = {server.guild: server.name for server in policy.servers}
        self._missing = set(self._names)
        self._again = {guild_id: asyncio.Event() for guild_id in self._names}

    @property
    def missing(self) -> Sequence[str]:
        """Return the names of the servers of which nobody knows that they have the commands."""
        return [name for guild_id, name in self._names.items() if guild_id in self._missing]

    def look_again(self, guild_id: int) -> None:
        """Ask once more what a server has: Herald was invited there, or it has become available."""
        if guild_id in self._again:
            self._again[guild_id].set()

    async def keep(self) -> None:
        """Install them, and try again wherever that fails, until cancelled; the client is logged in."""
        async with asyncio.TaskGroup() as servers:
            for guild_id in self._names:
                servers.create_task(self._keep(guild_id))

    async def _keep(self, guild_id: int) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            self._again[guild_id].clear()
            if await self._is_installed(guild_id):
                wait = FIRST_WAIT_SECONDS
                await self._again[guild_id].wait()
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._again[guild_id].wait(), wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _is_installed(self, guild_id: int) -> bool:
        try:
            await self.install(guild_id)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            if not isinstance(error, discord.Forbidden | discord.NotFound):
                mend = "it is tried again by itself"
            else:
                mend = "invite Herald there, with the scope applications.commands"
            log.warning(
                f"commands could not be installed: {mend}",
                server=self._names[guild_id],
                kind=type(error).__name__,
                status=getattr(error, "status", None),
                code=getattr(error, "code", None),
            )
            self._missing.add(guild_id)
            return False
        self._missing.discard(guild_id)
        return True

    async def install(self, guild_id: int) -> None:
        """Let a server have them; raise what discord.py raises. Nothing is written where they are right."""
        wanted = payload(self._client.tree, discord.Object(guild_id))
        application = self._client.application_id or 0
        if differing(wanted, await self._client.http.get_guild_commands(application, guild_id)):
            await self._client.http.bulk_upsert_guild_commands(application, guild_id, payload=wanted)
            log.info("commands installed", server=self._names.get(guild_id, guild_id))


def payload(tree: app_commands.CommandTree[Any], guild: discord.Object | None = None) -> list[Any]:
    """Return the commands of a tree, for a server, as Discord is told of them."""
    return [command.to_dict(tree) for command in tree.get_commands(guild=guild)]


async def wanted_commands() -> list[Any]:
    """Return the commands that each server should have, from a client that never connects."""
    client: Any = commands.Bot(command_prefix=commands.when_mentioned, intents=discord.Intents(guilds=True))
    client.service = None
    async with client:
        await client.load_extension(EXTENSION)
        return payload(client.tree)


def differing(wanted: Iterable[Mapping[str, Any]], installed: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of commands that are missing, one too many, or others than they should be."""
    right, found = ({one["name"]: _told(one) for one in commands} for commands in (wanted, installed))
    return sorted(name for name in right.keys() | found.keys() if right.get(name) != found.get(name))


def _told(command: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: command.get(name) or usual for name, usual in _TOLD.items()}
    return told | {"options": [_told(option) for option in command.get("options") or ()]}
