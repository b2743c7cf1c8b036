"""What is drawn on: rectangles with round corners and lines of text, and the file of it."""

import importlib
import io
from typing import Final

from PIL import Image, ImageDraw

from bot.preview.fonts import Fonts
from bot.preview.lines import Line, Run

# Corners are drawn so many times as large, and then made smaller.
_FINER: Final = 4
# Enough for two themes with soft edges, and few enough for a small file.
_COLOURS: Final = 48
# So far above and below its base a line may reach, in sizes of its type.
_ABOVE, _BELOW = 1.5, 0.75


class Canvas:
    """A picture of so many points, in pixels."""

    def __init__(self, width: float, height: float, pixels: int, fonts: Fonts) -> None:
        self._scale = pixels / width
        self._fonts = fonts
        self._image = Image.new("RGB", (pixels, round(height * self._scale)))
        self._raster = importlib.import_module("uharfbuzz").RasterDraw()

    def rectangle(
        self, x: float, y: float, width: float, height: float, colour: str, *, radius: float = 0
    ) -> None:
        """Fill a rectangle, with round corners of that radius."""
        left, top, right, bottom = (round(one * self._scale) for one in (x, y, x + width, y + height))
        size = (right - left, bottom - top)
        mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
        ImageDraw.Draw(mask).rounded_rectangle(
            (0, 0, mask.width - 1, mask.height - 1), radius * self._scale * _FINER, fill=255
        )
        self._image.paste(colour, (left, top), mask.reduce(_FINER))

    def label(
        self,
        text: str,
        x: float,
        base: float,
        size: float,
        weight: int,
        colour: str,
        *,
        to_right: bool = False,
    ) -> None:
        """Write words of our own, from x on, or so that they end there."""
        line = Line(self._fonts.measured(text, weight), is_from_right=to_right)
        self.line(line, (x, x), base, size, weight, colour)

    def line(
        self, line: Line, ends: tuple[float, float], base: float, size: float, weight: int, colour: str
    ) -> None:
        """Write a line from its left end on, or up to its right one where it is written from the right."""
        length, scale = 0.0, size * self._scale
        start = ends[0] * self._scale
        for run in line.runs():
            length += self._add(run, length, scale, weight)
        if line.is_from_right:
            start = ends[1] * self._scale - length * scale
        drawn = self._raster.render()
        extents = drawn.extents
        if extents.width and extents.height:
            mask = Image.frombuffer(
                "L", (extents.width, extents.height), drawn.buffer, "raw", "L", extents.stride, -1
            )
            left = round(start) + extents.x_origin
            top = round(base * self._scale) - extents.y_origin - extents.height
            # Marks that are piled up stay within what is theirs.
            first = max(0, round((base - _ABOVE * size) * self._scale) - top)
            last = min(mask.height, round((base + _BELOW * size) * self._scale) - top)
            if first < last:
                self._image.paste(colour, (left, top + first), mask.crop((0, first, mask.width, last)))

    def webp(self) -> bytes:
        """Return it as a file, a third smaller than a PNG would be."""
        file = io.BytesIO()
        fewer = self._image.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        fewer.convert("RGB").save(file, "WEBP", lossless=True, method=2)
        return file.getvalue()

    def _add(self, run: Run, start: float, scale: float, weight: int) -> float:
        font, length = self._fonts[run.family], 0.0
        unit = scale / font.em
        for glyph in font.shaped(run.text, weight, is_from_right=run.is_from_right):
            x, y = (start + length + glyph.x) * scale, glyph.y * scale
            self._raster.transform = (unit, 0, 0, unit, x, y)
            self._raster.draw_glyph(font.of_weight(weight), glyph.number)
            length += glyph.advance
        return length
