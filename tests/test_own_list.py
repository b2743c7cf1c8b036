"""A list that somebody brings along is read as they meant it, or they read what to mend; nothing is lost."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import spreadsheet
from bot.errors import NotReady
from bot.own_list import MOST_BYTES, MOST_ROWS, OwnList, read_file, read_pasted, refuse_announced, title_of
from tests.properties import examples

USER_IDS = st.from_regex(r"user_[A-Za-z0-9]{1,12}", fullmatch=True)
USERNAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}", fullmatch=True).filter(
    # These stand for a column, for something else of Whop's, or for an account of Discord's.
    lambda one: one not in {"user", "id", "username", "userid", "handle", "person"} and not one.isdigit()
)
PEOPLE = st.lists(st.one_of(USER_IDS, USERNAMES), min_size=1, max_size=30, unique_by=str.casefold)
CELLS = st.builds(
    "".join, st.tuples(st.sampled_from(["", " ", "\t"]), st.sampled_from("=+-@a"), st.text(max_size=9))
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1")


def people(found: OwnList) -> list[str]:
    return [one.typed for one in found.rows]


def refusal(name: str, data: bytes) -> str:
    with pytest.raises(NotReady) as refused:
        read_file(name, data)
    return str(refused.value)


@examples(40)
@given(
    who=PEOPLE,
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from(",;\t"),
    title=st.sampled_from(("user_id", "Username", "User ID", "Whop user-id")),
    end=st.sampled_from(("\n", "\r\n", "\r")),
    quoted=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    mention=st.booleans(),
)
def test_whoever_stands_in_a_file_is_read_however_a_program_has_written_it(
    who: list[str], encoding: str, delimiter: str, title: str, end: str, quoted: int, mention: bool
) -> None:
    text = StringIO(newline="")
    written = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoted)  # type: ignore[arg-type]
    written.writerow(["Plan", title, "Paid"])
    for number, one in enumerate(who):
        written.writerow([])
        is_name = mention and not one.startswith("user_")
        written.writerow([f"Gold, {number}", f"@{one}" if is_name else one, "1,5"])
    found = read_file("vips.csv", text.getvalue().encode(encoding))
    assert people(found) == who
    assert not found.wrong


@examples(40)
@given(who=PEOPLE, between=st.sampled_from(("\n", ", ", ";", " ", "\t", "\r\n\r\n")))
def test_whoever_is_pasted_is_read_whatever_stands_between(who: list[str], between: str) -> None:
    assert people(read_pasted(between.join(who))) == who


@examples(60)
@given(st.binary(max_size=300), st.sampled_from(("vips.csv", "vips", "a.txt")))
def test_whatever_bytes_come_every_cell_is_somebody_a_repeat_or_given_back_with_a_reason(
    data: bytes, name: str
) -> None:
    try:
        found = read_file(name, data)
    except NotReady as refused:
        said = str(refused)
    else:
        said = ""
        assert all(one.why for one in found.wrong)
        assert len({one.typed.casefold() for one in found.rows}) <= len(found.rows) <= MOST_ROWS
    assert not said or (said.startswith(f"“{name}” ") and said.endswith("."))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("user_1\nuser_2\n", ["user_1", "user_2"]),
        ("maya\n\n\nomar\n   \n", ["maya", "omar"]),
        ("user_1,user_2,user_3", ["user_1", "user_2", "user_3"]),
        ("Maya,user_1,Gold\nOmar,user_2,Gold\n", ["user_1", "user_2"]),
        ("sep=;\nname;username\nMaya;maya\n", ["maya"]),
        ("name;user_id;username\nMaya;user_1;maya\nOmar;;omar\n", ["user_1", "omar"]),
        ('"user_1"\n\'user_2\n\xa0user_3 \n@maya\n', ["user_1", "user_2", "user_3", "maya"]),
        ('user_id,note\nuser_1,"two\nlines, one cell"\nuser_2,\n', ["user_1", "user_2"]),
        # What was given back is mended and attached anew.
        ('row,user_id or username,reason\n3,user_1,"no such user"\n', ["user_1"]),
    ],
)
def test_files_as_people_make_them(text: str, read: list[str]) -> None:
    assert people(read_file("vips.csv", text.encode())) == read


def test_nobody_stands_in_a_list_twice() -> None:
    found = read_file("vips.csv", b"user_aB\nuser_aB\nuser_Ab\nMaya\nmaya\n@MAYA\n")
    assert people(found) == ["user_aB", "user_Ab", "Maya"]
    assert found.repeats == 3


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("exp_gold", "it is the id of an experience: write the person's user id, which begins with user_,"),
        ("prod_gold", "it is the id of a product: write the person's user id"),
        ("biz_gold", "it is the id of a company: write the person's user id"),
        (
            "mber_gold",
            "it is the id of someone's place among a company's members: write the person's user id",
        ),
        ("104900000000000000", "it is an id of Discord's: write"),
        ("<@104900000000000000>", "it is an id of Discord's: write"),
        ('"=HYPERLINK(""https://whop.com/@maya"",""maya"")"', "it is a formula: write"),
        ("https://whop.com/@maya", "it is an address: write the username"),
        ("maya@example.com", "it is an e-mail address, by which Whop finds nobody: write"),
        ("Maya Lind", "it is more than one word: write"),
        ("..", "no id and no username looks so: write"),
        ("user_1/../2", "no id and no username looks so: write"),
        ("x" * 200, "it is longer than any id or username: write"),
    ],
)
def test_a_row_that_names_nobody_is_given_back_with_what_to_write_instead(cell: str, why: str) -> None:
    found = read_file("vips.csv", f"user_id\nuser_1\n{cell}\n".encode())
    assert people(found) == ["user_1"]
    (wrong,) = found.wrong
    assert wrong.number == 3
    assert wrong.why.startswith(why)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("vips.png", b"\x89PNG\r\n", "is a picture: attach the list itself"),
        ("vips.csv", b"\xff\xd8\xff\xe0\x00", "is a picture: attach the list itself"),
        ("vips.csv", b"\x00\x00\x00\x18ftypheic", "is a picture: attach the list itself"),
        ("vips.xlsx", b"PK\x03\x04", "is a spreadsheet file: save it as CSV"),
        ("vips.ods", b"PK\x03\x04", "is a spreadsheet file: save it as CSV"),
        ("vips.numbers", b"PK\x03\x04", "is a spreadsheet file: save it as CSV"),
        ("vips.csv", b"PK\x03\x04\x14\x00", "is a spreadsheet file: save it as CSV"),
        ("vips.csv", b"user_1\nuser_\x002\n", "has NUL bytes in row 2: save it as CSV"),
        ("vips.csv", b"\xff\xfeu\x00s", "is no text that can be read: save it as CSV"),
        ("vips.csv", b"", "is empty: write a user id or a username in each row"),
        ("vips.csv", b"\n ;;\n", "is empty: write a user id or a username in each row"),
        ("vips.csv", b"user_id\n", "is empty: write a user id or a username in each row"),
        ("vips.csv", b'user_1\n"user_2\nuser_3\n', "cannot be read from row 2 on, where the quotes do not"),
        ("vips.csv", b"Maya,Gold\nOmar,Gold\n", "has several columns, and none is called user_id or"),
        ("vips.csv", b"exp_1\nexp_2\n", "names nobody: of row 1, “exp_1”, it is the id of an experience"),
        ("vips.csv", b"x" * (MOST_BYTES + 1), "has 2.0 MB, and a list has at most 2 MB: leave out all"),
        (
            "vips.csv",
            "\n".join(f"user_{one}" for one in range(30_000)).encode(),
            "names 30,000 people, and a list has at most 20,000 rows: split it",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence_that_says_what_to_mend(
    name: str, data: bytes, said: str
) -> None:
    refused = refusal(name, data)
    assert refused.startswith(f"“{name}” {said}")
    assert refused.count("\n") == 0


def test_what_its_name_or_its_size_rules_out_is_refused_before_it_is_fetched() -> None:
    with pytest.raises(NotReady, match=r"has 100\.0 MB, and a list has at most 2 MB"):
        refuse_announced("vips.csv", 100 * 1024 * 1024)
    with pytest.raises(NotReady, match="is a picture"):
        refuse_announced("IMG_0001.HEIC", 1000)
    refuse_announced("vips.csv", 1000)


def test_a_list_is_called_what_its_file_is_called_in_letters_that_can_be_typed() -> None:
    assert title_of("vips.csv") == "List: vips.csv"
    assert title_of("VIP **night** <@1>.csv") == "List: VIP night 1.csv"
    assert title_of("\N{FIRE}") == "List: list"
    assert len(title_of("x" * 300)) < 100


@examples(60)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_nothing_that_is_given_back_is_a_formula(rows: list[tuple[str, str]]) -> None:
    for row in csv.reader(StringIO(spreadsheet.to_csv(rows), newline="")):
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)
