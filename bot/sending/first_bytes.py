"""What a process has begun to send, noted beside its database's witness: so what never left is known later.

Whoever is killed between claiming a hundred requests and sending the first of them leaves a hundred that are
in doubt. They are repeated where Whop is trusted to honour their keys, and Whop rightly takes them all for
new, which must not look as if it honoured no keys any more. What is noted here decides nothing else: whatever
is in doubt stays in doubt.

A process that is killed loses nothing that it has handed to the operating system. A machine that fails may,
so that after its restart the notes tell nothing, and neither do they on another machine.
"""

import errno
import os
import struct
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from bot.clock import Clock, boot_id

log = structlog.get_logger()

_PREFIX: Final = "begun-"
_ATTEMPT: Final = struct.Struct("<QQ")
# Longer than any key lives: then nothing of what it tells about is repeated any more.
KEPT: Final = timedelta(days=2)


class FirstBytes:
    """Which attempts a process begins, and which others have begun that are gone."""

    def __init__(self, folder: Path, *, owner: str, clock: Clock) -> None:
        self._clock = clock
        self._folder = folder
        self._file = folder / f"{_PREFIX}{owner}"
        # Where a machine does not say it, nothing is noted.
        self._boot = boot_id().encode()
        self._notes: int | None = None
        self._is_closed = not self._boot

    def open(self) -> None:
        """Begin before anything is claimed: whoever has no notes may have begun with everything."""
        if self._is_closed or self._notes is not None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._forget_old()
            self._notes = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            self._write(self._boot)
        except OSError as error:
            self._give_up(error)

    def note(self, delivery_id: int, attempt: int) -> None:
        """Note that an attempt begins, before its first byte leaves."""
        try:
            self._write(_ATTEMPT.pack(delivery_id, attempt))
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Drop the notes: whoever ends in order leaves nothing in doubt of which they could tell."""
        self._is_closed = True
        if self._notes is not None:
            # Emptied first, so that it tells nothing where it cannot be removed.
            with suppress(OSError):
                os.ftruncate(self._notes, 0)
            os.close(self._notes)
            self._notes = None
            with suppress(OSError):
                self._file.unlink()

    def _write(self, noted: bytes) -> None:
        if self._notes is not None and os.write(self._notes, noted) != len(noted):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _give_up(self, error: OSError) -> None:
        """Tell nothing any more: what is missing in the notes would be taken for never begun."""
        log.warning("what is sent cannot be noted", folder=str(self._folder), why=error.strerror)
        self.close()

    def _forget_old(self) -> None:
        for old in self._folder.glob(f"{_PREFIX}*"):
            # FileNotFoundError: another process forgets the same.
            with suppress(FileNotFoundError):
                if self._clock() - datetime.fromtimestamp(old.stat().st_mtime, UTC) > KEPT:
                    old.unlink()

    def begun_by(self, owner: str) -> Collection[tuple[int, int]] | None:
        """Return the attempts that a process on this machine has begun, each by delivery and number.

        None if that is not known, as of one on another machine, or from before this one was restarted.
        """
        try:
            kept = (self._folder / f"{_PREFIX}{owner}").read_bytes()
        except OSError:
            return None
        if not self._boot or not kept.startswith(self._boot):
            return None
        whole = (len(kept) - len(self._boot)) // _ATTEMPT.size * _ATTEMPT.size
        noted = kept[len(self._boot) : len(self._boot) + whole]
        return {(delivery_id, attempt) for delivery_id, attempt in _ATTEMPT.iter_unpack(noted)}
