"""Taking one of what was found, and saying what was found where that cannot be done."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


def only(found: Iterable[T]) -> T:
    """Return the one that was found; fail with all of them if there are none or several."""
    __tracebackhide__ = True
    everything = list(found)
    if len(everything) != 1:
        pytest.fail(f"one was expected, and {len(everything)} were found: {everything!r}")
    return everything[0]


def last(found: Sequence[T]) -> T:
    """Return the last of those that were found; fail if there are none."""
    __tracebackhide__ = True
    if not found:
        pytest.fail("at least one was expected, and none was found")
    return found[-1]
