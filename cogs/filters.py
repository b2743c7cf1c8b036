"""What a list is searched by: as it is offered, and as it is said above what was found."""

from collections.abc import Mapping
from typing import Final

from bot.broadcast import DraftState
from bot.delivery import DeliveryStatus
from bot.filter import OUTCOMES, Filter, Known
from cogs.choices import Option, named
from cogs.situation import HEADLINES
from cogs.text import inline


def _within(headline: str) -> str:
    """Return a headline as it stands within a sentence."""
    return headline[0].lower() + headline[1:]


# Beside each outcome stands what cards call it.
OUTCOME_OPTIONS: Final = [Option(f"{one.value} · {_within(HEADLINES[one])}", one.value) for one in OUTCOMES]


STATE_OPTIONS: Final = [named(one.value) for one in DraftState]


def topic_options(known: Known) -> list[Option]:
    """Return the topics that can be searched by, under their names."""
    return [named(name, identifier) for identifier, name in known.topics.items()]


def spoken_filter(only: Filter, topics: Mapping[str, str]) -> str:
    """Return what is looked for, in one line."""
    parts = [
        f"“{inline(only.words)}”" if only.words else "",
        f"by <@{only.person}>" if only.person is not None else "",
        f"for {inline(only.audience)}" if only.audience is not None else "",
        f"about {inline(topics.get(only.topic, only.topic))}" if only.topic is not None else "",
        f"since {only.since}" if only.since else "",
        f"until {only.until}" if only.until else "",
        _within(HEADLINES[only.outcome]) if only.outcome is not None else "",
        only.state.value if only.state is not None else "",
    ]
    return ", ".join(filter(None, parts))


def counted(tally: Mapping[DeliveryStatus, int]) -> str:
    """Return how many requests there were, and what became of them; nothing if there were none."""
    total, accepted = sum(tally.values()), tally.get(DeliveryStatus.ACCEPTED, 0)
    if not total:
        return ""
    requests = f"{total:,} request{'' if total == 1 else 's'}"
    if accepted == total:
        return f" · {requests}"
    rest = [f"{number:,} {word}" for status, word in _LACKING.items() if (number := tally.get(status, 0))]
    return f" · {accepted:,} of {requests} accepted, {', '.join(rest)}"


_LACKING: Final[Mapping[DeliveryStatus, str]] = {
    DeliveryStatus.REJECTED: "rejected",
    DeliveryStatus.UNKNOWN: "unknown",
    DeliveryStatus.IN_FLIGHT: "under way",
    DeliveryStatus.PENDING: "waiting",
}
