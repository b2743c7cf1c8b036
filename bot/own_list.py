"""A list of people that a moderator brings along, as a file or pasted: its rows, or what to mend. Pure."""

import codecs
import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from io import StringIO
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

from bot import spreadsheet
from bot.errors import NotReady
from bot.sentences import shortened

MOST_ROWS: Final = 20_000
MOST_BYTES: Final = 2 * 1024 * 1024
# What a field of a form takes.
PASTED_LIMIT: Final = 4000
PASTED: Final = "pasted"
# No audience of the policy is called so: neither can pass for the other.
PREFIX: Final = "List: "
# As which audience a list of one's own is chosen, and how that is called.
OWN: Final = PREFIX.strip()
OWN_LABEL: Final = "A list of your own"
COLUMNS: Final = ("row", "user_id or username", "reason")

# What the first row calls the column in which people stand, the surest first.
_TITLES: Final = (
    "user_id", "userid", "whop_user_id", "user_id_or_username", "username", "user_name", "whop_username",
    "user", "id", "handle", "person",
)  # fmt: skip
_USER_ID: Final = re.compile(r"user_[A-Za-z0-9_-]+")
# Whatever Whop takes in an address that ends with it, and nothing that would lead to another address.
_USERNAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LONGEST: Final = 100
_RIGHT: Final = "write the person's user id, which begins with user_, or their username"
_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "exp": "an experience",
        "prod": "a product",
        "pass": "a product",
        "biz": "a company",
        "mber": "someone's place among a company's members",
        "mem": "a membership",
        "plan": "a plan",
        "pay": "a payment",
        "app": "an app",
    }
)
_KIND: Final = re.compile(rf"({'|'.join(_KINDS)})_[A-Za-z0-9]+")
_DISCORD: Final = re.compile(r"(?:<@!?)?[0-9]{17,20}>?")
_AROUND: Final = (
    " \t\r\n\x0b\x0c\xa0\u2007\u202f\u200b\u200c\u200d\u200e\u200f\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_QUOTES: Final = "'\"`\u2018\u2019“”„«»"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_PASTED: Final = re.compile(r"[\s,;]+")

_PICTURE: Final = "is a picture: attach the list itself, as CSV or text, one person a row"
_SPREADSHEET: Final = "is a spreadsheet file: save it as CSV (“CSV UTF-8” in Excel), and attach that"
_PACKED: Final = "is a packed file: unpack it, and attach the CSV or text file in it"
_DOCUMENT: Final = "is a document: save the list as CSV or text, one person a row, and attach that"
_CUT: Final = "is no text that can be read: save it as CSV (“CSV UTF-8” in Excel), and attach that"
# What a file is, by its name, where it says so.
_ENDINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        ending: said
        for endings, said in (
            ("png jpg jpeg gif webp heic heif bmp svg tiff", _PICTURE),
            ("xlsx xls xlsm xlsb ods numbers", _SPREADSHEET),
            ("zip gz 7z rar tar", _PACKED),
            ("pdf doc docx odt pages rtf", _DOCUMENT),
        )
        for ending in endings.split()
    }
)
# And by its first bytes, whatever it is called.
_BEGINNINGS: Final = (
    (b"\x89PNG", _PICTURE), (b"\xff\xd8\xff", _PICTURE), (b"GIF8", _PICTURE), (b"BM\x00", _PICTURE),
    (b"RIFF", _PICTURE), (b"PK\x03\x04", _SPREADSHEET), (b"\xd0\xcf\x11\xe0", _SPREADSHEET),
    (b"\x1f\x8b", _PACKED), (b"7z\xbc\xaf", _PACKED), (b"Rar!", _PACKED),
    (b"%PDF", _DOCUMENT), (b"{\\rtf", _DOCUMENT),
)  # fmt: skip
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


class Row(NamedTuple):
    """Somebody as the list names them, in which of its rows, and why that names nobody, if so."""

    number: int
    typed: str
    why: str = ""


class OwnList(NamedTuple):
    """What a list has: rows that may name people, each once; rows that do not; and how many were repeats."""

    name: str
    rows: tuple[Row, ...]
    wrong: tuple[Row, ...] = ()
    repeats: int = 0

    @property
    def title(self) -> str:
        """Return what its people are called as an audience: a name that whoever approves can type."""
        return title_of(self.name)


