"""Whatever is done to the record in the database or in an export, past Herald, is found and named."""

import asyncio
import csv
import json
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.audit.chain import Anchor, Event, Flaw, StoredEvent, Verifier, chain, read_anchor
from bot.audit.export import FORMATS, Chapter, Export, Header, from_json, to_json, written_whole
from bot.audit.words import SPOKEN
from bot.errors import ConfigurationError
from bot.store import Access, Store, Transaction
from bot.value import Person
from cogs.lines import line_of
from tests.harness.found import only
from tests.properties import examples
from tests.test_audit import AWKWARD, make_chain, make_entry

GUILD = 104900000000000001
NUMBERS = {"guild_id", "sequence", "actor_id", "broadcast_id"}
LENGTH = 5
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
HEADER = Header(at="2026-11-23T09:41:00+00:00", servers={"1": Chapter(name="Sunrise")}, filters={})


def url(file: Path) -> str:
    return f"sqlite:///{file}"


async def write(file: Path, *details: str) -> list[Event]:
    async with Store.open(url(file)) as store:
        with store.begin() as tx:
            person = Person(104900000000000009, "Zoë 🎉")
            return [
                tx.audit.append(make_entry(number, guild_id=GUILD, actor=person, detail=detail))
                for number, detail in enumerate(details)
            ]


async def verified(file: Path, *anchors: Anchor) -> Verifier:
    verifier = Verifier(anchors=anchors)
    with Store.open_to_read(url(file)) as store, store.begin(Access.READ) as tx:
        for lines in tx.audit.lines():
            for line in lines:
                verifier.read(line)
    return verifier


def unlocked(file: Path) -> sqlite3.Connection:
    """Open the file as someone does who wants to change what cannot be changed."""
    connection = sqlite3.connect(file, isolation_level=None)
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    return connection


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("record") / "herald.db"
    asyncio.run(write(file, *(AWKWARD.replace("\x00", "") for _ in range(LENGTH))))
    return file


# --- in the database -------------------------------------------------------------------------------


def test_an_untouched_database_is_whole(untouched: Path) -> None:
    verifier = asyncio.run(verified(untouched))
    assert verifier.holds
    assert verifier.chains[GUILD].lines == LENGTH


@examples(60)
@given(st.data(), st.integers(1, LENGTH), st.sampled_from(StoredEvent._fields))
def test_any_bit_changed_in_any_column_of_any_line_is_found(
    untouched: Path, data: st.DataObject, number: int, column: str
) -> None:
    with TemporaryDirectory() as folder:
        file = Path(copy(untouched, folder))
        with closing(unlocked(file)) as database:
            [value] = database.execute(
                f"SELECT {column} FROM audit_events WHERE sequence = ?", [number]
            ).fetchone()
            if column in NUMBERS:
                new, as_ = value ^ 1 << data.draw(st.integers(0, 61)), "?"
            else:
                changed = bytearray(value.encode())
                changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
                new, as_ = bytes(changed), "CAST(? AS TEXT)"
            try:
                database.execute(
                    f"UPDATE audit_events SET {column} = {as_} WHERE sequence = ?", [new, number]
                )
            except sqlite3.IntegrityError:
                assume(False)
        verifier = asyncio.run(verified(file))
        assert not verifier.holds
        if column not in {"guild_id", "sequence"}:
            assert verifier.chains[GUILD].breach == (number, Flaw.CHANGED)


VALUES = st.integers(-(2**63), 2**63 - 1) | TEXTS | st.binary(max_size=20)


@examples(30)
@given(st.integers(1, LENGTH), st.sampled_from(StoredEvent._fields), VALUES)
def test_any_other_value_in_any_column_is_found_and_the_first_bad_line_named(
    untouched: Path, number: int, column: str, value: int | str | bytes
) -> None:
    with TemporaryDirectory() as folder:
        file = Path(copy(untouched, folder))
        line = f"FROM audit_events WHERE rowid = {number}"
        with closing(unlocked(file)) as database:
            before = database.execute(f"SELECT {column} {line}").fetchone()
            try:
                database.execute(f"UPDATE audit_events SET {column} = ? WHERE rowid = {number}", [value])
            except sqlite3.IntegrityError:
                assume(False)
            after = database.execute(f"SELECT {column} {line}").fetchone()
            assume(before != after)
        verifier = asyncio.run(verified(file))
    assert not verifier.holds
    # A line that went to another server is missing in its own, unless it was the last.
    if column != "guild_id" or number < LENGTH:
        moved_before = column == "sequence" and isinstance(after[0], int) and after[0] < number
        breach = verifier.chains[GUILD].breach
        assert breach is not None
        assert breach.sequence == (1 if moved_before else number)


