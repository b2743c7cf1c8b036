"""The record's mirror in Discord: what was posted, how it fares, and how it differs from the chain. Pure."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from bot.audit.chain import SHOWN

# The record's own lines about its mirror.
DELETED: Final = "mirror post deleted"
EDITED: Final = "mirror post edited"
# A single failure may be a hiccup of Discord's; from the second one in a row people are told.
LASTING: Final = 2
GONE: Final = "not in the channel"
NEVER: Final = "nothing shows that it was ever posted"
REWRITTEN: Final = "the channel shows another digest: the database or the channel was rewritten"
CHANGED: Final = "the post does not say what was posted"
MISPLACED: Final = "it stands behind a later line"
LOST: Final = "they were lost when the database went back, which line {line} tells"
ADDED: Final = "the post shows more than was posted"
BACK: Final = "the post was edited, and says again what was posted"
ALIKE: Final = "message {id} looks like a line of this record, and is somebody else's"
DOUBLED: Final = "it stands in the channel more than once"
# A post begins with its line's number and ends with its digest; a line that it quotes stands in between.
_NUMBER: Final = re.compile(r"`\s*([0-9]{1,18})`")
_DIGEST: Final = re.compile(rf"^-# digest ([0-9a-f]{{{SHOWN}}})\Z", re.MULTILINE)


class Seen(NamedTuple):
    """A message as it stands in a channel now."""

    id: int
    author_id: int
    content: str
    # What stands there beside the words, of which a post has nothing.
    beside: tuple[str, ...] = ()
    was_edited: bool = False


class Posted(NamedTuple):
    """A line of the record, and the message that was posted for it."""

    guild_id: int
    sequence: int
    digest: str
    channel_id: int
    message_id: int
    # None if an older Herald posted it, which did not remember what it said.
    words: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How a server's mirror fares: the lines that wait, why, and whether deletions would be noticed."""

    waiting: int = 0
    since: datetime | None = None
    failures: int = 0
    why: str = ""
    # Why the channel cannot be read; empty if it can.
    unread: str = ""

    @property
    def lags(self) -> bool:
        """Tell whether lines wait for more than a hiccup of Discord's."""
        return self.waiting > 0 and self.failures >= LASTING


def hash_words(content: str) -> str:
    """Return what is remembered of a message's words."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def read_post(content: str) -> tuple[int, str] | None:
    """Return the number and the shown digest of a post; None if it is no line of a record."""
    number, digest = _NUMBER.match(content), _DIGEST.search(content)
    return (int(number[1]), digest[1]) if number and digest else None


def is_alike(content: str) -> bool:
    """Tell whether people would take a message for a line of the record."""
    return _NUMBER.match(content) is not None or _DIGEST.search(content) is not None


def is_changed(post: Posted, content: str) -> bool:
    """Tell whether a post no longer says what was posted."""
    if post.words is None:
        return read_post(content) != (post.sequence, post.digest[:SHOWN])
    return hash_words(content) != post.words


def name_lines(numbers: Iterable[int]) -> str:
    """Return the numbers in words, as ranges where they follow each other."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    *parts, last = [str(first) if first == end else f"{first}-{end}" for first, end in ranges]
    one = not parts and ranges[0][0] == ranges[0][1]
    return f"{'line' if one else 'lines'} {', '.join(parts)}{' and ' if parts else ''}{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the database knows of a server's mirror: its chain, what was posted, and what is still to be."""

    lines: Mapping[int, str] = field(default_factory=dict[int, str])
    posts: Sequence[Posted] = ()
    waiting: Collection[int] = ()
    # Messages of Herald's own that are no lines, such as cards.
    others: Collection[int] = ()
    # By which line of the record it was told that a line's post is no longer as it was.
    told: Mapping[int, int] = field(default_factory=dict[int, int])
    # The first number that was left out and the line behind it, each time that the database went back.
    skipped: Sequence[tuple[int, int]] = ()


