"""What Herald remembers that is no row of its own: each fact with its name and its type."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, select, text

from bot.clock import Pace
from bot.store.tables import facts

T = TypeVar("T")


class Fact(NamedTuple, Generic[T]):
    """A fact's name in the database, and how its value is read and written as text."""

    name: str
    read: Callable[[str], T]
    write: Callable[[T], str]


class Start(NamedTuple):
    """The start of a process: when, where, and of which, told by the witness that it alone has."""

    at: datetime
    host: str
    pid: int
    witness: str


class Run(NamedTuple):
    """The process that has a server's database alone, or was the last that had: its name, and where it is."""

    name: str
    host: str
    pid: int


class Trusted(NamedTuple):
    """For which credential and version Whop was seen to honour idempotency keys, and when.

    `taken_as_new` are the broadcasts whose repeats Whop has taken for new ones since it last knew a key.
    `never_left` are attempts, each by delivery and number, of which a process that was killed sent nothing.
    """

    digest: str
    version_date: str
    at: datetime
    taken_as_new: Sequence[int] = ()
    never_left: Sequence[tuple[int, int]] = ()


class ReadsBegun(NamedTuple):
    """How many reads of an account were ever begun, and when the last of them was."""

    number: int
    at: datetime


def _read_reads(kept: str) -> ReadsBegun:
    number, at = json.loads(kept)
    return ReadsBegun(number, datetime.fromisoformat(at))


def _write_reads(begun: ReadsBegun) -> str:
    return json.dumps([begun.number, begun.at.isoformat()])


def _moment(name: str) -> Fact[datetime]:
    return Fact(name, datetime.fromisoformat, datetime.isoformat)


def _words(name: str) -> Fact[str]:
    return Fact(name, str, str)


def _read_pause(kept: str) -> datetime | None:
    return datetime.fromisoformat(kept) if kept else None


