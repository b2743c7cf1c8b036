"""What an answer of Whop's says: its words, the wait that it names, and whether it is Whop's at all. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, Final, cast

from bot.delivery import NoAnswer, Response

# What stands deeper in an answer is no longer a message.
DEPTH: Final = 6
MARK: Final = "\ufeff"
# Where envelopes keep what they say, and what is said where nothing else is.
SAYING: Final = ("error", "errors", "message", "msg", "title", "detail", "error_description")
NAMING: Final = ("code", "type")

_MARKUP: Final = re.compile(r"<[!?a-z]", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_CREDENTIAL: Final = re.compile(
    r"\bkey\b|api.?key|credential|token|bearer|unauthori[sz]ed|authenticat|permission|scope", re.IGNORECASE
)
# Whatever one request may be about, and another is not.
_RESOURCE: Final = re.compile(
    r"experience|account|compan(y|ies)|business|product|user|member|team|audience|resource|install"
    r"|\b(exp|biz|prod)_",
    re.IGNORECASE,
)
# Kinds of credentials that are named after what they belong to.
_KIND_OF_KEY: Final = re.compile(
    r"(account|company|business|user|team|member)('s)?[- ](api[- ])?(key|token|credential)", re.IGNORECASE
)

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_SPAN: Final = re.compile(
    rf"({_NUMBER})\s*(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?)\b", re.IGNORECASE
)
_ASKS_TO_WAIT: Final = re.compile(
    rf"(?:try again|retry|wait)\s+(?:(?:in|after|for)\s+)?((?:{_SPAN.pattern}[\s,]*(?:and\s+)?)+)",
    re.IGNORECASE,
)
_UNITS: Final = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
# A date as HTTP writes it, today or long ago, which has a comma of its own.
_DATE: Final = re.compile(
    r"[A-Z][a-z]{2,8}, [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}"
)


# --- what it says ------------------------------------------------------------------------------------


def decode(body: str) -> dict[str, Any]:
    """Return the JSON object in the body, or an empty one: an odd answer is no reason to fail."""
    return as_object(_parsed(body))


def as_object(value: object) -> dict[str, Any]:
    """Return the value if it is a JSON object, or an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def rows_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects in the page's `data`, whatever else may be in it."""
    data = page.get("data")
    return [as_object(row) for row in cast("list[object]", data)] if isinstance(data, list) else []


def words_of(answer: Response | NoAnswer) -> str:
    """Return what Whop says on one line, whichever envelope it comes in, and a page's title.

    What cannot be printed would be refused by the database, or turn the line around on a screen.
    """
    if not isinstance(answer, Response):
        return ""
    if is_page(answer):
        title = _TITLE.search(answer.body)
        return on_one_line(unescape(title[1])) if title else ""
    value = _parsed(answer.body)
    if value is _NO_JSON:
        # Signs alone, such as a lone bracket, are no words.
        plain = answer.body if any(sign.isalpha() for sign in answer.body) else ""
        return on_one_line(plain)
    return on_one_line("; ".join(dict.fromkeys(one.strip() for one in _sayings(value) if one.strip())))


def names_in(answer: Response) -> set[str]:
    """Return the names that Whop gives a trouble, be it in `type`, `code` or in the place of a message."""
    body = decode(answer.body)
    error = body.get("error")
    named = [error, *(of.get(key) for of in (body, as_object(error)) for key in NAMING)]
    return {one for one in named if isinstance(one, str)}


def is_page(answer: Response) -> bool:
    """Tell whether it is a web page, which Whop's interface never answers with: something else did."""
    if not answer.body.strip() or _parsed(answer.body) is not _NO_JSON:
        return False
    kind = next((value for name, value in answer.headers.items() if name.lower() == "content-type"), "")
    return "html" in kind.lower() or _MARKUP.match(answer.body.lstrip(f"{MARK} \t\r\n")) is not None


def says_no(answer: Response) -> bool:
    """Tell whether the body speaks of a failure, whatever the status says."""
    return denies(decode(answer.body))


def denies(body: Mapping[str, Any]) -> bool:
    """Tell whether what was decoded speaks of a failure."""
    return body.get("success") is False or bool(body.get("error")) or bool(body.get("errors"))


def is_acceptance(answer: Response) -> bool:
    """Tell whether Whop said yes, in status and body."""
    return 200 <= answer.status < 300 and not is_page(answer) and not says_no(answer)


def is_about_credential(answer: Response) -> bool:
    """Tell whether a refusal concerns all that the API key may do, and not what one request asked for."""
    if answer.status != 403:
        return answer.status == 401
    said = _KIND_OF_KEY.sub("key", " ".join((words_of(answer), *sorted(names_in(answer)))))
    return _CREDENTIAL.search(said) is not None and _RESOURCE.search(said) is None


def _sayings(value: object, depth: int = DEPTH) -> Iterator[str]:
    """Return each message in a JSON value, or else the names that stand for one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for one in cast("list[object]", value):
            yield from _sayings(one, depth - 1)
    elif isinstance(value, dict) and depth:
        body = cast("dict[str, object]", value)
        said = [one for key in SAYING for one in _sayings(body.get(key), depth - 1)]
        said = said or [str(name) for key in NAMING if type(name := body.get(key)) in {str, int}]
        if not said and depth < DEPTH:
            # Each field with what is wrong with it.
            said = [f"{key} {one}" for key, inner in body.items() for one in _sayings(inner, depth - 1)]
        yield from said


_NO_JSON: Final = object()


def _parsed(body: str) -> object:
    try:
        return json.loads(body.removeprefix(MARK))
    # RecursionError: a few kilobytes of brackets are nested deeper than the parser goes.
    except (ValueError, RecursionError):
        return _NO_JSON


def on_one_line(words: str) -> str:
    """Return words of others without what would break a line or cannot be printed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())


# --- how long it asks to wait ------------------------------------------------------------------------


def wait_of(answer: Response | NoAnswer, words: str, *, now: datetime) -> timedelta | None:
    """Return the longest wait that the header Retry-After or Whop's words ask for; None for none."""
    if not isinstance(answer, Response):
        return None
    # A date is the clock's that wrote it.
    then = _moment(_header(answer.headers, "date")) or now
    waits = [*_waits(_header(answer.headers, "retry-after"), then)]
    waits += [_sum(match[1]) for match in _ASKS_TO_WAIT.finditer(words)]
    # A wait of nothing says nothing.
    return max((one for one in waits if one > timedelta()), default=None)


def _header(headers: Mapping[str, str], wanted: str) -> str:
    """Return what the header says, each time that it stands there."""
    return ", ".join(value for name, value in headers.items() if name.lower() == wanted)


def _waits(header: str, now: datetime) -> Iterator[timedelta]:
    for date in _DATE.findall(header):
        if moment := _moment(date):
            yield moment - now
    for part in _DATE.sub("", header).split(","):
        alone = re.fullmatch(_NUMBER, part.strip())
        yield _times(alone[0], "s") if alone else _sum(part)


def _sum(said: str) -> timedelta:
    return sum((_times(count, unit) for count, unit in _SPAN.findall(said)), timedelta())


def _times(count: str, unit: str) -> timedelta:
    # More than a day is no longer wait, and very much more is too large for a timedelta.
    return min(float(count[:9]), 1e5) * _UNITS[unit[0].lower()]


def _moment(said: str) -> datetime | None:
    date = _DATE.search(said)
    try:
        moment = parsedate_to_datetime(date[0]) if date else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment else None
