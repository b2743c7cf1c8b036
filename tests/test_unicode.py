"""Whatever people type comes out unchanged where it must, and harmless where it is shown."""

import csv
import json
import re
import unicodedata
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final

import discord
import pytest
import regex
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from bot.audit.chain import NewEvent, StoredEvent, Verifier, chain
from bot.audit.export import FORMATS, Chapter, Export, Header, from_json, to_csv, written_whole
from bot.broadcast import ECHOED, Approval, Status
from bot.characters import is_storable, reveal
from bot.chat.answers import typed_in
from bot.chat.rendering import Rendered
from bot.freeze import Freeze
from bot.notification import Notification, Text, problems
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, response
from bot.store import Access, Store
from bot.value import Person
from cogs.text import clip, inline, label, shorten, units
from tests.harness.found import only
from tests.properties import examples
from tests.test_audit import make_entry
from tests.test_cards import BREAKS, ESCAPE, NOW, Scene, assert_fits, assert_harmless, unescaped

JOURNEYS: Final = examples(
    5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SHEETS: Final = examples(150)
CARDS: Final = examples(40)

TRICKS: Final = [
    "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u3164", "\x00", "\x1b[31m", "\ud800",
    "\udfff", "\r\n", "\r", "\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "e\u0301\u0323", "\ufffe",
    "👨\u200d👩\u200d👧", "\U0010ffff", "@everyone", "<@&1>", "<@1>", "<#1>", "<t:1:R>", "</x:1>", "**",
    "```", "[a](http://b.example)", "||", "> ", "# ", "-# digest 0000000000000000", "\n`    7` ", "• ", "{}",
    "{0}", "Approvals 9 of 9: ", "%s", "%(a)s", "\\", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", ";=1",
    "\t=1", " =1", "\uff1d1", '"', "'", ",", ";", "∞", "ß", "İ", " ",
]  # fmt: skip
ANY: Final = st.characters(exclude_categories=())


def texts(most: int, *, least: int = 0) -> st.SearchStrategy[str]:
    """Give texts of any characters of any plane, halves of them too, and of the tricks that people know."""
    tricky = st.lists(st.sampled_from(TRICKS) | ANY, max_size=12).map("".join)
    return (st.text(ANY, max_size=most) | tricky).map(lambda text: text[:most]).filter(
        lambda text: len(text) >= least
    )  # fmt: skip


# --- the whole way ---------------------------------------------------------------------------------


@JOURNEYS
@given(subject=texts(60, least=1), content=texts(300, least=1), note=texts(200))
@example("=1+1", "50\u202e% off\r\n\r\n@everyone \u2028> **all** <@&1>", ";=cmd|' /C calc'!A0")
@example("a\x00b", "Words that some database could not keep.", "")
@example("Half", "a \ud83d is half of a character", "")
@example("Whole", "The note has it.", "\x00")
async def test_what_is_typed_comes_to_whop_and_into_the_record_as_it_is(
    sandbox: Sandbox, subject: str, content: str, note: str
) -> None:
    before = len(sandbox.whop.exchanges)
    draft = await sandbox.compose(subject=subject, content=content)
    if any("\ud800" <= ch <= "\udfff" for ch in subject + content):
        await given_back(draft, f"{subject}\n\n{content}")
        return
    words = Notification(topic="announcements", all=Text(subject=subject, content=content))
    number = await newest(sandbox, words)
    if lacking := problems(words):
        assert unescaped_card(draft).count("Ask for approval") == 0
        assert lacking[0].split(";")[0] in re.sub(r"\\(.)", r"\1", answer(draft))
        return
    sent = await sandbox.submit(draft, note=note)
    if not is_storable(note):
        await given_back(sent, note)
        sent = await sandbox.submit(draft)
        note = ""
    card = await card_of(sandbox, number)
    assert_fits(card)
    assert unescaped(card.embeds[1].description or "") == f"**{reveal(subject)}**\n{reveal(content)}"
    assert called_roles(card) == set(sandbox.policy.servers[0].roles.approve)
    assert not card.mentions.users
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(UNDONE)
    exchange = only(sandbox.whop.exchanges[before:])
    assert typed_words(json.loads(exchange.body)) == (subject, content)
    lines = await recorded(sandbox)
    assert [line.detail for line in lines if line.broadcast_id == number and line.action == "submit"] == [
        note
    ]
    await assert_exports(sandbox, lines)


async def given_back(result: Any, typed: str) -> None:
    """Look for a refusal that says what to mend, with all that was typed in a file beside it."""
    shown = response(result) if not result.followups else result.followups[-1].message
    assert "cannot be stored: retype it" in shown.content
    attached = only(shown.attachments)
    assert (await attached.read()).decode() == typed.encode(errors="backslashreplace").decode()


def unescaped_card(result: Any) -> str:
    return str(response(result).components)


async def newest(sandbox: Sandbox, words: Notification) -> int:
    """Return the number of the newest broadcast, which says exactly these words."""
    drafts = await sandbox.herald.service.drafts(sandbox.actor("Maya"))
    assert drafts[0].notification == words
    return drafts[0].id


async def card_of(sandbox: Sandbox, number: int) -> Rendered:
    broadcast, _, deliveries, *_ = await sandbox.herald.service.look(sandbox.actor("Omar"), number)
    return sandbox.herald.client.cards.review(broadcast, deliveries)


def typed_words(body: dict[str, Any]) -> tuple[str, str]:
    if "notification_data" in body:
        text = body["notification_data"]["all"]
        return text["subject"], text["content"]
    return body["title"], body["content"]


async def recorded(sandbox: Sandbox) -> list[StoredEvent]:
    address = sandbox.settings.database_url.get_secret_value()
    with Store.open_to_read(address) as store, store.begin(Access.READ) as tx:
        return [line for some in tx.audit.lines() for line in some]


async def assert_exports(sandbox: Sandbox, lines: Sequence[StoredEvent]) -> None:
    guild = str(sandbox.world.guild.id)
    header = Header(at="", servers={guild: Chapter(name="Sunrise")}, filters={})
    for form in FORMATS.values():
        place = sandbox.settings.herald_config.with_name("export")
        with written_whole(place, encoding=form.encoding, force=True) as file:
            file.write(form.begin(header) + form.lines(header, lines))
        if form.encoding == "ascii":
            assert_verifies(place, lines)
        else:
            assert_no_formula(place.read_text("utf-8-sig"))


def assert_verifies(file: Path, lines: Sequence[StoredEvent]) -> None:
    export = Export(file, anchors=[])
    assert sum(1 for _ in export.read()) >= 1
    assert export.unreadable is None
    assert export.verifier.holds
    read = [from_json(text) for text in file.read_text("ascii").split("\n")[1:-1]]
    assert read == list(lines)


# --- a spreadsheet ---------------------------------------------------------------------------------


def assert_no_formula(table: str) -> None:
    """Look at every cell, and at what a program that splits at semicolons or tabs takes for one."""
    for row in csv.reader(StringIO(table, newline="")):
        for cell in row:
            for piece in re.split(r"[;\t\r\n]", cell):
                # What a spreadsheet may pass over at the beginning. What one edition of Unicode has not
                # assigned yet is a letter in the next: it is shown, as a box at least.
                kinds = ((ch, unicodedata.category(ch)) for ch in piece)
                seen = "".join(ch for ch, kind in kinds if kind == "Cn" or kind[0] not in "CZ")
                assert not seen.startswith(tuple("=+-@＝＋－＠")), cell


@SHEETS
@given(texts(80), texts(200), texts(40))
@example("=1", "\ufeff=1", "a;=1")
@example("\U00018e00=1", "", "")
@example("a;\u200b=1", "a\n\x00@SUM(A1)", "\t+1")
def test_no_cell_becomes_a_formula_whatever_a_spreadsheet_passes_over(
    name: str, detail: str, server: str
) -> None:
    entry = make_entry(actor=Person(0, name), detail=detail, action="submit")
    header = Header(at="", servers={"1": Chapter(name=server)}, filters={})
    table = to_csv(header, [chain(entry, previous=None).stored])
    assert_no_formula(table)
    cells = only(csv.reader(StringIO(table, newline="")))
    for cell, typed in ((cells[0], server), (cells[3], name), (cells[7], detail)):
        assert cell.replace("'", "") == typed.replace("'", "")


@SHEETS
@given(texts(60), texts(200))
def test_a_line_of_any_characters_is_read_from_an_export_as_it_was_written(name: str, detail: str) -> None:
    line = chain(make_entry(actor=Person(7, name), detail=detail), previous=None).stored
    form = FORMATS["jsonl"]
    text = form.lines(Header(at="", servers={}, filters={}), [line]).encode(form.encoding).decode()
    assert text.count("\n") == len(text.splitlines()) == 1
    verifier = Verifier()
    verifier.read(from_json(text.rstrip("\n")))
    assert verifier.holds


# --- what is shown ---------------------------------------------------------------------------------


def shape(rendered: Rendered) -> list[int]:
    """Return how many lines there are in each part of a message that is not the words themselves."""
    parts = [rendered.content]
    for embed in rendered.embeds:
        parts += [field.value or "" for field in embed.fields]
    return [len(BREAKS.split(part)) for part in parts]


WAITING: Final = (Status.REVIEW, Status.HELD, Status.UNKNOWN)


def every_view(scene: Scene, name: str, reason: str) -> list[Rendered]:
    """Draw everything with that name for all who act and that reason for all that they do."""
    person = Person(7, name)
    cards = scene.cards
    broadcast = scene.broadcast(
        author=person, audience=name, reason=reason, note="",
        notification=Notification(topic=name, all=Text(subject="News", content="Words.")),
        approvals=(Approval(approver=person, at=NOW),),
    )  # fmt: skip
    freeze = Freeze(guild_id=None, by=person, at=NOW, reason=reason)
    entry = NewEvent(guild_id=1, at=NOW, actor=person, action="reject", broadcast_id=1, detail=reason)
    return [
        *(cards.review(broadcast.model_copy(update={"status": status}), []) for status in Status),
        *(cards.echo(broadcast, step) for step in sorted(ECHOED)),
        cards.audit(chain(entry, previous=None)),
        cards.freeze(freeze, guild_id=1),
        *(cards.call(broadcast.model_copy(update={"status": status}), None) for status in WAITING),
        cards.thaw(freeze, [broadcast]),
        Rendered(content=cards.brief(broadcast)),
        Rendered(content=cards.confirmation(broadcast)),
    ]


def closed(text: str) -> str:
    """Return the text without what keeps a name's direction to itself; fail where one is left open."""
    bare = re.sub("\u2068([^\u2068\u2069]*)\u2069", r"\1", text)
    assert not re.search("[\u2068\u2069]", bare), ascii(text)
    return bare


def called_roles(rendered: Rendered) -> set[int]:
    """Return the roles that a message may ping."""
    roles = rendered.mentions.roles
    return {role.id for role in roles} if isinstance(roles, Sequence) else {0} if roles else set()


SCENE: Final = Scene.make("v5", "a")
OWN_ROLES: Final = {
    role
    for server in SCENE.cards._lifecycle.policy.servers  # pyright: ignore[reportPrivateUsage]
    for role in (*server.roles.approve, *server.roles.operate)
}
PLAIN: Final = [shape(one) for one in every_view(SCENE, "Maya", "Why not.")]


@CARDS
@given(texts(100, least=1).filter(lambda text: bool(text.strip())), texts(500).map(lambda text: f"x{text}"))
@example("Maya\n✅ Omar", "no.\n`    9` Lena: approved")
@example("Maya\u2028• all is well", "no.\x85**What goes out once it is lifted:**\nnothing")
@example("\u202eayaM\u200b", "\ud800")
def test_no_name_and_no_reason_forges_a_line_pings_or_hides(name: str, reason: str) -> None:
    for rendered, usual in zip(every_view(SCENE, name, reason), PLAIN, strict=True):
        assert_fits(rendered)
        assert shape(rendered) == usual
        assert not rendered.mentions.everyone
        assert called_roles(rendered) <= OWN_ROLES
        for embed in rendered.embeds:
            for text in (embed.description, *(field.value for field in embed.fields)):
                assert reveal(closed(text or "")) == closed(text or "")
                bare = ESCAPE.sub("x", re.sub(r"<t:\d+:\w>", "", text or ""))
                assert not re.search(r"[<\[\]@`]|://", bare), text
        assert reveal(closed(rendered.content)) == closed(rendered.content)


FROM_THE_RIGHT: Final = regex.compile(r"[\p{bc=R}\p{bc=AL}\p{bc=AN}]")
RIGHT: Final = st.text("אבגدهو١٢٣ab1\u05b0\u0651*(.\u202e", min_size=1, max_size=90)


@CARDS
@given(RIGHT)
@example("משה (5) 12")
@example("م" * 100)
def test_what_is_written_from_the_right_never_turns_the_line_around_it(name: str) -> None:
    for rendered in every_view(SCENE, f"{name}א", f"x {name}"):
        parts = [rendered.content]
        for embed in rendered.embeds:
            parts += [embed.title or "", embed.description or ""]
            parts += [field.value or "" for field in embed.fields]
        for part in parts:
            outside = re.sub("\u2068[^\u2068\u2069]*\u2069", "", part)
            assert not FROM_THE_RIGHT.search(outside), ascii(part)
            assert not re.search("[\u2068\u2069]", outside), ascii(part)


@CARDS
@given(RIGHT, st.integers(3, 120))
def test_what_is_cut_leaves_no_direction_open(text: str, limit: int) -> None:
    for line in (shorten(label(text), limit), clip(f"{inline(text)} and {inline(text)}", limit)):
        assert units(line) <= limit
        assert line.count("\u2068") <= line.count("\u2069")


@CARDS
@given(texts(500))
def test_what_is_cut_for_a_message_is_never_longer_than_its_limit(text: str) -> None:
    shown = SCENE.cards.audit(chain(NewEvent(guild_id=1, at=NOW, actor=Person(7, text[:100]), action="reject",
                                          detail=text), previous=None)).content  # fmt: skip
    assert units(shown) <= 2000
    assert_harmless(shown.partition("\n> ")[2].partition("\n-# digest")[0])


# --- what comes in and goes out as a file ----------------------------------------------------------


def test_only_a_list_of_people_is_taken_as_a_file(v5: Sandbox) -> None:
    taking = [
        command.qualified_name
        for command in v5.herald.client.tree.walk_commands(guild=discord.Object(v5.world.guild.id))
        for option in getattr(command, "parameters", [])
        if option.type is discord.AppCommandOptionType.attachment
    ]
    assert taking == ["notify compose"]
    cogs = (Path(__file__).parents[1] / "cogs").glob("*.py")
    naming = {path.name for path in cogs if re.search(r"FileUpload|Attachment\b", path.read_text("utf-8"))}
    assert naming == {"notify.py", "own_lists.py", "writing.py"}


def test_of_an_unknown_component_nothing_is_taken_for_words() -> None:
    typed = {"type": discord.ComponentType.text_input.value, "value": "words"}
    other = {"type": 19, "value": "file", "values": ["1"]}
    assert list(typed_in({"components": [{"component": typed}, {"component": other}]})) == ["words"]


async def test_what_was_typed_is_given_back_in_a_file_of_bounded_size(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.chat.answers.ATTACHED_BYTES", 100)
    refused = response(await v5.compose(content="\ud800" * 500))
    attached = only(refused.attachments)
    assert len(await attached.read()) == 100
