"""How a text is broken into lines, and cut: between what a reader takes for characters."""

import importlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import regex

from bot.preview.fonts import Cluster, Fonts

ELLIPSIS: Final = "\u2026"
# Where scripts without spaces are broken, by Unicode's classes (UAX #14). Thai would need a dictionary:
# there, at least no vowel is parted from its consonant.
_FREE: Final = regex.compile(
    r"\p{lb=ID}|\p{lb=CJ}|\p{lb=H2}|\p{lb=H3}|\p{lb=JL}|\p{lb=EB}|\p{lb=SA}|\p{lb=RI}|\p{lb=B2}"
)
_NOT_FIRST: Final = regex.compile(
    r"(?V1)[\p{InSC=Vowel_Dependent}--\p{InPC=Visual_Order_Left}]|[\u0e46\u0ec6]|\p{lb=CL}|\p{lb=CP}|\p{lb=EX}|\p{lb=IS}|\p{lb=NS}|\p{lb=CJ}|\p{lb=QU}|\p{lb=SY}|\s"
)
_NOT_LAST: Final = regex.compile(r"\p{lb=OP}|\p{lb=QU}|\p{InPC=Visual_Order_Left}")
_AFTER: Final = regex.compile(r"[^\S\u00a0\u202f\u2007]|\p{lb=HY}|\p{lb=BA}|\p{lb=ZW}|\p{lb=SY}")
_BREAK: Final = regex.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# What no phone draws.
_NOT_DRAWN: Final = regex.compile(r"[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]")
_STRONG: Final = regex.compile(r"\p{bc=L}|(?P<right>\p{bc=R}|\p{bc=AL})")


# What the rules of Unicode are in the library, in their order (UAX #9).
_RULES: Final = (
    "explicit_embed_and_overrides",
    "resolve_weak_types",
    "resolve_neutral_types",
    "resolve_implicit_levels",
    "reorder_resolved_levels",
)
_ISOLATES: Final = frozenset("\u2066\u2067\u2068\u2069")


class Run(NamedTuple):
    """Clusters of one font that are written in one direction, in the order of writing."""

    text: str
    family: str
    is_from_right: bool


class Line(NamedTuple):
    """One line, in the order of writing."""

    clusters: Sequence[Cluster]
    is_from_right: bool

    @property
    def text(self) -> str:
        """Return its words."""
        return "".join(one.text for one in self.clusters)

    def runs(self) -> Iterator[Run]:
        """Yield what is drawn from left to right (UAX #9)."""
        places = [*_seen_order([one.text for one in self.clusters], is_from_right=self.is_from_right)]
        for (family, is_from_right), group in groupby(
            places, key=lambda one: (self.clusters[one[0]].family, one[1])
        ):
            numbers = sorted(number for number, _ in group)
            yield Run("".join(self.clusters[one].text for one in numbers), family, is_from_right)


class Block(NamedTuple):
    """A text in lines; `shown` of its `length` characters stand in them."""

    lines: Sequence[Line]
    shown: int
    length: int

    @property
    def is_cut(self) -> bool:
        """Tell whether a part of it is left out."""
        return self.shown < self.length


class Measure(NamedTuple):
    """A column: its width, the size and weight of the type, and where a text ends at the latest."""

    width: float
    size: float
    weight: int
    most_lines: int
    most_characters: int


def set_text(text: str, measure: Measure, fonts: Fonts) -> Block:
    """Return the text in lines, with an ellipsis where it is cut."""
    paragraphs = [_NOT_DRAWN.sub("", one.replace("\t", " ")) for one in _BREAK.split(text.strip())]
    length = sum(len(regex.findall(r"\X", one)) for one in paragraphs)
    lines: list[Line] = []
    left, begun, shown = measure.most_characters, 0, 0
    for paragraph in paragraphs:
        # No more of it is ever looked at than can be shown.
        clusters = fonts.measured("".join(regex.findall(r"\X", paragraph)[:left]), measure.weight)
        for first, end in _spans(clusters, measure.width / measure.size):
            if len(lines) == measure.most_lines:
                return _cut(lines, begun, length, measure, fonts)
            lines.append(Line(_trimmed(clusters[first:end]), _is_from_right(paragraph)))
            begun, shown = shown, shown + end - first
        left -= len(clusters)
        if left <= 0:
            break
    return Block(lines, shown, length) if shown == length else _cut(lines, begun, length, measure, fonts)


def _cut(lines: list[Line], begun: int, length: int, measure: Measure, fonts: Fonts) -> Block:
    """End the last line, before which so many characters stand, with an ellipsis."""
    dots = fonts.measured(ELLIPSIS, measure.weight)
    last, room = [*lines[-1].clusters], measure.width / measure.size - dots[0].width
    while last and (sum(one.width for one in last) > room or last[-1].text.isspace()):
        last.pop()
    lines[-1] = Line([*last, *dots], lines[-1].is_from_right)
    return Block(lines, begun + len(last), length)


def _spans(clusters: Sequence[Cluster], width: float) -> Iterator[tuple[int, int]]:
    """Yield where each line begins and ends; an empty paragraph is a line."""
    first, place, total, good = 0, 0, 0.0, 0
    while place < len(clusters):
        one = clusters[place]
        is_over = total + one.width > width and not one.text.isspace() and place > first
        if is_over:
            end = good if good > first else place
            yield first, end
            first, total, good = end, sum(each.width for each in clusters[end:place]), 0
            continue
        total += one.width
        place += 1
        if place < len(clusters) and _may_break(one.text, clusters[place].text):
            good = place
    if first < len(clusters) or not clusters:
        yield first, len(clusters)


def _may_break(before: str, after: str) -> bool:
    if _NOT_FIRST.match(after) or _NOT_LAST.match(before):
        return False
    return bool(_AFTER.match(before) or _FREE.match(before) or _FREE.match(after))


def _trimmed(clusters: Sequence[Cluster]) -> Sequence[Cluster]:
    end = len(clusters)
    while end and clusters[end - 1].text.isspace():
        end -= 1
    return clusters[:end]


def _is_from_right(paragraph: str) -> bool:
    first = _STRONG.search(paragraph)
    return first is not None and first["right"] is not None


def _seen_order(clusters: Sequence[str], *, is_from_right: bool) -> Iterator[tuple[int, bool]]:
    """Yield the number of each cluster from left to right, and whether it is written from the right."""
    bidi: Any = importlib.import_module("bidi.algorithm")
    seen = [number for number, cluster in enumerate(clusters) if cluster not in _ISOLATES]
    line = bidi.get_empty_storage()
    line["base_level"], line["base_dir"] = int(is_from_right), "LR"[is_from_right]
    # The first character decides, since all others of a cluster stand on it or join it.
    bidi.get_embedding_levels("".join(clusters[number][0] for number in seen), line)
    for number, character in zip(seen, line["chars"], strict=True):
        character["number"] = number
    for rule in _RULES:
        # Each may tell what it does.
        getattr(bidi, rule)(line, debug=False)
    for character in line["chars"]:
        yield character["number"], character["level"] % 2 == 1
