"""The same words to the same people twice: named wherever somebody decides, and never by accident."""

import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotReady
from bot.notification import Notification, Text
from bot.repeats import is_near
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.sandbox.whop import Fault
from bot.store import Access
from tests.conftest import OpenSandbox, as_it_is
from tests.database import new_file
from tests.harness.people import LENA, OMAR
from tests.harness.policy import audience, parsed, rules, server
from tests.harness.process import UNDONE as PASSED
from tests.harness.process import Cluster

DAY = timedelta(hours=24)
AGAIN = "Send again as a new broadcast"


@pytest.fixture
async def careful(setting: tuple[str, str], open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox]:
    """Run the test by the window of the policy, on each Whop generation and the other database."""
    generation, url = setting
    async with open_sandbox(generation, database_url=url, rules=as_it_is) as opened:
        yield opened


@pytest.fixture
async def v1(open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox]:
    async with open_sandbox("v1", rules=as_it_is) as opened:
        yield opened


def get(sandbox: Sandbox, number: int) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


def recorded(sandbox: Sandbox, action: str) -> list[str]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return [one.detail for one in tx.audit.of_guild(sandbox.world.guild.id) if one.action == action]


def nothing_alike(*_: object) -> list[Broadcast]:
    return []


def unlinked(text: str) -> str:
    return re.sub(r"\[(#\d+)\]\([^)]*\)", r"\1", text)


async def waiting(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())


# --- nearly the same -------------------------------------------------------------------------------

SAID = "We are live tonight at six with a new episode and your questions."


def words(content: str, subject: str = "Live") -> Notification:
    return Notification(topic="announcements", all=Text(subject=subject, content=content))


def test_words_are_nearly_the_same_where_a_few_of_them_are_others() -> None:
    near = [
        SAID,
        SAID.upper(),
        SAID.replace("six", "seven"),
        f"  {SAID.replace(' ', '  ')} ",
        SAID.replace("episode", "episodes"),
        SAID.removesuffix("."),
    ]
    far = ["Doors open at eight.", SAID[:30], f"{SAID} {SAID}", "Wir sind heute um sechs live.", ""]
    assert [one for one in near if not is_near(words(SAID), words(one))] == []
    assert [one for one in far if is_near(words(SAID), words(one))] == []
    assert not is_near(words("配信は六時からです"), words("本日の配信は休みます"))
    assert is_near(
        words("Прямой эфир начнётся сегодня в шесть"), words("Прямой эфир начнется сегодня в шесть")
    )


async def test_nearly_the_same_for_the_same_people_is_named_with_its_number(careful: Sandbox) -> None:
    await careful.approved(content=SAID)
    await careful.wait(UNDONE)
    draft = await careful.compose(content=SAID.replace("six", "seven"))
    assert "⚠️ Nearly the same was sent as [#1](https://discord.com/channels/" in answer(draft)
    await careful.submit(draft)
    assert "⚠️ Nearly the same was sent as [#1]" in readable(careful.review_card())
    # It is no repeat: nobody has to type a name.
    assert "Approved." in answer(await careful.press("Omar", "Approve"))
    assert "Nearly" not in answer(await careful.compose(content="Doors open at eight."))
    assert "Nearly" not in answer(await careful.compose(audience="Everyone", content=SAID))
    await careful.wait(timedelta(hours=25))
    assert "Nearly" not in answer(await careful.compose(content=SAID.replace("six", "nine")))


@pytest.mark.parametrize("severity", ["stop", "off"])
async def test_the_policy_says_what_becomes_of_nearly_the_same(
    open_sandbox: OpenSandbox, severity: str
) -> None:
    def judged(policy: str) -> str:
        return policy.replace("[server.rules]", f'[server.lint]\nrepeats = "{severity}"\n[server.rules]')

    async with open_sandbox("v1", rules=judged) as sandbox:
        await sandbox.approved(content=SAID)
        draft = await sandbox.compose(content=SAID.replace("six", "seven"))
        assert ("Nearly the same" in answer(draft)) == (severity == "stop")
        service, maya = sandbox.herald.service, sandbox.actor("Maya")
        if severity == "stop":
            with pytest.raises(NotReady, match=r"Nearly the same goes out as #1 in .*: change the words"):
                await service.submit(maya, 2, revision=1)
        else:
            await service.submit(maya, 2, revision=1)


# --- the same again --------------------------------------------------------------------------------


