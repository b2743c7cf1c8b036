"""How a card says what the same people got lately, and what more of it asks for."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from bot.broadcast import BEFORE_SENDING, Broadcast, Status
from bot.frequency import Limit
from bot.frequency_rules import Lately, Nearby, TooOften, open_within, refuse_review, too_often
from bot.policy.model import Server
from bot.sentences import spoken_span
from cogs.embeds import KEPT
from cogs.situation import HEADLINES, moment
from cogs.text import fitting, inline, linked

LATELY: Final = "⏱️ What they got lately"


def lately_lines(broadcast: Broadcast, server: Server, lately: Lately, now: datetime) -> Iterator[str]:
    """Yield what people have to know of what is not sent yet: what came before it and what is close."""
    if broadcast.status not in BEFORE_SENDING:
        return
    limit = server.limit_of(broadcast.audience)
    if got := _got(broadcast, limit, lately, now):
        yield got
    found = too_often(server, broadcast, lately, now)
    if found is not None and (asked := _asked(broadcast, found)):
        yield asked
    if close := open_within(server, broadcast, lately, now):
        which = [_named(one, broadcast, HEADLINES[one.status].lower()) for one in close]
        span = spoken_span(limit.cool_down)
        yield f"Within {span} of it, for the same people: {fitting(which, KEPT * 3, between=', ')}."


def _got(broadcast: Broadcast, limit: Limit, lately: Lately, now: datetime) -> str:
    """Say how many they got today, and when the last one was; nothing if that is long ago."""
    gone = [(one.at, one) for one in lately.to_them if one.is_gone and one.at is not None]
    if not gone:
        return ""
    today = limit.day_of(now)
    count = sum(limit.day_of(at) == today for at, _ in gone)
    at, last = max(gone, key=lambda one: one[0])
    if not count and now - at >= limit.cool_down:
        return ""
    # A card that waits for approval may do so until another day.
    day = "today" if broadcast.status is Status.DRAFT else f"today ({today:%a} {today.day} {today:%b})"
    number = f"{count} {day}" if count else f"none {day}"
    which = _named(last, broadcast)
    return f"**{inline(broadcast.audience)}** got {number}, the last {moment(at, 'R')} ({which})."


def _asked(broadcast: Broadcast, found: TooOften) -> str:
    """Say what goes beyond the limits asks for, as long as that is true."""
    if broadcast.too_often and found.beyond == "approval":
        return "It may go out more often than the policy has it, so it needs **one approval more**."
    # What a draft lacks stands above, and what was approved is held when it is to start.
    if broadcast.status is not Status.REVIEW:
        return ""
    return f"Its last approval is refused before {moment(found.free_at, 'f')}: that would be too often."


def _named(one: Nearby, beside: Broadcast, *more: str) -> str:
    told = [*more, *([f"for **{inline(one.audience)}**"] if one.audience != beside.audience else [])]
    number = linked(one.id, one.guild_id, one.card)
    return f"{number} {' '.join(told)}" if told else number


def refused_as_too_often(broadcast: Broadcast, server: Server, lately: Lately, now: datetime) -> list[str]:
    """Return the sentence that keeps a draft from its approvers, if that is too often."""
    why = refuse_review(too_often(server, broadcast, lately, now))
    return [why] if why else []
