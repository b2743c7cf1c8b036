"""An export of the record: JSON lines that can be verified again, or CSV for people."""

import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import MappingProxyType
from typing import IO, Any, Final, Literal, NamedTuple, cast

from pydantic import ValidationError

from bot import spreadsheet
from bot.audit.chain import Anchor, StoredEvent, Verifier, kept_encoder, read_anchor
from bot.audit.words import spoken
from bot.errors import ConfigurationError
from bot.value import Value

BATCH: Final = 2000
_COLUMNS: Final = (
    "server", "number", "time (UTC)", "who", "what", "broadcast", "proof", "detail", "previous", "digest",
)  # fmt: skip
# All ASCII: no program on a file's way can take its letters for others.
_canonical: Final = kept_encoder(default=repr)
_decode: Final = json.JSONDecoder().raw_decode


class Chapter(Value):
    """What an export says of one server: how it is called, and the last line it had then."""

    name: str
    head: str | None = None


class Header(Value):
    """The first line of an export: what was asked for, so that no excerpt passes for the whole."""

    herald: Literal["audit export"] = "audit export"
    at: str
    servers: Mapping[str, Chapter]
    filters: Mapping[str, Any]

    @property
    def anchors(self) -> list[Anchor]:
        """Return the lines with which the chains have to end, where the export has all of them."""
        heads = [read_anchor(one.head) for one in self.servers.values() if one.head]
        return [head for head in heads if head and not self.filters]

    def name(self, guild_id: int) -> str:
        """Return how a server was called."""
        known = self.servers.get(str(guild_id))
        return known.name if known else f"server {guild_id}"


class Format(NamedTuple):
    """How an export is written: what stands first, and what is made of some lines."""

    encoding: str
    begin: Callable[[Header], str]
    lines: Callable[[Header, Sequence[StoredEvent]], str]


def to_json(line: StoredEvent) -> str:
    """Return a line with all that its digest is made of; ids are texts, as Discord writes them."""
    guild_id, sequence, at, actor_id, *rest = line
    # Eighteen digits are more than many programs keep of a number.
    values = (str(guild_id), sequence, at, str(actor_id), *rest)
    return _canonical(dict(zip(StoredEvent._fields, values, strict=True)))


def from_json(text: str) -> StoredEvent:
    """Return the line that was written; raise ValueError unless Herald writes it letter by letter so."""
    values, _ = _decode(text)
    if not isinstance(values, dict) or tuple(cast("dict[str, Any]", values)) != StoredEvent._fields:
        raise ValueError("it is no line of a record")
    guild_id, sequence, at, actor_id, *rest = cast("dict[str, Any]", values).values()
    if not (isinstance(guild_id, str) and isinstance(actor_id, str)):
        raise ValueError("its ids are no texts")  # noqa: TRY004 -- whatever stands in a file may be wrong
    line = StoredEvent(int(guild_id), sequence, at, int(actor_id), *rest)
    # What stands twice in the text, or behind its end, is not in what is written of the line.
    if to_json(line) != text:
        raise ValueError("it says the same in other letters")
    return line


def to_csv(header: Header, lines: Sequence[StoredEvent]) -> str:
    """Return lines for a spreadsheet, in which nothing that people typed is a formula."""
    return spreadsheet.to_csv(
        (
            header.name(line.guild_id),
            line.sequence,
            # A spreadsheet knows neither the T nor the zone.
            line.at.replace("T", " ").removesuffix("+00:00"),
            f"{line.actor_name} ({line.actor_id})" if line.actor_id else line.actor_name,
            # As it was found, it may be anything.
            spoken(str(line.action)),
            line.broadcast_id,
            line.proof,
            line.detail,
            line.previous,
            line.digest,
        )
        for line in lines
    )


def _first(header: Header) -> str:
    return f"{_canonical(header.model_dump())}\n"


def _titles(_header: Header) -> str:
    return spreadsheet.to_csv([_COLUMNS])


def _texts(_header: Header, lines: Sequence[StoredEvent]) -> str:
    return "".join(f"{to_json(line)}\n" for line in lines)


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "jsonl": Format(encoding="ascii", begin=_first, lines=_texts),
        # The mark at the beginning is how a spreadsheet knows the encoding.
        "csv": Format(encoding="utf-8-sig", begin=_titles, lines=to_csv),
    }
)


@contextmanager
def written_whole(file: Path, *, encoding: str, force: bool = False) -> Generator[IO[str], None, None]:
    """Write a file beside its place, and put it there once it is whole; only its owner can read it.

    Raises ConfigurationError if there is such a file already and no `force`, or if it cannot be written.
    """
    if file.exists() and not force:
        raise ConfigurationError(f"--output: {file} exists already: name another file, or add --force.")
    try:
        with NamedTemporaryFile(
            "w", dir=file.parent, prefix=f".{file.name}.", delete=False, newline="", encoding=encoding,
            errors="backslashreplace",
        ) as beside:  # fmt: skip
            try:
                yield beside
                beside.flush()
                os.fsync(beside.fileno())
                Path(beside.name).replace(file)
            finally:
                Path(beside.name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--output: {file} cannot be written ({error.strerror}): name another file, or mend its folder."
        ) from None


class Export:
    """An export that is read to be verified; `verified` reads it through."""

    def __init__(self, file: Path, *, anchors: Sequence[Anchor]) -> None:
        """Read its first line; raise ConfigurationError if it is no export."""
        self._file = file
        try:
            with file.open("rb") as stream:
                self.header = Header.model_validate_json(stream.readline())
        except OSError as error:
            raise ConfigurationError(
                f"--file: {file} cannot be read ({error.strerror}): mend the name or its rights."
            ) from None
        except ValidationError:
            raise ConfigurationError(
                f"--file: {file} does not begin as an export does: name a file that"
                " `herald audit export --format jsonl` wrote."
            ) from None
        self.verifier = Verifier(anchors=[*anchors, *self.header.anchors], whole=not self.header.filters)
        self.unreadable: int | None = None

    def read(self) -> Iterator[int]:
        """Read it line by line, yielding now and then how many bytes that were; stop at what is no line."""
        number = 1
        with self._file.open("rb") as stream:
            yield len(stream.readline())
            while texts := list(islice(stream, BATCH)):
                for text in texts:
                    number += 1
                    try:
                        self.verifier.read(from_json(text.rstrip(b"\r\n").decode("ascii")))
                    except (ValueError, RecursionError):
                        self.unreadable = number
                        return
                yield sum(map(len, texts))
