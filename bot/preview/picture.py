"""The picture itself: two lock screens, narrow and wide, and the entry in the feed, in light and dark."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from bot.preview.canvas import Canvas
from bot.preview.fonts import Fonts
from bot.preview.lines import Block, Measure, set_text
from bot.preview.order import Order, Words

# In points of a phone; the picture is so many pixels wide.
WIDTH: Final = 430.0
PIXELS: Final = 780
_EDGE, _GAP = 12.0, 14.0
_PAD, _ICON, _BESIDE_ICON = 13.0, 34.0, 11.0
_TIME: Final = 34.0
_TYPE, _LEADING = 15.0, 20.0
_SMALL: Final = 11.5
_ABOVE, _BELOW = _SMALL + 7, _SMALL + 6
_REGULAR, _BOLD = 400, 650
# How wide a notification is on the narrowest phones that are common, and on the widest.
_PHONES: Final = (("narrow phone", 304.0), ("wide phone", WIDTH - 2 * _EDGE))
_LOCK_LINES, _FEED_LINES = 4, 7
# More of a feed entry has no room in so many lines.
_FEED_CHARACTERS: Final = 600


class Card(NamedTuple):
    """A notification in lines, at one place."""

    label: str
    width: float
    is_feed: bool
    subject: Block
    subtitle: Block | None
    content: Block

    @property
    def height(self) -> float:
        """Return it in points, without what stands above and below the card."""
        return max(self.line_count * _LEADING, _ICON) + 2 * _PAD

    @property
    def line_count(self) -> int:
        """Return how many lines it has."""
        return sum(len(one.lines) for one in (self.subject, self.subtitle, self.content) if one)

    @property
    def note(self) -> str:
        """Say what is cut there."""
        parts = (("subject", self.subject), ("content", self.content))
        cut = [f"{name} after {one.shown} of {one.length:,}" for name, one in parts if one.is_cut]
        if self.is_feed:
            return f"the first {self.content.shown} of {self.content.length:,} characters" if cut else ""
        return f"cut: {', '.join(cut)} characters" if cut else "all of it fits"


class Palette(NamedTuple):
    """The colours of a theme."""

    wall: str
    card: str
    ink: str
    muted: str
    label: str


PALETTES: Final[Mapping[str, Palette]] = MappingProxyType(
    {
        "Light": Palette("#d5deeb", "#fbfcfe", "#14171c", "#6a7280", "#48546a"),
        "Dark": Palette("#141a26", "#2a303c", "#f3f5f8", "#a3abb9", "#aab6cc"),
    }
)
_ACCENT: Final = "#5b6cf0"


def arrange(order: Order, fonts: Fonts) -> list[Card]:
    """Return each card of the picture, from top to bottom."""
    cards: list[Card] = []
    if order.phone is not None:
        cards += [_on_lock_screen(order, order.phone, label, width, fonts) for label, width in _PHONES]
    if order.feed is not None:
        cards.append(_in_feed(order.feed, fonts))
    return cards


def _on_lock_screen(order: Order, words: Words, label: str, width: float, fonts: Fonts) -> Card:
    room = width - 2 * _PAD - _ICON - _BESIDE_ICON
    subject = Measure(room - _TIME, _TYPE, _BOLD, 1, order.cut_subject)
    subtitle = Measure(room, _TYPE, _BOLD, 1, order.cut_subject)
    content = Measure(room, _TYPE, _REGULAR, _LOCK_LINES, order.cut_content)
    return Card(
        label=f"Lock screen, {label}",
        width=width,
        is_feed=False,
        subject=set_text(words.subject, subject, fonts),
        subtitle=set_text(words.subtitle, subtitle, fonts) if words.subtitle else None,
        content=set_text(words.content, content, fonts),
    )


def _in_feed(words: Words, fonts: Fonts) -> Card:
    room = WIDTH - 2 * _EDGE - 2 * _PAD
    subject = Measure(room - _TIME, _TYPE, _BOLD, 3, _FEED_CHARACTERS)
    content = Measure(room, _TYPE, _REGULAR, _FEED_LINES, _FEED_CHARACTERS)
    return Card(
        label="Feed",
        width=WIDTH - 2 * _EDGE,
        is_feed=True,
        subject=set_text(words.subject, subject, fonts),
        subtitle=None,
        content=set_text(words.content, content, fonts),
    )


def paint(cards: Sequence[Card], fonts: Fonts) -> bytes:
    """Return the picture as a WebP file."""
    heights = sum(_height(card) for card in cards) + _GAP
    canvas = Canvas(WIDTH, heights * len(PALETTES), PIXELS, fonts)
    for number, (theme, palette) in enumerate(PALETTES.items()):
        top = number * heights
        canvas.rectangle(0, top, WIDTH, heights, palette.wall)
        top += _GAP
        for card in cards:
            label = f"{card.label} \u00b7 {theme.lower()}"
            canvas.label(label, _EDGE + 2, top + _SMALL, _SMALL, _BOLD, palette.label)
            at = top + _ABOVE
            _paint_card(canvas, card, palette, at)
            if card.note:
                base = at + card.height + _SMALL + 4
                canvas.label(card.note, _EDGE + 2, base, _SMALL, _REGULAR, palette.label)
            top += _height(card)
    return canvas.webp()


def _height(card: Card) -> float:
    return _ABOVE + card.height + (_BELOW if card.note else 0) + _GAP


def _paint_card(canvas: Canvas, card: Card, palette: Palette, top: float) -> None:
    canvas.rectangle(_EDGE, top, card.width, card.height, palette.card, radius=16)
    left, right = _EDGE + _PAD, _EDGE + card.width - _PAD
    canvas.label("now", right, top + _PAD + _TYPE - 1, _SMALL, _REGULAR, palette.muted, to_right=True)
    if not card.is_feed:
        _paint_icon(canvas, left, top + (card.height - _ICON) / 2)
        left += _ICON + _BESIDE_ICON
    base = top + (card.height - card.line_count * _LEADING) / 2 + _TYPE - 0.5
    for block, weight in ((card.subject, _BOLD), (card.subtitle, _BOLD), (card.content, _REGULAR)):
        end = right - _TIME if block is card.subject else right
        for line in block.lines if block else ():
            canvas.line(line, (left, end), base, _TYPE, weight, palette.ink)
            base += _LEADING


def _paint_icon(canvas: Canvas, x: float, y: float) -> None:
    canvas.rectangle(x, y, _ICON, _ICON, _ACCENT, radius=9)
    for left, top, width, height, radius in (
        (10, 9, 14, 14, 7),
        (10, 16, 14, 7, 0),
        (8, 21, 18, 3, 1.5),
        (14.5, 25.5, 5, 2.5, 1.2),
    ):
        canvas.rectangle(x + left, y + top, width, height, "#ffffff", radius=radius)
