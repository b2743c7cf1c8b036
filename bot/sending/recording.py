"""Outcomes are written down together: those that come while a transaction runs share the next one."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from bot.delivery import Unknown
from bot.errors import StoreError
from bot.sending.settle import Done
from bot.store import Store, Transaction

log = structlog.get_logger()

RECORD_AGAIN_SECONDS: Final = 2.0


@dataclass(slots=True, eq=False)
class _Entry:
    done: Done
    is_written: bool = False


class Recorder:
    """Write each outcome down, however long that takes; what cannot be written keeps no other from it."""

    def __init__(self, store: Store, record: Callable[[Transaction, Sequence[Done]], None]) -> None:
        self._store = store
        self._record = record
        self._waiting: list[_Entry] = []
        self._turn = asyncio.Lock()

    async def record(self, done: Done) -> None:
        """Return when it is written down: the writing is repeated, never the sending."""
        entry = _Entry(done)
        self._waiting.append(entry)
        try:
            while True:
                async with self._turn:
                    # Whoever had the turn before may have written it along with theirs.
                    if not entry.is_written:
                        await self._write_all()
                if entry.is_written:
                    return
                await asyncio.sleep(RECORD_AGAIN_SECONDS)
        finally:
            self._waiting.remove(entry)

    async def _write_all(self) -> None:
        batch = [one for one in self._waiting if not one.is_written]
        try:
            try:
                await self._write(batch)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - one that cannot be written must not take the others along
                log.error("outcomes are written one by one", kind=type(error).__name__)
                for one in batch:
                    await self._write_alone(one)
        except StoreError as error:
            log.error("an outcome waits for the database", error=str(error))

    async def _write_alone(self, entry: _Entry) -> None:
        try:
            await self._write([entry])
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - after the claim, any fault of ours means that nobody knows
            kind, delivery = type(error).__name__, entry.done.claim.id
            log.error("an outcome cannot be written down", delivery=delivery, kind=kind)
            entry.done = entry.done._replace(outcome=Unknown(f"a fault inside Herald ({kind})"))

    async def _write(self, batch: Sequence[_Entry]) -> None:
        await self._store.write(self._record, [one.done for one in batch])
        for one in batch:
            one.is_written = True
