"""What someone looks for in the record, and how they may type it. Pure."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from bot.characters import spelling, storable
from bot.errors import NotReady
from bot.sentences import listed
from bot.value import Value

_DAY: Final = timedelta(days=1)
_WHEN: Final = "write a date such as 2026-11-23, or a number of days such as 7"


class Search(Value):
    """Which lines of the record are meant; None leaves nothing out.

    A person is an id or a part of the name. `since` is the first moment that counts, `until` the first that
    does not.
    """

    guild_id: int | None = None
    person: int | str | None = None
    audience: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    proof: str | None = None
    broadcast_id: int | None = None

    @property
    def filters(self) -> Mapping[str, Any]:
        """Return what leaves lines out of a server's chain."""
        return self.model_dump(mode="json", exclude={"guild_id"}, exclude_none=True)


EVERYTHING: Final = Search()


def read_search(
    typed: Mapping[str, str | None], *, guild_id: int | None, audiences: Collection[str], now: datetime
) -> Search:
    """Return the search that was typed, by name of its parts; raise NotReady with what to mend."""
    values: dict[str, Any] = {"guild_id": guild_id}
    for name, text in typed.items():
        if text is not None and text.strip():
            field, read, mend = _PARTS[name]
            # No line can have what no database keeps.
            value = read(storable(text.strip()), now)
            if value is None:
                raise NotReady(f"{name}: “{text.strip()[:60]}” is not understood: {mend}.")
            values[field] = value
    if (wanted := values.get("audience")) is not None:
        values["audience"] = next((name for name in audiences if spelling(name) == spelling(wanted)), wanted)
    search = Search(**values)
    if search.audience is not None and search.audience not in audiences:
        names = listed(f"“{name}”" for name in sorted(audiences)) or "there is none yet"
        raise NotReady(f"audience: there is no “{search.audience[:100]}”: choose one of them ({names}).")
    if search.since and search.until and search.until <= search.since:
        raise NotReady("until: it lies before since: swap the two.")
    return search


def _person(text: str, _now: datetime) -> int | str:
    match = re.fullmatch(r"(?:<@!?)?([0-9]{1,19})>?", text)
    # What no id can be is looked for as a name.
    return int(match[1]) if match and int(match[1]) < 2**63 else text


def _since(text: str, now: datetime) -> datetime | None:
    if days := re.fullmatch(r"([0-9]{1,4})\s*d?", text):
        text = f"{now.astimezone(UTC) - int(days[1]) * _DAY:%Y-%m-%d}"
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _until(text: str, now: datetime) -> datetime | None:
    day = _since(text, now)
    try:
        # A day is meant with all of its hours.
        return day and day + _DAY
    except OverflowError:
        return None


def _proof(text: str, _now: datetime) -> str | None:
    return text.upper() if re.fullmatch(r"[0-9A-Fa-f]{8}", text) else None


def _broadcast(text: str, _now: datetime) -> int | None:
    match = re.fullmatch(r"#?([0-9]{1,18})", text)
    return int(match[1]) if match else None


_PARTS: Final[Mapping[str, tuple[str, Callable[[str, datetime], Any], str]]] = MappingProxyType(
    {
        "person": ("person", _person, "write an id or a name"),
        "audience": ("audience", lambda text, _now: text, "write its name"),
        "since": ("since", _since, _WHEN),
        "until": ("until", _until, _WHEN),
        "proof": ("proof", _proof, "write the eight characters that stand on the card, such as 4F0C2A9B"),
        "broadcast": ("broadcast_id", _broadcast, "write its number, such as 12"),
    }
)