@pytest.mark.parametrize(
    ("statement", "number", "flaw"),
    [
        ("UPDATE audit_events SET at = replace(at, ' ', 'T') WHERE sequence = 3", 3, Flaw.CHANGED),
        ("UPDATE audit_events SET at = at || '+00:00' WHERE sequence = 3", 3, Flaw.CHANGED),
        ("UPDATE audit_events SET at = '2026-11-23T09:41:02+00:00' WHERE sequence = 3", 3, Flaw.CHANGED),
        ("UPDATE audit_events SET action = CAST(action AS BLOB) WHERE sequence = 3", 3, Flaw.CHANGED),
        ("UPDATE audit_events SET broadcast_id = NULL WHERE sequence = 3", 3, Flaw.CHANGED),
        ("UPDATE audit_events SET actor_id = 'x' WHERE sequence = 3", 3, Flaw.CHANGED),
        ("UPDATE audit_events SET sequence = 'x' WHERE sequence = 5", 5, Flaw.CHANGED),
        ("DELETE FROM audit_events WHERE sequence = 3", 3, Flaw.MISSING),
        ("DELETE FROM audit_events WHERE sequence = 1", 1, Flaw.MISSING),
        ("UPDATE audit_events SET sequence = 9 WHERE sequence = 5", 5, Flaw.MISSING),
        ("UPDATE audit_events SET sequence = -1 WHERE sequence = 3", 1, Flaw.EXTRA),
        (
            "DELETE FROM audit_events WHERE sequence = 3;"
            " UPDATE audit_events SET sequence = sequence + 100 WHERE sequence > 3;"
            " UPDATE audit_events SET sequence = sequence - 101 WHERE sequence > 100",
            3,
            Flaw.CHANGED,
        ),
        (
            "UPDATE audit_events SET sequence = 99 WHERE sequence = 2;"
            " UPDATE audit_events SET sequence = 2 WHERE sequence = 4;"
            " UPDATE audit_events SET sequence = 4 WHERE sequence = 99",
            2,
            Flaw.CHANGED,
        ),
    ],
)
def test_what_was_done_to_the_database_is_named(
    untouched: Path, tmp_path: Path, statement: str, number: int, flaw: Flaw
) -> None:
    file = Path(copy(untouched, tmp_path))
    with closing(unlocked(file)) as database:
        database.executescript(statement)
    assert asyncio.run(verified(file)).chains[GUILD].breach == (number, flaw)


def test_a_chain_that_was_cut_off_or_written_anew_is_found_by_an_anchor(
    untouched: Path, tmp_path: Path
) -> None:
    head = asyncio.run(verified(untouched)).chains[GUILD].head
    assert asyncio.run(verified(untouched, head)).holds
    cut = Path(copy(untouched, tmp_path))
    with closing(unlocked(cut)) as database:
        database.execute("DELETE FROM audit_events WHERE sequence = ?", [LENGTH])
    assert asyncio.run(verified(cut)).holds
    assert asyncio.run(verified(cut, head)).lost == [head]
    anew = tmp_path / "anew.db"
    asyncio.run(write(anew, *["harmless"] * LENGTH))
    assert asyncio.run(verified(anew, head)).lost == [head]


def test_what_is_shown_in_discord_is_anchor_enough(untouched: Path) -> None:
    head = asyncio.run(verified(untouched)).chains[GUILD].head
    for text in (head.digest[:16], head.digest.upper(), f"{head}  Sunrise Trading"):
        anchor = read_anchor(text)
        assert anchor is not None
        assert asyncio.run(verified(untouched, anchor)).holds
    wrong = Anchor(LENGTH - 1, head.digest)
    assert asyncio.run(verified(untouched, wrong)).lost == [wrong]


def test_a_line_that_is_broken_is_no_anchor(untouched: Path, tmp_path: Path) -> None:
    head = asyncio.run(verified(untouched)).chains[GUILD].head
    file = Path(copy(untouched, tmp_path))
    with closing(unlocked(file)) as database:
        database.execute("UPDATE audit_events SET detail = 'other' WHERE sequence = ?", [LENGTH])
    assert asyncio.run(verified(file, head)).lost == [head]


@pytest.mark.parametrize("text", ["", "12", "12:", "xyz", "12:" + "0" * 15, "0" * 65, "12:12:" + "0" * 64])
def test_what_is_no_anchor_is_not_taken_for_one(text: str) -> None:
    assert read_anchor(text) is None


async def test_verifying_works_beside_a_herald_that_writes(database_url: str) -> None:
    async with Store.open(database_url) as running:
        with running.begin() as tx:
            tx.audit.append(make_entry(1))
    async with Store.open(database_url) as running:
        with Store.open_to_read(database_url) as reader, reader.begin(Access.READ) as seen:
            assert_holds_beside(running, seen)


