"""What a digest tells: of which time, and what became of what was decided in it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

from bot.broadcast import Step

_MINUTE: Final = timedelta(minutes=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What each line of the record brought about; of a broadcast only its last one counts.
RESULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Step.ACCEPTED: "sent",
        Step.CONFIRM: "sent",
        Step.PARTLY: "partly sent",
        Step.NOT_ACCEPTED: "not accepted",
        Step.DENY: "not accepted",
        Step.UNANSWERED: "unknown",
        Step.HOLD: "held",
        Step.REJECT: "rejected",
        Step.EXPIRE: "not decided in time",
        Step.CANCEL: "cancelled",
    }
)


class Span(NamedTuple):
    """The time that a digest is about: from its begin on, up to its end."""

    begin: datetime
    end: datetime

    @property
    def mark(self) -> str:
        """Return it in a few letters, to the minute."""
        return "-".join(f"{(one - _EPOCH) // _MINUTE:x}" for one in self)

    @classmethod
    def of(cls, mark: str) -> "Span":
        """Return what was marked so."""
        begin, end = (_EPOCH + int(one, 16) * _MINUTE for one in mark.split("-"))
        return cls(begin, end)


class Tally(NamedTuple):
    """How many broadcasts for an audience came to a result."""

    audience: str
    result: str
    number: int


def by_audience(tallies: Sequence[Tally]) -> Mapping[str, Mapping[str, int]]:
    """Return how often each result came about for each audience, both in order."""
    order = list(dict.fromkeys(RESULTS.values()))
    found: dict[str, dict[str, int]] = {}
    for one in sorted(tallies, key=lambda one: (one.audience, order.index(one.result))):
        results = found.setdefault(one.audience, {})
        results[one.result] = results.get(one.result, 0) + one.number
    return found