def _write_pause(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _read_run(kept: str) -> Run:
    return Run(*json.loads(kept))


def _read_starts(kept: str) -> Sequence[Start]:
    return [
        Start(datetime.fromisoformat(one["at"]), one["host"], one["pid"], one.get("witness", ""))
        for one in json.loads(kept)
    ]


def _write_starts(starts: Sequence[Start]) -> str:
    return json.dumps([one._asdict() | {"at": one.at.isoformat()} for one in starts])


def _read_trusted(kept: str) -> Trusted | None:
    found = json.loads(kept)
    if not found:
        # It was refuted.
        return None
    at = datetime.fromisoformat(found["at"])
    never_left = [(delivery, attempt) for delivery, attempt in found.get("never_left", ())]
    return Trusted(
        found["digest"], found["version_date"], at, tuple(found.get("taken_as_new", ())), never_left
    )


def _write_trusted(trusted: Trusted | None) -> str:
    return json.dumps(trusted._asdict() | {"at": trusted.at.isoformat()} if trusted else {})


def _read_pace(kept: str) -> Pace:
    ahead, since = json.loads(kept)
    return Pace(ahead, since)


_SCOPE: Final = "scope "
# Which process has a server's database alone, or was the last that had.
RUN: Final = Fact("the one run", _read_run, json.dumps)
# The starts of processes that have not ended in order.
STARTS: Final = Fact("starts without an end", _read_starts, _write_starts)
# When the database was last written to for nothing but to see that it can be.
SEEN_WELL: Final = _moment("seen to take what is written")
# The latest time that was seen before the clock was set back.
HIGHEST_TIME: Final = _moment("highest time before the clock was set back")
# Above which broadcasts, and what people change of them, are numbered since the database went back.
BROADCASTS_ABOVE: Final = Fact("numbers of broadcasts above", int, str)
REVISIONS_ABOVE: Final = Fact("numbers of revisions above", int, str)


def key_trust(account: str) -> Fact[Trusted | None]:
    """Return the fact of for which key of an account Whop was proven to honour idempotency keys."""
    return Fact(f"proof of the key of {account}", _read_trusted, _write_trusted)


def unknown_streak(account: str) -> Fact[int]:
    """Return the fact of how many sends of an account in a row got no known answer."""
    return Fact(f"unknown answers in a row of {account}", int, str)


def unknown_cause(account: str) -> Fact[str]:
    """Return the fact of what the last of them has in common with others that are one event together."""
    return _words(f"cause of the last unknown answer of {account}")


def not_before(account: str) -> Fact[datetime | None]:
    """Return the fact of until when nothing is sent by an account, after Whop was overloaded."""
    return Fact(f"no request before of {account}", _read_pause, _write_pause)


def reads_begun(account: str) -> Fact[ReadsBegun]:
    """Return the fact of how many reads of an account were ever begun: no row says so of each."""
    return Fact(f"reads begun of {account}", _read_reads, _write_reads)


def begun(account: str) -> Fact[int]:
    """Return the fact of how many requests of an account were ever begun.

    Whoever counts them again knows how many there were meanwhile.
    """
    return Fact(f"requests begun of {account}", int, str)


def scope_of(digest: str) -> Fact[str]:
    """Return the fact of what is fingerprinted beside the words of a broadcast, by its digest."""
    return _words(f"{_SCOPE}{digest}")


def mirror_unread(guild_id: int) -> Fact[str]:
    """Return the fact of why a server's mirror cannot be read; empty while it can."""
    return _words(f"mirror of {guild_id} cannot be read")


def pace_of(boot: str) -> Fact[Pace]:
    """Return the fact of how the clocks of a machine have gone since it was started."""
    return Fact(f"clocks of {boot}", _read_pace, json.dumps)


def cards_of(guild_id: int) -> Fact[str]:
    """Return the fact of the digest of all that a server's cards show beside their broadcasts."""
    return _words(f"cards of {guild_id}")


def digest_of(guild_id: int) -> Fact[datetime]:
    """Return the fact of up to when a server was told what became of what was decided."""
    return _moment(f"digest of {guild_id}")


def template_asked(number: int, guild_id: int) -> Fact[datetime]:
    """Return the fact of when a template's approvers were asked."""
    return _moment(f"template {number} of {guild_id} was asked for")


class Facts:
    """Facts of one transaction: each is asked for once, and written only if it changes."""

    def __init__(self, connection: Connection, *, locking: bool) -> None:
        self._connection = connection
        self._locking = locking
        self._known: dict[str, str | None] = {}

    def load(self, *wanted: Fact[Any]) -> None:
        """Ask for several facts at once; where they may be written, nobody else changes them meanwhile."""
        names = sorted({fact.name for fact in wanted} - self._known.keys())
        if not names:
            return
        query = _LOCKED if self._locking else _WANTED
        found = {row.name: row.value for row in self._connection.execute(query, {"names": names})}
        self._known |= {name: found.get(name) for name in names}

    def get(self, fact: Fact[T]) -> T | None:
        """Return a fact, or None if it was never told."""
        self.load(fact)
        kept = self._known[fact.name]
        return None if kept is None else fact.read(kept)

    def scopes(self) -> Sequence[str]:
        """Return all that was ever fingerprinted beside words: each audience as each policy defined it."""
        return list(self._connection.scalars(_SCOPES))

    def set(self, fact: Fact[T], value: T) -> None:
        """Keep a fact in place of what was known."""
        written = fact.write(value)
        if self._known.get(fact.name) != written:
            self._connection.execute(_KEEP, {"name": fact.name, "value": written})
            self._known[fact.name] = written


_WANTED: Final = (
    select(facts.c.name, facts.c.value)
    .where(facts.c.name.in_(bindparam("names", expanding=True)))
    # Two that lock the same facts do so in the same order.
    .order_by(facts.c.name)
)
_SCOPES: Final = select(facts.c.value).where(facts.c.name.startswith(_SCOPE)).order_by(facts.c.name)
_LOCKED: Final = _WANTED.with_for_update()
_KEEP: Final = text(
    "INSERT INTO facts (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
