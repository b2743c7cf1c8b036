"""A database that cannot be used ends a start, and a check, in one sentence that says what to mend."""

import re
import socket
import sqlite3
from contextlib import ExitStack
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from bot.cli import commands
from bot.errors import ConfigurationError
from bot.preflight import Answer, look_at_database
from bot.settings import Settings
from bot.store import Store, sqlite
from tests.conftest import MakeSettings, Postgres
from tests.harness.example import FILLED_IN


def with_database(make_settings: MakeSettings, url: str) -> Settings:
    return make_settings(database_url=SecretStr(url))


def refused_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def assert_one_sentence(said: list[str], mend: str) -> None:
    assert len(said) == 1, said
    assert said[0].startswith("DATABASE_URL: "), said
    assert mend in said[0], said
    assert "\n" not in said[0]


def test_a_check_says_that_the_server_cannot_be_reached(make_settings: MakeSettings) -> None:
    url = f"postgresql+psycopg://herald:fake-password@127.0.0.1:{refused_port()}/herald"
    said = look_at_database(with_database(make_settings, url))
    assert_one_sentence(said, "cannot be reached")
    assert "fake-password" not in said[0]


def test_a_check_says_that_a_file_is_no_database(make_settings: MakeSettings, tmp_path: Path) -> None:
    (tmp_path / "herald.db").write_bytes(b"no database at all, but long enough to be taken for one" * 40)
    said = look_at_database(with_database(make_settings, f"sqlite:///{tmp_path}/herald.db"))
    assert_one_sentence(said, "is not a database that Herald can use")


def test_a_check_says_that_another_program_has_locked_the_file(
    make_settings: MakeSettings, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    foreign = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    foreign.execute("PRAGMA journal_mode = DELETE")
    foreign.execute("BEGIN EXCLUSIVE")
    try:
        said = look_at_database(with_database(make_settings, sqlite_url))
    finally:
        foreign.close()
    assert_one_sentence(said, "is locked by another program")


def test_a_check_says_what_a_start_says_of_a_file_that_cannot_be_written(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.chmod(0o444)
    really = Path.open

    def open_as_nobody(path: Path, mode: str = "r", **options: Any) -> Any:
        # Root may write anywhere.
        if path == file and mode == "ab":
            raise PermissionError(EACCES, "Permission denied")
        return really(path, mode, **options)

    monkeypatch.setattr(Path, "open", open_as_nobody)
    said = look_at_database(with_database(make_settings, sqlite_url))
    assert_one_sentence(said, "herald.db cannot be written (Permission denied): mend its rights")
    with pytest.raises(ConfigurationError) as refused, ExitStack() as stack:
        stack.enter_context(sqlite.opened(make_url(sqlite_url), alone=True))
    assert said == [str(refused.value)]


def test_a_check_makes_no_database_and_finds_nothing_wrong_before_the_first_start(
    make_settings: MakeSettings, tmp_path: Path, postgres: Postgres
) -> None:
    assert look_at_database(with_database(make_settings, f"sqlite:///{tmp_path}/new.db")) == []
    assert not (tmp_path / "new.db").exists()
    name = postgres.new(template="template0")
    assert look_at_database(with_database(make_settings, postgres.url(name))) == []
    postgres.drop(name)


def test_herald_check_ends_with_status_1_if_the_database_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def agree(*_: object) -> tuple[Answer, Answer]:
        return Answer([], []), Answer([], [])

    def no_log(**_: object) -> None:
        """Leave the log of the other tests as it is."""

    (tmp_path / "herald.toml").write_text(FILLED_IN, encoding="utf-8")
    url = f"postgresql+psycopg://herald:fake-password@127.0.0.1:{refused_port()}/herald"
    lines = ("DISCORD_TOKEN=fake-token", "WHOP_API_KEY=fake-whop-key", "WHOP_API=v1", f"DATABASE_URL={url}")
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["herald", "check"])
    monkeypatch.setattr("bot.log.configure", no_log)
    monkeypatch.setattr("bot.cli.checks._ask", agree)
    with pytest.raises(SystemExit) as ended:
        commands.main()
    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert re.search(r"✗ DATABASE_URL: .* cannot be reached", said)
    assert "agree" not in said
    assert "fake-password" not in said


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_a_server_database_that_cannot_keep_every_character_is_refused(
    postgres: Postgres, encoding: str
) -> None:
    options = f"template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    name = postgres.new(template=options)
    with pytest.raises(ConfigurationError) as refused:
        async with Store.open(postgres.url(name)):
            pass
    assert_one_sentence([str(refused.value)], "make a database with ENCODING 'UTF8'")
    assert encoding in str(refused.value)
    postgres.drop(name)
