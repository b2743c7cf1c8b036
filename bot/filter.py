"""What someone looks for among broadcasts, and how they may type it. Pure."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from bot.broadcast import DraftState, Status
from bot.characters import spelling, storable
from bot.errors import NotReady
from bot.sentences import listed
from bot.value import Value

# More than a subject has.
WORDS_LIMIT: Final = 120
# A draft is for its author alone.
OUTCOMES: Final = tuple(status for status in Status if status is not Status.DRAFT)
# Every zone knows when these days begin and end.
_FIRST, _LAST = date(2000, 1, 1), date(2999, 12, 31)


class Filter(Value):
    """Which broadcasts are meant; None leaves nothing out.

    All of the `words` stand in what customers read, be it within another word. The person wrote or approved
    it. It changed last on a day from `since` to `until`, in the zone of whoever asks. A draft is in that
    `state`.
    """

    words: str | None = None
    person: int | None = None
    audience: str | None = None
    topic: str | None = None
    since: date | None = None
    until: date | None = None
    outcome: Status | None = None
    state: DraftState | None = None

    def moments(self, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
        """Return the first moment that counts and the first that no longer does, in that zone."""
        after = self.until and self.until + timedelta(days=1)
        return self.since and _begin(self.since, zone), after and _begin(after, zone)


EVERYTHING: Final = Filter()


def _begin(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone)


class Known(NamedTuple):
    """By what a server's broadcasts can be searched: its topics with their names, and what day it is."""

    audiences: Collection[str]
    topics: Mapping[str, str]
    today: date


def read_filter(typed: Mapping[str, str | None], known: Known) -> Filter:
    """Return the filter that was typed, by name of its parts; raise NotReady with what to mend."""
    # No row can have what no database keeps.
    given = {name: storable(text.strip()) for name, text in typed.items() if text and text.strip()}
    found = Filter(**{name: _READERS[name](text, known) for name, text in given.items()})
    if found.since and found.until and found.until < found.since:
        raise NotReady("until: it lies before since: swap the two.")
    return found


def _words(text: str, _known: Known) -> str:
    if (more := len(text) - WORDS_LIMIT) > 0:
        raise NotReady(f"words: at most {WORDS_LIMIT} characters can be looked for: leave {more} out.")
    return text


def _person(text: str, _known: Known) -> int:
    match = re.fullmatch(r"(?:<@!?)?([0-9]{1,19})>?", text)
    if match is None or int(match[1]) >= 2**63:
        raise NotReady(f"person: “{text[:60]}” is nobody: choose a member, or write an id.")
    return int(match[1])


def _audience(text: str, known: Known) -> str:
    return _chosen("audience", text, [(name,) for name in sorted(known.audiences)])


def _topic(text: str, known: Known) -> str:
    return _chosen("topic", text, [*known.topics.items()])


def _outcome(text: str, _known: Known) -> Status:
    return Status(_chosen("outcome", text.lower(), [(status.value,) for status in OUTCOMES]))


def _state(text: str, _known: Known) -> DraftState:
    return DraftState(_chosen("state", text.lower(), [(state.value,) for state in DraftState]))


def _chosen(part: str, text: str, choices: Sequence[Sequence[str]]) -> str:
    """Return the first spelling of the choice that was typed in any of its spellings."""
    for spellings in choices:
        if spelling(text) in map(spelling, spellings):
            return spellings[0]
    names = listed(f"“{one[-1]}”" for one in choices) or "there is none yet"
    raise NotReady(f"{part}: there is no “{text[:100]}”: choose one of them ({names}).")


def _since(text: str, known: Known) -> date:
    return _day("since", text, known.today)


def _until(text: str, known: Known) -> date:
    return _day("until", text, known.today)


def _day(part: str, text: str, today: date) -> date:
    if days := re.fullmatch(r"([0-9]{1,4})\s*d?", text):
        return max(_FIRST, today - timedelta(days=int(days[1])))
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else None
    except ValueError:
        # There is no such day.
        day = None
    if day is None or not _FIRST <= day <= _LAST:
        raise NotReady(
            f"{part}: “{text[:60]}” is no date: write one such as 2026-11-23, or a number of days such as 7."
        )
    return day


_READERS: Final[Mapping[str, Callable[[str, Known], Any]]] = MappingProxyType(
    {
        "words": _words,
        "person": _person,
        "audience": _audience,
        "topic": _topic,
        "since": _since,
        "until": _until,
        "outcome": _outcome,
        "state": _state,
    }
)
