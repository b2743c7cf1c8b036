"""The watcher: a post of the record that someone deletes or edits is noticed, once, and told."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from bot.audit.mirror import DELETED, EDITED, Posted, Seen, is_changed, name_lines
from bot.clock import Clock
from bot.errors import HeraldError, StoreError, Unreachable, Unreadable
from bot.lifecycle import Lifecycle
from bot.policy.model import Server
from bot.store import Store, Transaction
from bot.store.facts import mirror_unread

log = structlog.get_logger()

# So many of each server's last posts are compared with the channel.
NEWEST: Final = 1000
# Once connected, and then as often: what happened in between was told as it happened.
EVERY: Final = timedelta(hours=1)
AFTER_TROUBLE: Final = timedelta(minutes=1)
# Discord gives a token of fifteen minutes to each: long after that none can come again.
INTERACTIONS_KEPT: Final = timedelta(days=1)
# Nobody turns the pages of an older list.
SEARCHES_KEPT: Final = timedelta(days=90)


class ChannelHistory(Protocol):
    """What the watcher needs of Discord."""

    @property
    def own_id(self) -> int:
        """Return the account that Herald posts with."""
        ...

    def read(self, channel_id: int, *, since: int = 0) -> AsyncGenerator[Sequence[Seen], None]:
        """Yield the messages with ids from `since` on; raise Unreadable or Unreachable."""
        ...

    async def is_gone(self, channel_id: int, message_id: int) -> bool:
        """Ask for one message; raise Unreadable or Unreachable."""
        ...


class Restored(Protocol):
    """Whoever has to know that the channels show more than the database has."""

    async def compare(self, channels: ChannelHistory) -> None:
        """Act on it; raise Unreachable."""
        ...


class Watcher:
    """Tell of each deleted or edited post in the record, in the transaction that marks it."""

    def __init__(
        self, *, store: Store, lifecycle: Lifecycle, clock: Clock, restored: Restored | None = None
    ) -> None:
        self._restored = restored
        self._store = store
        self._lifecycle = lifecycle
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Compare anew: something may have happened unseen."""
        self._woken.set()

    async def deleted(self, message_ids: Collection[int]) -> None:
        """Tell of those of the messages that are lines of the record."""
        await self._heed(self._tell_deleted(message_ids))

    async def edited(self, message_id: int, content: str, *, beside: tuple[str, ...] = ()) -> None:
        """Tell of a line of the record, if it says something else now, or shows something `beside`."""
        await self._heed(self._tell_edited({message_id: Seen(message_id, 0, content, beside)}))

    async def _heed(self, told: Coroutine[Any, Any, None]) -> None:
        try:
            await told
        except StoreError as error:
            log.error("a deleted or edited message waits for the database", error=str(error))
            self.wake()

    async def run(self, channels: ChannelHistory) -> None:
        """Compare whenever woken and from time to time, for ever; what goes wrong is tried again."""
        await self._woken.wait()
        while True:
            self._woken.clear()
            wait = EVERY
            try:
                await self.compare(channels)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody's broadcast may stop for it
                words = str(error) if isinstance(error, HeraldError) else ""
                log.warning("the mirror could not be compared", kind=type(error).__name__, error=words)
                wait = AFTER_TROUBLE
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait.total_seconds())

    async def compare(self, channels: ChannelHistory) -> None:
        """Compare each server's last posts with its channels; raise Unreachable if one had no answer."""
        await self._store.write(_forget, now=self._clock())
        unanswered: list[Unreachable] = []
        try:
            if self._restored is not None:
                await self._restored.compare(channels)
        except Unreachable as error:
            unanswered.append(error)
        for server in self._lifecycle.policy.servers:
            try:
                unread = await self._compare_server(channels, server)
            except Unreachable as error:
                unanswered.append(error)
                continue
            await self._store.write(self._note_unread, server.guild, unread)
        if unanswered:
            raise unanswered[0]

    async def _compare_server(self, channels: ChannelHistory, server: Server) -> str:
        """Return why the channel cannot be read, or nothing."""
        newest = await self._store.read(_newest, server.guild)
        unread = ""
        for channel_id, posts in _by_channel(newest).items():
            try:
                await self._compare(channels, channel_id, posts)
            except Unreadable as error:
                # A channel of former times may be closed: nobody looks there any more.
                if channel_id == server.channels.audit:
                    unread = str(error)
        return unread

    async def _compare(self, channels: ChannelHistory, channel_id: int, posts: Sequence[Posted]) -> None:
        there: dict[int, Seen] = {}
        wanted = {post.message_id for post in posts}
        async with aclosing(channels.read(channel_id, since=min(wanted))) as pages:
            async for page in pages:
                there |= {message.id: message for message in page if message.id in wanted}
        missing = wanted - there.keys()
        # Without the right to read the history it is empty: that is no alarm.
        if missing and not await channels.is_gone(channel_id, max(missing)):
            raise Unreachable("Discord shows a message that its list lacks.")
        await self._tell_deleted(missing)
        await self._tell_edited(there)

    async def _tell_deleted(self, message_ids: Collection[int]) -> None:
        # Most of what is deleted in a server is none of the record's: for that nothing is written.
        if await self._store.read(_untold, message_ids, gone=True):
            await self._store.write(self._tell, message_ids, gone=True)

    async def _tell_edited(self, there: Mapping[int, Seen]) -> None:
        posts = await self._store.read(_untold, there, gone=False)
        found = [(post, there[post.message_id]) for post in posts]
        changed = [post.message_id for post, one in found if one.beside or is_changed(post, one.content)]
        if changed:
            await self._store.write(self._tell, changed, gone=False)

    def _tell(self, tx: Transaction, message_ids: Collection[int], *, gone: bool) -> None:
        untold: dict[int, list[Posted]] = defaultdict(list)
        for post in tx.mirror.untold(message_ids, gone=gone):
            untold[post.guild_id].append(post)
        for guild_id, posts in untold.items():
            detail = name_lines(post.sequence for post in posts)
            log.warning("the mirror was tampered with", guild=guild_id, gone=gone, lines=detail)
            event = self._lifecycle.note_in(tx, guild_id, DELETED if gone else EDITED, detail)
            tx.mirror.tell(posts, gone=gone, sequence=event.sequence)

    def _note_unread(self, tx: Transaction, guild_id: int, unread: str) -> None:
        fact = mirror_unread(guild_id)
        if (tx.facts.get(fact) or "") != unread:
            tx.outbox.redraw_open_cards(guild_id, at=self._clock())
            tx.facts.set(fact, unread)


def _forget(tx: Transaction, *, now: datetime) -> None:
    tx.forget_interactions(before=now - INTERACTIONS_KEPT)
    tx.searches.forget(before=now - SEARCHES_KEPT)


def _newest(tx: Transaction, guild_id: int) -> Sequence[Posted]:
    return tx.mirror.newest(guild_id, limit=NEWEST)


def _untold(tx: Transaction, message_ids: Collection[int], *, gone: bool) -> Sequence[Posted]:
    return tx.mirror.untold(message_ids, gone=gone)


def _by_channel(posts: Sequence[Posted]) -> dict[int, list[Posted]]:
    found: dict[int, list[Posted]] = defaultdict(list)
    for post in posts:
        found[post.channel_id].append(post)
    return found