class Kept(NamedTuple):
    """A list that is kept for a broadcast, and how far its check has come.

    `good` are people of whom Whop says that they can be reached, each once; `out` rows that are given back;
    `waiting` are still to be asked about. `dropped` says that its rows are no longer kept.
    """

    broadcast_id: int
    name: str
    experience: str | None
    good: int
    out: int
    waiting: int
    repeats: int
    checked_at: datetime | None = None
    dropped: bool = False

    @property
    def is_checked(self) -> bool:
        """Tell whether nobody is left to be asked about."""
        return self.checked_at is not None


class Named(NamedTuple):
    """Somebody of a list who can be reached: Whop user id, and what people call them."""

    user_id: str
    username: str = ""


def key_of(typed: str) -> str:
    """Return by what two rows are the same: ids differ by capitals, names do not."""
    return typed if _USER_ID.fullmatch(typed) else f"@{typed.casefold()}"


def returned(rows: Iterable[Row]) -> str:
    """Return the file of what is given back, each row with its reason; mended, it can be attached anew."""
    return spreadsheet.to_csv([COLUMNS, *rows])


def downloaded(people: Iterable[Named]) -> str:
    """Return the file of whom a list reaches."""
    return spreadsheet.to_csv([("user_id", "username"), *people])


def title_of(name: str) -> str:
    """Return the audience's name of a list with that file name."""
    kept = re.sub(r"[^\w .()+-]", "", unicodedata.normalize("NFC", name))
    kept = " ".join(kept.split())[-60:].strip()
    return f"{PREFIX}{kept if any(ch.isalnum() for ch in kept) else 'list'}"


def refuse_announced(name: str, size: int) -> None:
    """Raise NotReady for a file that its name or its size rules out, before it is fetched."""
    if said := _ENDINGS.get(name.rpartition(".")[2].casefold()):
        _refuse(name, said)
    if size > MOST_BYTES:
        _refuse(
            name,
            f"has {size / 1024 / 1024:.1f} MB, and a list has at most 2 MB: leave out all columns but that"
            " of the user ids, or split it",
        )
    if not size:
        _refuse_empty(name)


def read_file(name: str, data: bytes) -> OwnList:
    """Return the rows of a file; raise NotReady with what to mend where it has none that could be read."""
    refuse_announced(name, len(data))
    for beginning, said in _BEGINNINGS:
        if data.startswith(beginning):
            _refuse(name, said)
    if data[4:8] == b"ftyp":
        _refuse(name, _PICTURE)
    text = _decoded(name, data)
    if broken := _CONTROL.search(text):
        row = len(re.split(r"\r\n|\r|\n", text[: broken.start()]))
        what = "NUL bytes" if broken[0] == "\0" else "bytes that stand in no text"
        _refuse(name, f"has {what} in row {row}: save it as CSV (“CSV UTF-8” in Excel), and attach that")
    return _gathered(name, _people_in(name, _records(name, text)))


def read_pasted(typed: str) -> OwnList:
    """Return the people that were pasted, between spaces, commas, semicolons or line ends."""
    if broken := _CONTROL.search(typed):
        _refuse(PASTED, f"has a character that stands in no text ({broken[0]!r}): paste it anew")
    words = [one for one in _PASTED.split(typed) if one]
    if words and _title(words[0]) in _TITLES:
        del words[0]
    return _gathered(PASTED, ((number, word) for number, word in enumerate(words, start=1)))


def _decoded(name: str, data: bytes) -> str:
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if encoding is None:
        even, odd = data[::2].count(0), data[1::2].count(0)
        if not even and odd * 4 > len(data):
            encoding = "utf-16-le"
        elif not odd and even * 4 > len(data):
            encoding = "utf-16-be"
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding:
            _refuse(name, _CUT)
        # Ids and usernames are of letters that are the same in all of these.
        return data.decode("latin-1")


def _records(name: str, text: str) -> list[list[str]]:
    lines = (line for line in re.split(r"[\r\n]+", re.sub(r'"[^"]*"', "", text)) if line.strip(" "))
    first = next(lines, "")
    if announced := re.fullmatch(r"\s*sep=([,;\t|])\s*", first, re.IGNORECASE):
        delimiter, text = announced[1], text.replace(first, "", 1)
    else:
        # A semicolon or a tab between cells leaves commas to the numbers in them.
        parted = next((line for line in (first, *lines) if re.search(r"[,;\t]", line)), "")
        delimiter = next((sign for sign in "\t;" if sign in parted), ",")
    read = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    records: list[list[str]] = []
    try:
        records += ([_clean(cell) for cell in record] for record in read)
    except csv.Error:
        _refuse(
            name,
            f"cannot be read from row {len(records) + 1} on, where the quotes do not match: remove them, or"
            " save it as CSV anew",
        )
    return records


