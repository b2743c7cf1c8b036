"""The record's lines, as people read them in Discord."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from bot.audit.chain import SHOWN, Event
from bot.audit.mirror import Condition
from bot.audit.words import spoken
from bot.broadcast import Place
from bot.summary import Course, summary
from cogs.embeds import CONTENT_LIMIT
from cogs.situation import moment
from cogs.text import clip, inline, linked, numbered, plain, shorten

# Two lines have to fit into one message, whatever was typed.
NAME_LIMIT: Final = 120
DETAIL_LIMIT: Final = 640
RoleName = Callable[[int], str]
NOWHERE: Final[Mapping[int, Place]] = MappingProxyType({})

_ROLE: Final = re.compile(r"<@&(\d+)>")


def line_of(
    event: Event, role_name: RoleName, *, about: Event | None = None, places: Mapping[int, Place] = NOWHERE
) -> str:
    """Return one numbered line; roles in Herald's own sentences stand with their names.

    If it tells that the post of one other line is gone or edited, that line is there once more. A broadcast's
    number leads to its card where `places` has one.
    """
    again = f"\nThe record still says:\n{_body(about, role_name, places)}\n{_digest(about)}" if about else ""
    return f"{_body(event, role_name, places)}{again}\n{_digest(event)}"


def told(course: Course) -> str:
    """Return the answer in one sentence: who wrote it, who agreed, and what became of it."""
    broadcast = course.broadcast
    said = summary(course, spoken=inline, moment=lambda at: moment(at, "f"))
    return clip(f"{numbered(broadcast)}{said.removeprefix(f'#{broadcast.id}')}", CONTENT_LIMIT)


def _body(event: Event, role_name: RoleName, places: Mapping[int, Place]) -> str:
    entry = event
    name = clip(inline(entry.actor.name), NAME_LIMIT)
    who = f"<@{entry.actor.id}> ({name})" if entry.actor.id else name
    line = f"`{event.sequence:>5}` {moment(entry.at, 'f')} {who}: **{spoken(entry.action)}**"
    if entry.broadcast_id:
        line += f" · {linked(entry.broadcast_id, entry.guild_id, places.get(entry.broadcast_id))}"
    if entry.proof:
        line += f" · proof {entry.proof}"
    if entry.detail:
        detail = _ROLE.sub(lambda match: role_name(int(match[1])), entry.detail)
        line += f"\n> {clip(inline(shorten(detail, 600)), DETAIL_LIMIT)}"
    return line


def _digest(event: Event) -> str:
    return f"-# digest {event.digest[:SHOWN]}"


def trouble_of(mirror: Condition) -> tuple[str, str] | None:
    """Return what the cards say of the mirror's trouble, as a name and a sentence; None if there is none."""
    if mirror.lags:
        return (
            "⚠️ The audit channel lags",
            f"Lines of the record wait to be posted there since {moment(mirror.since, 'R')}:"
            f" {plain(mirror.why)}. The record itself goes on, and so does sending.",
        )
    if mirror.unread:
        return (
            "⚠️ The audit channel is not watched",
            f"{plain(mirror.unread)}. What is deleted there while Herald is away goes unnoticed until then;"
            " the record itself goes on.",
        )
    return None
