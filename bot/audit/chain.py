"""The record: hash-chained audit events, one chain per server, and whether it is whole. Pure."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from json import encoder
from typing import Any, Final, NamedTuple

from bot.value import Person, Value

GENESIS: Final = "0" * 64
HERALD: Final = Person(0, "Herald")
# The one action behind which numbers may be missing: a database that went back must not give them out again.
SKIPPED: Final = "numbers skipped"
# So many characters of a digest stand under each line in Discord.
SHOWN: Final = 16
_ANCHOR: Final = re.compile(rf"(?:([0-9]{{1,18}}):)?([0-9a-f]{{{SHOWN},64}})")
_refuse: Final = json.JSONEncoder().default


def kept_encoder(default: Callable[[Any], Any] = _refuse) -> Callable[[Any], str]:
    """Return what writes values as compact ASCII JSON; those that JSON does not know go through `default`.

    It writes letter by letter what `json.JSONEncoder(separators=(",", ":")).encode` does; that one makes an
    encoder for each call, which is half of the work on a line of the record.
    """
    make: Any = getattr(encoder, "c_make_encoder", None)
    if make is None:
        # This Python has none in C: there is nothing to keep.
        return json.JSONEncoder(separators=(",", ":"), default=default).encode
    # Nothing refers to itself, strings in ASCII, no indent, no keys sorted or left out, NaN is written.
    write = make(None, default, encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    join = "".join
    return lambda value: join(write(value, 0))


_canonical: Final = kept_encoder()


class NewEvent(Value):
    """What happened, before it has a place in the chain."""

    guild_id: int
    at: datetime
    actor: Person
    action: str
    broadcast_id: int | None = None
    proof: str = ""
    detail: str = ""


class Event(NewEvent):
    """One line of the audit log: what happened, with its place in the chain."""

    sequence: int
    previous: str
    digest: str

    @property
    def stored(self) -> "StoredEvent":
        """Return the same, flat, as the database keeps it."""
        return StoredEvent(
            guild_id=self.guild_id,
            sequence=self.sequence,
            # The store gives moments back in UTC, whatever zone they were told in.
            at=self.at.astimezone(UTC).isoformat(),
            actor_id=self.actor.id,
            actor_name=self.actor.name,
            action=self.action,
            broadcast_id=self.broadcast_id,
            proof=self.proof,
            detail=self.detail,
            previous=self.previous,
            digest=self.digest,
        )


class StoredEvent(NamedTuple):
    """One line of the record as it was found; before it is verified, each value may be anything."""

    guild_id: int
    sequence: int
    at: str
    actor_id: int
    actor_name: str
    action: str
    broadcast_id: int | None
    proof: str
    detail: str
    previous: str
    digest: str


class Anchor(NamedTuple):
    """A line that was there once: its digest or how that begins, and its number where it is known."""

    sequence: int | None
    digest: str

    def __str__(self) -> str:
        """Return it as it is printed and typed."""
        return self.digest if self.sequence is None else f"{self.sequence}:{self.digest}"


class Flaw(StrEnum):
    """What is wrong with a line, as the end of a sentence about it."""

    CHANGED = "it was changed after it was written"
    UNLINKED = "it does not follow the line before it: one of the two was put in, or written anew"
    MISSING = "it is missing: it was removed, or got another number"
    MOVED = "it stands further down, behind a line that does not belong before it"
    EXTRA = "another line stands in its place: that one was put in, or moved there"


class Breach(NamedTuple):
    """The first line of a chain that is not as it was written."""

    sequence: int
    flaw: Flaw


def chain(new: NewEvent, *, previous: Event | None, above: int = 0) -> Event:
    """Return what happened as the event that follows `previous`, with a number above all that are given."""
    sequence = max(previous.sequence if previous else 0, above) + 1
    before = previous.digest if previous else GENESIS
    # It was checked when it was made.
    event = Event.model_construct(**dict(new), sequence=sequence, previous=before, digest="")
    return event.model_copy(update={"digest": _digest(event.stored)})


def first_broken(events: Iterable[Event]) -> int | None:
    """Return the sequence number of the first line that was changed, removed or reordered."""
    one = Chain()
    for event in events:
        one.follow(event.stored)
    return one.breach.sequence if one.breach else None


def read_anchor(text: str) -> Anchor | None:
    """Return what `herald audit anchor` printed, or the digest under a line in Discord; None if neither."""
    # A server's name may follow it.
    match = _ANCHOR.fullmatch(text.strip().lower().partition(" ")[0])
    return Anchor(int(match[1]) if match[1] else None, match[2]) if match else None


@dataclass(slots=True)
class Chain:
    """How far the lines of one server hold together; of an excerpt it is not known what lies between them."""

    whole: bool = True
    lines: int = 0
    sequence: int = 0
    digest: str = GENESIS
    breach: Breach | None = None

    @property
    def head(self) -> Anchor:
        """Return the last line that holds."""
        return Anchor(self.sequence, self.digest)

    def follow(self, line: StoredEvent) -> bool:
        """Take the next line; return whether everything up to it holds."""
        self.lines += 1
        if self.breach is not None:
            if self.breach == (line.sequence, Flaw.MISSING):
                self.breach = Breach(self.breach.sequence, Flaw.MOVED)
            return False
        flaw = self._flaw(line)
        if flaw is not None:
            expected = self.sequence + 1
            self.breach = Breach(expected if self.whole else line.sequence, flaw)
            return False
        self.sequence, self.digest = line.sequence, line.digest
        return True

    def _flaw(self, line: StoredEvent) -> Flaw | None:
        expected = self.sequence + 1
        if type(line.sequence) is not int:
            return Flaw.CHANGED
        if line.sequence < expected:
            return Flaw.EXTRA
        if line.sequence > expected and self.whole and line.action != SKIPPED:
            return Flaw.MISSING
        if line.digest != _digest(line):
            return Flaw.CHANGED
        if (line.sequence == expected or self.whole) and line.previous != self.digest:
            return Flaw.UNLINKED
        return None


class Verifier:
    """Reads lines one after another, of several servers too, and keeps none of them."""

    def __init__(self, *, anchors: Iterable[Anchor] = (), whole: bool = True) -> None:
        self._whole = whole
        self._sought: dict[str, set[Anchor]] = defaultdict(set)
        for anchor in anchors:
            self._sought[anchor.digest[:SHOWN]].add(anchor)
        self._chains: dict[int, Chain] = {}

    @property
    def chains(self) -> Mapping[int, Chain]:
        """Return what is known of each server's chain."""
        return self._chains

    @property
    def lost(self) -> Sequence[Anchor]:
        """Return the anchors that no line which holds has answered to."""
        return sorted((anchor for left in self._sought.values() for anchor in left), key=str)

    @property
    def holds(self) -> bool:
        """Tell whether nothing that was read is broken and no anchor is lost."""
        return not self.lost and all(one.breach is None for one in self._chains.values())

    def read(self, line: StoredEvent) -> None:
        """Take the next line."""
        one = self._chains.get(line.guild_id)
        if one is None:
            one = self._chains[line.guild_id] = Chain(whole=self._whole)
        if one.follow(line) and line.digest[:SHOWN] in self._sought:
            self._sought[line.digest[:SHOWN]] -= {
                anchor
                for anchor in self._sought[line.digest[:SHOWN]]
                if line.digest.startswith(anchor.digest) and anchor.sequence in {None, line.sequence}
            }


def _digest(line: StoredEvent) -> str | None:
    """Return what the digest of a line has to be: over every other value of it; None if it has none."""
    try:
        whole = _canonical((line.sequence, line.previous, line.guild_id, *line[2:9]))
        return hashlib.sha256(whole.encode()).hexdigest()
    except (TypeError, ValueError):
        return None
