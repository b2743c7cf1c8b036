"""Each cell of the table of who may do what and when: allowed, or refused with its sentence and its line."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Final

import discord
import pytest

import cogs
from bot.audit.chain import Event
from bot.broadcast import Broadcast, Status
from bot.errors import HeraldError, Refused
from bot.permissions import PERMISSIONS, Action, Actor
from bot.sandbox.sandbox import Sandbox
from cogs.buttons import LOOKS
from cogs.lists import LISTS
from cogs.modals import REASONED as ASKED_WHY
from tests.harness.found import only
from tests.permissions.__main__ import PAGE
from tests.permissions.fixture import Fixture, Line, Rows
from tests.permissions.page import page
from tests.permissions.people import ACCOUNT_GUILD, GUILD, OTHER_GUILD, PEOPLE, POWERFUL, ROLES, Who
from tests.permissions.table import NO_SUCH, OLD_CARD, TABLE, Mark, Row, sentence
from tests.permissions.ways import WAYS, Way

# Every private name in here belongs to the product.
# pyright: reportPrivateUsage=false

MENTIONS: Final = {role: f"<@&{number}>" for role, number in ROLES.items()}
ASKING: Final = [who for who in Who if who not in POWERFUL]
WITHOUT_A_ROLE: Final = (Who.LOST, Who.STRANGER)
# Where a card stands that something can be done with.
BY_CARD: Final = (Status.DRAFT, Status.REVIEW, Status.APPROVED, Status.HELD, Status.UNKNOWN)
# Longer than any number that was ever given out, and the longest that a button takes.
NO_NUMBER: Final = 10**18 - 1


async def tried(
    fixture: Fixture, way: Way, actor: Actor, it: Broadcast | None = None
) -> tuple[str | None, Any]:
    """Return what somebody who tries it is refused with, or None and what they got."""
    try:
        return None, await way.do(fixture.service, actor, it or fixture.it)
    except HeraldError as error:
        return str(error), None


async def cell(fixture: Fixture, way: Way, who: Who) -> list[str]:
    """Return what is wrong with a cell."""
    row, actor, status = TABLE[way.what], PEOPLE[who], fixture.it.status
    mark = row.mark(who, status)
    if way.first:
        await way.first(fixture.service, actor, fixture.it)
    before, length = fixture.rows() if way.first else fixture.untouched, fixture.length()
    said, got = await tried(fixture, way, actor)
    after, lines = fixture.rows(), fixture.lines_after(length)
    if mark not in {Mark.ALLOWED, Mark.HOME}:
        expected = sentence(row, mark, status, who).format(number=fixture.it.id, **MENTIONS)
        faults = faults_of_refusal(said, expected, lines, line_of_refusal(fixture, row, who, expected))
        faults += ["something changed"] if after != before else []
    elif said is not None:
        faults = [f"refused with {said!r}"]
    elif row.looks or way.asks:
        faults = faults_of_look(fixture, row, actor, mark, got=got, lines=lines)
        faults += ["something changed"] if after != before else []
    else:
        untouched = of_guild(before) == of_guild(after)
        faults = await faults_of_change(fixture, row, actor, mark, lines, untouched=untouched)
    if after != before or way.first:
        fixture.reset()
    return [f"{status} · {' / '.join(way.surfaces)} ({way.what}) · {who}: {fault}" for fault in faults]


def of_guild(rows: Rows) -> Rows:
    return {name: [row for row in found if GUILD in row] for name, found in rows.items()}


def line_of_refusal(fixture: Fixture, row: Row, who: Who, said: str) -> list[Line]:
    """Return what the record has to say of a refusal: nothing where there is no record to write it into."""
    actor = PEOPLE[who]
    if actor.guild_id not in {GUILD, OTHER_GUILD, ACCOUNT_GUILD}:
        return []
    known = row.names_it and actor.guild_id == fixture.it.guild_id
    number, proof = (fixture.it.id, fixture.it.proof) if known else (None, "")
    return [Line(actor.guild_id, actor.id, actor.name, f"refused {row.record}", number, proof, said)]


def faults_of_refusal(said: str | None, expected: str, lines: list[Line], wanted: list[Line]) -> list[str]:
    faults = [] if said == expected else [f"said {said!r} and not {expected!r}"]
    return faults if lines == wanted else [*faults, f"recorded {lines} and not {wanted}"]


def faults_of_look(
    fixture: Fixture, row: Row, actor: Actor, mark: Mark, *, got: Any, lines: list[Line]
) -> list[str]:
    """Return what is wrong with what somebody was allowed to see: a look is not recorded."""
    faults = [f"a look was recorded: {lines}"] if lines else []
    seen = seen_in(got)
    if mark is Mark.HOME and any(guild == GUILD for guild, _ in seen):
        faults.append("another server's broadcast was seen")
    listed = (GUILD, fixture.it.id) in seen
    if row.lists and mark is Mark.ALLOWED:
        own = actor.id in fixture.it.owners
        wanted = fixture.it.status in row.lists and (own or not row.of_ones_own)
        faults += [] if listed is wanted else ["it is listed" if listed else "it is not listed"]
    return faults


def seen_in(got: Any) -> set[tuple[int, int | None]]:
    """Return the server and number of everything in an answer."""
    match got:
        case Broadcast():
            return {(got.guild_id, got.id)}
        case Event():
            return {(got.guild_id, got.broadcast_id)}
        case list() | tuple():
            return {one for part in got for one in seen_in(part)}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return set()


async def faults_of_change(
    fixture: Fixture, row: Row, actor: Actor, mark: Mark, lines: list[Line], *, untouched: bool
) -> list[str]:
    """Return what is wrong with what somebody was allowed to do."""
    done = [(line.guild, line.actor, line.action) for line in lines if line.actor == actor.id]
    after = await fixture.now()
    wanted = fixture.it.status if mark is Mark.HOME else row.leads[fixture.it.status]
    faults: list[str] = []
    if done != [(actor.guild_id, actor.id, row.done or row.record)]:
        faults.append(f"recorded {lines}")
    if after.status is not wanted:
        faults.append(f"it is {after.status} and not {wanted}")
    if untouched is not (mark is Mark.HOME) and not (untouched and row.only_recorded):
        faults.append("this server was touched" if mark is Mark.HOME else "nothing changed")
    return faults


@pytest.mark.parametrize("status", Status)
async def test_everyone_is_allowed_or_refused_as_the_table_says(tmp_path: Path, status: Status) -> None:
    ways = [way for way in WAYS if status is Status.REVIEW or not TABLE[way.what].whatever_the_state]
    async with Fixture.open(tmp_path, status) as fixture:
        faults = [fault for way in ways for who in ASKING for fault in await cell(fixture, way, who)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("status", [Status.DRAFT, Status.REVIEW, Status.UNKNOWN])
async def test_whoever_has_no_role_cannot_tell_which_numbers_there_are(
    tmp_path: Path, status: Status
) -> None:
    async with Fixture.open(tmp_path, status) as fixture:
        missing = fixture.it.model_copy(update={"id": NO_NUMBER})
        for way in WAYS:
            for who in WITHOUT_A_ROLE:
                known, _ = await tried(fixture, way, PEOPLE[who])
                unknown, _ = await tried(fixture, way, PEOPLE[who], missing)
                assert known == unknown is not None, f"{way.surfaces} · {who}"


async def test_a_number_that_there_is_not_is_refused_and_recorded_for_those_who_could(tmp_path: Path) -> None:
    async with Fixture.open(tmp_path, Status.REVIEW) as fixture:
        missing, length = fixture.it.model_copy(update={"id": NO_NUMBER}), fixture.length()
        for way in (way for way in WAYS if TABLE[way.what].names_it):
            said, _ = await tried(fixture, way, PEOPLE[Who.AUTHOR_WITH_ALL], missing)
            assert said == NO_SUCH.format(number=NO_NUMBER), way.surfaces
            line = only(fixture.lines_after(length))
            assert (line.action, line.broadcast) == (f"refused {TABLE[way.what].record}", None)
            length += 1
        assert fixture.rows() == fixture.untouched


@pytest.mark.parametrize(
    "status", [Status.DRAFT, Status.REVIEW, Status.APPROVED, Status.HELD, Status.UNKNOWN]
)
async def test_an_old_card_acts_on_nothing(tmp_path: Path, status: Status) -> None:
    async with Fixture.open(tmp_path, status) as fixture:
        old, length = fixture.it.model_copy(update={"revision": fixture.it.revision - 1}), fixture.length()
        for way in (way for way in WAYS if way.by_card and status in TABLE[way.what].leads):
            row = TABLE[way.what]
            who = next(who for who in Who if row.mark(who, status) is Mark.ALLOWED)
            said, _ = await tried(fixture, way, PEOPLE[who], old)
            assert said == OLD_CARD, way.surfaces
            line = only(fixture.lines_after(length))
            assert (line.actor, line.action) == (PEOPLE[who].id, f"refused {row.record}")
            length += 1
        assert fixture.rows() == fixture.untouched


def is_pressed(way: Way) -> bool:
    """Tell whether it is done on a card or a form that shows something already, but for a halt."""
    if way.what == "stop it":
        # It lets nothing out, and has to work while its card is still to be drawn anew: test_seen.py.
        return False
    return any(one.startswith("button ") or "Modal" in one for one in way.surfaces) and not (
        # A form for something new shows nothing of what there is.
        TABLE[way.what].looks or way.surfaces == ("ComposeModal",) or way.what == "make a template"
    )


@pytest.mark.parametrize("seen", ["", "f" * 32], ids=["of an earlier Herald", "of something else"])
@pytest.mark.parametrize("status", BY_CARD)
async def test_no_button_and_no_form_acts_on_anything_but_what_it_showed(
    tmp_path: Path, status: Status, seen: str
) -> None:
    async with Fixture.open(tmp_path, status) as fixture:
        for way in filter(is_pressed, WAYS):
            row = TABLE[way.what]
            able = next((who for who in Who if row.mark(who, status) is Mark.ALLOWED), None)
            if able is None:
                continue
            actor = replace(PEOPLE[able], seen=seen)
            if way.first:
                await way.first(fixture.service, actor, fixture.it)
            before, length = fixture.rows(), fixture.length()
            said, _ = await tried(fixture, way, actor)
            assert said == OLD_CARD, way.surfaces
            line = only(fixture.lines_after(length))
            assert (line.actor, line.action) == (actor.id, f"refused {row.record}"), way.surfaces
            assert fixture.rows() == before, way.surfaces
            fixture.reset()


# Whoever may, of those who wrote none of it, and where.
REASONED: Final = {
    Action.REQUEST_CHANGES: (Who.APPROVER, Status.REVIEW),
    Action.REJECT: (Who.APPROVER, Status.REVIEW),
    Action.CONFIRM: (Who.OPERATOR, Status.UNKNOWN),
    Action.DENY: (Who.OPERATOR, Status.UNKNOWN),
}


@pytest.mark.parametrize("action", REASONED)
@pytest.mark.parametrize(
    ("reason", "lacking"),
    [(" ", "Give a reason"), ("x" * 501, "At most 500 characters fit")],
    ids=["none", "too long"],
)
async def test_a_reason_is_judged_only_if_they_may_give_one_and_its_refusal_is_recorded(
    tmp_path: Path, action: Action, reason: str, lacking: str
) -> None:
    who, status = REASONED[action]
    async with Fixture.open(tmp_path, status) as fixture:
        act, it, length = fixture.service.act_with_reason, fixture.it, fixture.length()
        for asking, said in ((Who.STRANGER, "You cannot "), (who, lacking)):
            with pytest.raises(Refused, match=f"^{said}"):
                await act(PEOPLE[asking], action, it.id, revision=it.revision, reason=reason)
        lines = [(line.actor, line.action, line.broadcast) for line in fixture.lines_after(length)]
        assert lines == [(PEOPLE[asking].id, f"refused {action}", it.id) for asking in (Who.STRANGER, who)]
        assert fixture.rows() == fixture.untouched


@pytest.mark.parametrize("status", BY_CARD)
async def test_what_discord_sends_twice_is_done_once_and_the_second_is_recorded(
    tmp_path: Path, status: Status
) -> None:
    done = [row for row in TABLE.values() if not row.looks and "+" in row.marks]
    async with Fixture.open(tmp_path, status) as fixture:
        for row in (row for row in done if next(one for one in Status if one in row.leads) is status):
            way = next(way for way in WAYS if way.what == row.what and not way.asks)
            who = next(who for who in Who if row.mark(who, status) is Mark.ALLOWED)
            actor = replace(PEOPLE[who], interaction=7)
            with fixture.service.store.begin() as tx:
                assert tx.use_interaction(7, at=fixture.it.updated_at)
            if way.first:
                await way.first(fixture.service, actor, fixture.it)
            before, length = fixture.rows(), fixture.length()
            said, _ = await tried(fixture, way, actor)
            line = only(fixture.lines_after(length))
            assert said == "This has been done already: Discord sent it twice.", row.what
            assert (line.detail, line.action) == (said, f"refused {row.record}"), row.what
            assert fixture.rows() == before, row.what
            fixture.reset()


# --- nothing is missing from it ----------------------------------------------------------------------

SURFACES: Final = {surface for way in WAYS for surface in way.surfaces}


def test_every_action_has_its_row_and_every_row_its_ways() -> None:
    assert {row.record for row in TABLE.values()} == set(PERMISSIONS) == set(Action)
    assert {way.what for way in WAYS} == set(TABLE)


def test_every_row_says_something_for_everyone_and_in_each_status_that_a_step_knows() -> None:
    for row in TABLE.values():
        assert len(row.marks.replace(" ", "")) == len(Who), row.what
        assert len(row.draft_marks.replace(" ", "")) in {0, len(Who)}, row.what
        assert bool(row.own) is ("w" in row.marks), row.what
        assert bool(row.author) is ("a" in row.marks), row.what


def classes(base: type) -> set[str]:
    """Return the names of all classes in cogs that are of a kind of discord.py's."""
    modules = [import_module(f"cogs.{one.name}") for one in iter_modules(cogs.__path__)]
    found = (one for module in modules for one in vars(module).values() if isinstance(one, type))
    return {one.__name__ for one in found if issubclass(one, base) and one.__module__.startswith("cogs.")}


async def test_every_command_button_and_form_stands_in_it(v5: Sandbox) -> None:
    offered = v5.person("Maya").available_commands(v5.channel("moderators"))
    assert {one for one in SURFACES if one.startswith("/")} == {f"/{name}" for name in offered}
    buttons = {one.removeprefix("button ") for one in SURFACES if one.startswith("button ")}
    assert {f"page of {name}" for name in LISTS} <= SURFACES
    assert buttons == set(LOOKS) == set(v5.herald.client.presses)
    # The buttons above are of the one class, and those that turn a page of a list or of the record of others.
    pages = {"ListButton", "PageButton", "TemplatePageButton"}
    assert classes(discord.ui.DynamicItem) == {"ActionButton", *pages}
    forms = {one.split()[0] for one in SURFACES if one.split()[0].endswith("Modal")}
    assert forms == classes(discord.ui.Modal) - {"HeraldModal", "KeptModal"}
    reasons = {one.removeprefix("ReasonModal ") for one in SURFACES if one.startswith("ReasonModal ")}
    assert reasons == set(ASKED_WHY)


def test_the_page_is_what_the_command_prints() -> None:
    assert PAGE.read_text("utf-8") == page(), "make permissions"
