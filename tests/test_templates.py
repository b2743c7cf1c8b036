"""Templates for emergencies: approved beforehand, they count as one approval and never as more."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import discord
import pytest
import simcord
from hypothesis import given
from hypothesis import strategies as st

from bot.broadcast import Broadcast, Status
from bot.chat.custom_ids import Subject
from bot.errors import NotFound, NotReady
from bot.notification import Notification
from bot.policy.template import Template
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, readable, response
from bot.sandbox.whop import Fault
from bot.seal import LENGTH
from bot.store import Access
from bot.template import (
    BLANK_LIMIT,
    _problem,  # pyright: ignore[reportPrivateUsage]
    fill,
    misfit,
    skeleton,
)
from cogs.buttons import ActionButton
from tests.conftest import OpenSandbox
from tests.harness.found import last, only

NAME = "We are down"
VALUES = {"service": "Chat", "since": "10:40"}
SUBJECT = "Chat is down"
CONTENT = "Since 10:40, Chat cannot be reached. We are on it and will write again."


async def card(sandbox: Sandbox, who: str) -> simcord.InteractionResult:
    return await sandbox.person(who).slash(sandbox.channel("moderators"), "notify template use", name=NAME)


async def press(
    sandbox: Sandbox, who: str, label: str, fields: Mapping[str, str]
) -> simcord.InteractionResult:
    """Press a button of the template's card, and fill in the form that it opens."""
    shown = await sandbox.person(who).click(response(await card(sandbox, who)), label=label)
    if shown.modal is not None:
        shown = await sandbox.person(who).submit_modal(shown, dict(fields))
    await sandbox.settle()
    return shown


async def approve(sandbox: Sandbox, *names: str) -> None:
    for name in names:
        await press(sandbox, name, "Approve the template", {"audience": "Gold members"})


async def use(
    sandbox: Sandbox, who: str = "Maya", values: Mapping[str, str] = VALUES
) -> simcord.InteractionResult:
    return await press(sandbox, who, "Use", values)


async def submitted(sandbox: Sandbox, who: str = "Maya") -> str:
    """Let someone compose from the template and submit it; return what they are told."""
    return answer(await sandbox.submit(await use(sandbox, who), who))


async def get(sandbox: Sandbox, number: int = 1) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


