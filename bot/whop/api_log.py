"""Whop's log of the requests that it served: how to ask for it, and what its rows say. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode

from bot.delivery import AGENT, NoAnswer, Request, Response
from bot.whop.answers import as_object, decode, is_page, on_one_line, rows_of, words_of

OPERATION: Final = "api/v1/notifications#create"
# As many rows as Whop gives at once.
ROWS: Final = 100
WORDS_LIMIT: Final = 200


def marked(number: int, position: int, *, key: str) -> str:
    """Return what a request says of itself: the delivery's number, and what a copy cannot repeat for another.

    A restored database gives numbers out again, but never the idempotency key of which this is a digest.
    """
    return f"{AGENT} delivery/{number}-{position}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


class Row(NamedTuple):
    """A request that Whop served: its number in the log, when, how it ended, and what it said of itself."""

    id: str
    at: str
    ended: str
    agent: str
    is_success: bool


class Page(NamedTuple):
    """Rows of the log, and where the next page begins."""

    rows: Sequence[Row]
    cursor: str | None


class ApiLog:
    """Ask for the requests of notifications that Whop served, and read what comes back."""

    def __init__(self, base: str, *, headers: Mapping[str, str]) -> None:
        self._base = base
        self._headers = headers

    def whose(self, sent: Request) -> Request | str:
        """Return the account in whose log a request should stand, or the question that tells it."""
        body = decode(sent.body.decode(errors="replace"))
        if account := body.get("account_id"):
            return str(account)
        return get(f"{self._base}/experiences/{body.get('experience_id')}", self._headers)

    def read_whose(self, answer: Response | NoAnswer) -> str | None:
        """Return the account that owns the experience; None if Whop does not say."""
        body = decode(answer.body) if isinstance(answer, Response) else {}
        owners = (as_object(body.get(name)).get("id") for name in ("company", "account"))
        return next((one for one in owners if isinstance(one, str)), None)

    def ask(self, account: str | None, *, since: datetime, until: datetime, after: str | None) -> Request:
        """Return the question for one page; without an account Whop takes the key's own."""
        asked = {
            "account_id": account,
            "operation_name": OPERATION,
            "created_after": since.isoformat(),
            "created_before": until.isoformat(),
            "first": ROWS,
            "after": after,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return get(f"{self._base}/api_logs?{query}", self._headers)

    def read(self, answer: Response | NoAnswer) -> Page | str:
        """Return a page of the log, or why there is none."""
        if isinstance(answer, NoAnswer):
            return f"no answer came: {answer.reason}"
        said = f"{answer.status} {words_of(answer)[:WORDS_LIMIT]}".strip()
        if is_page(answer) or answer.status not in {200, 401, 403, 404}:
            return f"it could not be read now ({said})"
        if answer.status != 200:
            return f"this key may not read it ({said})"
        body = decode(answer.body)
        info = as_object(body.get("page_info"))
        cursor = info.get("end_cursor") if info.get("has_next_page") else None
        return Page([_row(one) for one in rows_of(body)], cursor if isinstance(cursor, str) else None)


def _row(found: Mapping[str, object]) -> Row:
    code, word = found.get("status_code"), found.get("status")
    return Row(
        id=_shown(found.get("id")),
        at=_shown(found.get("created_at")),
        ended=_shown(word if code is None else code),
        agent=str(found.get("user_agent") or ""),
        is_success=word == "success" if code is None else isinstance(code, int) and 200 <= code < 300,
    )


def _shown(value: object) -> str:
    return on_one_line(str(value))[:64] if value else "?"


def get(url: str, headers: Mapping[str, str] | None = None) -> Request:
    """Return a request that only reads."""
    return Request(method="GET", url=url, headers=headers or {}, body=b"")
