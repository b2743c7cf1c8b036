"""Rows as a spreadsheet reads them, in which nothing that people typed is a formula. Pure."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Final

import regex

# What a spreadsheet takes for the beginning of a formula, in wide letters and behind what it passes over too;
# where lists are written with semicolons, it begins a cell behind each of them.
_FORMULA: Final = regex.compile(
    r"(^|[;\t\r\n])(?=[\p{C}\p{Z}]*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[\t\r\n])"
)


def to_csv(rows: Iterable[Sequence[object]]) -> str:
    """Return the rows as a CSV file whose every cell is what it says."""
    text = StringIO(newline="")
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: object) -> object:
    return _FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell
