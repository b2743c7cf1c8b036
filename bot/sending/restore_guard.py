"""A database that went back in time is noticed before anything is sent from it.

Whoever lets something out adds a mark to the database's history in the same transaction: a counter, and a
value that nobody can foresee. What was committed is remembered outside the database, in memory and in a file
that is part of no backup. So a copy is told by its lack of a mark, and a copy that went on by itself by
another value at the same counter, whichever process notices. Every transaction that starts or claims
something asks anew, since the database may be exchanged while a process runs.

A process that never saw the lost marks, such as a new machine, is told by the database's own identity, which
stands beside each mark: a dump that was restored stands in other tables, and a standby that took over goes on
in another timeline. A file has no such identity, but only one process, which sees everything.

Once something is in doubt, the same transaction freezes all sending, holds what was approved, and sets a mark
above all that are known: from there on the database is trusted, and people decide.
"""

import json
from pathlib import Path
from threading import Lock
from typing import Any, Final
from uuid import uuid4

from bot.clock import Clock
from bot.errors import StoreError
from bot.lifecycle import Lifecycle
from bot.sending.restored import hold_everything
from bot.store import Transaction
from bot.store.history import Found, Mark

# As good as the mark of another database.
_UNREADABLE: Final = Mark(0, "")


class RestoreGuard:
    """What this process knows of the history, and what it does if the database does not.

    A `newcomer` is one of several processes, for which it is no surprise that it has no file yet.
    """

    def __init__(self, file: Path, *, lifecycle: Lifecycle, clock: Clock, newcomer: bool) -> None:
        self.file = file
        self._lifecycle = lifecycle
        self._clock = clock
        self._newcomer = newcomer
        self._known: Mark | None = None
        self._keeping = Lock()
        # Others of the same folder may write theirs at the same time.
        self._own = uuid4().hex

    def check(self, tx: Transaction) -> str:
        """Return why the database may be a copy from earlier times, or nothing.

        If so, everything is frozen and held in this very transaction, which then must let nothing out.
        """
        known = self._known = self._known or self._read()
        doubt = self._doubt(tx.history.find(known.counter if known else 0), known)
        if doubt:
            tx.claim_alone()
            # What others have added while this one waited for them.
            tx.history.find(0)
            hold_everything(tx, doubt, lifecycle=self._lifecycle, at=self._clock())
            self.advance(tx)
        return doubt

    def advance(self, tx: Transaction) -> Mark:
        """Set a mark in the transaction that lets something go out; no other process may do so meanwhile."""
        return tx.history.add(above=self._known.counter if self._known else 0)

    def keep(self, mark: Mark) -> None:
        """Remember what was committed, before the first byte goes out; raise StoreError if that fails."""
        with self._keeping:
            self._known = max(self._known or mark, mark)
            kept = self._read()
            if kept is None or kept.counter < mark.counter or kept.value == _UNREADABLE.value:
                self._write(mark)

    def _doubt(self, found: Found, known: Mark | None) -> str:
        newest = found.newest
        if newest is None and known is None:
            return ""
        if newest is None or known == _UNREADABLE or (known is None and not self._newcomer):
            return f"the database and {self.file.name} beside it do not belong together"
        if known is not None and known.counter > newest.counter:
            return "the database was restored from a copy"
        # Where nothing stands, whoever found out before has set a mark above all that were lost.
        if known is not None and found.at_counter not in {None, known.value}:
            return f"the database and {self.file.name} beside it do not belong together"
        if found.has_moved:
            return "the database was restored from a copy, or a standby has taken over"
        return ""

    def _write(self, mark: Mark) -> None:
        new = self.file.with_name(f"{self.file.name}.{self._own}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({"counter": mark.counter, "mark": mark.value}), encoding="utf-8")
            new.replace(self.file)
        except OSError as error:
            raise StoreError(
                f"{self.file} cannot be written ({error.strerror}), so nothing is sent: mend its folder."
            ) from None

    def _read(self) -> Mark | None:
        try:
            kept: Any = json.loads(self.file.read_text(encoding="utf-8"))
            # An older Herald wrote a list of both.
            value, counter = (kept["mark"], kept["counter"]) if "mark" in kept else kept
            return Mark(int(counter), str(value))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError):
            # It is there and tells nothing.
            return _UNREADABLE
