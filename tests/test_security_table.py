"""The table of threats names tests that exist, and modules that do."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
HEADER = "| threat | control | test that fails if the control goes |"


def rows() -> list[list[str]]:
    """Return the cells of each row of the table of threats."""
    table = TEXT.partition(HEADER)[2].partition("\n\n")[0].strip().splitlines()[1:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table]


@cache
def names_in(file: str) -> set[str]:
    path = ROOT / "tests" / file
    assert path.exists(), f"there is no tests/{file}"
    defined = ast.walk(ast.parse(path.read_text("utf-8")))
    return {node.name for node in defined if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


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
    assert [name for file, name in named if name not in names_in(file)] == []
