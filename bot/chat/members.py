"""Members of a server and the roles they hold now, asked of Discord."""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Self

import aiohttp
import discord
from pydantic import SecretStr

from bot.characters import storable
from bot.chat.connection import bounded, is_out_of_reach, log_in
from bot.chat.custom_ids import seen
from bot.clock import Steady
from bot.errors import REFUSED_BY_DISCORD, Unreachable
from bot.permissions import Actor, Membership

# How old a list of all members may be, and how many Discord gives at once.
MEMBERS_SECONDS: Final = 300.0
MEMBERS_PAGE: Final = 1000
# How long it counts that Discord refused that list: only the owner's Server Members Intent changes it.
REFUSED_SECONDS: Final = 300.0
# Whoever asks for roles has a broadcast waiting for the answer.
ASK_SECONDS: Final = 5.0
# How Discord says that someone is no member, and not that the server is unknown.
_UNKNOWN_MEMBER: Final = 10007


class Members:
    """Asks through a client that is logged in, and keeps each list of all members for a while."""

    def __init__(self, client: discord.Client, *, steady: Steady) -> None:
        self._client = client
        self._steady = steady
        self._lists: dict[int, tuple[float, Sequence[Actor]]] = {}
        self._refused: dict[int, tuple[float, str]] = {}

    async def membership_of(self, guild_id: int, user_id: int) -> Membership | None:
        """Return what someone is in a server now, or None if they are no member; raise Unreachable."""
        self._check_logged_in()
        return await ask_membership(self._client, guild_id, user_id)

    async def of(self, guild_id: int, *, max_age: float = MEMBERS_SECONDS) -> Sequence[Actor]:
        """Return all members with their roles, asked at most `max_age` seconds ago; raise Unreachable.

        Discord tells only those bots whose Server Members Intent is on. Its refusal counts for a while.
        """
        now = self._steady()
        refused_at, refusal = self._refused.get(guild_id, (float("-inf"), None))
        if refusal is not None and now - refused_at <= REFUSED_SECONDS:
            raise Unreachable(refusal)
        asked_at, members = self._lists.get(guild_id, (float("-inf"), ()))
        if now - asked_at > max_age:
            self._check_logged_in()
            try:
                members = await ask_members(self._client, guild_id)
            except Unreachable as error:
                if isinstance(error.__cause__, discord.Forbidden):
                    self._refused[guild_id] = (now, str(error))
                raise
            self._lists[guild_id] = (now, members)
        return members

    async def known(self, guild_id: int) -> Sequence[Actor] | None:
        """Return all members with their roles, or None where Discord does not tell Herald who they are."""
        try:
            return await self.of(guild_id)
        except Unreachable:
            return None

    async def direct_channel(self, guild_id: int, user_id: int) -> int | None:
        """Return where a member is written to directly; None if that is refused, or if they are no member.

        Whether they take it shows only when it is sent. Raises Unreachable.
        """
        if await self.membership_of(guild_id, user_id) is None:
            return None
        with _explained():
            try:
                channel = await bounded(self._client.create_dm(discord.Object(user_id)), ASK_SECONDS)
            except discord.HTTPException as error:
                if is_out_of_reach(error):
                    raise
                return None
        return channel.id

    def _check_logged_in(self) -> None:
        if self._client.application is None or self._client.is_closed():
            raise Unreachable("Discord cannot be asked now (not logged in).")


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

    async def membership_of(self, guild_id: int, user_id: int) -> Membership | None:
        """Return what someone is in a server now, or None if they are no member; raise Unreachable."""
        with _explained():
            # A login may be called off: it has nothing yet that others share.
            async with asyncio.timeout(ASK_SECONDS), self._logging_in:
                if self._client.application is None:
                    await log_in(self._client, self._token.get_secret_value())
        return await ask_membership(self._client, guild_id, user_id)


async def ask_membership(client: discord.Client, guild_id: int, user_id: int) -> Membership | None:
    """Ask Discord for a member's roles and time-out; return None if they are no member any more.

    Raises Unreachable if Discord does not say so within a few seconds, or does not know the server.
    """
    with _explained():
        try:
            # The plain answer: what discord.py makes of it lacks the roles that its cache does not know.
            member = await bounded(client.http.get_member(guild_id, user_id), ASK_SECONDS)
        except discord.NotFound as error:
            if error.code == _UNKNOWN_MEMBER:
                return None
            raise
        return _membership(member)


async def ask_members(client: discord.Client, guild_id: int) -> Sequence[Actor]:
    """Ask Discord for all members of a server, page by page; raise Unreachable if it does not tell."""
    found: list[Actor] = []
    while True:
        after = found[-1].id if found else None
        # A large server's list takes longer than any one answer may.
        with _explained():
            page = await bounded(client.http.get_members(guild_id, MEMBERS_PAGE, after), ASK_SECONDS)
        found += [_member(guild_id, one) for one in page]
        if len(page) < MEMBERS_PAGE:
            return found


def _member(guild_id: int, payload: Any) -> Actor:
    user = payload["user"]
    return Actor(
        id=int(user["id"]),
        name=_name(payload.get("nick") or user.get("global_name") or user["username"]),
        guild_id=guild_id,
        bot=bool(user.get("bot")),
        **_membership(payload)._asdict(),
    )


def _membership(payload: Any) -> Membership:
    until: str | None = payload.get("communication_disabled_until")
    roles = frozenset(int(role) for role in payload["roles"])
    return Membership(roles, datetime.fromisoformat(until) if until else None)


def _name(shown: str) -> str:
    """Return what someone is called, as every database keeps it and on one line."""
    return storable(" ".join(shown.split()))[:100]


@contextmanager
def _explained() -> Generator[None, None, None]:
    try:
        yield
    except discord.LoginFailure:
        raise Unreachable(REFUSED_BY_DISCORD) from None
    except (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError) as error:
        raise Unreachable(f"Discord cannot be asked now ({type(error).__name__}).") from error


def member_of(guild_id: int | None, user: discord.Member | discord.User) -> Actor:
    """Return who was chosen, with the roles that Discord said of them; without any if they are no member."""
    # As they came: `roles` lacks those that the library does not know, which are all of them while the
    # server is unavailable.
    roles: Iterable[int] = user._roles if isinstance(user, discord.Member) else ()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    until = user.timed_out_until if isinstance(user, discord.Member) else None
    return Actor(
        id=user.id,
        name=_name(user.display_name),
        guild_id=guild_id,
        roles=frozenset(roles),
        timed_out_until=until,
        bot=user.bot,
    )


def actor_of(interaction: discord.Interaction[Any]) -> Actor:
    """Return who acts, with the roles that Discord says they hold at this moment, and what they saw."""
    return replace(
        member_of(interaction.guild_id, interaction.user),
        channel_id=interaction.channel_id,
        interaction=interaction.id,
        seen=seen(interaction),
    )
