"""The record is whole: whatever is changed, removed or moved in it is found and named."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise, product
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.audit.chain import GENESIS, Event, NewEvent, chain, first_broken, kept_encoder
from bot.audit.search import Search
from bot.store import Access, Store, Transaction
from bot.value import Person
from tests.database import new_file

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
AWKWARD = 'a "quoted", \\[list]\n\x00\u2028 \u202e🎉 e\u0301'


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(new_file(tmp_path)) as opened:
        yield opened


def make_entry(number: int = 0, **changes: Any) -> NewEvent:
    values: dict[str, Any] = {
        "guild_id": 1,
        "at": NOW + timedelta(seconds=number),
        "actor": Person(100 + number, f"Person {number}"),
        "action": "submit",
        "broadcast_id": number,
        "proof": "ABCD1234",
        "detail": f"detail {number}",
    }
    return NewEvent(**(values | changes))


def make_chain(length: int) -> list[Event]:
    events: list[Event] = []
    for number in range(length):
        events.append(chain(make_entry(number), previous=events[-1] if events else None))
    return events


def first_difference(events: Sequence[Event], tampered: Sequence[Event]) -> int:
    """Return the number of the first line that is not as it was."""
    same = 0
    while same < min(len(events), len(tampered)) and events[same] == tampered[same]:
        same += 1
    return same + 1


async def append(store: Store, entry: NewEvent) -> Event:
    with store.begin() as tx:
        return tx.audit.append(entry)


async def read(store: Store, guild_id: int = 1) -> list[Event]:
    with store.begin(Access.READ) as tx:
        return tx.audit.of_guild(guild_id)


# --- the chain -------------------------------------------------------------------------------------

lengths = st.integers(1, 8)
WORDS = st.text(max_size=8)
NUMBERS = st.integers(0, 2**62)
ENTRY_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "guild_id": NUMBERS,
    "at": st.datetimes(timezones=st.just(UTC)),
    "actor": st.builds(Person, NUMBERS, WORDS),
    "action": WORDS,
    "broadcast_id": st.none() | NUMBERS,
    "proof": WORDS,
    "detail": WORDS,
}
EVENT_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "sequence": NUMBERS,
    "previous": st.text("0123456789abcdef", min_size=64, max_size=64),
    "digest": st.text("0123456789abcdef", min_size=64, max_size=64),
}


def test_every_field_is_tampered_with_below() -> None:
    assert set(ENTRY_FIELDS) == set(NewEvent.model_fields)
    assert {*EVENT_FIELDS, *ENTRY_FIELDS} == set(Event.model_fields)


@given(lengths)
def test_an_untouched_chain_verifies(length: int) -> None:
    assert first_broken(make_chain(length)) is None


def test_an_empty_record_verifies() -> None:
    assert first_broken([]) is None


@given(st.data(), lengths, st.sampled_from([*ENTRY_FIELDS, *EVENT_FIELDS]))
def test_a_changed_field_is_found_and_named(data: st.DataObject, length: int, field: str) -> None:
    events = make_chain(length)
    index = data.draw(st.integers(0, length - 1))
    event = events[index]
    if field in ENTRY_FIELDS:
        update = {field: data.draw(ENTRY_FIELDS[field])}
    else:
        update = {field: data.draw(EVENT_FIELDS[field])}
    tampered = [*events[:index], event.model_copy(update=update), *events[index + 1 :]]
    assume(tampered != events)
    assert first_broken(tampered) == index + 1


@given(st.data(), st.integers(2, 8))
def test_a_removed_line_is_found_and_named(data: st.DataObject, length: int) -> None:
    events = make_chain(length)
    index = data.draw(st.integers(0, length - 2))
    assert first_broken(events[:index] + events[index + 1 :]) == index + 1


@given(st.data(), lengths)
def test_an_inserted_line_is_found_and_named(data: st.DataObject, length: int) -> None:
    events = make_chain(length)
    index = data.draw(st.integers(0, length))
    forged = chain(make_entry(99), previous=chain(make_entry(98), previous=None))
    stranger = data.draw(st.sampled_from([*events, forged]))
    tampered = [*events[:index], stranger, *events[index:]]
    assert first_broken(tampered) == first_difference(events, tampered)


@given(st.data(), st.integers(2, 8))
def test_swapped_lines_are_found_and_named(data: st.DataObject, length: int) -> None:
    events = make_chain(length)
    one, other = data.draw(st.lists(st.integers(0, length - 1), min_size=2, max_size=2, unique=True))
    events[one], events[other] = events[other], events[one]
    assert first_broken(events) == min(one, other) + 1


@given(st.data(), st.integers(2, 8))
def test_a_forger_who_hashes_the_line_anew_is_found_at_the_next_one(data: st.DataObject, length: int) -> None:
    events = make_chain(length)
    index = data.draw(st.integers(0, length - 2))
    forged = chain(make_entry(99), previous=events[index - 1] if index else None)
    assert first_broken([*events[:index], forged, *events[index + 1 :]]) == index + 2


def test_a_chain_that_lost_its_tail_still_verifies() -> None:
    """The chain alone cannot tell that its last lines were cut off: that takes an anchor kept elsewhere."""
    assert first_broken(make_chain(8)[:5]) is None


def test_neighbouring_fields_cannot_trade_characters() -> None:
    one = chain(make_entry(action="ab", detail="c", proof=""), previous=None)
    other = chain(make_entry(action="a", detail="bc", proof=""), previous=None)
    assert one.digest != other.digest


# --- in the store ----------------------------------------------------------------------------------


async def test_the_chain_that_is_read_back_is_the_one_that_was_written(store: Store) -> None:
    awkward = make_entry(detail=AWKWARD, actor=Person(7, AWKWARD), broadcast_id=None)
    written = [await append(store, entry) for entry in (make_entry(1), awkward, make_entry(2))]
    assert await read(store) == written
    assert first_broken(await read(store)) is None


async def test_a_moment_told_in_another_zone_does_not_break_the_chain(store: Store) -> None:
    await append(store, make_entry(at=NOW.astimezone(timezone(timedelta(hours=5)))))
    assert first_broken(await read(store)) is None


async def test_each_server_has_a_chain_of_its_own(store: Store) -> None:
    for number in range(6):
        await append(store, make_entry(number, guild_id=1 + number % 2))
    for guild_id in (1, 2):
        events = await read(store, guild_id)
        assert [event.sequence for event in events] == [1, 2, 3]
        assert events[0].previous == GENESIS
        assert {event.guild_id for event in events} == {guild_id}
        assert first_broken(events) is None


async def test_concurrent_appends_leave_no_hole_and_no_fork(store: Store) -> None:
    await asyncio.gather(*(append(store, make_entry(number)) for number in range(40)))
    events = await read(store)
    assert [event.sequence for event in events] == list(range(1, 41))
    assert {event.broadcast_id for event in events} == set(range(40))
    assert first_broken(events) is None


async def test_an_append_that_was_rolled_back_leaves_no_hole(store: Store) -> None:
    async def append_and_fail() -> None:
        with store.begin() as tx:
            tx.audit.append(make_entry(1))
            raise ZeroDivisionError

    await append(store, make_entry(0))
    await asyncio.gather(append_and_fail(), return_exceptions=True)
    await append(store, make_entry(2))
    assert [event.sequence for event in await read(store)] == [1, 2]
    assert first_broken(await read(store)) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_the_encoder_that_is_kept_writes_what_python_s_own_does(value: object) -> None:
    assert kept_encoder()(value) == json.JSONEncoder(separators=(",", ":")).encode(value)
    assert kept_encoder(repr)([b"x"]) == "[\"b'x'\"]"
    with pytest.raises(TypeError):
        kept_encoder()([b"x"])


# --- a search by date ------------------------------------------------------------------------------


def page_by_page(tx: Transaction, search: Search) -> list[int]:
    """Return the numbers of all lines that are found, in pages of three."""
    found: list[int] = []
    while page := tx.audit.newest(search, before=found[-1] if found else None, limit=3):
        found += [event.sequence for event in page]
    return found


async def test_a_date_finds_each_line_of_its_days_in_order_also_where_a_clock_was_put_back(
    database_url: str,
) -> None:
    # Hours from line to line: mostly on, now and then back over midnight or over days.
    dice, hours = Random(7), [0]
    for _ in range(80):
        hours.append(hours[-1] + dice.choice([0, 1, 3, 5, 8, 14, -1, -9, -40]))
    # The last moment of a day and the first of the next are of different days.
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    moments = [midnight + timedelta(hours=one) for one in hours]
    moments += [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=1)]
    assert sum(after < before for before, after in pairwise(moments)) > 20
    bounds = [
        None,
        *(midnight + timedelta(days=days) for days in range(-3, 9)),
        midnight + timedelta(days=1, hours=5),
    ]
    async with Store.open(database_url) as store:
        with store.begin() as tx:
            events = [
                tx.audit.append(make_entry(number % 3, guild_id=guild, at=at))
                for number, at in enumerate(moments)
                for guild in (1, 2)
            ]
        faults: list[object] = []
        with store.begin(Access.READ) as tx:
            for since, until, person in product(bounds, bounds, (None, 101)):
                expected = [
                    event.sequence
                    for event in reversed(events)
                    if event.guild_id == 1
                    and (since is None or event.at >= since)
                    and (until is None or event.at < until)
                    and (person is None or event.actor.id == person)
                ]
                found = page_by_page(tx, Search(guild_id=1, since=since, until=until, person=person))
                if found != expected:
                    faults.append((since, until, person, found, expected))
    assert faults == []