def _people_in(name: str, records: Sequence[Sequence[str]]) -> Iterator[tuple[int, str]]:
    """Yield who stands in each row that is not empty, by its number."""
    numbered = [(number, record) for number, record in enumerate(records, start=1) if any(record)]
    if not numbered:
        return
    titles = [_title(cell) for cell in numbered[0][1]]
    columns = [titles.index(one) for one in _TITLES if one in titles]
    if columns:
        of_row = _by_title(columns)
        del numbered[0]
    elif any(_USER_ID.fullmatch(cell) for _, record in numbered for cell in record):
        of_row = _by_id
    elif all(sum(map(bool, record)) == 1 for _, record in numbered):
        of_row = _alone
    else:
        _refuse(
            name, "has several columns, and none is called user_id or username: name it so in the first row"
        )
    for number, record in numbered:
        for cell in of_row(record):
            yield number, cell


def _by_title(columns: Sequence[int]) -> Callable[[Sequence[str]], list[str]]:
    def people(record: Sequence[str]) -> list[str]:
        known = (record[column] for column in columns if column < len(record) and record[column])
        # What stands elsewhere in a row without anybody is given back.
        return [next(known, " | ".join(filter(None, record)))]

    return people


def _by_id(record: Sequence[str]) -> list[str]:
    return [cell for cell in record if _USER_ID.fullmatch(cell)] or [" | ".join(filter(None, record))]


def _alone(record: Sequence[str]) -> list[str]:
    return [cell for cell in record if cell]


def _gathered(name: str, people: Iterable[tuple[int, str]]) -> OwnList:
    rows, wrong, seen, repeats = list[Row](), list[Row](), set[str](), 0
    for number, cell in people:
        typed = cell.removeprefix("@") if cell.count("@") == 1 else cell
        if (key := key_of(typed)) in seen:
            repeats += 1
            continue
        seen.add(key)
        row = Row(number, shortened(typed, _LONGEST), _why(typed))
        (wrong if row.why else rows).append(row)
    if len(seen) > MOST_ROWS:
        _refuse(name, f"names {len(seen):,} people, and a list has at most {MOST_ROWS:,} rows: split it")
    if not seen:
        _refuse_empty(name)
    if not rows:
        _refuse(name, f"names nobody: of row {wrong[0].number}, “{wrong[0].typed[:40]}”, {wrong[0].why}")
    return OwnList(name, tuple(rows), tuple(wrong), repeats)


def _why(typed: str) -> str:
    """Return why something names nobody, and what to write instead; or nothing."""
    if kind := _KIND.fullmatch(typed):
        return f"it is the id of {_KINDS[kind[1]]}: {_RIGHT}"
    if _DISCORD.fullmatch(typed):
        return f"it is an id of Discord's: {_RIGHT}"
    if typed.startswith(("=", "+", "-")):
        return f"it is a formula: {_RIGHT}"
    if "://" in typed or typed.casefold().startswith("whop.com/"):
        return "it is an address: write the username that stands in it alone"
    if "@" in typed:
        return f"it is an e-mail address, by which Whop finds nobody: {_RIGHT}"
    if len(typed) > _LONGEST:
        return f"it is longer than any id or username: {_RIGHT}"
    if re.search(r"\s", typed):
        return f"it is more than one word: {_RIGHT}"
    return "" if _USERNAME.fullmatch(typed) else f"no id and no username looks so: {_RIGHT}"


def _clean(cell: str) -> str:
    return cell.strip(_AROUND).strip(_QUOTES).strip(_AROUND)


def _title(cell: str) -> str:
    return re.sub(r"[\s.-]+", "_", cell.strip(_AROUND + _QUOTES).casefold())


def _refuse_empty(name: str) -> NoReturn:
    _refuse(name, "is empty: write a user id or a username in each row")


def _refuse(name: str, said: str) -> NoReturn:
    what = "What was pasted" if name == PASTED else f"“{shortened(name, 60)}”"
    raise NotReady(f"{what} {said}.")