class Difference(NamedTuple):
    """Something in which the channel differs from the chain, and the lines concerned."""

    numbers: Sequence[int]
    what: str
    # What the record itself explains is nobody's fault.
    is_fault: bool = True

    def __str__(self) -> str:
        """Return the sentence."""
        return f"{name_lines(self.numbers)}: {self.what}." if self.numbers else f"{self.what}."


def compare(
    expected: Expected, seen: Sequence[Seen], *, own: int, since: Collection[int]
) -> list[Difference]:
    """Return in what the messages of a server's channels differ from its chain.

    Of what is no post only messages of the account `own`, and those that look like a post, matter; `since`
    are the posts that stood in the database before the first message was read, and so have to be among them.
    """
    there = {message.id: message for message in sorted(seen)}
    found = [(post, there[post.message_id]) for post in expected.posts if post.message_id in there]
    found.sort(key=lambda pair: pair[1].id)
    standing = {post.sequence for post, _ in found}
    posted = {post.sequence for post in expected.posts}
    known = {post.message_id for post in expected.posts}.union(expected.others)
    doubled: list[int] = []
    strange: list[int] = []
    lost: dict[int, list[int]] = {}
    others = [one for one in there.values() if one.author_id != own and one.id not in known]
    alike = [one.id for one in others if is_alike(one.content)]
    for message in there.values():
        if message.id in known or message.author_id != own:
            continue
        number = _line_of(message, expected.lines)
        if number is None and (skipped := _skipped(message, expected.skipped)):
            lost.setdefault(skipped[1], []).append(skipped[0])
        elif number is None:
            strange.append(message.id)
        elif number in standing:
            doubled.append(number)
        else:
            # Herald ended between the post and the note of it.
            standing.add(number)
    due = {post.sequence for post in expected.posts if post.message_id in since}
    rewritten = {post.sequence for post, message in found if _is_rewritten(post, message)}
    changed = {post.sequence for post, message in found if is_changed(post, message.content)}
    added = {post.sequence for post, message in found if message.beside}
    edited = {post.sequence for post, message in found if message.was_edited}
    return [
        *_told(due - standing, expected.told, GONE),
        *_difference(expected.lines.keys() - posted - standing - {*expected.waiting}, NEVER),
        *_difference(rewritten, REWRITTEN),
        *_told(changed - rewritten, expected.told, CHANGED),
        *_told(added, expected.told, ADDED),
        *_told(edited - changed - rewritten - added, expected.told, BACK),
        *_difference(_misplaced(post.sequence for post, _ in found), MISPLACED),
        *_difference(doubled, DOUBLED),
        *(Difference(some, LOST.format(line=line), is_fault=False) for line, some in sorted(lost.items())),
        *(Difference((), f"message {one} is by Herald, but is no line of this record") for one in strange),
        *(Difference((), ALIKE.format(id=one)) for one in alike),
    ]


def _line_of(message: Seen, lines: Mapping[int, str]) -> int | None:
    number, digest = read_post(message.content) or (0, "")
    return number if number in lines and lines[number].startswith(digest) else None


def _skipped(message: Seen, skipped: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the number of a post that was left out of the record, and the line that tells so."""
    number, _ = read_post(message.content) or (0, "")
    return next(((number, line) for first, line in skipped if first <= number < line), None)


def _is_rewritten(post: Posted, message: Seen) -> bool:
    read = read_post(message.content)
    return read is not None and read[1] != post.digest[:SHOWN]


def _misplaced(numbers: Iterable[int]) -> Iterator[int]:
    highest = 0
    for number in numbers:
        if number < highest:
            yield number
        highest = max(highest, number)


def _difference(numbers: Iterable[int], what: str) -> Iterator[Difference]:
    if some := sorted(set(numbers)):
        yield Difference(some, what)


def _told(numbers: Iterable[int], told: Mapping[int, int], what: str) -> Iterator[Difference]:
    """Say apart what the record itself tells of already."""
    apart: dict[int | None, list[int]] = {}
    for number in sorted(set(numbers)):
        apart.setdefault(told.get(number), []).append(number)
    for line, some in apart.items():
        yield Difference(some, what if line is None else f"{what}, which line {line} tells")
