"""The `herald` command: its status tells a script what its sentence tells a person."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.database import new_file
from tests.harness.example import EXAMPLE, FILLED_IN

ROOT = Path(__file__).parents[1]
ENV = "DISCORD_TOKEN=fake-discord-token\nWHOP_API_KEY=fake-whop-key\nWHOP_API=v1\n"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def herald(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real command with none of the developer's own variables."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "200"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def write_files(*, env: str = ENV, policy: str = FILLED_IN) -> None:
    Path(".env").write_text(env, encoding="utf-8")
    Path("herald.toml").write_text(policy, encoding="utf-8")


def test_a_start_without_settings_ends_with_one_sentence_and_status_2() -> None:
    done = herald("run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        ".env: there is no such file, and DISCORD_TOKEN, WHOP_API_KEY and WHOP_API are not set:"
        " copy .env.example to it and fill it in.\n"
    )


def test_a_start_with_a_wrong_policy_ends_with_its_sentence_and_makes_no_database() -> None:
    write_files(policy=FILLED_IN.replace('"exp_OurGold"]', '"OurGold"]'))
    done = herald("run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "herald.toml: server “Sunrise Trading”, audience “Gold members”: targets.experiences.1:"
        " write a Whop id that begins with exp_, in quotes.\n"
    )
    assert not Path("data").exists()


def test_a_start_with_an_audience_that_the_generation_cannot_reach_ends_with_status_2() -> None:
    write_files(env=ENV.replace("v1", "v5"))
    done = herald("run")
    assert done.returncode == 2
    assert "targets.team: v5 cannot reach that" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("data").exists()


def test_ids_of_the_example_are_refused_where_sends_go_to_production_and_nowhere_else() -> None:
    write_files(policy=EXAMPLE)
    for command in (("check", "--offline"), ("run",)):
        done = herald(*command)
        assert done.returncode == 2
        assert done.stderr.startswith(
            "herald.toml: server “Sunrise Trading”: 100000000000000001, 100000000000000011, "
        )
        assert done.stderr.endswith(
            " made up, from herald.example.toml, and sends go to production: write your own.\n"
        )
    write_files(policy=FILLED_IN.replace("exp_OurSilver", "exp_ExampleSilver"))
    refused = herald("check", "--offline").stderr
    assert refused.startswith("herald.toml: server “Sunrise Trading”: exp_ExampleSilver: made up")
    write_files(env=f"{ENV}WHOP_BASE_URL=https://sandbox-api.whop.com\n", policy=EXAMPLE)
    assert herald("check", "--offline").returncode == 0


def test_check_offline_accepts_the_examples_and_says_where_sends_would_go() -> None:
    write_files()
    done = herald("check", "--offline")
    assert (done.returncode, done.stderr) == (0, "")
    assert "in order" in done.stdout
    assert "sends go to Whop production (https://api.whop.com)" in done.stdout
    assert "fake-" not in done.stdout
    assert sorted(path.name for path in Path.cwd().iterdir()) == [".env", "herald.toml"]


def test_check_reads_the_files_that_it_is_told_to_read() -> None:
    write_files()
    Path(".env").rename("other.env")
    Path("herald.toml").rename("other.toml")
    done = herald("check", "--offline", "--env-file", "other.env", HERALD_CONFIG="other.toml")
    assert done.returncode == 0, done.stderr
    assert "other.env and other.toml are in order" in done.stdout


@pytest.mark.parametrize("command", ["", "run", "check", "migrate", "sandbox"])
def test_help_is_there_before_anything_is_set_up(command: str) -> None:
    done = herald(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout
    assert list(Path.cwd().iterdir()) == []


def test_an_option_that_does_not_exist_ends_with_status_2_and_no_traceback() -> None:
    done = herald("check", "--ofline")
    assert done.returncode == 2
    assert "No such option: --ofline" in done.stderr
    assert "Traceback" not in done.stderr


# What no command may read that does not use it.
DATABASE = ["sqlalchemy", "alembic", "filelock"]
NETWORK = ["discord", "aiohttp", "prometheus_client"]
SERVER = ["psycopg", "sqlalchemy.dialects.postgresql"]
ELSEWHERE = ["simcord", "bot.sandbox", "pytest"]
UNREAD: dict[str, list[str]] = {
    "--help": [*DATABASE, *NETWORK, *SERVER, *ELSEWHERE, "pydantic", "structlog", "bot.app", "bot.store"],
    "run --help": [*DATABASE, *NETWORK, *SERVER, *ELSEWHERE, "structlog", "bot.app", "bot.store"],
    "check --offline": [*DATABASE, *NETWORK, *SERVER, *ELSEWHERE, "bot.app", "bot.store"],
    "audit verify --file export.jsonl": [*DATABASE, *NETWORK, *SERVER, *ELSEWHERE, "bot.app", "bot.settings"],
    "audit verify": [*NETWORK, *SERVER, *ELSEWHERE, "alembic", "bot.app"],
    "migrate": [*NETWORK, *SERVER, *ELSEWHERE, "alembic", "bot.app"],
    "freeze why": ["discord", "prometheus_client", *SERVER, *ELSEWHERE, "alembic", "bot.app"],
    "run": ["prometheus_client", *SERVER, *ELSEWHERE, "alembic", "typer.rich_utils", "bot.preflight"],
    "worker": ["prometheus_client", *SERVER, *ELSEWHERE, "alembic", "cogs", "bot.preflight"],
}
# What is logged once a process that goes on has everything.
UNTIL = {"run": "Discord is out of reach", "worker": "Whop's idempotency keys"}
OUT_OF_REACH = """\
import sys
sys.argv[0] = "herald"
if sys.argv[1:] == ["run"]:
    import discord.http
    discord.http.Route.BASE = "http://127.0.0.1:1/api/v10"
from bot.cli.commands import main
main()
"""


def read_by(*arguments: str) -> set[str]:
    """Return the modules that a command reads, up to when it waits for Discord or for work."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", OUT_OF_REACH, *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "HEALTH_ADDRESS": "127.0.0.1:0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        read: set[str] = set()
        told: list[str] = []
        for line in process.stderr:
            if line.startswith("import time:"):
                read.add(line.rpartition("|")[2].strip())
                continue
            told.append(line)
            if UNTIL.get(arguments[0], "\n\n") in line:
                process.terminate()
    assert process.returncode == 0, "".join(told)
    return read


@pytest.mark.parametrize("command", UNREAD)
def test_a_command_reads_nothing_that_it_does_not_use(command: str) -> None:
    write_files()
    Path("data").mkdir()
    new_file(Path("data"))
    assert herald("audit", "export", "--output", "export.jsonl").returncode == 0
    read = read_by(*command.split())
    needless = {name for name in read for other in UNREAD[command] if f"{name}.".startswith(f"{other}.")}
    assert needless == set()
