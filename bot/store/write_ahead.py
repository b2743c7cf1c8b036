"""What a killed process left beside SQLite's file, and whether it belongs to what stands there now.

SQLite takes a `-wal` for that of any file with its name, and writes its pages into it: into a copy that
somebody put there meanwhile, too, which undoes or damages it. A `-wal` is written before the file is, so the
file is never much newer, unless all that the `-wal` holds stands in it already.
"""

import struct
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Final, NamedTuple

from bot.errors import ConfigurationError

# So long SQLite takes at most to bring into the file what has been committed.
SLACK_SECONDS: Final = 1.0
# The layout is SQLite's: https://sqlite.org/fileformat2.html#walformat
_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
_MAGIC: Final = (0x377F0682, 0x377F0683)


class _Pages(NamedTuple):
    """Where the newest committed state of each page stands in a `-wal`."""

    size: int
    places: Mapping[int, int]


def refuse_foreign(file: Path) -> None:
    """Raise ConfigurationError if the `-wal` beside a file that nobody has open is that of another one."""
    wal = file.with_name(f"{file.name}-wal")
    try:
        newer_by = file.stat().st_ctime - wal.stat().st_ctime
        belongs = newer_by <= SLACK_SECONDS or _holds_nothing_new(wal, file)
    except FileNotFoundError:
        return
    if not belongs:
        raise ConfigurationError(
            f"DATABASE_URL: {file} was put there after {wal.name} was written, which would undo or damage it:"
            f" if it is a copy that you restored, remove {wal.name} and {file.name}-shm; if it is not, touch"
            f" {wal.name}."
        )


def _holds_nothing_new(wal: Path, file: Path) -> bool:
    with wal.open("rb") as written, file.open("rb") as standing:
        pages = _committed(written)
        return all(
            _read(written, place, pages.size) == _read(standing, (number - 1) * pages.size, pages.size)
            for number, place in pages.places.items()
        )


def _committed(written: BufferedReader) -> _Pages:
    header = written.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return _Pages(0, {})
    magic, _, size, _, *salts, _, _ = _HEADER.unpack(header)
    if magic not in _MAGIC:
        return _Pages(0, {})
    committed: dict[int, int] = {}
    begun: dict[int, int] = {}
    for number, is_commit, place in _frames(written, size, salts):
        begun[number] = place
        if is_commit:
            committed |= begun
            begun = {}
    return _Pages(size, committed)


def _frames(written: BufferedReader, size: int, salts: list[int]) -> Iterator[tuple[int, bool, int]]:
    place = _HEADER.size
    while len(header := _read(written, place, _FRAME.size)) == _FRAME.size:
        number, pages_then, *salted, _, _ = _FRAME.unpack(header)
        if salted != salts:
            # What follows is of a time before it was last begun anew.
            return
        yield number, pages_then > 0, place + _FRAME.size
        place += _FRAME.size + size


def _read(opened: BufferedReader, place: int, size: int) -> bytes:
    opened.seek(place)
    return opened.read(size)
