"""Reading who is in an audience: what Whop is asked, page after page, and what its pages may say. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, Protocol, cast
from urllib.parse import quote

from bot.delivery import NoAnswer, Request, Response
from bot.policy.audience import Targets
from bot.value import Value
from bot.whop.answers import as_object, decode, denies, is_page, on_one_line, wait_of, words_of

WORDS_LIMIT: Final = 200
NAME_LIMIT: Final = 100
# Whop's ids are a third as long; what is longer cannot be kept.
ID_LIMIT: Final = 64
# A million people at a hundred a page; what goes on for longer has no end.
MOST_PAGES: Final = 10_000
MOST_PEOPLE: Final = 1_000_000_000
CURSOR_LIMIT: Final = 2048
# Whop asks to wait so long where it does not say how long.
COOL_DOWN: Final = timedelta(seconds=60)
# What the key needs where Whop documents no permission of its own.
INSTALLED: Final = "to belong to an app that is installed there"
# What may go well the next time: Whop was busy, or in trouble.
PASSING: Final = frozenset({408, 425, 429})

# Each kind of id that Whop gives, and what it is the id of.
KINDS: Final[Mapping[str, str]] = {
    "user": "a user",
    "exp": "an experience",
    "prod": "a product",
    "biz": "a company",
    "mber": "a member",
    "mem": "a membership",
    "plan": "a plan",
    "app": "an app",
}
_ID: Final = re.compile(r"([a-z]+)_[A-Za-z0-9_-]{1,64}", re.ASCII)


class Member(NamedTuple):
    """One who is in an audience: Whop user id, and the name by which people know them."""

    id: str
    username: str = ""


class Source(Value):
    """A page that is still to be read; it is kept as JSON, so that reading goes on after a restart."""

    kind: Literal["total", "products_of", "experiences_of", "company_products", "members", "team"]
    # The id that the question is about: exp_, prod_ or biz_.
    of: str
    # The experience, or the company of a team, in which these people can be reached by name.
    via: str | None = None
    # The company to which it belongs, once that is known.
    account: str | None = None
    after: str | None = None
    # Brent's way to notice a cursor that comes back, however late, in constant space.
    landmark: str | None = None
    steps: int = 0
    power: int = 1

    def next_page(self, cursor: object) -> "Source | str":
        """Return the page that begins at the cursor, or why reading would never end."""
        if not isinstance(cursor, str) or not cursor.isprintable() or not 0 < len(cursor) <= CURSOR_LIMIT:
            return "Whop speaks of a next page and does not say where it begins"
        if cursor in {self.after, self.landmark}:
            return "Whop gives a page again that was read before"
        steps = self.steps + 1
        if self.power + steps > MOST_PAGES:
            return f"Whop's list goes on after {MOST_PAGES:,} pages"
        moved = steps == self.power
        return Source(
            kind=self.kind,
            of=self.of,
            via=self.via,
            account=self.account,
            after=cursor,
            landmark=cursor if moved else self.landmark,
            steps=0 if moved else steps,
            power=self.power * 2 if moved else self.power,
        )


class Part(NamedTuple):
    """What one page told: people, and what is still to be read because of it."""

    members: Sequence[Member] = ()
    # Rows in which Whop names no user.
    nameless: int = 0
    # How many there are in all, where Whop tells; they may include a person more than once.
    people: int | None = None
    then: tuple[Source, ...] = ()


class Failed(NamedTuple):
    """Why a question has no answer, whether it is worth another try, and how long Whop asks to wait."""

    why: str
    again: bool = False
    wait: timedelta | None = None


class Reads(Protocol):
    """What one API generation can be asked about people; each answer is read without an exception."""

    def sources(self, targets: Targets) -> tuple[Source, ...]:
        """Return what is to be read to know who is reached; nothing for people who are named one by one."""
        ...

    def ask(self, source: Source) -> Request:
        """Return the question for one page."""
        ...

    def read(self, source: Source, answer: Response | NoAnswer, *, now: datetime) -> Part | Failed:
        """Return what the page tells, or why it tells nothing."""
        ...

    def ask_person(self, typed: str) -> Request:
        """Return the question who somebody is, by user id or username."""
        ...

    def read_person(self, answer: Response | NoAnswer, *, now: datetime) -> Member | Failed | None:
        """Return who it is; None if Whop knows nobody of that name."""
        ...

    def ask_access(self, user: str, experience: str) -> Request:
        """Return the question whether a user has access to an experience."""
        ...

    def read_access(self, answer: Response | NoAnswer, *, now: datetime) -> bool | Failed:
        """Return whether they have."""
        ...

    def ask_name(self, of: str) -> Request | None:
        """Return the question what Whop calls an experience, product or company; None for other ids."""
        ...

    def read_name(self, answer: Response | NoAnswer, *, now: datetime) -> str | Failed:
        """Return the name."""
        ...


def kind_of(identifier: str) -> str | None:
    """Return the kind of a Whop id, such as exp; None for what is none."""
    match = _ID.fullmatch(identifier)
    return match[1] if match else None


def refuse_kind(identifier: str, wanted: str) -> str | None:
    """Return what an id is and which one is wanted; None if it is of that kind, or no Whop id at all."""
    kind = kind_of(identifier)
    if kind is None or kind == wanted or kind not in KINDS:
        return None
    return f"{identifier} is the id of {KINDS[kind]}; the id of {KINDS[wanted]} begins with {wanted}_"


_NO_RIGHT: Final = "Whop does not let this key read {about} ({said}): it needs {needs}"
_REFUSED: Final = {
    401: _NO_RIGHT,
    403: _NO_RIGHT,
    404: "Whop knows no {about} ({said}): correct the id, or let the key see it",
}


def find_page(
    answer: Response | NoAnswer, *, about: str, needs: str, now: datetime
) -> dict[str, Any] | Failed:
    """Return the object that Whop answered with, or why there is none.

    `about` is the id that the question named, and `needs` what the key must be allowed.
    """
    if isinstance(answer, NoAnswer):
        return Failed(f"no answer from Whop: {answer.reason}", again=True)
    body = decode(answer.body) if 200 <= answer.status < 300 else {}
    # A page of members is long: it is looked at once.
    if body and not denies(body):
        return body
    words = words_of(answer)
    said = f"{answer.status}: {words[:WORDS_LIMIT]}" if words else str(answer.status)
    if answer.status in PASSING or answer.status >= 500:
        wait = wait_of(answer, words, now=now) or (COOL_DOWN if answer.status == 429 else None)
        return Failed(f"Whop asks to try again later ({said})", again=True, wait=wait)
    if is_page(answer):
        return Failed(f"what answered is a web page and not Whop ({said})")
    if not 200 <= answer.status < 300:
        refused = _REFUSED.get(answer.status, "Whop answered {said} when asked about {about}")
        return Failed(refused.format(about=about, needs=needs, said=said))
    if body:
        return Failed(f"Whop's answer about {about} contradicts itself ({said})")
    return Failed(f"Whop's answer about {about} is not what it documents")


def find_rows(page: Mapping[str, Any], name: str = "data") -> list[dict[str, Any]] | Failed:
    """Return the objects of a list, or that it is none: rows that cannot be read may be people."""
    found = page.get(name)
    rows = cast("list[object]", found) if isinstance(found, list) else [None]
    if not all(isinstance(row, dict) for row in rows):
        return Failed(f"Whop's answer has no list of objects in “{name}”")
    return [as_object(row) for row in rows]


def find_id(row: Mapping[str, Any], wanted: str, *, name: str = "id") -> str | None:
    """Return the id of that kind in a row, or None."""
    value = row.get(name)
    is_one = isinstance(value, str) and len(value) <= ID_LIMIT and kind_of(value) == wanted
    return value if is_one else None


def find_name(row: Mapping[str, Any], *names: str) -> str:
    """Return the first of these fields that is text, on one line and cut; or nothing."""
    said = (on_one_line(value) for name in names if isinstance(value := row.get(name), str))
    return next((one[:NAME_LIMIT] for one in said if one), "")


def find_member(row: Mapping[str, Any]) -> Member | None:
    """Return the user that an object describes, or None if it names none."""
    user = find_id(row, "user")
    return Member(user, find_name(row, "username")) if user else None


def read_user(answer: Response | NoAnswer, *, now: datetime) -> Member | Failed | None:
    """Return the user that both generations describe alike; None for 404."""
    page = find_page(answer, about="such user", needs=INSTALLED, now=now)
    if isinstance(page, Failed):
        return None if isinstance(answer, Response) and answer.status == 404 else page
    return find_member(page) or Failed("Whop's answer about this user has no user id")


def read_whether(answer: Response | NoAnswer, *, now: datetime) -> bool | Failed:
    """Return the answer about access that both generations give alike."""
    page = find_page(answer, about="such user or experience", needs=INSTALLED, now=now)
    if isinstance(page, Failed):
        return page
    said = page.get("has_access")
    return said if isinstance(said, bool) else Failed("Whop does not say whether this user has access")


def read_title(answer: Response | NoAnswer, *, now: datetime) -> str | Failed:
    """Return the name or title that both generations give alike."""
    page = find_page(answer, about="such id", needs=INSTALLED, now=now)
    if isinstance(page, Failed):
        return page
    return find_name(page, "name", "title") or Failed("Whop gives it no name")


def in_path(typed: str) -> str:
    """Return what was typed as one part of an address."""
    return quote(typed.strip().removeprefix("@"), safe="", errors="replace")
