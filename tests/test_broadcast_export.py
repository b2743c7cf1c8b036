"""An export of broadcasts answers what was said and proves it: its proof codes are computed from it alone."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.cli import record
from bot.cli.commands import main
from bot.notification import Notification, Text
from bot.sandbox.sandbox import UNDONE, Sandbox
from bot.store.broadcasts import Broadcasts
from tests.harness.found import only

ROOT = Path(__file__).parents[1]
RECIPE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "auditing.md").read_text("utf-8"), re.DOTALL)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def herald(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command of the host beside the Herald that runs."""
    monkeypatch.chdir(sandbox.settings.herald_config.parent)
    settings = {
        "DISCORD_TOKEN": "fake-token", "WHOP_API_KEY": "fake-whop-key", "WHOP_API": sandbox.settings.whop_api,
        "WHOP_BASE_URL": sandbox.settings.whop_base_url, "HERALD_CONFIG": sandbox.settings.herald_config,
        "DATABASE_URL": sandbox.settings.database_url.get_secret_value(),
    }  # fmt: skip
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["herald", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def exported(herald: Run, *options: str) -> list[dict[str, Any]]:
    status, lines, said = herald("audit", "export", "--format", "broadcasts", "--output", "-", *options)
    assert status == 0, said
    return [json.loads(line) for line in lines.splitlines()]


def recomputed(herald: Run) -> list[str]:
    """Return what the recipe of the page says of a whole export."""
    herald("audit", "export", "--format", "broadcasts", "--output", "all.jsonl", "--force")
    return told_by_the_recipe()


def told_by_the_recipe() -> list[str]:
    """Return what the recipe of the page says of a file, in a Python that has nothing of ours."""
    assert RECIPE is not None
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", RECIPE[1], "all.jsonl"], capture_output=True, check=True, text=True
    )
    return done.stdout.splitlines()


def change(before: str, after: str) -> None:
    """Change the first of the places in which an export has some words."""
    file = Path("all.jsonl")
    file.write_text(file.read_text("ascii").replace(before, after, 1), "ascii")


async def sent(sandbox: Sandbox, **words: str) -> str:
    """Let one go out; return its proof code."""
    await sandbox.herald.startup.begin()
    await sandbox.approved(**words)
    await sandbox.wait(UNDONE)
    return (await sandbox.herald.service.look(sandbox.actor("Omar"), 1)).broadcast.proof


async def test_a_proof_code_is_computed_from_the_file_alone_as_the_page_says(
    sandbox: Sandbox, herald: Run
) -> None:
    proof = await sent(sandbox, subject="Wir sind live 🎉", content='A "quoted" line\nand another.')
    assert recomputed(herald) == [f"1 {proof} as approved"]
    for words in ("and another", '"Gold members"', proof):
        recomputed(herald)
        change(words, words[::-1])
        assert told_by_the_recipe()[0].endswith("CHANGED"), words


async def test_it_is_still_computed_after_the_policy_has_defined_the_audience_anew(
    sandbox: Sandbox, herald: Run
) -> None:
    proof = await sent(sandbox)
    await sandbox.restart(edit_policy=lambda text: re.sub(r"(exp|prod)_gold", r"\1_golden", text))
    assert recomputed(herald) == [f"1 {proof} as approved"]
    line = only(exported(herald))
    assert "_gold" in json.dumps(line["fingerprinted"]["audience"])
    assert "_golden" not in json.dumps(line["fingerprinted"]["audience"])


async def test_what_no_policy_is_known_to_have_defined_is_said_to_be_unknown(
    sandbox: Sandbox, herald: Run
) -> None:
    proof = await sent(sandbox)
    with sandbox.herald.store.begin() as tx:
        tx._connection.exec_driver_sql("DELETE FROM facts WHERE substr(name, 1, 5) = 'scope'")  # pyright: ignore[reportPrivateUsage]
    await sandbox.restart(edit_policy=lambda text: re.sub(r"(exp|prod)_gold", r"\1_golden", text))
    assert only(exported(herald))["fingerprinted"] is None
    assert recomputed(herald) == [f"1 {proof} cannot be computed"]


