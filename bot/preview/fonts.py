"""Which font has which characters, and how wide they are: Noto, in files that come with two packages."""

import importlib
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import regex

PRIMARY: Final = "Noto Sans"
EMOJI: Final = "Noto Emoji"
PACKAGES: Final = ("manimgx_fonts", "manimgx_fonts_cjk")
# One file has the letters of all three languages; their Han characters differ in shape.
_HAN: Final = (
    (regex.compile(r"\p{Hiragana}|\p{Katakana}"), "Noto Sans CJK JP"),
    (regex.compile(r"\p{Hangul}"), "Noto Sans CJK KR"),
    (regex.compile(r""), "Noto Sans CJK SC"),
)
_COLLECTION: Final = "NotoSansCJK"
# Stands for what no font has, as a phone without it does.
BOX: Final = "\u25a1"
# A letter with more on it cannot be sent anyway.
_LONGEST_CLUSTER: Final = 16
_DRAWN_AS_EMOJI: Final = regex.compile(r"\p{Emoji_Presentation}(?!\ufe0e)|\ufe0f")
_UNSEEN: Final = regex.compile(r"\p{Default_Ignorable_Code_Point}|\s|\p{Cc}")
_FILE_NAME: Final = regex.compile(r"(?<=[a-z])(?=[A-Z])")


class Cluster(NamedTuple):
    """What a reader takes for one character, the font that has it, and its width for a type of size 1."""

    text: str
    family: str
    width: float


class Glyph(NamedTuple):
    """One shape of a font, the place in its run of what it stands for, and where it is drawn."""

    number: int
    place: int
    x: float
    y: float
    advance: float


class Font:
    """One font file, opened when it is asked for the first time."""

    def __init__(self, family: str, path: Path) -> None:
        self.family = family
        self.path = path
        self._weights: dict[int, Any] = {}

    @cached_property
    def _face(self) -> Any:
        return _harfbuzz().Face(_harfbuzz().Blob.from_file_path(str(self.path)))

    @cached_property
    def _characters(self) -> Any:
        return self._face.unicodes

    def has(self, text: str) -> bool:
        """Tell whether it has each character of the text that is seen."""
        return all(ord(ch) in self._characters or _UNSEEN.match(ch) for ch in text)

    def shaped(self, text: str, weight: int, *, is_from_right: bool | None = None) -> Iterator[Glyph]:
        """Yield the glyphs of a run from left to right, for a type of size 1."""
        hb = _harfbuzz()
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        if is_from_right is not None:
            buffer.direction = "rtl" if is_from_right else "ltr"
        hb.shape(self.of_weight(weight), buffer)
        em = self.em
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            yield Glyph(
                info.codepoint, info.cluster, place.x_offset / em, place.y_offset / em, place.x_advance / em
            )

    def of_weight(self, weight: int) -> Any:
        """Return it in a weight, with a size of one em for each of its units."""
        if weight not in self._weights:
            self._weights[weight] = _harfbuzz().Font(self._face)
            self._weights[weight].set_variations({"wght": weight})
        return self._weights[weight]

    @property
    def em(self) -> int:
        """Return how many of its units are as long as the type is large."""
        return self._face.upem

    def widths(self, clusters: Sequence[str], weight: int) -> list[float]:
        """Return how wide each cluster is in this run, for a type of size 1."""
        widths = [0.0] * len(clusters)
        owner = [number for number, cluster in enumerate(clusters) for _ in cluster]
        for glyph in self.shaped("".join(clusters), weight):
            widths[owner[glyph.place]] += glyph.advance
        return widths


class Fonts:
    """All fonts, for one picture."""

    def __init__(self, words: str, folders: Sequence[Path]) -> None:
        han = next(family for letters, family in _HAN if letters.search(words))
        found = [Font(family, path) for family, path in _found(folders, han)]
        # What looks alike in several stands in the first one.
        self._fonts = {one.family: one for one in sorted(found, key=lambda one: _rank(one.family))}
        if PRIMARY not in self._fonts:
            raise LookupError(f"no {PRIMARY} in {', '.join(map(str, folders))}")
        self.missing = 0

    def __getitem__(self, family: str) -> Font:
        """Return the font of that name."""
        return self._fonts[family]

    def measured(self, text: str, weight: int) -> list[Cluster]:
        """Return the clusters of a text; what no font has is a box, and counted as missing."""
        chosen = [self._chosen(cluster) for cluster in regex.findall(r"\X", text)]
        measured: list[Cluster] = []
        for family, run in _runs(chosen):
            widths = self._fonts[family].widths(run, weight)
            measured += map(Cluster, run, [family] * len(run), widths)
        return measured

    def _chosen(self, cluster: str) -> tuple[str, str]:
        cluster = cluster[:_LONGEST_CLUSTER]
        is_emoji = _DRAWN_AS_EMOJI.search(cluster) is not None
        names = [EMOJI, *self._fonts] if is_emoji and EMOJI in self._fonts else [*self._fonts]
        family = next((name for name in names if self._fonts[name].has(cluster)), None)
        if family is None:
            self.missing += 1
            cluster = BOX
            family = next((name for name in names if self._fonts[name].has(BOX)), PRIMARY)
        return family, cluster


def folders() -> list[Path]:
    """Return where the packages have their fonts; raise ImportError if one is not installed."""
    return [Path(str(importlib.import_module(name).__file__)).parent for name in PACKAGES]


def _found(folders: Sequence[Path], han: str) -> Iterator[tuple[str, Path]]:
    for path in (path for folder in folders for path in folder.iterdir()):
        stem = path.name.partition("[")[0]
        if path.name.startswith(_COLLECTION):
            yield han, path
        elif path.suffix == ".ttf" and "Italic" not in stem:
            yield _FILE_NAME.sub(" ", stem), path


def _rank(family: str) -> tuple[bool, bool, str]:
    return family != PRIMARY, "CJK" in family or family == EMOJI, family


def _runs(chosen: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    run: list[str] = []
    for number, (family, cluster) in enumerate(chosen):
        run.append(cluster)
        if number + 1 == len(chosen) or chosen[number + 1][0] != family:
            yield family, run
            run = []


@cache
def _harfbuzz() -> Any:
    # It tells no types.
    return importlib.import_module("uharfbuzz")
