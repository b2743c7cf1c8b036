"""A whole mirror, read from Discord and compared with the record in the database."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from bot.audit.mirror import Difference, Expected, Seen, compare, is_alike
from bot.errors import NoChannel, Unreachable, Unreadable
from bot.policy.model import Policy
from bot.store import Store, Transaction


class ChannelHistory(Protocol):
    """What is needed of Discord."""

    @property
    def own_id(self) -> int:
        """Return the account that Herald posts with."""
        ...

    def read(self, channel_id: int) -> AsyncGenerator[Sequence[Seen], None]:
        """Yield all messages; raise Unreadable or Unreachable."""
        ...

    async def is_gone(self, channel_id: int, message_id: int) -> bool:
        """Ask for one message; raise Unreadable or Unreachable."""
        ...


class Comparison(NamedTuple):
    """How many lines were posted and how many wait, and in what the channels differ from the chain."""

    lines: int
    waiting: int
    differences: Sequence[Difference]


class MirrorReader:
    """Reads all channels in which a server's lines were ever posted."""

    def __init__(self, *, store: Store, channels: ChannelHistory, policy: Policy) -> None:
        self._store = store
        self._channels = channels
        self._policy = policy

    async def count(self, guilds: Iterable[int]) -> int:
        """Return how many posts there are to read."""
        return await self._store.read(_count, tuple(guilds))

    async def compare(self, guild_id: int, advance: Callable[[int], None]) -> Comparison:
        """Read and compare; raise Unreadable or Unreachable if Discord does not show all of it.

        A Herald that runs may post meanwhile: what it posted before has to be there, and what it knows
        afterwards is no stranger.
        """
        since, places = await self._store.read(_posted, guild_id)
        if server := self._policy.server(guild_id):
            places.add(server.channels.audit)
        seen: list[Seen] = []
        lost: set[int] = set()
        for place in sorted(places):
            try:
                seen += await self._read(place, since, advance)
            except NoChannel:
                lost.add(place)
            except Unreadable as error:
                raise Unreadable(f"The channel {place} could not be compared: {error}.") from None
        expected = await self._store.read(_expected, guild_id)
        there = {message.id for message in seen}
        await self._confirm(expected, since - there, lost)
        differences = compare(expected, seen, own=self._channels.own_id, since=since)
        return Comparison(len(expected.posts), len(expected.waiting), differences)

    async def _read(self, place: int, known: Collection[int], advance: Callable[[int], None]) -> list[Seen]:
        kept: list[Seen] = []
        own = self._channels.own_id
        async with aclosing(self._channels.read(place)) as pages:
            async for page in pages:
                kept += [
                    message
                    for message in page
                    if message.author_id == own or message.id in known or is_alike(message.content)
                ]
                advance(sum(message.id in known for message in page))
        return kept

    async def _confirm(self, expected: Expected, missing: set[int], lost: set[int]) -> None:
        """Make sure of one missing post in each channel: one whose history is closed looks empty."""
        by_place: dict[int, list[int]] = defaultdict(list)
        for post in expected.posts:
            if post.message_id in missing and post.channel_id not in lost:
                by_place[post.channel_id].append(post.message_id)
        for place, messages in by_place.items():
            try:
                gone = await self._channels.is_gone(place, max(messages))
            except Unreadable as error:
                raise Unreadable(f"The channel {place} could not be compared: {error}.") from None
            if not gone:
                raise Unreachable(f"Discord does not show all of the channel {place}: try again later.")


def _count(tx: Transaction, guilds: Iterable[int]) -> int:
    return sum(len(tx.mirror.message_ids(guild)) for guild in guilds)


def _posted(tx: Transaction, guild_id: int) -> tuple[set[int], set[int]]:
    return tx.mirror.message_ids(guild_id), tx.mirror.channels(guild_id)


def _expected(tx: Transaction, guild_id: int) -> Expected:
    return tx.mirror.expected(guild_id)