def assert_holds_beside(running: Store, seen: Transaction) -> None:
    verifier = Verifier()
    assert seen.audit.count() == 1
    with running.begin() as tx:
        tx.audit.append(make_entry(2))
    for lines in seen.audit.lines():
        for line in lines:
            verifier.read(line)
    assert verifier.holds
    assert verifier.chains[1].lines == 1
    assert seen.audit.heads() == {1: verifier.chains[1].head}


async def test_reading_makes_no_database_and_migrates_none(tmp_path: Path) -> None:
    file = tmp_path / "herald.db"
    with pytest.raises(ConfigurationError, match="there is no file"), Store.open_to_read(url(file)):
        pass
    assert not file.exists()
    async with Store.open(url(file)):
        pass
    for version, sentence in (("0002", "written by an older Herald"), ("9999", "written by a newer Herald")):
        with closing(sqlite3.connect(file)) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", [version])
            database.commit()
        with pytest.raises(ConfigurationError, match=sentence), Store.open_to_read(url(file)):
            pass
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(version,)]


# --- in an export ----------------------------------------------------------------------------------


def exported(folder: Path, events: list[Event], *, header: Header = HEADER) -> Path:
    file = folder / "record.jsonl"
    form = FORMATS["jsonl"]
    text = form.begin(header) + form.lines(header, [event.stored for event in events])
    file.write_bytes(text.encode(form.encoding))
    return file


def checked(file: Path, *anchors: Anchor) -> Export:
    export = Export(file, anchors=anchors)
    for _ in export.read():
        pass
    return export


def test_a_line_whose_ids_are_no_texts_is_named_as_one_that_cannot_be_read(tmp_path: Path) -> None:
    file = exported(tmp_path, make_chain(3))
    lines = file.read_text("ascii").splitlines()
    found: list[object] = []
    for name in ("guild_id", "actor_id"):
        for wrong in (1, 1.0, True, None, ["1"], {"1": 1}):
            changed = json.dumps(json.loads(lines[2]) | {name: wrong})
            file.write_text("\n".join([*lines[:2], changed, *lines[3:], ""]), "ascii")
            if (number := checked(file).unreadable) != 3:
                found.append((name, wrong, number))
    assert found == []


@examples(60)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_any_letters_come_through_an_export_unchanged(words: list[tuple[str, str]]) -> None:
    events: list[Event] = []
    for name, detail in words:
        entry = make_entry(actor=Person(2**62, name), detail=detail)
        events.append(chain(entry, previous=events[-1] if events else None))
    for event in events:
        assert from_json(to_json(event.stored)) == event.stored
    with TemporaryDirectory() as folder:
        export = checked(exported(Path(folder), events))
        assert export.verifier.holds
        assert export.unreadable is None


@examples(15)
@given(TEXTS)
def test_any_letters_come_through_the_store_into_an_export_that_verifies(text: str) -> None:
    async def through_the_store(file: Path) -> list[StoredEvent]:
        await write(file, text, text)
        with Store.open_to_read(url(file)) as store, store.begin(Access.READ) as tx:
            return [line for lines in tx.audit.lines() for line in lines]

    with TemporaryDirectory() as folder:
        lines = asyncio.run(through_the_store(Path(folder) / "herald.db"))
    assert [line.detail for line in lines] == [text, text]
    verifier = Verifier()
    for line in lines:
        verifier.read(from_json(to_json(line)))
    assert verifier.holds


