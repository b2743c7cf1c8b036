"""Reading a Discord channel from its newest message back, and why that, or writing there, fails."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self

import aiohttp
import discord
from pydantic import SecretStr

from bot.audit.mirror import Seen
from bot.chat.connection import bounded
from bot.chat.members import ASK_SECONDS
from bot.errors import REFUSED_BY_DISCORD, NoChannel, Unreachable, Unreadable

# What Herald needs in a channel in order to post there.
CHANNEL_RIGHTS: Final = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "embed_links": "Embed Links",
}
# How many messages Discord gives at once.
_BESIDE: Final = ("attachments", "components", "sticker_items", "poll", "message_snapshots")
PAGE: Final = 100
MAY_NOT_READ: Final = (
    "Herald may not read it: allow View Channel and Read Message History in the channel's settings"
)
NO_CHANNEL: Final = (
    "the channel was deleted: name another as channels.audit in herald.toml, and start Herald again"
)
_CARD_UNSEEN: Final = "Nobody could see its card: {why}. Nothing was changed."
REVIEW_GONE: Final = _CARD_UNSEEN.format(
    why="the review channel was deleted. Whoever runs Herald has to name another as channels.review in"
    " herald.toml and start Herald again. Then try again"
)
REVIEW_CLOSED: Final = _CARD_UNSEEN.format(
    why=f"Herald may not post in the review channel. Allow it {', '.join(CHANNEL_RIGHTS.values())} in the"
    " channel's settings, then try again"
)
_UNKNOWN_MESSAGE: Final = 10008


class ChannelReader:
    """What stands in channels, through a client that is logged in."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def logged_in(cls, token: SecretStr) -> AsyncGenerator[Self, None]:
        """Log in without a gateway; raise Unreachable if Discord does not let."""
        async with discord.Client(intents=discord.Intents(guilds=True)) as client:
            with _explained():
                await client.login(token.get_secret_value())
            yield cls(client)

    @property
    def own_id(self) -> int:
        """Return the account that Herald posts with."""
        return self._client.user.id if self._client.user else 0

    async def read(self, channel_id: int, *, since: int = 0) -> AsyncGenerator[Sequence[Seen], None]:
        """Yield the messages with ids from `since` on, newest first, a page at a time.

        Raises Unreadable or Unreachable. Without the right to read the history Discord gives an empty page,
        and no error: whoever misses something has to ask whether it is gone.
        """
        before: int | None = None
        while True:
            with _explained():
                page: Any = await self._client.http.logs_from(channel_id, PAGE, before=before)
            messages = [seen_in(one) for one in page]
            yield [message for message in messages if message.id >= since]
            if len(messages) < PAGE or messages[-1].id <= since:
                return
            before = messages[-1].id

    async def is_gone(self, channel_id: int, message_id: int) -> bool:
        """Ask for one message; raise Unreadable or Unreachable if Discord does not tell."""
        with _explained():
            try:
                await self._client.http.get_message(channel_id, message_id)
            except discord.NotFound as error:
                if error.code != _UNKNOWN_MESSAGE:
                    raise
                return True
        return False


def things_beside(message: Any) -> tuple[str, ...]:
    """Return what stands in a message beside its words, as Discord tells of it."""
    # An embed that Discord makes of a link, and that people may hide, is of another type.
    embeds = any(one.get("type", "rich") == "rich" for one in message.get("embeds") or ())
    return (*(kind for kind in _BESIDE if message.get(kind)), *(["embeds"] if embeds else ()))


def seen_in(message: Any) -> Seen:
    """Return what people see of a message, as Discord tells of it."""
    return Seen(
        int(message["id"]),
        int(message["author"]["id"]),
        message["content"],
        beside=things_beside(message),
        was_edited=bool(message.get("edited_timestamp")),
    )


async def why_unseen(client: discord.Client, review_channel: int) -> str | None:
    """Return why nobody could see a card in the review channel, where Discord says so for certain.

    Where it cannot be asked the card follows as soon as it can, so that is no reason.
    """
    try:
        channel = await bounded(client.fetch_channel(review_channel), ASK_SECONDS)
    except discord.NotFound:
        return REVIEW_GONE
    except discord.Forbidden:
        return REVIEW_CLOSED
    except (discord.DiscordException, aiohttp.ClientError, OSError):
        return None
    me = channel.guild.me if isinstance(channel, discord.TextChannel) else None
    # Without the server in the cache nobody knows what Herald's roles allow.
    if not isinstance(channel, discord.TextChannel) or not isinstance(me, discord.Member):
        return None
    rights = channel.permissions_for(me)
    return None if all(getattr(rights, name) for name in CHANNEL_RIGHTS) else REVIEW_CLOSED


def may_post_here(interaction: discord.Interaction[Any]) -> bool:
    """Tell whether Herald may post where somebody used it."""
    rights = interaction.app_permissions
    in_thread = isinstance(interaction.channel, discord.Thread)
    return rights.view_channel and (rights.send_messages_in_threads if in_thread else rights.send_messages)


@contextmanager
def _explained() -> Generator[None, None, None]:
    try:
        yield
    except discord.LoginFailure:
        raise Unreachable(REFUSED_BY_DISCORD) from None
    except discord.Forbidden:
        raise Unreadable(MAY_NOT_READ) from None
    except discord.NotFound:
        raise NoChannel(NO_CHANNEL) from None
    except (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError) as error:
        raise Unreachable(
            f"Discord cannot be asked now ({type(error).__name__}): try again later."
        ) from error
