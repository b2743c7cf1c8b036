"""The loop that lets the marks move with every event, and notices at once that the database went back."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from bot.errors import StoreError
from bot.sending.restore_guard import Known, RestoreGuard
from bot.store import Store, Transaction

log = structlog.get_logger()

# What other processes did is seen so soon, what this one did at once.
POLL_SECONDS: Final = 5.0
# However much happens, no more often than that: each mark is a commit.
PAUSE_SECONDS: Final = 1.0
END_SECONDS: Final = 2.0


class RestoreWatch:
    """Keep outside the database what happened in it, beside whoever lets it happen."""

    def __init__(self, *, store: Store, restore_guard: RestoreGuard) -> None:
        self._store = store
        self._guard = restore_guard
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

    def _mark(self, tx: Transaction) -> Known:
        tx.claim_alone()
        self._guard.check(tx)
        return Known(self._guard.advance(tx), self._guard.given(tx))
