"""The shape of the whole: which part may know which, and where a broadcast can go."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
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

# Who may import what, and why. A path that ends with a slash is a folder.
MAY_IMPORT: Mapping[str, Mapping[str, str]] = {
    "discord": {
        "cogs/": "what people see and press",
        "bot/client.py": "the Discord client itself",
        "bot/announcer.py": "posts to channels and knows Discord's errors",
        "bot/channel.py": "reads channels and knows Discord's errors",
        "bot/check.py": "asks Discord whether the policy's ids exist",
        "bot/sandbox/": "the simulated Discord",
    },
    "aiohttp": {
        "bot/whop/transport.py": "the one place that sends bytes to Whop",
        "bot/health.py": "serves the health page",
        "bot/announcer.py": "knows how a post to Discord fails",
        "bot/channel.py": "knows how reading a channel fails",
        "bot/client.py": "knows how a connection to Discord fails",
        "bot/check.py": "knows how a question to Discord fails",
        "bot/sandbox/": "the simulated Whop and its page",
    },
    "sqlalchemy": {
        "bot/store/": "the only place that speaks SQL",
        "bot/settings.py": "takes DATABASE_URL apart",
    },
    "alembic": {"bot/store/": "the migrations"},
    "prometheus_client": {"bot/metrics.py": "the one page that is scraped"},
    "aiosqlite": {},
    "psycopg": {},
    "simcord": {"bot/sandbox/": "the simulated Discord"},
    "typer": {
        "bot/__main__.py": "the command line",
        "bot/audit_commands.py": "the commands about the record",
    },
    "structlog": {
        "bot/log.py": "the one pipeline",
        "bot/announcer.py": "logs what Discord does not take",
        "bot/app.py": "logs the stop",
        "bot/client.py": "logs faults",
        "bot/dispatcher.py": "logs each attempt",
        "bot/health.py": "logs why there are no metrics",
        "bot/watcher.py": "logs what was tampered with",
        "bot/service/gate.py": "logs who acted, with the proof code",
        "bot/startup.py": "logs why it begins frozen",
    },
    "bot.sandbox": {"bot/__main__.py": "herald sandbox", "bot/sandbox/": "itself"},
    "cogs": {"cogs/": "itself"},
    "bot.app": {"bot/__main__.py": "starts it", "bot/sandbox/": "starts it between two simulations"},
}

# What the pure part may know of the rest of Herald; of the outside world it knows only these.
PURE: Mapping[str, set[str]] = {
    "bot/errors.py": set(),
    "bot/clock.py": set(),
    "bot/broadcast.py": set(),
    "bot/delivery.py": {"bot.broadcast"},
    "bot/freeze.py": {"bot.broadcast"},
    "bot/audit.py": {"bot.broadcast"},
    "bot/mirror.py": {"bot.audit.chain"},
    "bot/search.py": {"bot.broadcast", "bot.errors"},
    "bot/policy.py": set(),
    "bot/template.py": {"bot.broadcast", "bot.errors", "bot.policy.model"},
    "bot/policy_file.py": {"bot.errors", "bot.policy.model"},
    "bot/permissions.py": {"bot.broadcast", "bot.policy.model"},
}
PURE_LIBRARIES = {
    "collections", "dataclasses", "datetime", "difflib", "enum", "functools", "hashlib", "json", "pathlib",
    "pydantic", "re", "regex", "tomllib", "time", "types", "typing", "unicodedata",
}  # fmt: skip


def imports(source: str) -> Iterator[str]:
    """Yield the dotted name of everything that the source imports, at whatever depth."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            assert node.module is not None
            yield node.module
            # `from bot import log` imports the module bot.log.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def belongs(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def importers(package: str) -> set[str]:
    return {
        path for path, source in SOURCES.items() if any(belongs(name, package) for name in imports(source))
    }


def covered(path: str, places: Mapping[str, str]) -> bool:
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_only_those_with_a_reason_import_it(package: str) -> None:
    places = MAY_IMPORT[package]
    found = importers(package)
    assert {path for path in found if not covered(path, places)} == set()
    idle = {place for place in places if not any(covered(path, {place: ""}) for path in found)}
    assert idle == set(), "strike them from the list"


@pytest.mark.parametrize("path", PURE)
def test_the_core_knows_nothing_of_the_outside(path: str) -> None:
    modules = {name for name in imports(SOURCES[path]) if f"{name.replace('.', '/')}.py" in SOURCES}
    assert modules <= PURE[path]
    assert {name.split(".")[0] for name in imports(SOURCES[path])} - {"bot"} <= PURE_LIBRARIES


def test_the_adapters_to_whop_do_no_io() -> None:
    for path in ("bot/whop/gateway.py", "bot/whop/v1.py", "bot/whop/v5.py"):
        names = {name.split(".")[0] for name in imports(SOURCES[path])}
        assert names.isdisjoint({"asyncio", "aiohttp", "discord", "os", "socket", "sqlalchemy", "time"})


def test_the_service_the_dispatcher_and_the_lookout_know_no_edge() -> None:
    for path, source in SOURCES.items():
        if not covered(path, {"bot/service/": "", "bot/dispatcher.py": "", "bot/watcher.py": ""}):
            continue
        for name in imports(source):
            assert not any(
                belongs(name, edge) for edge in ("bot.chat.client", "bot.chat.announcer", "bot.settings")
            )


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
        "bot/__main__.py": "the command",
        "bot/settings.py": "the host of Whop's own sandbox",
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


def test_the_picture_in_the_readme_is_the_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```mermaid\s+stateDiagram-v2\n(.*?)```", readme, re.DOTALL)
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