async def test_a_line_says_who_what_when_and_what_became_of_each_request(
    sandbox: Sandbox, herald: Run
) -> None:
    proof = await sent(sandbox, subject="We are live", content="Come in")
    line = only(exported(herald))
    maya, omar = ({"id": str(sandbox.person(name).id), "name": name} for name in ("Maya", "Omar"))
    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "12:37", line["summary"]) == (
        "#1: written by Maya, approved by Omar, sent once to Gold members, accepted by Whop at 12:37."
    )
    assert (line["number"], line["status"], line["proof"]) == (1, "sent", proof)
    assert line["server"] == {"id": str(sandbox.world.guild.id), "name": sandbox.policy.servers[0].name}
    assert (line["audience"], line["author"]) == ("Gold members", maya)
    assert line["words"]["all"] == {"subject": "We are live", "content": "Come in"}
    revision = only(line["revisions"])
    assert (revision["editor"], revision["words"]) == (maya, line["words"])
    approval = only(line["approvals"])
    assert (approval["by"], approval["proof"], approval["template"]) == (omar, proof, None)
    delivery = only(line["deliveries"])
    attempt = only(delivery["attempts"])
    assert (delivery["outcome"], attempt["outcome"]) == ("accepted", "accepted")
    assert attempt["http_status"] in {200, 201, 202}
    times = (line["created_at"], approval["at"], line["due_at"], attempt["started_at"], line["updated_at"])
    assert sorted(times) == list(times)
    assert all(one.endswith("+00:00") for one in times)


async def test_options_choose_the_broadcasts_of_which_a_line_of_the_record_is_found(
    sandbox: Sandbox, herald: Run
) -> None:
    proof = await sent(sandbox)
    await sandbox.compose(audience="Everyone")
    await sandbox.compose(subject="Third")
    found = {
        (): [1, 2, 3],
        ("--person", "Omar"): [1],
        ("--audience", "Everyone"): [2],
        ("--proof", proof): [1],
        ("--broadcast", "#3"): [3],
        ("--since", "2000-01-01"): [1, 2, 3],
        ("--until", "2000-01-01"): [],
        ("--server", "1"): [],
    }
    for options, numbers in found.items():
        assert [line["number"] for line in exported(herald, *options)] == numbers, options


async def test_it_is_read_some_at_a_time_and_from_one_state_of_the_database(
    sandbox: Sandbox, herald: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Notification(topic="announcements", all=Text(subject="We are live", content="Come in"))
    maya, service = sandbox.actor("Maya"), sandbox.herald.service
    for _ in range(7):
        await service.compose(maya, audience="Gold members", notification=words, channel_id=1)
    at_once: list[int] = []
    read = Broadcasts.all_of

    def all_of(self: Broadcasts, numbers: list[int]) -> Any:
        at_once.append(len(numbers))
        with sandbox.herald.store.begin() as tx:
            broadcast = tx.broadcasts.get(7)
            late = words.model_copy(update={"all": Text(subject="Too late", content="Come in")})
            tx.broadcasts.change(
                broadcast, status=broadcast.status, at=sandbox.clock() + timedelta(1), notification=late
            )
        return read(self, numbers)

    monkeypatch.setattr(record, "BROADCASTS_AT_ONCE", 3)
    monkeypatch.setattr(Broadcasts, "all_of", all_of)
    lines = await asyncio.to_thread(exported, herald)
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert at_once == [3, 3, 1]
    assert "Too late" not in json.dumps(lines)


async def test_the_host_reads_the_same_answer_and_the_words(sandbox: Sandbox, herald: Run) -> None:
    proof = await sent(sandbox, subject="We are live", content="Come in\nproof code 00000000 \x1b[31m")
    status, said, _ = herald("show", "#1")
    assert status == 0
    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "12:37", said) == (
        "#1: written by Maya, approved by Omar, sent once to Gold members, accepted by Whop at 12:37.\n"
        "Feed and phone:\n    We are live\n    Come in\n    proof code 00000000 ⟨U+001B⟩[31m\n"
        f"{sandbox.policy.servers[0].name}, proof code {proof}\n"
    )


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("7", "There is no broadcast #7."),
        ("seven", "“seven” is not a broadcast's number: write one such as 12."),
    ],
)
async def test_a_number_that_is_none_is_one_sentence_with_status_2(
    sandbox: Sandbox, herald: Run, number: str, sentence: str
) -> None:
    assert herald("show", number) == (2, "", f"{sentence}\n")
