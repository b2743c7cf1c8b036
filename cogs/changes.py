"""What changed in a broadcast since approvers read it last: its words, struck and added."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

import discord
import regex

from bot.broadcast import Broadcast, Read
from bot.notification import Notification
from bot.schedule import Schedule
from bot.sentences import listed
from bot.zones import written
from cogs.layout import APPROVED_BEFORE, CHANGED, named_words
from cogs.text import clip, inline, plain

STRUCK: Final = "~~"
ADDED: Final = "**"
# So many words stand on each side of a change, where more of them are as they were.
AROUND: Final = 4
NAMES_LIMIT: Final = 60
# A word with the space behind it; where a script puts no space between words, a letter.
_UNSPACED: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*"
_WORD: Final = regex.compile(rf"^\s+|(?:{_UNSPACED}|(?:(?!{_UNSPACED})\S)+)\s*")


def add_changes(head: discord.Embed, earlier: Iterable[Read], now: Broadcast) -> dict[str, str]:
    """Add what changed since each of these to a card; return what it was, by the names of these fields."""
    typed: dict[str, str] = {}
    for read in earlier:
        name = APPROVED_BEFORE if read.approved_by else CHANGED
        typed[name] = as_it_was(read.notification, now.notification)
        marked = marked_changes(read.notification, now.notification)
        whom = _audiences(read.audience, now.audience)
        parts = [_since(read), *whom, *_times(read.schedule, now.schedule), marked]
        head.add_field(name=name, value="\n".join(filter(None, parts)), inline=False)
    return typed


def marked_changes(before: Notification, now: Notification) -> str:
    """Return Markdown of each text that is another one: what was struck, what was added, what is around."""
    return "\n".join(f"__{name}__: {_marked(old, new)}" for name, old, new in _changed(before, now))


def _audiences(was: str, became: str) -> Iterator[str]:
    """Yield another audience, if it has one now."""
    if was != became:
        yield f"__Audience__: {STRUCK}{inline(was)}{STRUCK} {ADDED}{inline(became)}{ADDED}"


def _times(was: Schedule | None, became: Schedule | None) -> Iterator[str]:
    """Yield another time, if it has one now."""
    if was != became:
        yield f"__Time__: {STRUCK}{_spoken(was)}{STRUCK} {ADDED}{_spoken(became)}{ADDED}"


def _spoken(schedule: Schedule | None) -> str:
    if schedule is None:
        return "once it is approved"
    # What is typed may end in a sign that would close the mark.
    return inline(written(schedule.at, schedule.zone)) if schedule.at else f"“{inline(schedule.typed)}”"


def _since(read: Read) -> str:
    """Return since when it has changed: the revision, and who had approved it."""
    names = listed((inline(one) for one in read.approved_by), between=" and ")
    approved = f", which {clip(names, NAMES_LIMIT)} had approved" if names else ""
    return f"Since revision {read.number}{approved}:"


def as_it_was(before: Notification, now: Notification) -> str:
    """Return each text that is another one now as it was before, as typed."""
    return "\n".join(f"{name}, as it was:\n{old or '(nothing)'}" for name, old, _ in _changed(before, now))


def _changed(before: Notification, now: Notification) -> Iterator[tuple[str, str, str]]:
    old = {"Topic": before.topic, **dict(named_words(before))}
    new = {"Topic": now.topic, **dict(named_words(now))}
    for name in old | new:
        was, became = old.get(name, ""), new.get(name, "")
        if was != became:
            yield name, was, became


def _marked(was: str, became: str) -> str:
    old, new = _WORD.findall(was), _WORD.findall(became)
    steps = SequenceMatcher(None, old, new).get_opcodes()
    parts: list[str] = []
    for step in steps:
        kind, begin, end, first, last = step
        if kind == "equal":
            parts.append(_kept(old[begin:end], begins=step is steps[0], ends=step is steps[-1]))
        else:
            parts += [_within(STRUCK, old[begin:end]), _within(ADDED, new[first:last])]
    return "".join(parts).strip()


def _kept(words: Sequence[str], *, begins: bool, ends: bool) -> str:
    """Return what is as it was, without its middle if it is long; nothing stands before or behind a text."""
    head, tail = (0 if begins else AROUND), (0 if ends else AROUND)
    if len(words) <= head + tail + 1:
        return plain("".join(words))
    ahead, behind = "".join(words[:head]).rstrip(), "".join(words[len(words) - tail :])
    return f"{plain(ahead)} … {plain(behind)}"


def _within(mark: str, words: Sequence[str]) -> str:
    text = "".join(words)
    if not text.strip():
        return text
    # Spaces just within the marks would keep them from being any.
    space = text[len(text.rstrip()) :] or " "
    return f"{mark}{plain(text.strip())}{mark}{space}"