async def record(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    return [(one.actor.name, one.action, one.detail) for one in events]


def two_approvals(text: str) -> str:
    return text.replace("approvals = 1\n", "approvals = 2\n")


# --- what it is worth ------------------------------------------------------------------------------


async def test_what_was_approved_beforehand_goes_out_after_the_undo_window_alone(sandbox: Sandbox) -> None:
    await approve(sandbox, "Omar")
    assert "goes out" in await submitted(sandbox)
    assert ((await get(sandbox)).status, (await get(sandbox)).reason) == (Status.APPROVED, "")
    assert "words of the template “We are down”, which Omar approved" in readable(sandbox.review_card())
    assert sandbox.whop.exchanges == []

    await sandbox.wait(UNDONE)
    assert last(sandbox.whop.pushes).phone == (SUBJECT, CONTENT)
    assert (await record(sandbox))[0][2] == "template “We are down”"
    assert [line[:2] for line in await record(sandbox)] == [
        ("Omar", "approve_template"),
        ("Maya", "composed"),
        ("Maya", "submit"),
        ("Herald", "template"),
        ("Herald", "quorum"),
        ("Herald", "start"),
        ("Herald", "accepted"),
    ]


async def test_the_author_is_told_before_submitting_that_nobody_else_will_be_asked(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    draft = await use(v5)
    assert "counts as one approval" in answer(draft)
    shown = await v5.person("Maya").click(response(draft), label="Send…")
    assert shown.modal is not None
    assert shown.modal["title"] == "Send #1?"
    assert "10 seconds after you confirm it here" in str(shown.modal)


async def test_a_template_that_nobody_approved_is_reviewed_as_any_other(v5: Sandbox) -> None:
    assert "is under review" in await submitted(v5)
    await v5.wait(timedelta(hours=1))
    assert v5.whop.exchanges == []


async def test_nobody_sends_alone_what_they_approved_beforehand(sandbox: Sandbox) -> None:
    await approve(sandbox, "Omar")
    assert "is under review" in await submitted(sandbox, "Omar")
    assert "You wrote this broadcast" in answer(await sandbox.press("Omar", "Approve"))
    await sandbox.wait(timedelta(hours=1))
    assert sandbox.whop.exchanges == []


async def test_other_words_than_the_templates_are_reviewed(sandbox: Sandbox) -> None:
    await approve(sandbox, "Omar")
    draft = await use(sandbox)
    shown = await sandbox.person("Maya").click(response(draft), label="Edit")
    words = {"subject": SUBJECT, "content": CONTENT + " Buy gold!"}
    if sandbox.settings.whop_api == "v5":
        words["where"] = "same"
    edited = await sandbox.person("Maya").submit_modal(shown, words)
    assert "is under review" in answer(await sandbox.submit(edited))
    assert (await get(sandbox)).agreed == 0


async def test_another_audience_than_the_templates_is_reviewed(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    draft = await v5.compose(audience="Everyone", topic="outages", subject=SUBJECT, content=CONTENT)
    assert "is under review" in answer(await v5.submit(draft))
    assert (await get(v5)).agreed == 0


async def test_another_topic_than_the_templates_is_reviewed(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    await v5.submit(await v5.compose(subject=SUBJECT, content=CONTENT))
    assert (await get(v5)).agreed == 0


async def test_once_stopped_it_needs_people(sandbox: Sandbox) -> None:
    await approve(sandbox, "Omar")
    await submitted(sandbox)
    await sandbox.press("Lena", "Stop")
    assert (await get(sandbox)).status is Status.DRAFT

    draft = await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    assert "is under review" in answer(await sandbox.submit(draft))
    await sandbox.wait(timedelta(hours=1))
    assert sandbox.whop.exchanges == []


async def test_a_possible_second_push_needs_people(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    v5.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await submitted(v5)
    await v5.wait(UNDONE)
    assert (await get(v5)).status is Status.UNKNOWN

    again = await v5.person("Maya").click(v5.review_card(), label="Send again as a new broadcast")
    assert "is under review" in answer(await v5.submit(again))
    assert (await get(v5, 2)).agreed == 0


async def test_a_template_that_says_something_else_has_to_be_approved_anew(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    old = response(await card(v5, "Lena"))

    def changed(text: str) -> str:
        return text.replace("We are on it", "We are off")

    await v5.restart(edit_policy=changed)
    assert "Approvals 0 of 1" in answer(await card(v5, "Maya"))
    refused = answer(await v5.person("Lena").click(old, label="Approve the template"))
    assert refused.startswith("This card is out of date: its template says something else by now")
    await submitted(v5)
    assert (await get(v5)).status is Status.REVIEW


async def test_an_audience_that_reaches_others_voids_the_approval_of_its_templates(v5: Sandbox) -> None:
    await approve(v5, "Omar")

    def changed(text: str) -> str:
        return text.replace("prod_gold", "prod_all").replace("exp_gold", "exp_all")

    await v5.restart(edit_policy=changed)
    assert "Approvals 0 of 1" in answer(await card(v5, "Maya"))


async def test_an_audience_that_has_become_large_voids_what_was_approved_without_its_name(
    v5: Sandbox,
) -> None:
    await approve(v5, "Omar")

    def grown(text: str) -> str:
        return text.replace("size = 420\n", "size = 4200\n")

    await v5.restart(edit_policy=grown)
    assert "Approvals 0 of 1" in answer(await card(v5, "Maya"))
    assert "is under review" in await submitted(v5)


async def test_it_counts_as_one_approval_and_not_as_many_as_it_has(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5", edit_policy=two_approvals) as sandbox:
        await approve(sandbox, "Omar", "Lena")
        assert "is under review" in await submitted(sandbox)
        assert (await get(sandbox)).agreed == 1
        assert "Approvals 1 of 2" in readable(sandbox.review_card())
        # Lena has lent hers; now she gives her own, and Omar's is the one that is lent.
        assert "goes out" in answer(await sandbox.press("Lena", "Approve"))
        await sandbox.wait(UNDONE)
        assert sandbox.whop.pushes


async def test_a_person_counts_once_however_they_agreed(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5", edit_policy=two_approvals) as sandbox:
        await approve(sandbox, "Omar", "Lena")
        assert "Nobody could ever approve this: it needs 1" in await submitted(sandbox, "Omar")
        # Where Discord does not tell who there is, it can be submitted. Omar wrote it, so Lena alone
        # lends: her own yes on top is the same person's.
        await sandbox.herald.service.submit(sandbox.actor("Omar"), 1, revision=1)
        await sandbox.settle()
        assert [one.approver.name for one in (await get(sandbox)).lent] == ["Lena"]
        assert "It needs 1 more" in answer(await sandbox.press("Lena", "Approve"))
        await sandbox.wait(timedelta(hours=1))
        assert sandbox.whop.exchanges == []


async def test_a_template_needs_the_quorum_of_its_audience(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v1", edit_policy=two_approvals) as sandbox:
        await approve(sandbox, "Omar")
        assert "Approvals 1 of 2" in answer(await card(sandbox, "Maya"))
        await submitted(sandbox)
        assert (await get(sandbox)).agreed == 0


async def test_a_withdrawn_approval_lends_nothing(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    await press(v5, "Omar", "Withdraw my approval", {})
    assert "Approvals 0 of 1" in answer(await card(v5, "Maya"))
    await submitted(v5)
    assert (await get(v5)).agreed == 0


async def test_it_is_held_if_nobody_who_lends_may_approve_any_more(sandbox: Sandbox) -> None:
    await approve(sandbox, "Omar")
    await submitted(sandbox)
    role = sandbox.world.roles["approve"].id
    sandbox.world.env.backend.remove_member_role(sandbox.world.guild.id, sandbox.person("Omar").id, role)
    await sandbox.wait(UNDONE)
    assert sandbox.whop.exchanges == []
    assert "Omar, who approved it, has lost the role" in readable(sandbox.review_card())


async def test_one_of_those_who_lend_is_enough(v5: Sandbox) -> None:
    await approve(v5, "Omar", "Lena")
    await submitted(v5)
    role = v5.world.roles["approve"].id
    v5.world.env.backend.remove_member_role(v5.world.guild.id, v5.person("Omar").id, role)
    await v5.wait(UNDONE)
    assert len(v5.whop.pushes) == 1


async def test_approvers_are_asked_once_for_each_template_and_anew_when_it_says_something_else(
    v5: Sandbox,
) -> None:
    for _ in range(2):
        await v5.herald.startup.begin()
        await v5.settle()
    asked = only(v5.channel("review").history())
    assert "approved beforehand" in readable(asked)
    assert "{service} is down" in readable(asked).replace("\\", "")

    await v5.person("Omar").click(asked, label="Approve the template")
    asked = only(v5.channel("review").history())
    assert "Approvals 1 of 1" in readable(asked)
    assert "wait to be" not in readable(asked)
    refused = await v5.person("Maya").click(asked, label="Approve the template")
    assert "You cannot approve this template" in answer(refused)
    assert "Approvals 1 of 1" in readable(v5.channel("review").history()[0])

    def changed(text: str) -> str:
        return text.replace("We are on it", "We are off")

    await v5.restart(edit_policy=changed)
    await v5.herald.startup.begin()
    await v5.settle()
    assert len(v5.channel("review").history()) == 2


async def test_a_template_that_changed_before_anyone_was_asked_is_not_shown(v5: Sandbox) -> None:
    await v5.herald.startup.begin()

    def changed(text: str) -> str:
        return text.replace("We are on it", "We are off")

    await v5.restart(edit_policy=changed)
    await v5.settle()
    said = only(v5.channel("review").history())
    assert "says something else by now" in readable(said)
    assert not said.components


# --- who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Maya", "Ada"])
async def test_only_approvers_approve_a_template(v5: Sandbox, name: str) -> None:
    refused = answer(await press(v5, name, "Approve the template", {}))
    assert f"it takes the role <@&{v5.world.roles['approve'].id}>" in refused
    assert last(await record(v5)) == (name, "refused approve_template", refused)


async def test_strangers_see_no_templates(v5: Sandbox) -> None:
    sam, channel = v5.person("Sam"), v5.channel("moderators")
    assert "You cannot see the broadcasts" in answer(await card(v5, "Sam"))
    assert await sam.autocomplete(channel, "notify template use", "name", "") == []


async def test_only_authors_use_a_template(v5: Sandbox) -> None:
    refused = answer(await use(v5, "Lena"))
    assert "You cannot compose a broadcast" in refused
    assert last(await record(v5)) == ("Lena", "refused compose", refused)


async def test_each_approves_a_template_once(sandbox: Sandbox) -> None:
    await approve(sandbox, "Omar")
    again = answer(await press(sandbox, "Omar", "Approve the template", {}))
    assert again == "You have approved this template already."
    never = answer(await press(sandbox, "Lena", "Withdraw my approval", {}))
    assert never == "You have not approved this template, so there is nothing to withdraw."


async def test_a_template_for_a_large_audience_asks_for_its_name(open_sandbox: OpenSandbox) -> None:
    def large(text: str) -> str:
        return text.replace("size = 420", "size = 4200")

    async with open_sandbox("v1", edit_policy=large) as sandbox:
        refused = answer(await press(sandbox, "Omar", "Approve the template", {"audience": "Gold"}))
        assert "type its name, “Gold members”, and not “Gold”" in refused
        await approve(sandbox, "Omar")
        assert "Approvals 1 of 1" in answer(await card(sandbox, "Maya"))
        assert last(await record(sandbox))[2] == "template “We are down”: typed the audience's name"


async def test_an_unknown_template_is_refused_with_those_there_are(v5: Sandbox) -> None:
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify template use", name="Fire")
    assert answer(shown) == "There is no template “Fire”: choose one from the list (We are down)."


async def test_an_invented_template_button_does_nothing(v5: Sandbox) -> None:
    service = v5.herald.service
    for number in (0, 12345, 10**18 - 1):
        with pytest.raises(NotFound, match="says something else by now"):
            await service.approve_template(v5.actor("Omar"), number)
    assert "Approvals 0 of 1" in answer(await card(v5, "Maya"))


# --- what may stand in a blank ---------------------------------------------------------------------

BAD: Mapping[str, str] = {
    "   ": "is empty",
    "x" * (BLANK_LIMIT + 1): "is too long",
    "a\nb": "line break",
    "a\u202eb": "invisible",
    "evil.example": "address",
    "https://x": "address",
    "ｅvil．ｅxample": "address",
    # One character that reads as a digit and a full stop.
    "⒈AA": "address",
}


@pytest.mark.parametrize("value", BAD)
async def test_a_value_that_nobody_approved_is_refused_in_one_sentence(v5: Sandbox, value: str) -> None:
    standing = only(await v5.herald.service.templates(v5.actor("Maya")))
    with pytest.raises(NotReady, match=BAD[value]) as refusal:
        await v5.herald.service.compose_from(
            v5.actor("Maya"), standing.number, {"service": "Chat", "since": value}, channel_id=1
        )
    assert last(await record(v5)) == ("Maya", "refused compose", str(refusal.value))
    assert await v5.herald.service.drafts(v5.actor("Maya")) == []


@pytest.mark.parametrize("value", [one for one in BAD if "\n" not in one])
async def test_typed_past_the_form_such_a_value_makes_it_any_other_broadcast(v5: Sandbox, value: str) -> None:
    await approve(v5, "Omar")
    content = CONTENT.replace("10:40", value)
    await v5.submit(await v5.compose(topic="outages", subject=SUBJECT, content=content))
    assert (await get(v5)).status is Status.REVIEW


async def test_a_template_without_blanks_is_a_draft_with_one_press(open_sandbox: OpenSandbox) -> None:
    def plain(text: str) -> str:
        return text.replace("{service}", "Chat").replace("{since}", "today")

    async with open_sandbox("v5", edit_policy=plain) as sandbox:
        assert "Chat is down" in answer(await use(sandbox))


def template(subject: str, content: str, **more: Any) -> Template:
    values = {"name": "T", "audience": "A", "topic": "t", "subject": subject, "content": content}
    return Template.model_validate(values | more)


def fits(one: Template, notification: Notification) -> bool:
    return misfit(one, notification) == ""


DOWN = template("{service} is down", "Since {since}, {service} is away. Sorry!")
values = st.text("Chat 10:4-é服", max_size=12).filter(lambda value: not _problem(value))


@given(service=values, since=values)
def test_what_is_filled_in_fits_and_stands_there_as_typed(service: str, since: str) -> None:
    filled = fill(DOWN, {"service": service, "since": since})
    assert filled.all is not None
    assert filled.all.content == f"Since {since}, {service} is away. Sorry!"
    assert fits(DOWN, filled)


@given(st.data())
def test_any_change_outside_of_the_blanks_no_longer_fits(data: st.DataObject) -> None:
    filled = fill(DOWN, {"service": "Chat", "since": "noon"})
    assert filled.all is not None
    part = data.draw(st.sampled_from(["is down", "Since ", " is away. Sorry!"]))
    other = data.draw(st.text(max_size=20).filter(lambda text: text != part and part not in text))
    changed = filled.all.model_copy(
        update={
            "subject": filled.all.subject.replace(part, other),
            "content": filled.all.content.replace(part, other),
        }
    )
    if fits(DOWN, filled.model_copy(update={"all": changed})):
        # Then it is what other values of the blanks would have made of it.
        subject, content = changed.subject, changed.content
        assert subject.endswith(" is down")
        assert content.startswith("Since ")
        assert content.endswith(" is away. Sorry!")


def test_the_same_blank_says_the_same_everywhere() -> None:
    filled = fill(DOWN, {"service": "Chat", "since": "noon"})
    assert filled.all is not None
    other = filled.all.model_copy(update={"subject": "Shop is down"})
    assert not fits(DOWN, filled.model_copy(update={"all": other}))


def test_what_goes_beside_the_words_has_to_be_the_templates() -> None:
    linked = template("Down", "Sorry", link="https://status.example")
    assert fits(linked, skeleton(linked))
    assert not fits(linked, skeleton(linked).model_copy(update={"link": "https://evil.example"}))
    assert not fits(linked, skeleton(linked).model_copy(update={"link": None}))
    assert not fits(linked, skeleton(linked).model_copy(update={"topic": "other"}))


def test_text_that_is_made_to_take_for_ever_to_compare_does_not_fit() -> None:
    many = template("S", "{a} {b} {c} {d} {e} end")
    words = skeleton(many).model_copy(update={"all": skeleton(many).all})
    assert words.all is not None
    slow = words.all.model_copy(update={"content": "x " * 300})
    assert not fits(many, words.model_copy(update={"all": slow}))


def test_template_buttons_survive_a_restart_as_all_others() -> None:
    assert isinstance(
        ActionButton("use_template", Subject(2**48 - 1, 0, "f" * LENGTH)).item, discord.ui.Button
    )
