"""The record: hash-chained audit events, one chain per server. Pure."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from bot.broadcast import Frozen, Person

GENESIS: Final = "0" * 64
HERALD: Final = Person(0, "Herald")


class Entry(Frozen):
    """What happened, before it has a place in the chain."""

    guild_id: int
    at: datetime
    actor: Person
    action: str
    broadcast_id: int | None = None
    proof: str = ""
    detail: str = ""


class Event(Frozen):
    """One line of the record."""

    sequence: int
    entry: Entry
    previous: str
    digest: str


def chain(entry: Entry, *, previous: Event | None) -> Event:
    """Return the entry as the line that follows `previous`."""
    sequence = previous.sequence + 1 if previous else 1
    before = previous.digest if previous else GENESIS
    return Event(sequence=sequence, entry=entry, previous=before, digest=_digest(sequence, before, entry))


def first_broken(events: Iterable[Event]) -> int | None:
    """Return the sequence number of the first line that was changed, removed or reordered."""
    previous = GENESIS
    for sequence, event in enumerate(events, start=1):
        expected = _digest(event.sequence, event.previous, event.entry)
        if (event.sequence, event.previous, event.digest) != (sequence, previous, expected):
            return sequence
        previous = event.digest
    return None


def _digest(sequence: int, previous: str, entry: Entry) -> str:
    whole = [
        sequence,
        previous,
        entry.guild_id,
        # The store gives moments back in UTC, whatever zone they were told in.
        entry.at.astimezone(UTC).isoformat(),
        *entry.actor,
        entry.action,
        entry.broadcast_id,
        entry.proof,
        entry.detail,
    ]
    return hashlib.sha256(json.dumps(whole, separators=(",", ":")).encode()).hexdigest()
