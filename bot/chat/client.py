"""The Discord client: intents, extensions, command sync, and the one place that answers errors."""

import asyncio
import hashlib
import io
import json
import re
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import aiohttp
import discord
import structlog
from discord import app_commands
from discord.ext import commands
from pydantic import SecretStr
from typing_extensions import override

from bot.audit.watcher import Watcher
from bot.chat.announcer import Cards
from bot.clock import Steady
from bot.errors import REFUSED_BY_DISCORD, ConfigurationError, NotReady, Refused, StoreError, Unreachable
from bot.notification import reveal, storable
from bot.permissions import Actor
from bot.service import Service
from bot.store import Store
from bot.store.facts import commands_digest

log = structlog.get_logger()

SENTENCE_LIMIT: Final = 1800
# Five fields of 4000 characters, and room to spare.
ATTACHED_BYTES: Final = 128 * 1024
# How old a list of all members may be, and how many Discord gives at once.
MEMBERS_SECONDS: Final = 300.0
MEMBERS_PAGE: Final = 1000
# How long it counts that Discord refused that list: only the owner's Server Members Intent changes it.
REFUSED_SECONDS: Final = 300.0
_NOT_A_ROLE: Final = re.compile(r"<(?!@&\d+>)")
FIRST_WAIT_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 60.0
# Whoever asks for roles has a broadcast waiting for the answer.
ASK_SECONDS: Final = 5.0
RESTARTING: Final = "Herald is restarting; nothing was changed. Try again in a minute."
# How Discord says that someone is no member, and not that the server is unknown.
_UNKNOWN_MEMBER: Final = 10007
# Herald has no voice: discord.py need not warn that it cannot speak.
discord.VoiceClient.warn_nacl = False
discord.VoiceClient.warn_dave = False
EXTENSIONS: Final = (
    "cogs.cards", "cogs.modals", "cogs.presses", "cogs.audit", "cogs.mirror", "cogs.notify",
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
        self.environment = environment
        self.session = secrets.token_hex(8)
        self.presses: Mapping[str, Press] = {}
        self._store = store
        self._steady = steady
        self._draining = False
        self._members: dict[int, tuple[float, Sequence[Actor]]] = {}
        self._members_refused: dict[int, tuple[float, str]] = {}
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
            await _insist(lambda: self._logged_in(token))
            await _insist(self._was_connected)

    async def _logged_in(self, token: str) -> bool:
        try:
            await _log_in(self, token)
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

    async def roles_of(self, guild_id: int, user_id: int) -> frozenset[int] | None:
        """Return the roles that someone holds now, or None if they are no member; raise Unreachable."""
        if self.application is None or self.is_closed():
            raise Unreachable("Discord cannot be asked now (not logged in).")
        return await ask_roles(self, guild_id, user_id)

    async def members_of(self, guild_id: int, *, max_age: float = MEMBERS_SECONDS) -> Sequence[Actor]:
        """Return all members with their roles, asked at most `max_age` seconds ago; raise Unreachable.

        Discord tells only those bots whose Server Members Intent is on. Its refusal counts for a while.
        """
        now = self._steady()
        refused_at, refusal = self._members_refused.get(guild_id, (float("-inf"), None))
        if refusal is not None and now - refused_at <= REFUSED_SECONDS:
            raise Unreachable(refusal)
        asked_at, members = self._members.get(guild_id, (float("-inf"), ()))
        if now - asked_at > max_age:
            if self.application is None or self.is_closed():
                raise Unreachable("Discord cannot be asked now (not logged in).")
            try:
                members = await ask_members(self, guild_id)
            except Unreachable as error:
                if isinstance(error.__cause__, discord.Forbidden):
                    self._members_refused[guild_id] = (now, str(error))
                raise
            self._members[guild_id] = (now, members)
        return members

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
        except (discord.HTTPException, aiohttp.ClientError, OSError) as failure:
            log.warning(
                "an answer did not reach its person",
                kind=type(failure).__name__,
                status=getattr(failure, "status", None),
                code=getattr(failure, "code", None),
            )

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
            await self.fail(interaction, NotReady(RESTARTING), typed="\n\n".join(typed_in(interaction.data)))

    async def _on_tree_error(self, interaction: "Interaction", error: app_commands.AppCommandError) -> None:
        await self.fail(interaction, getattr(error, "original", error))

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


class RestRoles:
    """Tells roles without a gateway: it logs in at the first question that needs it."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token
        self._client = discord.Client(intents=discord.Intents(guilds=True))
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def roles_of(self, guild_id: int, user_id: int) -> frozenset[int] | None:
        """Return the roles that someone holds now, or None if they are no member; raise Unreachable."""
        async with _asking():
            async with self._logging_in:
                if self._client.application is None:
                    await _log_in(self._client, self._token.get_secret_value())
            return await ask_roles(self._client, guild_id, user_id)


async def ask_roles(client: discord.Client, guild_id: int, user_id: int) -> frozenset[int] | None:
    """Ask Discord for the roles that a member holds now; return None if they are no member any more.

    Raises Unreachable if Discord does not say so within a few seconds, or does not know the server.
    """
    async with _asking():
        try:
            # The plain answer: what discord.py makes of it lacks the roles that its cache does not know.
            member = await client.http.get_member(guild_id, user_id)
        except discord.NotFound as error:
            if error.code == _UNKNOWN_MEMBER:
                return None
            raise
        return frozenset(int(role) for role in member["roles"])


async def ask_members(client: discord.Client, guild_id: int) -> Sequence[Actor]:
    """Ask Discord for all members of a server, page by page; raise Unreachable if it does not tell."""
    found: list[Actor] = []
    while True:
        after = found[-1].id if found else None
        # A large server's list takes longer than any one answer may.
        async with _asking():
            page = await client.http.get_members(guild_id, MEMBERS_PAGE, after)
        found += [_member(guild_id, one) for one in page]
        if len(page) < MEMBERS_PAGE:
            return found


def _member(guild_id: int, payload: Any) -> Actor:
    user = payload["user"]
    return Actor(
        id=int(user["id"]),
        name=_name(payload.get("nick") or user.get("global_name") or user["username"]),
        guild_id=guild_id,
        roles=frozenset(int(role) for role in payload["roles"]),
        bot=bool(user.get("bot")),
    )


def _name(shown: str) -> str:
    """Return what someone is called, as every database keeps it and on one line."""
    return storable(" ".join(shown.split()))[:100]


@asynccontextmanager
async def _asking() -> AsyncGenerator[None, None]:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            yield
    except discord.LoginFailure:
        raise Unreachable(REFUSED_BY_DISCORD) from None
    except (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"Discord cannot be asked now ({type(error).__name__}).") from error


async def _log_in(client: discord.Client, token: str) -> None:
    try:
        await client.login(token)
    except BaseException:
        # A login that fails leaves its session and connector behind; the next one makes its own.
        await client.http.close()
        client.http.connector = discord.utils.MISSING
        raise


async def _insist(attempt: Callable[[], Awaitable[bool]]) -> None:
    wait = FIRST_WAIT_SECONDS
    while not await attempt():
        log.warning("Discord is out of reach; what is approved is sent all the same", again_in=wait)
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def actor_of(interaction: "discord.Interaction[Any]") -> Actor:
    """Return who acts, with the roles that Discord says they hold at this moment."""
    user = interaction.user
    roles = [role.id for role in user.roles] if isinstance(user, discord.Member) else []
    return Actor(
        id=user.id,
        name=_name(user.display_name),
        guild_id=interaction.guild_id,
        roles=frozenset(roles),
        bot=user.bot,
        interaction=interaction.id,
    )


def typed_in(component: Any) -> Iterator[str]:
    """Yield what was typed into the fields of a modal, from what Discord sends when it is submitted."""
    if component.get("type") == discord.ComponentType.text_input.value and component.get("value"):
        yield component["value"]
    inner = component.get("components", [])
    for child in [*inner, *([component["component"]] if "component" in component else [])]:
        yield from typed_in(child)


def _sentence(error: BaseException) -> str:
    if isinstance(error, Refused):
        # What people typed or are called may stand in it; only the mention of a role is meant as one.
        shown = discord.utils.escape_markdown(reveal(str(error)))
        return _NOT_A_ROLE.sub(r"\<", shown)[:SENTENCE_LIMIT]
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
        # Half a character would keep all the others from being given back.
        whole = typed.encode(errors="backslashreplace")
        files.append(discord.File(io.BytesIO(whole[:ATTACHED_BYTES]), filename="what-you-typed.txt"))
    if not interaction.response.is_done():
        await interaction.response.send_message(sentence, files=files, ephemeral=True)
    elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.edit_original_response(content=sentence, attachments=files)
    else:
        await interaction.followup.send(sentence, files=files, ephemeral=True)
