"""`herald audit`: its status tells a script whether the record is whole, and its sentences tell people."""

import asyncio
import csv
import sqlite3
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Protocol

import pytest

from bot.audit.chain import chain
from bot.audit.export import from_json, to_json
from bot.audit.words import spoken
from bot.cli.commands import main
from bot.notification import Notification, Text
from bot.store import Store
from bot.value import Person
from tests.harness.example import FILLED_IN
from tests.test_audit import NOW, make_entry

GUILD = 104900000000000001
OTHER = 104900000000000777


class Herald(Protocol):
    """Run a command; return its status and what it wrote to standard output and error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def herald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Herald:
    monkeypatch.chdir(tmp_path)
    Path("herald.toml").write_text(FILLED_IN, encoding="utf-8")
    Path(".env").write_text("DISCORD_TOKEN=fake-token\nWHOP_API_KEY=fake-whop-key\nWHOP_API=v1\n")
    asyncio.run(_fill("sqlite:///data/herald.db"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["herald", "audit", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


async def _fill(url: str) -> None:
    async with Store.open(url) as store:
        with store.begin() as tx:
            draft = tx.broadcasts.add(
                guild_id=GUILD, author=Person(7, "Maya"), audience="Gold members",
                notification=Notification(topic="t", all=Text(subject="s", content="c")),
                fingerprint="a" * 64, origin_channel_id=5, at=NOW,
            )  # fmt: skip
            for number, name in enumerate(["Maya", "Omar", "=cmd|' /C calc'!A0"]):
                tx.audit.append(
                    make_entry(
                        number,
                        guild_id=GUILD,
                        actor=Person(7 + number, name),
                        broadcast_id=draft.id if number else None,
                    )
                )
            tx.audit.append(make_entry(0, guild_id=OTHER, proof="00000000"))


def spoil(statement: str) -> None:
    with closing(sqlite3.connect("data/herald.db", isolation_level=None)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute(statement)


def test_a_whole_record_ends_with_status_0_and_a_broken_one_with_1_naming_the_line(herald: Herald) -> None:
    status, said, _ = herald("verify")
    assert status == 0
    assert "Sunrise Trading: 3 line(s), none changed, removed, put in or moved. The last is 3:" in said
    assert f"server {OTHER}: 1 line(s)" in said
    assert "--anchor" in said
    spoil(f"UPDATE audit_events SET detail = 'x' WHERE sequence = 2 AND guild_id = {GUILD}")
    status, said, _ = herald("verify")
    assert status == 1
    assert "✗ Sunrise Trading: line 2: it was changed after it was written.\n" in said
    assert f"✓ server {OTHER}" in said
    assert herald("verify", "--server", str(OTHER))[0] == 0
    assert herald("verify", "--server", "sunrise trading")[0] == 1


def test_the_anchors_it_prints_find_what_was_cut_off_in_any_server(herald: Herald) -> None:
    status, printed, _ = herald("anchor")
    assert status == 0
    anchors = [part for line in printed.splitlines() for part in ("--anchor", line)]
    assert len(anchors) == 4
    assert "--anchor" not in herald("verify", *anchors)[1]
    assert herald("verify", *anchors)[0] == 0
    spoil(f"DELETE FROM audit_events WHERE guild_id = {OTHER}")
    assert herald("verify")[0] == 0
    status, said, _ = herald("verify", *anchors)
    assert status == 1
    assert f"No line that holds is {anchors[3].split()[0]}: the record was cut off before it" in said


def test_a_record_that_was_emptied_beside_what_it_should_tell_ends_with_status_1(herald: Herald) -> None:
    spoil("DELETE FROM audit_events")
    status, said, _ = herald("verify")
    assert (status, said) == (1, "✗ Sunrise Trading: no line tells what happened last to #1.\n")
    spoil("DELETE FROM revisions")
    spoil("DELETE FROM broadcasts")
    status, said, _ = herald("verify")
    assert (status, said.splitlines()[0]) == (0, "- There is no line to verify.")


def test_an_excerpt_with_a_digest_that_was_computed_anew_is_never_called_whole(herald: Herald) -> None:
    herald("export", "--output", "some.jsonl", "--person", "8")
    header, line = Path("some.jsonl").read_text("ascii").splitlines()
    old = from_json(line)
    new = make_entry(1, guild_id=old.guild_id, actor=Person(old.actor_id, "Lena"), broadcast_id=1)
    forged = chain(new, previous=None, above=old.sequence - 1)
    Path("some.jsonl").write_text(f"{header}\n{to_json(forged.stored)}\n", "ascii")
    status, said, _ = herald("verify", "--file", "some.jsonl")
    assert status == 3
    assert "Whoever can write the file can change a line and compute its digest anew" in said
    assert "none changed" not in said


def test_an_export_is_verified_without_the_database(herald: Herald) -> None:
    assert herald("export", "--output", "all.jsonl") == (0, "", "✓ 4 line(s) written to all.jsonl.\n")
    spoil("DELETE FROM audit_events")
    Path("herald.toml").unlink()
    Path(".env").unlink()
    status, said, _ = herald("verify", "--file", "all.jsonl")
    assert status == 0
    assert "✓ Sunrise Trading: 3 line(s), none changed, removed, put in or moved" in said
    lines = Path("all.jsonl").read_text().splitlines(keepends=True)
    Path("all.jsonl").write_text("".join(lines[:-1]))
    assert herald("verify", "--file", "all.jsonl")[0] == 1
    Path("all.jsonl").write_text("".join([*lines[:2], lines[2].replace("Omar", "Lena"), *lines[3:]]))
    status, said, _ = herald("verify", "--file", "all.jsonl")
    assert status == 1
    assert "✗ Sunrise Trading: line 2: it was changed" in said
    Path("all.jsonl").write_text("".join([*lines[:2], "{}\n"]))
    status, said, _ = herald("verify", "--file", "all.jsonl")
    assert status == 1
    assert "all.jsonl, line 3 of the file: it was changed" in said


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["--person", "oMA"], [2]),
        (["--person", "8"], [2]),
        (["--person", "<@8>"], [2]),
        (["--person", "100%"], []),
        (["--audience", "Gold members"], [2, 3]),
        (["--since", "2026-11-23", "--until", "2026-11-23"], [1, 2, 3, 1]),
        (["--since", "2026-11-24"], []),
        (["--until", "2026-11-22"], []),
        (["--proof", "abcd1234"], [1, 2, 3]),
        (["--broadcast", "#1"], [2, 3]),
        (["--server", str(OTHER)], [1]),
    ],
)
def test_filters_choose_the_lines_and_an_excerpt_says_that_it_is_one(
    herald: Herald, filters: list[str], numbers: list[int]
) -> None:
    status, table, _ = herald("export", "--format", "csv", "--output", "-", *filters)
    rows = list(csv.DictReader(StringIO(table.removeprefix("\ufeff"), newline="")))
    assert (status, [int(row["number"]) for row in rows]) == (0, numbers)
    assert not any(cell.startswith("=") for row in rows for cell in row.values())
    assert {row["what"] for row in rows} <= {spoken(make_entry().action)}
    herald("export", "--output", "some.jsonl", *filters)
    status, said, _ = herald("verify", "--file", "some.jsonl")
    excerpt = "--server" not in filters
    assert status == (3 if excerpt else 0)
    assert ("is an excerpt" in said, "none changed" in said) == (excerpt, not excerpt)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("verify --server Nobody", "--server: there is no server “Nobody”: write one of “Sunrise Trading”"),
        ("verify --anchor 12", "--anchor: “12” is no anchor: write what `herald audit anchor` printed"),
        ("verify --file no.jsonl", "--file: no.jsonl cannot be read (No such file or directory)"),
        ("verify --file .env", "--file: .env does not begin as an export does"),
        ("verify --file .env --server X", "leave out --server or --file"),
        ("verify --file .env --mirror", "leave out --mirror or --file"),
        ("export --output .env", "--output: .env exists already: name another file, or add --force"),
        ("export --output x --since tomorrow", "since: “tomorrow” is not understood: write a date such as"),
        ("export --output x --since 2026-02-30", "since: “2026-02-30” is not understood"),
        ("export --output x --until 9999-12-31", "until: “9999-12-31” is not understood"),
        ("export --output x --since 2026-11-03 --until 2026-11-01", "until: it lies before since"),
        ("export --output x --proof 12", "proof: “12” is not understood: write the eight characters"),
        ("export --output x --broadcast one", "broadcast: “one” is not understood: write its number"),
        ("export --output x --audience Nobody", "audience: there is no “Nobody”: choose one of them (“"),
        ("verify --env-file no.env", "no.env: there is no such file"),
    ],
)
def test_each_mistake_is_one_sentence_with_status_2_and_leaves_no_file(
    herald: Herald, arguments: str, sentence: str
) -> None:
    status, said, error = herald(*arguments.split())
    assert (status, said) == (2, "")
    assert sentence in error
    assert error.count("\n") == 1
    assert not Path("x").exists()
    assert sorted(path.name for path in Path.cwd().iterdir()) == [".env", "data", "herald.toml"]
