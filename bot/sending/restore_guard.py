"""A second file that knows how far the database had come, so that an older copy of it is noticed."""

import json
from pathlib import Path
from uuid import uuid4

from bot.errors import StoreError
from bot.store import Transaction
from bot.store.facts import INSTANCE, Mark


class RestoreGuard:
    """The file beside the database, never part of a backup: it tells a copy from the original."""

    def __init__(self, file: Path) -> None:
        self.file = file
        # Others of the same folder may write theirs at the same time.
        self._own = uuid4().hex

    def advance(self, tx: Transaction) -> Mark:
        """Count on in the database, in the transaction that lets something go out."""
        before = tx.facts.get(INSTANCE)
        mark = Mark(before.instance, before.counter + 1) if before else Mark(uuid4().hex, 1)
        tx.facts.set(INSTANCE, mark)
        return mark

    def keep(self, mark: Mark) -> None:
        """Write down what was committed, before the first byte goes out; raise StoreError if that fails."""
        known = self._read()
        if known is not None and known.instance == mark.instance and known.counter >= mark.counter:
            # Another process of this folder was faster with a later one.
            return
        new = self.file.with_name(f"{self.file.name}.{self._own}")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(mark), encoding="utf-8")
            new.replace(self.file)
        except OSError as error:
            raise StoreError(
                f"{self.file} cannot be written ({error.strerror}), so nothing is sent: mend its folder."
            ) from None

    def doubt(self, tx: Transaction, *, newcomer: bool) -> str:
        """Return why the database may be a copy from earlier times, or nothing.

        A `newcomer` is one of several processes, for which it is no surprise that it has no file yet.
        """
        mark, known = tx.facts.get(INSTANCE), self._read()
        if mark == known or (known is None and newcomer):
            return ""
        if mark is None or known is None or mark.instance != known.instance:
            return f"the database and {self.file.name} beside it do not belong together"
        if mark.counter < known.counter:
            return "the database was restored from a copy"
        # The file was to be written next when the process was killed.
        return ""

    def _read(self) -> Mark | None:
        try:
            instance, counter = json.loads(self.file.read_text(encoding="utf-8"))
            return Mark(str(instance), int(counter))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            # It is there and tells nothing: as good as one of another database.
            return Mark("", 0)
