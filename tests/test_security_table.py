"""The tables of threats and of promises name modules that exist, and tests that pytest really runs."""

import re
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
THREATS = ("security.md", "| threat | control | test that fails if the control goes |")
PROMISES = ("architecture.md", "| promise | what it means | tests that hold it |")
NOT_RUN = {"skip", "skipif", "xfail"}


def rows(page: str, header: str) -> list[list[str]]:
    """Return the cells of each row of a table in docs/."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    table = text.partition(header)[2].partition("\n\n")[0].strip().splitlines()[1:]
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
    marks = [*_listed(getattr(module, "pytestmark", [])), *getattr(test, "pytestmark", [])]
    marked = NOT_RUN & {mark.name for mark in marks}
    return f"tests/{file} marks {name} as {marked}" if marked else None


def _listed(marks: Any) -> list[Any]:
    # Of a module pytest takes a single mark as well as several.
    return [marks] if isinstance(marks, pytest.MarkDecorator) else [*marks]


def faults(cell: str) -> list[str]:
    """Say what is wrong with a cell that names tests and nothing else."""
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", cell)
    # Nothing else may stand there that only looks like the name of a test.
    if not named or ", ".join(f"`{file}::{name}`" for file, name in named) != cell:
        return [f"{cell} is no list of tests"]
    return [said for file, name in named if (said := fault(file, name))]


def test_there_is_a_table_of_threats() -> None:
    assert len(rows(*THREATS)) > 40
    assert len({threat for threat, *_ in rows(*THREATS)}) == len(rows(*THREATS))


def test_there_are_thirteen_promises() -> None:
    assert [promise.partition(".")[0] for promise, *_ in rows(*PROMISES)] == [str(n) for n in range(1, 14)]


@pytest.mark.parametrize("row", rows(*THREATS), ids=lambda row: row[0])
def test_every_control_stands_in_a_module_and_is_held_by_a_test(row: list[str]) -> None:
    _, control, tests = row
    modules = re.findall(r"`((?:bot|cogs)/[\w./]+)`", control)
    assert modules
    assert [module for module in modules if not (ROOT / module).exists()] == []
    assert faults(tests) == []


@pytest.mark.parametrize("row", rows(*PROMISES), ids=lambda row: row[0])
def test_every_promise_is_held_by_tests(row: list[str]) -> None:
    _, _, tests = row
    assert faults(tests) == []
