"""Time zones by their IANA names, what their clocks show, and which times these show twice or never. Pure.

The rules are those of the package tzdata, which is locked: not those of whatever machine this is.
"""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MINUTE: Final = timedelta(minutes=1)
# What else tzdata has, as EST, stays without daylight saving, or has its sign reversed.
_UTC_NAME: Final = "UTC"
_ODD_REGIONS: Final = ("Etc", "SystemV")
# What people type for a zone, and where whoever does so most likely is. An abbreviation has several places.
_ABBREVIATIONS: Final = {
    "est edt et": ["America/New_York"],
    "cst cdt ct": ["America/Chicago", "Asia/Shanghai"],
    "mst mdt mt": ["America/Denver", "America/Phoenix"],
    "pst pdt pt": ["America/Los_Angeles", "Asia/Manila"],
    "cet cest mez mesz": ["Europe/Berlin"],
    "gmt bst": ["Europe/London"],
    "wet west": ["Europe/Lisbon"],
    "eet eest": ["Europe/Athens"],
    "msk": ["Europe/Moscow"],
    "ist": ["Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"],
    "jst": ["Asia/Tokyo"],
    "aest aedt": ["Australia/Sydney"],
    "brt": ["America/Sao_Paulo"],
}
_ABBREVIATED: Final = {short: names for shorts, names in _ABBREVIATIONS.items() for short in shorts.split()}


class OnClock(NamedTuple):
    """When a clock shows a time: once, twice, or never; then `instants` are those just before and after."""

    instants: Sequence[datetime]
    exists: bool


@cache
def rules(name: str) -> ZoneInfo:
    """Return the rules of a zone; ZoneInfoNotFoundError if there is none of that name."""
    if name not in _spellings().values():
        raise ZoneInfoNotFoundError(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def named(typed: str) -> str | None:
    """Return the IANA name that was typed in whatever case, with blanks or accents."""
    return _spellings().get(_folded(typed))


def zones() -> Sequence[str]:
    """Return the names that are offered: those in use, without their older spellings."""
    return _table().names


def near(typed: str, *, limit: int = 5) -> list[str]:
    """Return the names that may be meant: by city, country or abbreviation, or spelled nearly so."""
    wanted = _folded(typed)
    exact = named(typed)
    found = dict.fromkeys([exact] if exact else [])
    for names in _matches(wanted):
        found |= dict.fromkeys(names)
        if len(found) >= limit:
            break
    if not found:
        found = dict.fromkeys(_alike(wanted))
    return [*found][:limit]


def _matches(wanted: str) -> Iterator[Sequence[str]]:
    """Yield groups of names, the likeliest first."""
    table = _table()
    if not wanted:
        yield [*(names[0] for names in _ABBREVIATIONS.values()), *table.names]
        return
    yield _ABBREVIATED.get(wanted, ())
    starting = [city for city in table.cities if city.startswith(wanted)]
    yield [name for city in starting for name in table.cities[city]]
    countries = [country for country in table.countries if wanted in country]
    yield [name for country in countries for name in table.countries[country]]
    yield [name for name in table.names if wanted in _folded(name)]


def _alike(wanted: str) -> Iterator[str]:
    """Yield names that are spelled nearly so."""
    cities, spellings = _table().cities, _spellings()
    for city in get_close_matches(wanted, cities):
        yield from cities[city]
    yield from (spellings[name] for name in get_close_matches(wanted, spellings))


class _Table(NamedTuple):
    """The names in use, by the folded names of their cities and countries."""

    names: Sequence[str]
    cities: Mapping[str, Sequence[str]]
    countries: Mapping[str, Sequence[str]]


@cache
def _table() -> _Table:
    known = {code: name for code, name, *_ in _rows("iso3166.tab")}
    cities: dict[str, list[str]] = {}
    countries: dict[str, list[str]] = {}
    names = [_UTC_NAME]
    for code, _, name, *_ in _rows("zone.tab"):
        names.append(name)
        cities.setdefault(_folded(name.rpartition("/")[2]), []).append(name)
        countries.setdefault(_folded(known[code]), []).append(name)
    return _Table(sorted(names), dict(sorted(cities.items())), countries)


def _rows(table: str) -> Iterator[list[str]]:
    text = files("tzdata").joinpath("zoneinfo", table).read_text(encoding="utf-8")
    return (line.split("\t") for line in text.splitlines() if not line.startswith("#"))


@cache
def _spellings() -> Mapping[str, str]:
    """Return every name that may be used, by how it is folded."""
    listed = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    usable = [name for name in listed if "/" in name and name.partition("/")[0] not in _ODD_REGIONS]
    return {_folded(name): name for name in (*usable, _UTC_NAME)}


def _folded(words: str) -> str:
    letters = unicodedata.normalize("NFKD", words.strip()).casefold().replace(" ", "_")
    return "".join(one for one in letters if not unicodedata.combining(one))


def instants(local: datetime, zone: str) -> OnClock:
    """Return when the clocks of a zone show `local`, which has no zone of its own, in UTC and in order."""
    there = rules(zone)
    first, second = (local.replace(tzinfo=there, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return OnClock([first], exists=True)
    exists = first.astimezone(there).replace(tzinfo=None, fold=0) == local
    return OnClock(sorted((first, second)), exists=exists)


def local_time(at: datetime, zone: str) -> datetime:
    """Return what the clocks of a zone show, without its zone."""
    return at.astimezone(rules(zone)).replace(tzinfo=None, fold=0)


def shown_at(local: datetime, zone: str) -> tuple[datetime, ...]:
    """Return when clocks show a time, in order; or when they are set, if they leave it out."""
    clock = instants(local, zone)
    if clock.exists:
        return tuple(clock.instants)
    before, after = clock.instants
    minutes = range((after - before) // _MINUTE)
    passed = bisect_left(minutes, True, key=lambda n: local_time(before + n * _MINUTE, zone) >= local)
    return (before + passed * _MINUTE,)


def written(at: datetime, zone: str) -> str:
    """Return a time as the clocks of a zone show it: Fri 18 Dec 2026 18:00 CET (Europe/Berlin)."""
    there = at.astimezone(rules(zone))
    called = _called(there)
    where = "" if called == zone else f" ({zone})"
    return f"{there:%a} {there.day} {there:%b %Y %H:%M} {called}{where}"


def _called(there: datetime) -> str:
    """Return CET, or UTC+03 where clocks have no name of their own."""
    name = there.tzname() or ""
    return name if name[:1].isalpha() else f"UTC{name}"


def is_still(local: datetime, at: datetime, zone: str) -> bool:
    """Tell whether the clocks of a zone show `local` then by today's rules: those change now and then."""
    try:
        return local_time(at, zone) == local
    except ZoneInfoNotFoundError:
        return False


def next_minute(at: datetime) -> datetime:
    """Return the same moment, or the next with no seconds."""
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + timedelta(minutes=1)
