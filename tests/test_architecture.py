"""The shape of the whole: what no import shows (pyproject.toml holds the rest), and how a broadcast lives."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.broadcast import ENDED, TRANSITIONS, Status
from bot.chat.client import EXTENSIONS

ROOT = Path(__file__).parent.parent
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in ("bot", "cogs")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def test_the_wall_clock_is_read_in_one_place() -> None:
    clock = re.compile(r"(.*\.)?(utcnow|datetime\.now|time\.time)")
    reading = {
        path
        for path, source in SOURCES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and clock.fullmatch(ast.unparse(node.func))
    }
    assert reading == {"bot/clock.py"}


def test_the_client_loads_cogs_by_name_and_each_exists() -> None:
    for extension in EXTENSIONS:
        assert f"{extension.replace('.', '/')}.py" in SOURCES
        assert "async def setup(" in SOURCES[f"{extension.replace('.', '/')}.py"]


def test_no_code_asks_whether_it_is_in_the_sandbox() -> None:
    allowed = {
        "bot/cli/commands.py": "the command",
        "bot/origin.py": "the host of Whop's own sandbox",
    }
    found = {
        path
        for path, source in SOURCES.items()
        if not path.startswith("bot/sandbox/") and any("sandbox" in word.lower() for word in _words(source))
    }
    assert found == set(allowed)


def _words(source: str) -> Iterator[str]:
    """Yield every name and text in the code, without comments and docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.ImportFrom(module=str(name)):
                yield name
            case _:
                pass


# --- the life of a broadcast -----------------------------------------------------------------------

EDGES = {(status, step, target) for status, steps in TRANSITIONS.items() for step, target in steps.items()}
BEFORE_SENDING = (Status.DRAFT, Status.REVIEW, Status.APPROVED, Status.HELD)


def reachable(start: Status) -> set[Status]:
    seen = {start}
    while more := {target for status, _, target in EDGES if status in seen} - seen:
        seen |= more
    return seen


def test_every_status_has_its_row_and_is_reached_from_a_draft() -> None:
    assert set(TRANSITIONS) == reachable(Status.DRAFT) == set(Status)


def test_what_has_ended_stays_ended() -> None:
    assert {Status.SENT, Status.PARTIAL, Status.FAILED, Status.CANCELLED} == ENDED
    assert all(reachable(status) == {status} for status in ENDED)
    assert all(reachable(status) & ENDED for status in Status)


def test_sending_begins_only_from_approved_and_nothing_leads_back_to_it() -> None:
    assert {status for status, _, target in EDGES if target is Status.SENDING} == {Status.APPROVED}
    assert Status.SENDING not in reachable(Status.UNKNOWN)
    assert reachable(Status.SENDING).isdisjoint(BEFORE_SENDING)


def test_approved_is_reached_only_through_review() -> None:
    assert {status for status, _, target in EDGES if target is Status.APPROVED} == {Status.REVIEW}


def test_everything_before_sending_can_be_cancelled_and_nothing_after() -> None:
    assert {status for status, _, target in EDGES if target is Status.CANCELLED} == set(BEFORE_SENDING)
    assert Status.CANCELLED not in reachable(Status.SENDING)


def test_the_picture_of_the_life_is_the_table() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"```mermaid\s+stateDiagram-v2\n(.*?)```", page, re.DOTALL)
    assert block is not None
    drawn = [line.strip() for line in block[1].splitlines() if "-->" in line]
    table = {f"{status} --> {target}: {step}" for status, step, target in EDGES}
    table |= {"[*] --> draft", *(f"{status} --> [*]" for status in ENDED)}
    assert set(drawn) == table
    assert len(drawn) == len(table)


# --- what is in the repository ---------------------------------------------------------------------


def tracked() -> dict[str, str]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    found = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.is_file()
    }
    assert "pyproject.toml" in found
    return found


FORBIDDEN = {
    "a path of one machine": r"(?<![\w.])/(?:work|root)(?=[/\s\"'`:]|$)|/home/[a-z]|/Users/[A-Za-z]",
    "a package index": r"https?://\S*(?:pypi|pythonhosted|/simple\b|artifactory)|--(?:extra-)?index-url[ =]",
    "a Discord token": r"\b[MNO][A-Za-z\d_-]{23,27}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,}",
    "a webhook": r"discord(?:app)?\.com/api/webhooks/\d",
    "a key of a cloud": r"\bAKIA[A-Z\d]{16}\b|\bgh[pousr]_[A-Za-z\d]{36}|\bsk[-_]live[-_][A-Za-z\d]{16}",
    "a Whop key": r"\bapik_[A-Za-z\d]{12}|\bwhsec_[A-Za-z\d]{12}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds_it(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = {path: match[0] for path, text in tracked().items() if (match := pattern.search(text))}
    assert found == {}


def test_nothing_of_an_operator_is_tracked() -> None:
    private = re.compile(r"(^|/)(\.env|herald\.toml)$|\.db(-\w+)?$|(^|/)data/|\.pem$")
    assert [path for path in tracked() if private.search(path)] == []
