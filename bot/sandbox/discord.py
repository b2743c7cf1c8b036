"""A simulated Discord server with its people, built on SimCord."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Self

import discord
import simcord
from discord.ext import commands

from bot.errors import Refused

# Who has which of the policy's roles.
PEOPLE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Maya": ("compose", "lists"),
        "Omar": ("compose", "approve"),
        "Lena": ("approve", "operate"),
        "Ada": ("audit",),
        "Sam": (),
    }
)
ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "compose": "Moderators",
        "approve": "Approvers",
        "operate": "Operators",
        "audit": "Auditors",
        "lists": "Guest lists",
    }
)
CHANNELS: Final = ("moderators", "review", "audit")


@dataclass(frozen=True, slots=True)
class SimulatedDiscord:
    """The server, its channels and people, and the environment that drives them."""

    env: simcord.Env
    guild: simcord.GuildHandle
    channels: Mapping[str, simcord.ChannelHandle]
    roles: Mapping[str, simcord.RoleHandle]
    people: Mapping[str, simcord.MemberActor]

    @classmethod
    @asynccontextmanager
    async def open(cls, *, tolerant: bool = False) -> AsyncGenerator[Self, None]:
        """Build the server; a placeholder is connected until `attach` brings the real client.

        At the end it raises what the client swallowed, unless it is a refusal or this is tolerant.
        """
        placeholder = commands.Bot(
            command_prefix=commands.when_mentioned, intents=discord.Intents(guilds=True)
        )
        # Not simcord.run: its context variables do not survive being left in another task.
        env = simcord.Env(placeholder, check_errors=False)
        await env.start()
        try:
            guild = env.create_guild("Sunrise Trading")
            channels = {name: guild.create_text_channel(name) for name in CHANNELS}
            roles = {key: guild.create_role(name) for key, name in ROLES.items()}
            people = {
                name: guild.add_member(env.create_user(name), roles=[roles[key] for key in keys])
                for name, keys in PEOPLE.items()
            }
            yield cls(env, guild, channels, roles, people)
        finally:
            await env.shutdown()
        swallowed = [error for error in map(_cause, env.errors) if not isinstance(error, Refused)]
        if swallowed and not tolerant:
            raise BaseExceptionGroup("errors that the client swallowed", swallowed)

    async def attach(self, client: discord.Client) -> None:
        """Connect this client in place of the one before; the server stays as it is."""
        await self.env.restart_bot(client)
        # A bare bot, which others are measured beside, installs its own, and reads nothing of Herald for it.
        if (commands_of_servers := getattr(client, "commands_of_servers", None)) is not None:
            await commands_of_servers.install(self.guild.id)
        if client.user is not None:
            await client.user.edit(username="Herald")

    def policy(self, generation: str) -> str:
        """Return a herald.toml for this server."""
        roles = "\n".join(f"{key} = [{role.id}]" for key, role in self.roles.items())
        return f"""\
[[server]]
name = "{self.guild.name}"
guild = {self.guild.id}

[server.channels]
review = {self.channels["review"].id}
audit = {self.channels["audit"].id}

[server.roles]
{roles}

[server.rules]
approvals = 1
undo_window = "10s"
review_expires = "24h"
missed_after = "15m"
repeat_window = "24h"

[[server.topic]]
id = "announcements"
name = "Announcements"

[[server.topic]]
id = "outages"
name = "Outages"

[[server.template]]
name = "We are down"
audience = "Gold members"
topic = "outages"
subject = "{{service}} is down"
content = "Since {{since}}, {{service}} cannot be reached. We are on it and will write again."
{_AUDIENCES[generation]}"""

    def named(self, text: str) -> str:
        """Return the text with names in place of Discord's mentions and times, as a client shows it."""
        names = {f"<@{person.id}>": f"@{name}" for name, person in self.people.items()}
        names |= {f"<@&{role.id}>": f"@{role.name}" for role in self.roles.values()}
        names |= {f"<#{channel.id}>": f"#{name}" for name, channel in self.channels.items()}
        for mention, name in names.items():
            text = text.replace(mention, name)
        text = _TIMESTAMP.sub(self._spoken_time, text)
        return _ESCAPED.sub(r"\1", text)

    def _spoken_time(self, match: re.Match[str]) -> str:
        at = datetime.fromtimestamp(int(match[1]), UTC)
        if match[2] != "R":
            return f"{at:%H:%M:%S}"
        seconds = int((at - self.env.now()).total_seconds())
        amount = f"{abs(seconds)} seconds" if abs(seconds) < 120 else f"{abs(seconds) // 3600} hours"
        return f"in {amount}" if seconds > 0 else f"{amount} ago"


def _cause(error: BaseException) -> BaseException:
    return error.original if isinstance(error, discord.app_commands.CommandInvokeError) else error


_TIMESTAMP: Final = re.compile(r"<t:(\d+):(\w)>")
_ESCAPED: Final = re.compile(r"\\([^0-9A-Za-z\s])")

_AUDIENCES: Final = {
    "v5": """
[[server.audience]]
name = "Gold members"
size = 420
targets = { products = ["prod_gold"] }

[[server.audience]]
name = "Everyone"
size = 12000
targets = { companies = ["biz_sunrise"] }
approvals = 2

[[server.audience]]
name = "Testers and Gold"
size = 422
targets = { users = ["user_maya", "user_omar"], products = ["prod_gold"] }
""",
    "v1": """
[[server.audience]]
name = "Gold members"
size = 420
targets = { experiences = ["exp_gold"] }

[[server.audience]]
name = "Everyone"
size = 12000
targets = { experiences = ["exp_gold", "exp_silver"] }
approvals = 2

[[server.audience]]
name = "Testers"
targets = { users_in_experience = { experience = "exp_gold", users = ["user_maya", "user_omar"] } }

[[server.audience]]
name = "Our team"
size = 5
targets = { team = "biz_sunrise" }

[server.lists]
experience = "exp_gold"
""",
}
