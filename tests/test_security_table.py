"""The table of threats names modules that exist, and tests that pytest really runs."""

import re
from importlib import import_module
from inspect import isfunction
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
HEADER = "| threat | control | test that fails if the control goes |"
NOT_RUN = {"skip", "skipif", "xfail"}


def rows() -> list[list[str]]:
    """Return the cells of each row of the table of threats."""
    table = TEXT.partition(HEADER)[2].partition("\n\n")[0].strip().splitlines()[1:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table]


def fault(file: str, name: str) -> str | None:
    """Say why pytest would not run a test of that name, or None."""
    if not (ROOT / "tests" / file).exists():
        return f"there is no tests/{file}"
    # Under the name that pytest gives it, so that nothing is read twice.
    module = import_module(file.removesuffix(".py"))
    test = getattr(module, name, None)
    if not isfunction(test) or test.__module__ != module.__name__:
        return f"tests/{file} has no {name}"
    marks = [*getattr(module, "pytestmark", []), *getattr(test, "pytestmark", [])]
    marked = NOT_RUN & {mark.name for mark in marks}
    return f"tests/{file} marks {name} as {marked}" if marked else None


def test_there_is_a_table() -> None:
    assert len(rows()) > 40
    assert len({threat for threat, *_ in rows()}) == len(rows())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_control_stands_in_a_module_and_is_held_by_a_test(row: list[str]) -> None:
    assert len(row) == 3
    _, control, tests = row
    modules = re.findall(r"`((?:bot|cogs)/[\w./]+)`", control)
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
    assert modules
    assert [module for module in modules if not (ROOT / module).exists()] == []
    assert named
    # Nothing else may stand there that only looks like the name of a test.
    assert ", ".join(f"`{file}::{name}`" for file, name in named) == tests
    assert [said for file, name in named if (said := fault(file, name))] == []
