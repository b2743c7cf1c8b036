"""The story that `make play` plays, and what it leaves behind."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bot.cli.commands import cli
from bot.errors import ConfigurationError
from bot.sandbox.play import play_story
from bot.sandbox.sandbox import API_KEY
from bot.sandbox.whop import Fault, SimulatedWhop


async def test_the_story_ends_as_told_and_keeps_what_was_asked_for(tmp_path: Path) -> None:
    record, data = tmp_path / "exchanges.jsonl", tmp_path / "data"

    assert await play_story(record=record, data=data)

    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    assert [set(line) for line in lines] == [
        {"method", "url", "headers", "body", "status", "response"}
    ] * len(lines)
    assert [(line["url"].split("/api/")[1], line["status"]) for line in lines] == [
        ("v5/app/notifications", 201),
        ("v5/app/notifications", 400),
        ("v1/notifications", 202),
        ("v1/notifications", 400),
    ]
    assert API_KEY not in record.read_text("utf-8")
    assert all(line["headers"]["Authorization"] == "Bearer ***" for line in lines)
    with closing(sqlite3.connect(data / "herald.db")) as kept:
        assert kept.execute("SELECT status FROM broadcasts ORDER BY id").fetchall() == [
            ("sent",),
            ("failed",),
            ("sent",),
            ("failed",),
        ]


async def test_the_story_fails_when_something_did_not_end_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # A Whop that is never in a bad mood: the rejection that the story tells of does not happen.
    def ignore(_whop: SimulatedWhop, _fault: Fault) -> None:
        return

    monkeypatch.setattr(SimulatedWhop, "fail_next", ignore)
    assert not await play_story()


def test_the_sandbox_reads_neither_env_file_nor_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DISCORD_TOKEN=real-token\nWHOP_API=nonsense\n")
    environment = os.environ | {"WHOP_BASE_URL": "https://api.whop.com", "WHOP_API_KEY": "real-key"}
    played = subprocess.run(
        [sys.executable, "-m", "bot", "sandbox", "--play"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    assert "Everything ended as told." in played.stdout
    assert "real-" not in played.stdout + played.stderr
    assert "api.whop.com" not in played.stdout


def refused(*options: str) -> str:
    """Return what a sandbox with these options is refused with."""
    ended = subprocess.run(
        [sys.executable, "-m", "bot", "sandbox", *options], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    return ended.stderr


def test_a_data_folder_that_is_not_empty_is_refused_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    assert refused("--play", "--data", str(tmp_path)) == (
        f"--data: {tmp_path} is not an empty folder: name a new one.\n"
    )


@pytest.mark.parametrize("port", ["99999", "-1", "eighty", ""])
def test_what_is_no_port_is_refused_with_one_sentence(port: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"^--port: {port!r} is no port: name a number from 0 to 65535.$"
    ):
        cli(["sandbox", "--port", port])


def test_a_busy_port_is_refused_with_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert refused("--port", port) == (
            f"--port: {port} cannot be used (Address already in use): name another, or 0 for a free one.\n"
        )