@given(st.data())
def test_any_byte_changed_in_an_export_is_found(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        file = exported(Path(folder), make_chain(3))
        whole = bytearray(file.read_bytes())
        start = whole.index(b"\n") + 1
        place = data.draw(st.integers(start, len(whole) - 2))
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(whole)
        export = checked(file)
        broken = export.unreadable is not None or not export.verifier.holds
        assert broken


@pytest.mark.parametrize(
    ("order", "number", "flaw"),
    [
        ([0, 1, 3, 4], 3, Flaw.MISSING),
        ([1, 2, 3], 1, Flaw.MISSING),
        ([0, 2, 1, 3], 2, Flaw.MOVED),
        ([0, 1, 1, 2], 3, Flaw.EXTRA),
        ([0, 3, 1, 2], 2, Flaw.MOVED),
    ],
)
def test_lines_removed_repeated_or_moved_in_an_export_are_named(
    tmp_path: Path, order: list[int], number: int, flaw: Flaw
) -> None:
    events = make_chain(5)
    export = checked(exported(tmp_path, [events[index] for index in order]))
    assert export.verifier.chains[1].breach == (number, flaw)


def test_a_line_from_another_record_that_fits_by_number_is_named(tmp_path: Path) -> None:
    events, others = make_chain(3), [chain(make_entry(50), previous=None)]
    others.append(chain(make_entry(51), previous=others[0]))
    export = checked(exported(tmp_path, [events[0], others[1], events[2]]))
    assert export.verifier.chains[1].breach == (2, Flaw.UNLINKED)


def test_an_export_that_lost_its_end_is_found_by_its_own_first_line(tmp_path: Path) -> None:
    events = make_chain(4)
    head = Anchor(4, events[-1].digest)
    header = HEADER.model_copy(update={"servers": {"1": Chapter(name="Sunrise", head=str(head))}})
    assert checked(exported(tmp_path, events, header=header)).verifier.holds
    assert checked(exported(tmp_path, events[:3], header=header)).verifier.lost == [head]


def test_of_an_excerpt_each_line_is_checked_and_neighbours_too(tmp_path: Path) -> None:
    events = make_chain(6)
    header = HEADER.model_copy(update={"filters": {"proof": "ABCD1234"}})
    assert checked(exported(tmp_path, [events[1], events[4], events[5]], header=header)).verifier.holds
    forged = events[4].model_copy(update={"detail": "other"})
    export = checked(exported(tmp_path, [events[1], forged], header=header))
    assert export.verifier.chains[1].breach == (5, Flaw.CHANGED)
    swapped = checked(exported(tmp_path, [events[4], events[1]], header=header))
    assert swapped.verifier.chains[1].breach == (2, Flaw.EXTRA)


def test_a_line_said_in_other_letters_is_not_herald_s(tmp_path: Path) -> None:
    text = to_json(make_chain(1)[0].stored)
    for other in (text.replace(":", ": ", 1), text[:-1] + ',"action":"approve"}', "[" * 100_000, "1"):
        file = exported(tmp_path, [])
        file.write_text(file.read_text() + other + "\n")
        assert checked(file).unreadable == 2


# --- for a spreadsheet -----------------------------------------------------------------------------


@given(st.sampled_from(["=", "+", "-", "@", "\t", "\r", "＝", ""]), TEXTS)
def test_nothing_typed_becomes_a_formula_and_nothing_of_it_is_lost(begin: str, text: str) -> None:
    typed = begin + text
    line = chain(make_entry(actor=Person(7, typed), detail=typed), previous=None).stored
    table = FORMATS["csv"].lines(HEADER, [line])
    cells = only(list(csv.reader(StringIO(table, newline=""))))
    assert not any(cell.startswith(tuple("=+-@\t\r＝")) for cell in cells)
    assert cells[7].replace("'", "") == typed.replace("'", "")
    assert cells[0] == "Sunrise"
    assert cells[2] == "2026-11-23 09:41:00"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("quorum", "approval complete"),
        ("request_changes", "changes asked"),
        ("not_accepted", "not accepted by Whop"),
        ("refused send_again", "was refused: send again"),
        ("refused again", "was refused again"),
    ],
)
def test_the_table_for_people_and_discord_use_the_same_words(action: str, words: str) -> None:
    event = chain(make_entry(action=action), previous=None)
    table = FORMATS["csv"].lines(HEADER, [event.stored])
    assert only(list(csv.reader(StringIO(table, newline=""))))[4] == words
    assert f"**{words}**" in line_of(event, str)


def test_the_page_for_auditors_has_every_word() -> None:
    page = (Path(__file__).parents[1] / "docs" / "auditing.md").read_text("utf-8")
    told = [line for line in page.splitlines() if line.startswith("| `")]
    assert [line for line in told if not line.startswith(("| `herald", "| `refused approve"))] == [
        f"| `{name}` | {words} |" for name, words in SPOKEN.items()
    ]


# --- the file --------------------------------------------------------------------------------------


def write_and_fail(file: Path, *, force: bool = False) -> None:
    with written_whole(file, encoding="ascii", force=force) as stream:
        stream.write("half")
        raise ZeroDivisionError


def test_an_export_is_never_half_written(tmp_path: Path) -> None:
    file = tmp_path / "record.csv"
    with pytest.raises(ZeroDivisionError):
        write_and_fail(file)
    assert list(tmp_path.iterdir()) == []
    file.write_text("before")
    with pytest.raises(ConfigurationError, match="--force"), written_whole(file, encoding="ascii"):
        pass
    with pytest.raises(ZeroDivisionError):
        write_and_fail(file, force=True)
    assert file.read_text() == "before"
    with written_whole(file, encoding="ascii", force=True) as stream:
        stream.write("whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="cannot be written"),
        written_whole(tmp_path / "no" / "x", encoding="ascii"),
    ):
        pass
