"""Sentences for people stay short: lists that say how many more there are, and words that are cut. Pure."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

# So many names are told of a list; whoever needs all of them looks where they stand.
TOLD: Final = 10


def listed(names: Iterable[str], *, between: str = ", ") -> str:
    """Return the first of some names, and how many more there are."""
    known = list(names)
    more = len(known) - TOLD
    return between.join(known) if more <= 0 else f"{', '.join(known[:TOLD])} and {more:,} more"


def shortened(words: str, limit: int) -> str:
    """Return at most `limit` characters, with an ellipsis where something is cut."""
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def spoken_span(span: timedelta) -> str:
    """Return a duration in its largest unit of which it has at least two."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def times(number: int) -> str:
    """Return how often."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def people(number: int) -> str:
    """Return a number of people in words."""
    return "1 person" if number == 1 else f"{number:,} people"
