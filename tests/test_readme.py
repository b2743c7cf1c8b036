"""What the README promises is true of the code."""

import re
from pathlib import Path

import discord

from bot.preflight import AUDIT_RIGHTS
from bot.sandbox.sandbox import Sandbox
from bot.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_invite_link_asks_for_exactly_the_rights_that_check_looks_for() -> None:
    asked = re.search(r"scope=bot\+applications\.commands&permissions=(\d+)", README)
    assert asked is not None
    assert int(asked[1]) == discord.Permissions(**dict.fromkeys(AUDIT_RIGHTS, True)).value
    for spoken in AUDIT_RIGHTS.values():
        assert spoken in README


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE))
    assert {"sandbox", "play", "test", "check", "install"} <= named <= targets


async def test_its_table_of_commands_is_the_one_people_find_in_discord(v5: Sandbox) -> None:
    offered = v5.person("Maya").available_commands(v5.channel("moderators"))
    assert set(re.findall(r"^\| `/(notify \w+)`", README, re.MULTILINE)) == set(offered)


def test_every_module_it_lists_exists_and_none_is_missing() -> None:
    listed = set(re.findall(r"^  (\w+(?:\.py|/)) ", README, re.MULTILINE))
    there = {path.name for path in (ROOT / "bot").glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.name}/" for path in (ROOT / "bot").iterdir() if (path / "__init__.py").exists()}
    assert listed == there


def test_every_setting_stands_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == {
        name.upper() for name in Settings.model_fields
    }