async def test_the_same_again_is_named_from_the_draft_to_the_approval_which_takes_the_audiences_name(
    careful: Sandbox,
) -> None:
    await careful.approved()
    await careful.wait(UNDONE)
    assert len(careful.whop.pushes) == 1

    draft = await careful.compose()
    assert "⚠️ The same was sent as [#1](https://discord.com/channels/" in answer(draft)
    asked = await careful.person("Maya").click(response(draft), label="Ask for approval")
    assert "The same was sent as [#1]" in str(asked.modal)
    await careful.person("Maya").submit_modal(asked, {})
    await careful.settle()
    assert "⚠️ The same was sent as [#1]" in readable(careful.review_card())
    assert "Approving it asks for the audience's name." in readable(careful.review_card())

    form = await careful.person("Omar").click(careful.review_card(), label="Approve")
    assert form.modal is not None
    assert form.modal["title"] == "Approve #2 which says the same again?"
    assert "The same was sent as [#1]" in str(form.modal)
    refused = answer(await careful.person("Omar").submit_modal(form, {"audience": "Gold"}))
    assert "The same was sent as #1, 1 second ago: type the audience's name, “Gold members”" in refused
    assert get(careful, 2).status is Status.REVIEW

    assert "Approved." in answer(await careful.press("Omar", "Approve"))
    assert recorded(careful, "approve")[-1] == (
        "typed the audience's name; the same was sent as #1, 1 second ago"
    )
    await careful.wait(UNDONE)
    assert len(careful.whop.pushes) == 2


async def test_what_is_approved_and_has_not_left_yet_counts_too_and_the_others_card_says_so_at_once(
    careful: Sandbox,
) -> None:
    await waiting(careful)
    first = careful.review_card()
    await waiting(careful)
    assert "The same" not in readable(careful.review_card())
    await careful.person("Omar").click(first, label="Approve")
    await careful.settle()
    assert "⚠️ The same goes out as [#1]" in readable(careful.review_card())
    with pytest.raises(NotReady, match="The same goes out as #1 in 10 seconds: type the audience's name"):
        await careful.herald.service.approve(careful.actor("Lena"), 2, revision=1)
    form = await careful.person("Lena").click(careful.review_card(), label="Approve")
    assert form.modal is not None


async def test_a_press_that_comes_before_the_card_says_so_is_refused_and_the_next_one_asks(
    v1: Sandbox,
) -> None:
    await waiting(v1)
    await waiting(v1)
    card = v1.review_card()
    await v1.herald.service.approve(v1.actor("Omar"), 1, revision=1)
    shown = await v1.person("Lena").click(card, label="Approve")
    assert "The same goes out as #1 in 10 seconds" in answer(shown)
    assert (await v1.person("Lena").click(card, label="Approve")).modal is not None


async def test_other_words_and_those_of_long_ago_are_no_repeat(v1: Sandbox) -> None:
    await v1.approved()
    await v1.wait(UNDONE)
    assert "The same" not in answer(await v1.compose(subject="Other words"))
    await v1.wait(DAY)
    assert "The same" not in answer(await v1.compose())
    await v1.submit(await v1.compose(), note="")
    assert (await v1.person("Omar").click(v1.review_card(), label="Approve")).modal is None


async def test_a_template_lends_nothing_to_what_was_sent_in_another_way(v1: Sandbox) -> None:
    content = "Since noon, Chat cannot be reached. We are on it and will write again."
    await v1.approved(topic="outages", subject="Chat is down", content=content)
    standing = (await v1.herald.service.templates(v1.actor("Omar")))[0]
    await v1.herald.service.approve_template(v1.actor("Omar"), standing.number)
    again = await v1.compose(topic="outages", subject="Chat is down", content=content)
    assert "lends it no approval: the same goes out as #1 in 10 seconds" in answer(again)
    assert "is under review" in answer(await v1.submit(again))


@pytest.mark.parametrize("at_once", [True, False], ids=["in one round", "one after the other"])
async def test_of_two_that_were_approved_in_the_same_moment_the_second_is_held_when_it_is_to_start(
    careful: Sandbox, at_once: bool
) -> None:
    await waiting(careful)
    await careful.press("Omar", "Approve")
    await waiting(careful)
    if not at_once:
        await careful.world.env.advance_time(5)
    await careful.press("Lena", "Approve")
    assert get(careful, 2).confirmed == (1,)
    with careful.herald.store.begin() as tx:
        # As if neither approver could see the other's yes.
        second = tx.broadcasts.get(2)
        assert tx.broadcasts.change(second, status=second.status, at=second.updated_at, confirmed=())
    await careful.wait(UNDONE)
    await careful.wait(UNDONE)
    assert (get(careful, 1).status, get(careful, 2).status) == (Status.SENT, Status.HELD)
    assert get(careful, 2).reason == (
        "the same went out as #1, and nobody confirmed that it is to go out twice"
    )
    assert len(careful.whop.pushes) == 1


