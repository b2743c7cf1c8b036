"""What the README and the pages in docs/ promise is true of the code."""

import re
from pathlib import Path

import discord
import pytest

from bot.preflight import AUDIT_RIGHTS, REVIEW_RIGHTS
from bot.sandbox.sandbox import Sandbox
from bot.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
}


def anchors(page: str) -> set[str]:
    """Return what a link can name of a page: each heading, as it is spelt in an address."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 130


def test_the_readme_leads_to_every_page() -> None:
    assert {name for name in PAGES if name != "README.md" and f"]({name}" not in README} == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    dead: list[str] = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", PAGES[name]):
        path, _, heading = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (heading and heading not in anchors(target.read_text("utf-8"))):
            dead.append(link)
    assert dead == []


def test_the_invite_link_asks_for_exactly_the_rights_that_check_looks_for() -> None:
    asked = re.search(r"scope=bot\+applications\.commands&permissions=(\d+)", README)
    assert asked is not None
    assert int(asked[1]) == discord.Permissions(**dict.fromkeys([*AUDIT_RIGHTS, *REVIEW_RIGHTS], True)).value
    for spoken in AUDIT_RIGHTS.values():
        assert spoken in README


def test_every_make_target_that_is_named_exists_and_none_is_kept_quiet() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make (\w+)", "\n".join(PAGES.values()), re.MULTILINE))
    assert {"sandbox", "test"} <= set(re.findall(r"^make (\w+)", README, re.MULTILINE))
    assert named == targets - {"clean"}


def test_nobody_is_told_to_install_what_is_not_ours() -> None:
    told = [arguments for page in PAGES.values() for arguments in re.findall(r"pip install ([^`\n]*)", page)]
    assert told
    assert [one for one in told if not re.fullmatch(r'--editable "\.(\[\w+\])?"', one)] == []


async def test_its_table_of_commands_is_the_one_people_find_in_discord(v5: Sandbox) -> None:
    offered = v5.person("Maya").available_commands(v5.channel("moderators"))
    assert set(re.findall(r"^\| `/(notify [\w ]+)`", README, re.MULTILINE)) == set(offered)


def test_every_module_in_the_picture_exists_and_none_is_missing() -> None:
    drawn = re.findall(r"^  (\w+(?:\.py|/)) ", PAGES["docs/architecture.md"], re.MULTILINE)
    there = {path.name for path in (ROOT / "bot").glob("*.py") if path.name != "__init__.py"}
    there |= {f"{path.name}/" for path in (ROOT / "bot").iterdir() if (path / "__init__.py").exists()}
    assert sorted(drawn) == sorted(there)


def test_every_setting_stands_in_the_example_and_in_the_owners_table() -> None:
    settings = {name.upper() for name in Settings.model_fields}
    example = (ROOT / ".env.example").read_text("utf-8")
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == settings
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGES["docs/operating.md"], re.MULTILINE)) == settings
