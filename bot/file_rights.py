"""Files that nobody but Herald's own user can read: the database, and what lies beside it."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_OWNER_ONLY: Final = 0o600
_OTHERS: Final = 0o077
_EVERYBODY: Final = 0o007


def make_private(file: Path) -> None:
    """Make a file that its owner alone can read, if it is not there; raise OSError if it cannot be made."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))


def narrow(files: Iterable[Path]) -> None:
    """Take from files that everybody can use what others have, as far as they are one's own.

    Rights that were given to a group were given on purpose.
    """
    for file in files:
        with suppress(OSError):
            if file.stat().st_mode & _EVERYBODY:
                file.chmod(_OWNER_ONLY)


def with_companions(database: Path) -> list[Path]:
    """Return a database file, and those that SQLite keeps beside it where they are there."""
    beside = [database.with_name(f"{database.name}{ending}") for ending in ("-wal", "-shm")]
    return [database, *(one for one in beside if one.exists())]


def open_to_others(files: Iterable[Path]) -> list[Path]:
    """Return those of the files that are there and somebody else than their owner can use."""
    return [one for one in files if one.exists() and one.stat().st_mode & _OTHERS]
