"""How figures are told: the median, the spread, and a ratio to a named baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

NONE: Final = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    spread: str = NONE
    ratio: str = NONE


def row(what: str, values: Sequence[float], unit: str, *, ratios: Sequence[float] = ()) -> Row:
    """Return a line with the median of several measurements and the lowest and highest of them."""
    return Row(
        what=what,
        figure=f"{_short(median(values))} {unit}",
        spread=f"{_short(min(values))} … {_short(max(values))}",
        ratio=f"× {_short(median(ratios))}" if ratios else NONE,
    )


def latency(what: str, seconds: Sequence[float], *, base: float | None = None, of: str = "sends") -> Row:
    """Return a line with the median and the 99th percentile in milliseconds."""
    middle = median(seconds)
    high = quantiles(seconds, n=100, method="inclusive")[98]
    return Row(
        what=f"{what}, {len(seconds)} {of}",
        figure=f"p50 {_short(middle * 1000)} ms, p99 {_short(high * 1000)} ms",
        spread=f"{_short(min(seconds) * 1000)} … {_short(max(seconds) * 1000)}",
        ratio=f"× {_short(middle / base)}" if base else NONE,
    )


def over(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Return each round's ratio: what disturbs a whole round then disturbs both sides of it."""
    return [value / other for value, other in zip(values, base, strict=True)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
