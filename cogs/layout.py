"""How a card is laid out in what Discord takes: what decides is whole, and a file takes what does not fit."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import discord

from bot.characters import reveal, units
from bot.chat.rendering import TextFile
from bot.notification import Notification
from cogs.embeds import DESCRIPTION_LIMIT, EMBED_LIMIT, FIELD_LIMIT, FIELD_NAMES, KEPT, size_of, words_of
from cogs.text import BREAK, MARK, closed, head_of

NOTE: Final = "Author's note"
CAME_BACK: Final = "Came back"
CHANGED: Final = "Changed since it was sent back"
# What a correction changes, of what it corrects.
CORRECTS: Final = "✏️ Correction"
APPROVED_BEFORE: Final = "Changed since it was approved"
# So much of a text stands on the card at least, where the rest of it is in the file.
WORDS_KEPT: Final = 300
_GIVE_WAY: Final = frozenset({NOTE, CAME_BACK, CHANGED, APPROVED_BEFORE, CORRECTS})
_LINE_ENDS: Final = re.compile(rf"\r\n|[{BREAK}]")
_ABOUT_FILE: Final = (
    "What people typed stands behind bars, line by line. ⟨U+…⟩ names a character that nobody would see."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a card shows: the words, and what else is typed, by the names of its fields, for the file.

    What is `left_out` stands on no card and in the file alone; without `attaches` there can be no file.
    """

    name: str
    title: str
    notification: Notification
    typed: Mapping[str, str] = field(default_factory=dict[str, str])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    attaches: bool = True

    @property
    def file_name(self) -> str:
        """Return the name by which the card speaks of the file."""
        return f"{self.name}.txt"

    @property
    def cut_here(self) -> str:
        """Return what stands where a text is cut."""
        if self.attaches:
            return f"\n✂️ Cut here: the attached {self.file_name} has all of it."
        return "\n✂️ Cut here: Herald may not attach files in this channel."

    def file(self) -> TextFile:
        """Return all that people typed, in a file in which nothing typed can pass for anything else."""
        sections = [*named_words(self.notification), *self.typed.items(), *self.left_out.items()]
        parts = [f"{name}:\n{_barred(text)}" for name, text in sections if text]
        return TextFile(self.file_name, "\n\n".join([self.title, _ABOUT_FILE, *parts]) + "\n")


class Laid(NamedTuple):
    """A card as Discord takes it; `is_whole` if all that is decided about stands on it, or in its file."""

    embeds: list[discord.Embed]
    attached: tuple[TextFile, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A text on a card that may be cut: a field, or without an index the description."""

    embed: discord.Embed
    index: int | None
    floor: int
    text: str

    @property
    def name(self) -> str:
        return "" if self.index is None else self.embed.fields[self.index].name or ""

    @property
    def limit(self) -> int:
        return DESCRIPTION_LIMIT if self.index is None else FIELD_LIMIT

    def put(self, text: str) -> None:
        if self.index is None:
            self.embed.description = text
        else:
            known = self.embed.fields[self.index]
            self.embed.set_field_at(self.index, name=known.name, value=text, inline=known.inline)


def lay_out(above: discord.Embed, below: discord.Embed, sheet: Sheet) -> Laid:
    """Return the card; notes give way first, then words, and nothing that decides while they do."""
    # A copy that the library makes of an embed shares its fields.
    head, details = (discord.Embed.from_dict(deepcopy(one.to_dict())) for one in (above, below))
    words = words_of(sheet.notification, head.colour, limit=None)
    embeds = [head, *words, details]
    notes = [one for one in _fields(head) if one.name in _GIVE_WAY]
    texts = sorted((_description(one, WORDS_KEPT) for one in words), key=_length, reverse=True)
    extras = [one for embed in words for one in _fields(embed)]
    rest = [one for one in (*_fields(head), *_fields(details)) if one.name not in _GIVE_WAY]
    decides = [*sorted(rest, key=_length, reverse=True), _description(head, KEPT)]
    cut = {one for one in (*notes, *texts, *extras, *decides) if _cut(one, sheet, over=0)}
    is_squeezed = False
    for one in (*notes, *texts, *extras, *decides):
        over = sum(map(size_of, embeds)) - EMBED_LIMIT
        if over > 0 and _cut(one, sheet, over=over):
            cut.add(one)
            is_squeezed = is_squeezed or one in decides
    is_file = sheet.attaches and bool(cut or sheet.left_out)
    is_here = cut.isdisjoint([*texts, *extras]) and not sheet.left_out
    is_whole = not is_squeezed and (is_file or is_here)
    return Laid(embeds, (sheet.file(),) if is_file else (), is_whole)


def _cut(piece: _Piece, sheet: Sheet, *, over: int) -> bool:
    """Cut so much, and what is over the piece's own limit; tell whether anything was."""
    present = min(_length(piece), piece.limit)
    room = max(min(piece.floor, present), present - over)
    if room >= _length(piece):
        return False
    piece.put(closed(head_of(piece.text, room - units(sheet.cut_here) - MARK)) + sheet.cut_here)
    return True


def _fields(embed: discord.Embed) -> list[_Piece]:
    return [_Piece(embed, index, KEPT, one.value or "") for index, one in enumerate(embed.fields)]


def _description(embed: discord.Embed, floor: int) -> _Piece:
    return _Piece(embed, None, floor, embed.description or "")


def _length(piece: _Piece) -> int:
    return units(piece.text)


def named_words(notification: Notification) -> Iterator[tuple[str, str]]:
    """Yield all that was typed for customers, each with the name of its field."""
    for name, text in notification.texts():
        yield f"{FIELD_NAMES[name]}, subject", text.subject
        yield f"{FIELD_NAMES[name]}, content", text.content
    yield "Subtitle", notification.subtitle or ""
    yield "A tap opens", notification.link or ""


def _barred(text: str) -> str:
    return "| " + _LINE_ENDS.sub(lambda end: f"{end[0]}| ", reveal(text))
