"""Clocks show what another library says by the rules of the package, and a mistyped zone has near names."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
import tzdata
from whenever import Instant, PlainDateTime, RepeatedTime, SkippedTime, reset_tzpath

from bot.zones import instants, is_still, local_time, named, near, next_minute, rules, written, zones

# Or else the other library has the rules of whatever machine this is.
reset_tzpath([str(Path(tzdata.__file__).with_name("zoneinfo"))])

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
YEARS = timedelta(days=2 * 366)
# Where a clock that is set by half an hour, an hour or two shows a time twice or never, and just beside.
MINUTES = sorted(
    {size * sign + beside for size in (0, 30, 60, 120) for sign in (-1, 1) for beside in (-1, 0, 1)}
)


@cache
def changes() -> list[tuple[str, datetime]]:
    """Return each zone with each of the moments within two years at which its clocks are set."""
    return [(zone, at) for zone in zones() for at in _changes(rules(zone))]


def _changes(zone: ZoneInfo) -> Iterator[datetime]:
    # Clocks are set back after a month, too, where people fast.
    for start in range(0, YEARS.days, 20):
        low, high = SINCE + timedelta(days=start), SINCE + timedelta(days=start + 20)
        before = low.astimezone(zone).utcoffset()
        while high - low > timedelta(minutes=1):
            middle = next_minute(low + (high - low) / 2)
            low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
        if high.astimezone(zone).utcoffset() != before:
            yield high


def by_another_library(local: datetime, zone: str) -> tuple[list[datetime], bool]:
    """Return when clocks show a time, and whether they ever do."""
    # Its types name one that its wheel has not.
    assume: Any = PlainDateTime(local).assume_tz  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    both = {assume(zone, disambiguation=which).to_stdlib().astimezone(UTC) for which in ("earlier", "later")}
    try:
        assume(zone, disambiguation="raise")
    except SkippedTime:
        return sorted(both), False
    except RepeatedTime:
        pass
    return sorted(both), True


def test_clocks_around_each_change_of_two_years_show_what_another_library_says() -> None:
    assert len({zone for zone, _ in changes()}) > 100
    twice = never = 0
    for zone, at in changes():
        for minutes in MINUTES:
            local = local_time(at, zone) + timedelta(minutes=minutes)
            found = instants(local, zone)
            assert (list(found.instants), found.exists) == by_another_library(local, zone), (zone, local)
            twice += len(found.instants) == 2 and found.exists
            never += not found.exists
    assert twice > 500
    assert never > 500


def test_what_a_clock_shows_leads_back_to_that_moment() -> None:
    for zone, at in changes():
        for minutes in MINUTES:
            moment = at + timedelta(minutes=minutes)
            local = local_time(moment, zone)
            there: Any = Instant(moment).to_tz  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            assert local == there(zone).to_plain().to_stdlib()
            assert moment in instants(local, zone).instants
            assert is_still(local, moment, zone)


def test_beside_a_time_that_does_not_exist_are_the_clock_before_and_the_clock_after() -> None:
    found = instants(datetime(2027, 3, 28, 2, 30), "Europe/Berlin")  # noqa: DTZ001
    assert not found.exists
    assert [written(at, "Europe/Berlin") for at in found.instants] == [
        "Sun 28 Mar 2027 01:30 CET (Europe/Berlin)",
        "Sun 28 Mar 2027 03:30 CEST (Europe/Berlin)",
    ]


def test_a_time_is_written_with_the_name_of_its_clock() -> None:
    at = datetime(2026, 12, 18, 17, 0, tzinfo=UTC)
    assert written(at, "Europe/Berlin") == "Fri 18 Dec 2026 18:00 CET (Europe/Berlin)"
    assert written(at, "America/Sao_Paulo") == "Fri 18 Dec 2026 14:00 UTC-03 (America/Sao_Paulo)"
    assert written(at, "UTC") == "Fri 18 Dec 2026 17:00 UTC"


def test_a_time_that_new_rules_move_is_told_from_one_that_stands() -> None:
    at, local = datetime(2026, 12, 18, 17, 0, tzinfo=UTC), datetime(2026, 12, 18, 18, 0)  # noqa: DTZ001
    assert is_still(local, at, "Europe/Berlin")
    # Rules as they were, had the country left its summer time or its zone.
    assert not is_still(local, at, "Europe/Istanbul")
    assert not is_still(local, at, "Europe/Atlantis")


def test_the_rules_are_not_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    monkeypatch.setitem(os.environ, "TZ", "Pacific/Apia")
    monkeypatch.setitem(os.environ, "PYTHONTZPATH", "/nowhere")
    time.tzset()
    try:
        rules.cache_clear()
        assert local_time(at, "Europe/Berlin").hour == 14
    finally:
        monkeypatch.undo()
        time.tzset()


def test_each_zone_that_is_offered_can_be_used() -> None:
    assert len(zones()) > 400
    for name in zones():
        assert named(name.lower()) == name
        assert near(name)[0] == name
        assert rules(name).key == name
    with pytest.raises(ZoneInfoNotFoundError):
        rules("Europe/Atlantis")


def test_what_is_no_zone_of_its_own_is_not_taken_for_one() -> None:
    # These have no summer time, or their sign reversed: nobody who types them means that.
    for typed in (
        "EST",
        "CET",
        "MST",
        "PST8PDT",
        "Etc/GMT+5",
        "GMT",
        "",
        "../UTC",
        "Europe",
        "Europe/Berlin\0",
    ):
        assert named(typed) is None, typed


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("Berln", "Europe/Berlin"),
        ("Europe/Barlin", "Europe/Berlin"),
        ("germany", "Europe/Berlin"),
        ("CET", "Europe/Berlin"),
        ("cest", "Europe/Berlin"),
        ("EST", "America/New_York"),
        ("PST", "America/Los_Angeles"),
        ("PDT", "America/Los_Angeles"),
        ("BST", "Europe/London"),
        ("GMT", "Europe/London"),
        ("IST", "Asia/Kolkata"),
        ("JST", "Asia/Tokyo"),
        ("new york", "America/New_York"),
        ("São Paulo", "America/Sao_Paulo"),
        ("sao_paulo", "America/Sao_Paulo"),
        ("Kiev", "Europe/Kyiv"),
        ("us/pacific", "US/Pacific"),
        ("utc", "UTC"),
        ("", "America/New_York"),
    ],
)
def test_the_likeliest_zone_is_offered_first(typed: str, first: str) -> None:
    assert near(typed)[0] == first


def test_no_more_are_offered_than_asked_for_and_none_twice() -> None:
    for typed in ("a", "america", "", "e", "xyzzy", "\ud800", "ß" * 100):
        for limit in (1, 5, 25):
            found = near(typed, limit=limit)
            assert len(found) == len(set(found)) <= limit
    assert near("xyzzy") == []
