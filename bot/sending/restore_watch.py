"""The loop that lets the marks move with every event, and notices at once that the database went back.

The record's channels are a witness, too: a line that stands there and not in the database was lost with it.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final, Protocol

import structlog

from bot.audit.mirror import Seen, read_post
from bot.errors import StoreError, Unreachable, Unreadable
from bot.policy.model import Policy, Server
from bot.sending.restore_guard import Known, RestoreGuard
from bot.store import Store, Transaction
from bot.store.history import Mark, Numbers

log = structlog.get_logger()

# What other processes did is seen so soon, what this one did at once.
POLL_SECONDS: Final = 5.0
# However much happens, no more often than that: each mark is a commit.
PAUSE_SECONDS: Final = 1.0
END_SECONDS: Final = 1.0
# Among so many pages of a channel's messages is one of the record's, or there is none.
PAGES: Final = 5


class ChannelHistory(Protocol):
    """What is needed of Discord."""

    @property
    def own_id(self) -> int:
        """Return the account that Herald posts with."""
        ...

    def read(self, channel_id: int, *, since: int = 0) -> AsyncGenerator[Sequence[Seen], None]:
        """Yield messages from the newest back, a page at a time; raise Unreadable or Unreachable."""
        ...


class RestoreWatch:
    """Keep outside the database what happened in it, beside whoever lets it happen."""

    def __init__(self, *, store: Store, restore_guard: RestoreGuard, policy: Policy) -> None:
        self._store = store
        self._guard = restore_guard
        self._policy = policy
        self._woken = store.wakeup.listen()

    async def run(self) -> None:
        """Look whenever something happens, and from time to time, for ever."""
        while True:
            self._woken.clear()
            await self.look()
            await asyncio.sleep(PAUSE_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)

    async def look(self) -> None:
        """Set a mark if anything happened since the last one; freeze if what is known is not there."""
        # Trouble with the database, or with the file, is told by whoever wants to send.
        try:
            if await self._store.read(self._guard.has_news):
                known = await self._store.write(self._mark)
                await asyncio.to_thread(self._guard.keep, known.mark, known.given)
        except StoreError as error:
            log.error("what happened could not be kept beside the database", error=str(error))

    async def end(self) -> None:
        """Keep what came last too; a database that does not answer keeps nobody waiting."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self.look()

    async def compare(self, channels: ChannelHistory) -> None:
        """Freeze if a channel shows lines above the last one; raise Unreachable if one had no answer."""
        unanswered: list[Unreachable] = []
        for server in self._policy.servers:
            try:
                shown = await _newest_line(channels, server.channels.audit)
            except Unreadable:
                # Whoever watches the posts tells that.
                continue
            except Unreachable as error:
                unanswered.append(error)
                continue
            # Asked after the channel: a line is committed before it is posted.
            if shown > await self._store.read(_last_line, server.guild):
                mark = await self._store.write(self._distrust, server, shown)
                await asyncio.to_thread(self._guard.keep, mark)
        if unanswered:
            raise unanswered[0]

    def _distrust(self, tx: Transaction, server: Server, shown: int) -> Mark:
        doubt = f"the record's channel of {server.name} shows line {shown}, which the database lacks"
        self._guard.distrust(tx, doubt, Numbers(0, {server.guild: shown}))
        return self._guard.advance(tx)

    def _mark(self, tx: Transaction) -> Known:
        tx.claim_alone()
        self._guard.check(tx)
        return Known(self._guard.advance(tx), self._guard.given(tx))


async def _newest_line(channels: ChannelHistory, channel_id: int) -> int:
    """Return the highest number in the newest page that shows a line of a record, or 0."""
    left = PAGES
    async with aclosing(channels.read(channel_id)) as pages:
        async for page in pages:
            own = (read_post(message.content) for message in page if message.author_id == channels.own_id)
            numbers = [post[0] for post in own if post]
            left -= 1
            if numbers or not left:
                return max(numbers, default=0)
    return 0


def _last_line(tx: Transaction, guild_id: int) -> int:
    return tx.history.numbers([guild_id]).events.get(guild_id, 0)
