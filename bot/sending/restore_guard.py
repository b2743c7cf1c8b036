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
from typing import Any, Final, NamedTuple
from uuid import uuid4

from bot.clock import Clock
from bot.errors import StoreError
from bot.file_rights import make_private
from bot.lifecycle import Lifecycle
from bot.sending.restored import hold_everything
from bot.store import Transaction
from bot.store.history import NO_NUMBERS, Mark, Numbers


class Known(NamedTuple):
    """What is remembered outside the database: a mark in it, and the highest numbers that were given out."""

    mark: Mark
    given: Numbers = NO_NUMBERS


# As good as what is known of another database.
_UNREADABLE: Final = Known(Mark(0, ""))


class RestoreGuard:
    """What this process knows of the history, and what it does if the database does not.

    A `newcomer` is one of several processes, for which it is no surprise that it has no file yet.
    """

    def __init__(self, file: Path, *, lifecycle: Lifecycle, clock: Clock, newcomer: bool) -> None:
        self.file = file
        self._lifecycle = lifecycle
        self._clock = clock
        self._newcomer = newcomer
        self._guilds = [server.guild for server in lifecycle.policy.servers]
        self._known: Known | None = None
        self._keeping = Lock()
        # Others of the same folder may write theirs at the same time.
        self._own = uuid4().hex

    def check(self, tx: Transaction) -> str:
        """Return why the database may be a copy from earlier times, or nothing.

        If so, everything is frozen and held in this very transaction, which then must let nothing out.
        """
        doubt = self._doubt(tx)
        if doubt:
            self.distrust(tx, doubt)
        return doubt

    def distrust(self, tx: Transaction, doubt: str, given: Numbers = NO_NUMBERS) -> None:
        """Freeze and hold everything, and go on above the numbers that were seen to be given."""
        tx.claim_alone()
        # What others have added while this one waited for them.
        tx.history.find(0)
        known = self._known.given if self._known else NO_NUMBERS
        hold_everything(tx, doubt, lifecycle=self._lifecycle, at=self._clock(), given=known.above(given))
        self.advance(tx)

    @property
    def is_new(self) -> bool:
        """Tell whether it knows nothing of the database yet."""
        return (self._known or self._read()) is None

    def advance(self, tx: Transaction) -> Mark:
        """Set a mark in the transaction that lets something go out; no other process may do so meanwhile."""
        return tx.history.add(above=self._known.mark.counter if self._known else 0)

    def keep(self, mark: Mark, given: Numbers = NO_NUMBERS) -> None:
        """Remember what was committed, before the first byte goes out; raise StoreError if that fails."""
        with self._keeping:
            self._known = _newer(self._known, Known(mark, given))
            kept = self._read()
            new = _newer(None if kept == _UNREADABLE else kept, self._known)
            if new != kept:
                self._write(new)

    def refuse_given(self, tx: Transaction) -> None:
        """Raise StoreError if what is to be committed bears a number that was given out before.

        So it is in the moment between a restore and its discovery. Whoever asked may ask again after that.
        """
        given = (self._known.given if self._known else NO_NUMBERS).events
        if any(number <= given.get(guild, 0) for guild, number in tx.audit.begun.items()):
            raise StoreError(
                "The database went back to an earlier time; nothing was changed. Try again soon."
            )

    def has_news(self, tx: Transaction) -> bool:
        """Tell whether there is something to keep, or to check."""
        return bool(self._doubt(tx)) or self._known is None or self.given(tx) != self._known.given

    def given(self, tx: Transaction) -> Numbers:
        """Return the highest numbers that were given out, as far as anybody here knows."""
        given = tx.history.numbers(self._guilds)
        return given.above(self._known.given) if self._known else given

    def _doubt(self, tx: Transaction) -> str:
        known = self._known = self._known or self._read()
        found = tx.history.find(known.mark.counter if known else 0)
        newest = found.newest
        if newest is None and known is None:
            return ""
        if newest is None or known == _UNREADABLE or (known is None and not self._newcomer):
            return f"the database and {self.file.name} beside it do not belong together"
        if known is not None and known.mark.counter > newest.counter:
            return "the database was restored from a copy"
        # Where nothing stands, whoever found out before has set a mark above all that were lost.
        if known is not None and found.at_counter not in {None, known.mark.value}:
            return f"the database and {self.file.name} beside it do not belong together"
        if found.has_moved:
            return "the database was restored from a copy, or a standby has taken over"
        return ""

    def _write(self, known: Known) -> None:
        new = self.file.with_name(f"{self.file.name}.{self._own}")
        kept = {
            "counter": known.mark.counter,
            "mark": known.mark.value,
            "broadcasts": known.given.broadcasts,
            "events": dict(known.given.events),
        }
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            make_private(new)
            new.write_text(json.dumps(kept), encoding="utf-8")
            new.replace(self.file)
        except OSError as error:
            raise StoreError(
                f"{self.file} cannot be written ({error.strerror}), so nothing is sent: mend its folder."
            ) from None

    def _read(self) -> Known | None:
        try:
            kept: Any = json.loads(self.file.read_text(encoding="utf-8"))
            if "mark" not in kept:
                # An older Herald wrote both in a list, and no numbers.
                value, counter = kept
                return Known(Mark(int(counter), str(value)))
            events = {int(guild): int(number) for guild, number in kept["events"].items()}
            return Known(
                Mark(int(kept["counter"]), str(kept["mark"])), Numbers(int(kept["broadcasts"]), events)
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            # It is there and tells nothing.
            return _UNREADABLE


def _newer(one: Known | None, other: Known) -> Known:
    return Known(max(one.mark, other.mark), one.given.above(other.given)) if one else other
