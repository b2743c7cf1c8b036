"""What goes wrong with an answer to a question: refused, replaced, or a lie."""

import json
from collections.abc import Callable
from typing import Any, Final

from bot.sandbox.whop.call import Answer, Refusal
from bot.sandbox.whop.record import ReadFault

BLOCKED: Final = Answer(
    status=403,
    text="<!doctype html><title>Sorry, you have been blocked</title>",
    content_type="text/html",
)
AGAIN: Final = "the-same-page-again"


def refused(fault: ReadFault, *, rate_limited: Callable[[int], Refusal]) -> Refusal | None:
    """Return the refusal that a fault is, or None."""
    match fault:
        case ReadFault.RATE_LIMITED:
            return rate_limited(12)
        case ReadFault.SERVER_ERROR:
            return Refusal(500, "internal_server_error", "Something went wrong on our side")
        case ReadFault.FORBIDDEN:
            return Refusal(403, "forbidden", "This credential lacks a permission")
        case _:
            return None


def spoil(fault: ReadFault, answer: Answer) -> Answer:
    """Return the answer as the fault leaves it."""
    if fault is ReadFault.FIREWALL:
        return BLOCKED
    if fault not in {ReadFault.HIDDEN, ReadFault.ENDLESS, ReadFault.LOST_CURSOR} or answer.status != 200:
        return answer
    body: dict[str, Any] = json.loads(answer.text)
    if fault is ReadFault.HIDDEN:
        if "pagination" in body:
            body["pagination"]["total_count"] = 0
        for row in body.get("data", ()):
            row |= {name: None for name in ("user",) if name in row}
    elif "page_info" in body:
        cursor = AGAIN if fault is ReadFault.ENDLESS else None
        body["page_info"] |= {"has_next_page": True, "end_cursor": cursor}
    return Answer.of(200, body)
