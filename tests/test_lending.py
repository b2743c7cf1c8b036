"""How often a template lends its approval, what may stand in its blanks, and what ends its loans."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.broadcast import Status
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, response
from bot.template import BLANK_LIMIT, fill, misfit
from tests.conftest import OpenSandbox
from tests.harness.found import last, only
from tests.test_templates import approve, card, get, press, record, template, two_approvals, use

CHAT: Mapping[str, str] = {"service": "Chat", "since": "10:40"}
SHOP: Mapping[str, str] = {"service": "The shop", "since": "11:05"}
POLLS: Mapping[str, str] = {"service": "Polls", "since": "noon"}
DAY = timedelta(hours=24)


def allowing(by_template: str, to_person: str = "9 in 24h") -> str:
    return f'[server.rules]\nlent_by_template = "{by_template}"\nlent_to_person = "{to_person}"\n'


def generous(text: str) -> str:
    return text.replace("[server.rules]\n", allowing("9 in 24h"))


async def used(sandbox: Sandbox, values: Mapping[str, str], who: str = "Maya") -> str:
    """Let someone use the template and submit; return what they are told."""
    return answer(await sandbox.submit(await use(sandbox, who, values), who))


async def standing(sandbox: Sandbox, *numbers: int) -> list[tuple[Status, int]]:
    found = [await get(sandbox, number) for number in numbers]
    return [(one.status, one.agreed) for one in found]


# --- how often -------------------------------------------------------------------------------------


async def test_a_template_lends_once_a_day_and_what_comes_next_is_reviewed_and_its_author_told_why(
    sandbox: Sandbox,
) -> None:
    await approve(sandbox, "Omar")
    assert "goes out" in await used(sandbox, CHAT)
    await sandbox.wait(UNDONE)
    assert len(sandbox.whop.pushes) == 1

    why = "The template “We are down” lends it no approval: it lends once in 24 hours, and that was #1."
    draft = await use(sandbox, "Maya", SHOP)
    assert f"📄 Template: {why}" in answer(draft)
    asked = await sandbox.person("Maya").click(response(draft), label="Ask for approval")
    assert why in str(asked.modal)
    assert "is under review" in answer(await sandbox.person("Maya").submit_modal(asked, {}))
    await sandbox.wait(timedelta(hours=1))
    assert len(sandbox.whop.pushes) == 1
    assert ("Herald", "not lent", why) in await record(sandbox)

    await sandbox.wait(DAY)
    assert "goes out" in await used(sandbox, POLLS)


async def test_one_person_is_lent_an_approval_twice_a_day_over_all_templates(
    open_sandbox: OpenSandbox,
) -> None:
    def several(text: str) -> str:
        more = text[text.index("[[server.template]]") : text.index("[[server.audience]]")]
        for name in ("Gone", "Away"):
            another = more.replace("We are down", name).replace("is down", f"is {name}")
            text = text.replace("[[server.audience]]", f"{another}\n[[server.audience]]", 1)
        return text

    async with open_sandbox("v1", edit_policy=several) as sandbox:
        for name in ("We are down", "Gone", "Away"):
            shown = await sandbox.person("Omar").slash(
                sandbox.channel("moderators"), "notify template use", name=name
            )
            await sandbox.person("Omar").click(response(shown), label="Approve the template")
        for name, expected in (
            ("We are down", "goes out"),
            ("Gone", "goes out"),
            ("Away", "is under review"),
        ):
            shown = await sandbox.person("Maya").slash(
                sandbox.channel("moderators"), "notify template use", name=name
            )
            blanks = await sandbox.person("Maya").click(response(shown), label="Use")
            draft = await sandbox.person("Maya").submit_modal(blanks, dict(CHAT))
            assert expected in answer(await sandbox.submit(draft))
        assert last(await record(sandbox))[2] == (
            "The template “Away” lends it no approval: one person is lent an approval twice in 24 hours, and"
            " that was #2 and #1."
        )


async def test_an_equal_one_is_lent_nothing_however_often_a_template_may_lend(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v5", edit_policy=generous) as sandbox:
        await approve(sandbox, "Omar")
        assert "goes out" in await used(sandbox, CHAT)
        assert "goes out" in await used(sandbox, SHOP)
        assert "is under review" in await used(sandbox, CHAT)
        assert "the same was lent it as #1" in last(await record(sandbox))[2]


async def test_a_policy_may_let_no_template_lend(open_sandbox: OpenSandbox) -> None:
    def never(text: str) -> str:
        return text.replace("[server.rules]\n", allowing("0 in 24h"))

    async with open_sandbox("v5", edit_policy=never) as sandbox:
        await approve(sandbox, "Omar")
        assert "is under review" in await used(sandbox, CHAT)


# --- what ends it ----------------------------------------------------------------------------------


async def test_a_stop_voids_what_the_template_has_lent_until_approvers_say_yes_again(
    setting: tuple[str, str], open_sandbox: OpenSandbox
) -> None:
    generation, url = setting
    async with open_sandbox(generation, database_url=url, edit_policy=generous) as sandbox:
        await approve(sandbox, "Omar")
        await used(sandbox, CHAT)
        await used(sandbox, SHOP)
        await sandbox.press("Lena", "Stop", reason="This is no outage")
        assert await standing(sandbox, 1, 2) == [(Status.HELD, 1), (Status.DRAFT, 0)]
        assert "what “We are down” has lent it no longer counts: #2 was stopped by Lena" in (
            (await get(sandbox)).reason
        )
        await sandbox.wait(timedelta(hours=1))
        assert sandbox.whop.exchanges == []

        assert "Approvals 0 of 1" in answer(await card(sandbox, "Maya"))
        assert "is under review" in await used(sandbox, POLLS)
        asked = only(
            one for one in sandbox.channel("review").history() if "approved beforehand" in one.content
        )
        assert "made of these words, was stopped or sent back" in asked.content
        await sandbox.person("Omar").click(asked, label="Approve the template")
        assert "goes out" in await used(sandbox, {"service": "Search", "since": "noon"})


@pytest.mark.parametrize("label", ["Ask for changes", "Reject"])
async def test_so_does_a_rejection_or_a_send_back(open_sandbox: OpenSandbox, label: str) -> None:
    def two(text: str) -> str:
        return generous(two_approvals(text))

    async with open_sandbox("v1", edit_policy=two) as sandbox:
        await approve(sandbox, "Omar", "Lena")
        await used(sandbox, CHAT)
        await used(sandbox, SHOP)
        assert await standing(sandbox, 1, 2) == [(Status.REVIEW, 1), (Status.REVIEW, 1)]
        await sandbox.press("Lena", label, reason="This is no outage")
        assert (await get(sandbox)).agreed == 0
        assert "Approvals 0 of 2" in answer(await card(sandbox, "Maya"))


async def test_what_its_author_withdraws_or_cancels_says_nothing_about_the_template(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    await used(v5, CHAT)
    await v5.herald.service.cancel(v5.actor("Maya"), 1)
    assert "Approvals 1 of 1" in answer(await card(v5, "Maya"))


async def test_whoever_takes_their_yes_to_the_template_back_takes_it_from_what_waits(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    await used(v5, CHAT)
    await press(v5, "Omar", "Withdraw my approval", {})
    assert await standing(v5, 1) == [(Status.HELD, 1)]
    assert "Omar withdrew their approval of it" in (await get(v5)).reason


async def test_whoever_alone_has_lent_takes_it_from_what_waits_though_the_template_stays_approved(
    sandbox: Sandbox,
) -> None:
    await approve(sandbox, "Omar", "Lena")
    # Nobody lends to themselves, so that it is lent by Lena alone.
    await used(sandbox, CHAT, "Omar")
    await press(sandbox, "Lena", "Withdraw my approval", {})
    assert "Approvals 1 of 1" in answer(await card(sandbox, "Maya"))
    assert await standing(sandbox, 1) == [(Status.HELD, 1)]
    assert "Lena withdrew their approval of it" in (await get(sandbox)).reason
    await sandbox.wait(UNDONE)
    assert sandbox.whop.exchanges == []


async def test_what_somebody_else_has_lent_too_goes_out_by_that(v5: Sandbox) -> None:
    await approve(v5, "Omar", "Lena")
    await used(v5, CHAT)
    await press(v5, "Lena", "Withdraw my approval", {})
    assert [one.approver.name for one in (await get(v5)).lent] == ["Omar"]
    assert [who for who, did, _ in await record(v5) if did == "approvals void"] == ["Herald"]
    await v5.wait(UNDONE)
    assert len(v5.whop.pushes) == 1


async def test_what_is_under_review_loses_what_one_person_has_lent_it(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v1", edit_policy=two_approvals) as sandbox:
        guild, role = sandbox.world.guild.id, sandbox.world.roles["approve"].id
        sandbox.world.env.backend.add_member_role(guild, sandbox.person("Sam").id, role)
        await approve(sandbox, "Omar", "Lena", "Sam")
        await used(sandbox, CHAT)
        await press(sandbox, "Omar", "Withdraw my approval", {})
        lent = (await get(sandbox)).lent
        assert sorted(one.approver.name for one in lent) == ["Lena", "Sam"]
        await press(sandbox, "Lena", "Withdraw my approval", {})
        assert await standing(sandbox, 1) == [(Status.REVIEW, 0)]


async def test_a_yes_that_is_withdrawn_while_somebody_decides_is_missed_when_it_is_to_start(
    sandbox: Sandbox,
) -> None:
    await approve(sandbox, "Omar", "Lena")
    await used(sandbox, CHAT, "Omar")
    with sandbox.herald.store.begin() as tx:
        # As if somebody else had the broadcast at that moment.
        loan = tx.loans.of([1])[1]
        assert tx.templates.retract(loan.guild_id, loan.template, sandbox.actor("Lena").id)
    await sandbox.wait(UNDONE)
    assert (await get(sandbox)).status is Status.HELD
    assert "has lent it no longer counts" in (await get(sandbox)).reason
    assert sandbox.whop.exchanges == []


async def test_one_that_was_approved_in_the_moment_of_the_stop_is_held_when_it_is_to_start(
    sandbox: Sandbox,
) -> None:
    await approve(sandbox, "Omar")
    await used(sandbox, CHAT)
    with sandbox.herald.store.begin() as tx:
        loan = tx.loans.of([1])[1]
        tx.loans.recall(loan.guild_id, loan.template, since=loan.at - DAY)
    await sandbox.wait(UNDONE)
    assert (await get(sandbox)).status is Status.HELD
    assert "has lent it no longer counts" in (await get(sandbox)).reason
    assert sandbox.whop.exchanges == []


# --- who is told -----------------------------------------------------------------------------------


async def test_approvers_are_called_at_once_to_what_goes_out_without_any_of_them(sandbox: Sandbox) -> None:
    await approve(sandbox, "Omar")
    await used(sandbox, CHAT)
    shown = sandbox.review_card()
    assert shown.content.startswith(f"<@&{sandbox.world.roles['approve'].id}> **#1")
    assert "on the approval that the template “We are down” lends it" in shown.content
    assert [one.name for one in shown.role_mentions] == [sandbox.world.roles["approve"].name]
    assert button_labels(shown) == ["Stop"]


# --- what may stand in a blank ---------------------------------------------------------------------

WORDS = [
    "Chat", "10:40", "2026-11-28 10:40", "28.11.2026", "sign-in", "v2.1", "Das Café", "Cafe\u0301", "सेवा",
    "บริการ", "サービス", "聊天", "الدردشة", "the app and the web",
]  # fmt: skip
ADDRESS, DIALLED, OTHER = "an address", "could be dialled", "takes letters, digits"
NOT_WORDS = {
    "https:1.1.1.1": ADDRESS,
    "http:/1.1.1.1/x": ADDRESS,
    "127.0.0.1": ADDRESS,
    "tel:+1900": OTHER,
    "evil . com": OTHER,
    "evil\ua4f8com": OTHER,
    "localhost:80": OTHER,
    "@gold_support": OTHER,
    "a@b": OTHER,
    "Chat, Shop": OTHER,
    "Chat.": OTHER,
    "-Chat": OTHER,
    "Chat  Shop": OTHER,
    "𝐞vil": OTHER,
    "e\u0301\u0301\u0301\u0301": OTHER,
    "🔥": OTHER,
    "+1 900 555 0129": DIALLED,
    "1 900 555 0129": DIALLED,
    "555-0129": DIALLED,
    "1.900.555": DIALLED,
    "١٩٠٠٥٥٥": DIALLED,
    "1900 then 5550 then 129": DIALLED,
    "16843009": DIALLED,
    "118 118": DIALLED,
    "text 12345": DIALLED,
}
DOWN = template("{service} is down", "Since {since}, {service} is away. Sorry!")


def filled(value: str) -> str | None:
    """Return what is wrong with a notification in which the value was typed past the form."""
    words = fill(DOWN, {"service": "Chat", "since": "noon"})
    assert words.all is not None
    content = words.all.content.replace("noon", value)
    return misfit(DOWN, words.model_copy(update={"all": words.all.model_copy(update={"content": content})}))


@pytest.mark.parametrize("value", WORDS)
def test_short_words_of_any_script_may_stand_in_a_blank(value: str) -> None:
    assert filled(value) == ""


@pytest.mark.parametrize("value", NOT_WORDS)
def test_what_could_lead_customers_elsewhere_may_not(value: str) -> None:
    assert NOT_WORDS[value] in (filled(value) or "")


@given(st.text(max_size=BLANK_LIMIT))
def test_nothing_but_letters_and_digits_stands_next_to_what_could_be_a_mark(value: str) -> None:
    if filled(value) == "":
        assert value == value.strip()
        assert not set(value) & set("/@+_#&?=%\\<>()[]{}")
        assert sum(map(str.isdecimal, value)) <= BLANK_LIMIT // 2


def test_a_space_that_a_phone_leaves_behind_a_word_is_no_reason_to_refuse_it() -> None:
    assert fill(DOWN, {"service": "Chat ", "since": " noon"}) == fill(
        DOWN, {"service": "Chat", "since": "noon"}
    )


async def test_what_was_typed_past_the_form_is_reviewed_and_its_author_told_why(v5: Sandbox) -> None:
    await approve(v5, "Omar")
    content = "Since 1 900 555 0129, Chat cannot be reached. We are on it and will write again."
    draft = await v5.compose(topic="outages", subject="Chat is down", content=content)
    assert "lends it no approval: the blank “since” has a number in it that could be dialled" in answer(draft)
    assert "is under review" in answer(await v5.submit(draft))


async def test_a_blank_with_choices_takes_one_of_them_and_approvers_see_which(
    open_sandbox: OpenSandbox,
) -> None:
    def chosen(text: str) -> str:
        blank = '[[server.template.blank]]\nname = "service"\nchoices = ["Chat", "The shop at x.example"]\n'
        return text.replace("[[server.audience]]", f"{blank}[[server.audience]]", 1)

    async with open_sandbox("v1", edit_policy=chosen) as sandbox:
        assert "**service**: “Chat” or “The shop at x.example”" in answer(await card(sandbox, "Omar"))
        await approve(sandbox, "Omar")
        shown = response(await card(sandbox, "Maya"))
        blanks = await sandbox.person("Maya").click(shown, label="Use")
        draft = await sandbox.person("Maya").submit_modal(
            blanks, {"service": ["The shop at x.example"], "since": "noon"}
        )
        assert "counts as one approval" in answer(draft)
        other = await sandbox.compose(
            topic="outages",
            subject="Mail is down",
            content="Since noon, Mail cannot be reached. We are on it and will write again.",
        )
        assert "goes out" in answer(await sandbox.submit(draft))
        assert (await get(sandbox, 2)).agreed == 0
        assert "counts as one approval" not in answer(other)

        def more(text: str) -> str:
            return chosen(text).replace('"Chat", ', '"Chat", "Mail", ')

        await sandbox.restart(edit_policy=more)
        assert "Approvals 0 of 1" in answer(await card(sandbox, "Maya"))


async def test_what_is_lent_since_the_form_was_opened_lets_nothing_out_that_it_did_not_announce(
    v1: Sandbox,
) -> None:
    asked = await v1.person("Maya").click(response(await use(v1, "Maya", CHAT)), label="Ask for approval")
    assert "once 1 person of your team approved it" in str(asked.modal)
    await approve(v1, "Omar")
    refused = await v1.person("Maya").submit_modal(asked, {"note": "Now, please"})
    assert "out of date" in answer(refused)
    assert "What you typed is attached, to copy." in answer(refused)
    assert (await get(v1, 1)).status is Status.DRAFT
