"""Text that people typed, made harmless where it is shown."""

import re
from collections.abc import Sequence
from typing import Final

from bot.broadcast import Broadcast, Place
from bot.characters import (
    FIRST_STRONG_ISOLATE,
    POP_ISOLATE,
    isolated,
    reveal,
    units,
    visible_length,
)
from bot.notification import PHONE_CONTENT, PHONE_SUBJECT, SUBJECT_LIMIT, Text, content_limit

# All that the standard calls a line break, whether or not today's clients do.
BREAK: Final = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029"
_START: Final = rf"(?:^|(?<=[{BREAK}]))((?:(?![{BREAK}])[\s\ufeff])*"
# A colon makes a link before two slashes, and an emoji around a word.
_ANYWHERE: Final = re.compile(r"([\\*_~|`<\[\]@]|:(?=//|[^\s:]+:))")
_LINE_START: Final = re.compile(rf"{_START})([#>+-])")
# Bold, struck and underlined, as long as each is; of one that is cut through, a half.
MARK: Final = 2
_MARKS: Final = re.compile(r"\\.|(\*{1,2}|~{1,2}|_{1,2})", re.DOTALL)
_NUMBERED: Final = re.compile(rf"{_START}\d+)([.)])")


def plain(text: str) -> str:
    """Return Markdown that shows exactly these characters: no mention, no link, no formatting."""
    text = reveal(text)
    text = _ANYWHERE.sub(r"\\\1", text)
    text = _LINE_START.sub(r"\1\\\2", text)
    return _NUMBERED.sub(r"\1\\\2", text)


def inline(text: str) -> str:
    """Return Markdown that shows a name or a sentence where a line of its own would be taken for ours."""
    return isolated(plain(" ".join(text.split())))


def label(text: str) -> str:
    """Return a name or a sentence as it stands beside others where Markdown means nothing."""
    return isolated(reveal(" ".join(text.split())))


def numbered(broadcast: Broadcast) -> str:
    """Return a broadcast's number, as a link to its card once that stands somewhere."""
    return linked(broadcast.id, broadcast.guild_id, broadcast.card)


def linked(number: int, guild_id: int, card: Place | None) -> str:
    """Return the number of a broadcast in that server, as a link to its card if that stands somewhere."""
    if card is None:
        return f"#{number}"
    return f"[#{number}]({card.url(guild_id)})"


def shorten(text: str, limit: int) -> str:
    """Return at most `limit` units on one line, with an ellipsis where something is cut."""
    line = " ".join(text.split())
    return line if units(line) <= limit else _first(line, limit - 1).rstrip() + "…"


def head_of(markdown: str, limit: int) -> str:
    """Return the first units, `limit` at most, of what `plain` made, without half of what it escaped."""
    return _first(markdown, limit).rstrip("\\")


def closed(markdown: str) -> str:
    """Return the head of what `plain` and marks of ours made, with no mark that is left open or half."""
    # What people typed has a backslash before each of these, and none of ours stands within another.
    marks = [mark for mark in _MARKS.findall(markdown) if mark]
    if marks and len(marks[-1]) < MARK and markdown.endswith(marks[-1]):
        markdown = markdown.removesuffix(marks.pop())
    if len(marks) % 2 == 0:
        return markdown
    return markdown.removesuffix(marks[-1]) if markdown.endswith(marks[-1]) else markdown + marks[-1]


def clip(markdown: str, limit: int) -> str:
    """Return at most `limit` units of what `plain` made, with an ellipsis where something is cut."""
    # An odd number of backslashes at the end would escape the ellipsis.
    return markdown if units(markdown) <= limit else head_of(markdown, limit - 1) + "…"


def fitting(parts: Sequence[str], limit: int, *, between: str) -> str:
    """Return as many of the parts as fit into `limit` units, and how many are left out."""
    whole = between.join(parts)
    if units(whole) <= limit:
        return whole
    room = limit - units(f"{between}… and {len(parts)} more")
    kept = [clip(parts[0], room)]
    while len(kept) < len(parts) and units(between.join([*kept, parts[len(kept)]])) <= room:
        kept.append(parts[len(kept)])
    rest = len(parts) - len(kept)
    return between.join([*kept, *([f"… and {rest} more"] if rest else [])])


def first_of(lines: Sequence[str], limit: int, *, most: int) -> list[str]:
    """Return as many of the lines, `most` at most, as fit into `limit` units: one at least."""
    kept = [clip(lines[0], limit)]
    for line in lines[1:most]:
        if units("\n".join([*kept, line])) > limit:
            break
        kept.append(line)
    return kept


def _first(text: str, limit: int) -> str:
    first = text.encode("utf-16-le", "surrogatepass")[: 2 * limit].decode("utf-16-le", "ignore")
    # What is cut open would take in whatever follows.
    is_open = first.count(FIRST_STRONG_ISOLATE) > first.count(POP_ISOLATE)
    return first[:-1].rstrip("\\") + POP_ISOLATE if is_open else first


def length_note(field: str, text: Text) -> str:
    """Say how long the text is as the form counts it, the limit, and whether a lock screen cuts it."""
    subject, content = units(text.subject), units(text.content)
    note = f"subject {subject} of {SUBJECT_LIMIT}, content {content} of {content_limit(field)} characters"
    cut = [
        f"the {name} after about {shown}"
        for name, words, shown in (
            ("subject", text.subject, PHONE_SUBJECT),
            ("content", text.content, PHONE_CONTENT),
        )
        if visible_length(words) > shown
    ]
    return f"{note}; a lock screen cuts {' and '.join(cut)}" if cut else f"{note}; fits a lock screen"
