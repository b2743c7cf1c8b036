"""A test goes to one person, through the way that everything takes, and concerns nobody else."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import discord
import pytest

from bot.agenda import Waits
from bot.broadcast import Broadcast, Status
from bot.errors import ConfigurationError, Conflict
from bot.filter import Filter
from bot.notification import Notification, Text
from bot.policy.loading import parse_policy
from bot.sandbox.customers import customers
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.sandbox.whop import Fault
from bot.store import Access, Store, Transaction
from bot.store.facts import unknown_streak
from bot.testing import MOST_TESTS
from bot.value import Person
from bot.whop import gateway_for
from bot.whop.gateway import check_policy
from tests.conftest import OpenSandbox, no_repeats
from tests.harness.found import only
from tests.harness.policy import ONE, rules, server
from tests.test_linking import CODE, plain, read

NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
MAYA = Person(101, "Maya")
GUILD = 7
MARKED, WORDS_OF_DRAFT = "[TEST] We are live", "The stream starts now."
WORDS = Notification(topic="news", all=Text(subject="[TEST] We are live", content="Come in"))


def add(tx: Transaction) -> Broadcast:
    return tx.tests.add(
        guild_id=GUILD,
        author=MAYA,
        audience="Gold members",
        notification=WORDS,
        fingerprint="f1",
        test_of=12,
        channel_id=3,
        at=NOW,
    )


def found(tx: Transaction) -> list[object]:
    """Return whatever any list, search, count or comparison knows."""
    looked_for = [Filter(), Filter(person=MAYA.id), Filter(audience="Gold members"), Filter(words="live")]
    statuses = [*Status]
    return [
        *(tx.broadcasts.in_status(GUILD, statuses, only=only, limit=9) for only in looked_for),
        tx.broadcasts.drafts_of(GUILD, MAYA.id, limit=9),
        tx.broadcasts.alike(["f1"], statuses=statuses, since=NOW - timedelta(days=9)),
        tx.broadcasts.count(GUILD),
        list[Waits](tx.agenda.waiting(GUILD)),
        tx.search_index.topics(GUILD),
    ]


async def test_no_list_search_count_or_comparison_knows_of_a_test(database_url: str) -> None:
    async with Store.open(database_url) as store:
        with store.begin() as tx:
            nothing = found(tx)
            test = add(tx)
            assert tx.broadcasts.get(test.id) == test
            assert found(tx) == nothing
        for status in (Status.UNKNOWN, Status.SENT):
            with store.begin() as tx:
                assert tx.broadcasts.change(tx.broadcasts.get(test.id), status=status, at=NOW)
            with store.begin() as tx:
                assert found(tx) == nothing


async def test_what_was_received_is_known_by_the_words_and_by_the_person(database_url: str) -> None:
    async with Store.open(database_url) as store:
        with store.begin() as tx:
            test = add(tx)
            tx.tests.receive(test, at=NOW)
            tx.tests.receive(test, at=NOW)
            asked = [(GUILD, 101, "f1"), (GUILD, 101, "f2"), (GUILD, 102, "f1"), (GUILD + 1, 101, "f1")]
            assert [tx.tests.has_reached(*one) for one in asked] == [True, False, False, False]
            assert tx.tests.count(GUILD, 101, since=NOW - timedelta(hours=1)) == 1
            assert tx.tests.count(GUILD, 101, since=NOW) == 0
            assert tx.tests.count(GUILD, 102, since=NOW - timedelta(hours=1)) == 0


# --- in Discord ------------------------------------------------------------------------------------


@pytest.fixture
async def linked(sandbox: Sandbox) -> Sandbox:
    """Run the test where Maya and Omar have shown who they are at Whop."""
    await tie(sandbox, "Maya", "Omar", "Lena")
    return sandbox


async def tie(sandbox: Sandbox, *names: str) -> None:
    sandbox.whop.people = customers()
    for name in names:
        await sandbox.herald.service.link(sandbox.actor(name), name.lower(), channel_id=place(sandbox))
        await sandbox.settle()
        code = CODE.search(read(sandbox.whop.pushes[-1])[1])
        assert code is not None
        await sandbox.herald.service.type_code(sandbox.actor(name), code[1])
        # As Whop's rate has it.
        await sandbox.wait(timedelta(seconds=10))
    sandbox.whop.pushes.clear()


def place(sandbox: Sandbox) -> int:
    return sandbox.channel("moderators").id


async def press(sandbox: Sandbox, name: str, message: discord.Message, label: str) -> str:
    done = await sandbox.person(name).click(message, label=label)
    await sandbox.settle()
    return plain(answer(done))


def newest(sandbox: Sandbox, channel: str) -> discord.Message:
    return next(one for one in reversed(sandbox.channel(channel).history()) if not one.flags.ephemeral)


def get(sandbox: Sandbox, number: int) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


def recorded(sandbox: Sandbox) -> list[tuple[str, str, int | None, str]]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        lines = tx.audit.of_guild(sandbox.world.guild.id)
        assert tx.testimony.against(None) == []
    return [(one.actor.name, one.action, one.broadcast_id, one.detail) for one in lines]


WORDS_NOW: Final = {"subject": "We are live", "content": WORDS_OF_DRAFT}
TEST: Final = "Test to me"
ARRIVED: Final = "It arrived"


async def test_a_draft_is_tested_on_its_author_alone_and_that_is_all_anybody_hears_of_it(
    linked: Sandbox,
) -> None:
    draft = response(await linked.compose())
    number = get_draft(linked)
    said = await press(linked, "Maya", draft, TEST)
    assert f"A test of **#{number}** is on its way to you alone, with **[TEST]** in front." in said
    push = only(linked.whop.pushes)
    assert [*push.reached] == ["user_maya"]
    assert (push.phone, push.feed) == ((MARKED, WORDS_OF_DRAFT), (MARKED, WORDS_OF_DRAFT))

    told, maya = newest(linked, "moderators"), linked.person("Maya")
    assert told.content.startswith(f"<@{maya.id}> Whop has queued your test of **#{number}**, and never says")
    assert [one.id for one in told.mentions] == [maya.id]
    assert button_labels(told) == [ARRIVED]
    for words in ("delivered", "reached you.", "got it"):
        assert words not in told.content
    # Nobody was called, and no list names it.
    assert linked.texts("review") == []
    for command in ("queue", "history"):
        listed = answer(await maya.slash(linked.channel("moderators"), f"notify {command}"))
        assert f"#{number + 1}" not in listed
    shown = await maya.slash(linked.channel("moderators"), "notify show", broadcast=str(number + 1))
    assert f"#{number + 1} was a test to one person, and not a broadcast." in answer(shown)
    assert get(linked, number).status is Status.DRAFT

    steps = [one for one in recorded(linked) if one[2] in {number, number + 1}]
    whom = "to @maya (user_maya) alone"
    assert steps == [
        ("Maya", "composed", number, "for Gold members"),
        ("Herald", "start", number + 1, f"a test of #{number}, {whom}"),
        ("Maya", "test", number, f"#{number + 1}, {whom}"),
        ("Herald", "accepted", number + 1, ""),
    ]
    # Only whose test it is can say that it came.
    assert "You cannot say that this test has arrived: only its author, Maya, can." in await press(
        linked, "Omar", told, ARRIVED
    )
    assert f"Noted: these words of #{number} have reached you.\nDraft #{number}" in await press(
        linked, "Maya", told, ARRIVED
    )
    assert recorded(linked)[-1][:3] == ("Maya", "arrived", number)


def get_draft(sandbox: Sandbox) -> int:
    with sandbox.herald.store.begin(Access.READ) as tx:
        found = tx.broadcasts.drafts_of(sandbox.world.guild.id, sandbox.person("Maya").id, limit=1)
    return found[0].id


async def test_what_waits_for_approval_is_tested_by_approvers_who_write_none_of_it(linked: Sandbox) -> None:
    await linked.submit(await linked.compose())
    number = get(linked, 4).id
    assert TEST in button_labels(linked.review_card())
    wrote = "You wrote this broadcast, so somebody else has to test this broadcast."
    assert wrote in await press(linked, "Maya", linked.review_card(), TEST)
    assert "it takes the role" in await press(linked, "Sam", linked.review_card(), TEST)
    await press(linked, "Omar", linked.review_card(), TEST)
    assert [*only(linked.whop.pushes).reached] == ["user_omar"]
    told = newest(linked, "review")
    assert told.content.startswith(f"<@{linked.person('Omar').id}> Whop has queued your test of")
    # Whom the card called stands as it was.
    said = await press(linked, "Omar", told, ARRIVED)
    assert re.fullmatch(rf"Noted: these words of \[#{number}\]\(.+\) have reached you\.", said)
    assert get(linked, number).writers == {linked.person("Maya").id}
    await linked.press("Omar", "Approve")
    await linked.wait(UNDONE)
    assert get(linked, number).status is Status.SENT
    assert [read(one)[0] for one in linked.whop.pushes] == [MARKED, "We are live"]


@pytest.mark.parametrize(("generation", "who"), [("v1", "author"), ("v5", "approver")])
async def test_who_has_to_test_it_goes_on_only_once_these_very_words_have_reached_them(
    open_sandbox: OpenSandbox, generation: str, who: str
) -> None:
    async with open_sandbox(generation, rules=requiring(who)) as sandbox:
        await tie(sandbox, "Maya", "Omar", "Lena")
        draft = response(await sandbox.compose())
        locked = "Test it first: press “Test to me”, then “It arrived”"
        if who == "author":
            assert locked in plain(readable(draft))
            assert locked in await press(sandbox, "Maya", draft, "Ask for approval")
            await press(sandbox, "Maya", draft, TEST)
            # That Whop has queued it is not that it has come.
            assert locked in await press(sandbox, "Maya", draft, "Ask for approval")
            draft = await say_it_arrived(sandbox, "Maya", "moderators")
            assert locked not in plain(readable(draft))
            # Other words are others, whatever came before.
            form = await sandbox.person("Maya").click(draft, label="Edit")
            edited = await sandbox.person("Maya").submit_modal(form, WORDS_NOW | {"subject": "We are LIVE"})
            assert locked in await press(sandbox, "Maya", response(edited), "Ask for approval")
            form = await sandbox.person("Maya").click(response(edited), label="Edit")
            back = await sandbox.person("Maya").submit_modal(form, WORDS_NOW)
            await sandbox.submit(back)
            await sandbox.press("Omar", "Approve")
        else:
            assert locked not in plain(readable(draft))
            await sandbox.submit(await sandbox.compose(content="Other words."))
            assert locked in plain(answer(await sandbox.press("Omar", "Approve")))
            await press(sandbox, "Lena", sandbox.review_card(), TEST)
            await say_it_arrived(sandbox, "Lena", "review")
            # Each of them has to have got it.
            assert locked in plain(answer(await sandbox.press("Omar", "Approve")))
            await press(sandbox, "Omar", sandbox.review_card(), TEST)
            await say_it_arrived(sandbox, "Omar", "review")
            await sandbox.press("Omar", "Approve")
        await sandbox.wait(UNDONE)
        assert read(sandbox.whop.pushes[-1])[0] == "We are live"
        assert sandbox.whop.pushes[-1].reached.people not in {1, 0}


def requiring(who: str) -> Callable[[str], str]:
    return lambda policy: no_repeats(policy).replace(
        "[server.rules]\n", f'[server.rules]\nrequire_test = "{who}"\n'
    )


async def say_it_arrived(sandbox: Sandbox, name: str, channel: str) -> discord.Message:
    return response(await sandbox.person(name).click(newest(sandbox, channel), label=ARRIVED))


@pytest.mark.parametrize("fault", [Fault.REJECT, Fault.DROP_AFTER_ACCEPT, Fault.UNAUTHORIZED])
async def test_a_test_that_goes_wrong_is_told_to_its_person_and_calls_nobody(
    open_sandbox: OpenSandbox, fault: Fault
) -> None:
    async with open_sandbox("v5") as sandbox:
        await tie(sandbox, "Maya")
        draft = response(await sandbox.compose())
        sandbox.whop.fail_next(fault)
        await press(sandbox, "Maya", draft, TEST)
        told = next(one for one in sandbox.channel("moderators").history() if "your test of" in one.content)
        is_unknown = fault is Fault.DROP_AFTER_ACCEPT
        assert ("Nobody knows what became of your test" in told.content) is is_unknown
        assert ("Whop did not take your test" in told.content) is not is_unknown
        assert button_labels(told) == ([ARRIVED] if is_unknown else [])
        # It counts for the account as any send does.
        with sandbox.herald.store.begin(Access.READ) as tx:
            assert tx.facts.get(unknown_streak("whop")) == int(is_unknown)
            assert (tx.freezes.over(sandbox.world.guild.id, "whop") is not None) is (
                fault is Fault.UNAUTHORIZED
            )
        called = [one for one in sandbox.texts("review") if "frozen" not in one.lower()]
        assert called == []
        await sandbox.wait(timedelta(days=2))
        assert [one for one in sandbox.texts("review") if "frozen" not in one.lower()] == []


async def test_no_test_leaves_while_sending_is_frozen_nor_one_too_many_nor_to_nobody(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v5") as sandbox:
        draft = response(await sandbox.compose())
        assert "Herald does not know who you are at Whop" in await press(sandbox, "Maya", draft, TEST)
        await tie(sandbox, "Maya")
        for _ in range(MOST_TESTS - 1):
            assert "is on its way to you alone" in await press(sandbox, "Maya", draft, TEST)
            await sandbox.wait(timedelta(seconds=2))
        assert f"You had {MOST_TESTS} tests" in await press(sandbox, "Maya", draft, TEST)
        await sandbox.wait(timedelta(hours=1))
        sent = len(sandbox.whop.pushes)
        await sandbox.herald.service.freeze(sandbox.actor("Lena"), "Wrong price")
        assert "is frozen by Lena" in await press(sandbox, "Maya", draft, TEST)
        assert len(sandbox.whop.pushes) == sent
        await sandbox.herald.service.unfreeze(sandbox.actor("Omar"))
        # What a freeze keeps back is given up in time, and told.
        await sandbox.person("Maya").click(draft, label=TEST)
        await sandbox.herald.service.freeze(sandbox.actor("Lena"), "Wrong price")
        await sandbox.wait(timedelta(minutes=16))
        assert len(sandbox.whop.pushes) == sent
        assert "Whop did not take your test" in newest(sandbox, "moderators").content


async def test_words_that_do_not_fit_with_their_mark_say_so(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await tie(sandbox, "Maya")
        draft = response(await sandbox.compose(subject="x" * 94))
        too_long = (
            "With “[TEST]” in front it is too long for a test: make the subject at most 93 characters long."
        )
        assert too_long in await press(sandbox, "Maya", draft, TEST)
        draft = response(await sandbox.compose(subject="x" * 93))
        assert "is on its way to you alone" in await press(sandbox, "Maya", draft, TEST)
        draft = response(await sandbox.compose(link="https://elsewhere.example/x"))
        assert "The link leads to elsewhere.example" in await press(sandbox, "Maya", draft, TEST)
        # A card of before is none to test by.
        edited = await sandbox.person("Maya").click(response(await sandbox.compose()), label="Edit")
        values = WORDS_NOW | {"subject": "Other", "where": "same"}
        await sandbox.person("Maya").submit_modal(edited, values)
        service, maya = sandbox.herald.service, sandbox.actor("Maya")
        with pytest.raises(Conflict, match="out of date"):
            await service.test_draft(maya, get_draft(sandbox), revision=1, channel_id=place(sandbox))
        assert len(sandbox.whop.pushes) == 1


def test_rules_that_nobody_could_fulfil_end_the_start() -> None:
    def found(generation: str, policy: str) -> str:
        gateway = gateway_for(generation, origin="https://sandbox-api.whop.com")
        try:
            check_policy(parse_policy(policy, name="herald.toml"), {"whop": gateway}, file="herald.toml")
        except ConfigurationError as error:
            return str(error)
        return ""

    team = '[[server.audience]]\nname = "Team"\nsize = 5\ntargets.team = "biz_ours"\n'
    template = (
        '[[server.template]]\nname = "Down"\naudience = "One"\ntopic = "news"\ncontent = "x"\n'
        f'subject = "{"x" * 94}"\n'
    )
    for who in ("author", "approver"):
        ruled = rules(more=f'require_test = "{who}"')
        said = found("v1", server(team, rules=ruled))
        assert said.startswith(
            "herald.toml: server “Sunrise Trading”, rules.require_test: Whop's v1 names people"
        )
        assert found("v1", server(ONE, rules=ruled)) == ""
        assert found("v5", server(ONE, rules=ruled)) == ""
        said = found("v1", server(ONE, template, rules=ruled))
        assert ("template “Down”: With “[TEST]” in front it is too long" in said) is (who == "author")
    assert found("v1", server(team)) == ""
    said = found("v5", server(ONE, rules=rules(more='require_test = "everybody"')))
    assert 'require_test: write "off", "author" or "approver", in quotes' in said