async def test_what_has_waited_longer_than_the_window_is_a_repeat_as_long_as_it_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = server(audience("One", "exp_gold"), rules=rules(1, undo="10s", missed="20h", repeats="1h"))
    async with Cluster.open(new_file(tmp_path), tmp_path) as cluster:
        process = await cluster.join(policy=parsed(policy))
        await process.approved()
        await process.service.freeze(OMAR, "wait")
        cluster.clock.advance(timedelta(hours=2))
        second = await process.submitted()
        with pytest.raises(NotReady, match="The same goes out as #1"):
            await process.service.approve(OMAR, second.id, revision=1)
        # As of two that were approved in the same moment.
        monkeypatch.setattr("bot.service.review.alike", nothing_alike)
        await process.service.approve(OMAR, second.id, revision=1)
        cluster.clock.advance(PASSED)
        await process.service.unfreeze(LENA)
        await process.tick()
        assert {await process.status(1), await process.status(2)} == {Status.SENT, Status.HELD}
        assert len(cluster.whop.pushes) == 1


async def test_what_either_of_two_approvers_knew_goes_out_twice(v1: Sandbox) -> None:
    await v1.approved()
    await v1.approved()
    await v1.wait(UNDONE)
    assert (get(v1, 1).status, get(v1, 2).status) == (Status.SENT, Status.SENT)


async def test_what_is_put_before_its_approvers_again_is_confirmed_anew(v1: Sandbox) -> None:
    await v1.approved()
    await v1.approved()
    await v1.press("Lena", "Stop")
    draft = await v1.person("Maya").slash(v1.channel("moderators"), "notify show", broadcast="2")
    await v1.submit(draft)
    assert get(v1, 2).confirmed == ()


# --- sending again ---------------------------------------------------------------------------------


async def unknown(sandbox: Sandbox) -> None:
    sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    assert get(sandbox, 1).status is Status.UNKNOWN


async def send_again(sandbox: Sandbox, who: str = "Omar") -> Broadcast:
    return await sandbox.herald.service.send_again(
        sandbox.actor(who), 1, revision=1, channel_id=sandbox.channel("moderators").id
    )


async def test_one_copy_of_what_is_unknown_is_open_at_a_time(careful: Sandbox) -> None:
    await unknown(careful)
    card = careful.review_card()
    shown = await careful.person("Omar").click(card, label=AGAIN)
    second = answer(await careful.person("Maya").click(card, label=AGAIN))
    assert "sends #1 again already, and is a draft of Omar's" in second
    await careful.submit(shown, "Omar")
    third = answer(await careful.person("Maya").click(card, label=AGAIN))
    assert "#2 sends #1 again already, and waits for its approvals" in third.replace("\\", "")
    assert "https://discord.com/channels/" in third
    with pytest.raises(Conflict, match="sends #1 again already"):
        await send_again(careful)

    await careful.herald.service.cancel(careful.actor("Omar"), 2)
    assert (await send_again(careful)).id == 3


@pytest.mark.parametrize(
    ("label", "now"),
    [
        ("It went out", "#1 is recorded as sent (Lena: I looked into the app)"),
        ("It did not", "#1 is recorded as not sent (Lena: I looked into the app)"),
    ],
)
async def test_its_warning_says_how_things_stand_now(careful: Sandbox, label: str, now: str) -> None:
    await unknown(careful)
    old = careful.review_card()
    shown = await careful.person("Omar").click(old, label=AGAIN)
    assert "nobody knows whether customers got #1" in unlinked(answer(shown))
    await careful.submit(shown, "Omar")
    assert "nobody knows whether customers got #1" in unlinked(readable(careful.review_card()))
    asked = await careful.person("Lena").click(old, label=label)
    await careful.person("Lena").submit_modal(asked, {"reason": "I looked into the app"})
    await careful.settle()
    assert now in unlinked(readable(careful.review_card()))
    assert "Approve" in button_labels(careful.review_card())


async def test_its_warning_names_the_copies_that_went_out_already(v1: Sandbox) -> None:
    await unknown(v1)
    await send_again(v1)
    await v1.herald.service.submit(v1.actor("Omar"), 2, revision=1)
    await v1.settle()
    await v1.press("Lena", "Approve")
    await v1.wait(UNDONE)
    assert get(v1, 2).status is Status.SENT
    await send_again(v1)
    shown = await v1.person("Omar").slash(v1.channel("moderators"), "notify show", broadcast="3")
    assert "Also sent again as [#2]" in answer(shown)
    assert "#2 (Accepted by Whop)" in unlinked(answer(shown))
    assert "⚠️ The same was sent as [#2]" in answer(shown)
    assert "⚠️ The same may have been sent as [#1]" in answer(shown)
