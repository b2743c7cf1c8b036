"""A change of mind: a draft gets another audience or topic, with its words, and is approved as such."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest
import simcord

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, NotReady
from bot.notification import Notification, Text
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.schedule import Schedule
from bot.series import Ends, Every
from bot.store import Access
from cogs.layout import APPROVED_BEFORE, CHANGED
from tests.conftest import ONCE, OpenSandbox
from tests.harness.found import only
from tests.test_lending import CHAT
from tests.test_templates import approve, use

WORDS: Final = Notification(topic="announcements", all=Text(subject="We are live", content="Come in"))
AUDIENCE, TOPIC = "Change audience", "Change topic"


def get(sandbox: Sandbox, number: int = 1) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


async def changed(
    sandbox: Sandbox, draft: simcord.InteractionResult, button: str, choice: str
) -> simcord.InteractionResult:
    """Let Maya press a button of her draft and choose."""
    maya = sandbox.person("Maya")
    form = await maya.click(response(draft), label=button)
    assert form.modal is not None, answer(form)
    return await maya.submit_modal(form, {"choice": choice if "'type': 4" in str(form.modal) else [choice]})


async def opened(sandbox: Sandbox, number: int = 1) -> simcord.InteractionResult:
    channel = sandbox.channel("moderators")
    return await sandbox.person("Maya").slash(channel, "notify show", broadcast=str(number))


async def draft_at(sandbox: Sandbox, at: timedelta, audience: str = "Gold members") -> Broadcast:
    schedule = Schedule(typed="then", zone="UTC").settled(sandbox.clock() + at)
    return await sandbox.herald.service.compose(
        sandbox.actor("Maya"), audience=audience, notification=WORDS, channel_id=13, schedule=schedule
    )


async def to_everyone(
    sandbox: Sandbox, number: int = 1, who: str = "Maya", *, audience: str = "Everyone"
) -> Broadcast:
    return await sandbox.herald.service.change_audience(
        sandbox.actor(who), number, revision=get(sandbox, number).revision, audience=audience
    )


async def test_another_audience_gets_the_very_words_and_nothing_of_an_earlier_review_counts(
    sandbox: Sandbox,
) -> None:
    await sandbox.submit(await sandbox.compose())
    before = get(sandbox)
    await sandbox.press("Omar", "Ask for changes", reason="Everyone has to know")

    shown = await changed(sandbox, await opened(sandbox), AUDIENCE, "Everyone")
    after = get(sandbox)
    assert "Everyone" in answer(shown)
    assert (after.status, after.audience, after.notification) == (
        Status.DRAFT,
        "Everyone",
        before.notification,
    )
    assert (after.revision, after.approvals) == (before.revision + 1, ())
    assert after.fingerprint not in {before.fingerprint, before.timeless}
    shown = await changed(sandbox, shown, TOPIC, "outages")
    assert get(sandbox).notification == before.notification.model_copy(update={"topic": "outages"})
    with sandbox.herald.store.begin(Access.READ) as tx:
        lines = [one.detail for one in tx.audit.of_guild(sandbox.world.guild.id) if one.action == "edit"]
        revisions = [(one.number, one.audience) for one in tx.revisions.of([1])[1]]
    assert lines == ["for Everyone, and no longer for Gold members", "about outages, before announcements"]
    assert revisions == [(1, "Gold members"), (2, "Everyone"), (3, "Everyone")]

    await sandbox.submit(shown)
    card = readable(sandbox.review_card())
    assert f"{CHANGED}: Since revision 1:" in card
    assert "__Audience__: ~~Gold members~~ **Everyone**" in card
    assert "__Topic__: ~~announcements~~ **outages**" in card
    # What everyone gets takes two, each of whom types its name.
    await sandbox.press("Omar", "Approve")
    assert get(sandbox).status is Status.REVIEW
    await sandbox.press("Lena", "Approve")
    await sandbox.wait(UNDONE)
    assert "Accepted by Whop" in readable(sandbox.review_card())
    reached = str([one.body for one in sandbox.whop.exchanges])
    assert ("biz_sunrise" if sandbox.generation == "v5" else "exp_silver") in reached


@ONCE
async def test_what_somebody_had_approved_for_others_is_named_beside_what_it_is_now(sandbox: Sandbox) -> None:
    await sandbox.restart(edit_policy=lambda text: text.replace("approvals = 1\n", "approvals = 2\n"))
    await sandbox.submit(await sandbox.compose())
    await sandbox.press("Omar", "Approve")
    await sandbox.press("Lena", "Ask for changes", reason="Others")
    await sandbox.submit(await changed(sandbox, await opened(sandbox), AUDIENCE, "Our team"))
    assert get(sandbox).approvals == ()
    card = readable(sandbox.review_card())
    assert f"{APPROVED_BEFORE}: Since revision 1, which Omar had approved:" in card
    assert "__Audience__: ~~Gold members~~ **Our team**" in card


@ONCE
async def test_only_its_author_changes_it_as_it_stands_and_to_what_the_policy_has(sandbox: Sandbox) -> None:
    first = await sandbox.compose()
    await changed(sandbox, first, AUDIENCE, "Everyone")
    service = sandbox.herald.service
    with pytest.raises(Conflict):
        await service.change_topic(sandbox.actor("Maya"), 1, revision=1, topic="outages")
    with pytest.raises(NotAllowed, match="only its author"):
        await to_everyone(sandbox, who="Omar")
    with pytest.raises(NotReady, match="for “Everyone” already"):
        await to_everyone(sandbox)
    with pytest.raises(NotReady, match="There is no audience “Nobody”"):
        await to_everyone(sandbox, audience="Nobody")
    with pytest.raises(NotReady, match="There is no topic “nothing”"):
        await service.change_topic(sandbox.actor("Maya"), 1, revision=2, topic="nothing")
    assert get(sandbox).revision == 2


async def test_a_draft_whose_audience_and_topic_left_the_policy_is_rescued_with_its_words(
    sandbox: Sandbox,
) -> None:
    await sandbox.compose(content="Come in at nine", topic="outages")
    renamed = (('name = "Gold members"', 'name = "Gold"'), ('audience = "Gold members"', 'audience = "Gold"'))

    def edited(text: str) -> str:
        for old, new in (
            *renamed,
            ('id = "outages"', 'id = "trouble"'),
            ('topic = "outages"', 'topic = "trouble"'),
        ):
            text = text.replace(old, new)
        return text

    await sandbox.restart(edit_policy=edited)
    shown = await opened(sandbox)
    said = answer(shown)
    assert "“Gold members” is no longer in the policy: choose another one with Change audience." in said
    assert "The topic “outages” is no longer in the policy: choose another one with Change topic." in said
    assert "Ask for approval" not in button_labels(response(shown))
    shown = await changed(sandbox, shown, AUDIENCE, "Gold")
    shown = await changed(sandbox, shown, TOPIC, "trouble")
    assert "Ask for approval" in button_labels(response(shown))
    after = get(sandbox)
    assert (after.audience, after.notification.topic) == ("Gold", "trouble")
    assert after.notification.all == Text(subject="We are live", content="Come in at nine")


@ONCE
async def test_what_is_held_since_its_audience_left_is_rescued_once_it_is_a_draft_again(
    sandbox: Sandbox,
) -> None:
    await sandbox.approved()
    await sandbox.restart(edit_policy=lambda text: text.replace('"Gold members"', '"Gold"'))
    await sandbox.wait(UNDONE)
    assert get(sandbox).status is Status.HELD
    await sandbox.press("Lena", "Back to draft")
    await sandbox.submit(await changed(sandbox, await opened(sandbox), AUDIENCE, "Gold"))
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(UNDONE)
    assert get(sandbox).status is Status.SENT


@ONCE
async def test_what_began_a_series_takes_it_along_and_another_of_it_goes_alone(sandbox: Sandbox) -> None:
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    await draft_at(sandbox, timedelta(hours=20))
    await service.repeat(maya, 1, revision=1, every=Every.WEEK, ends=Ends(times=4))
    await to_everyone(sandbox)
    await service.change_topic(maya, 1, revision=2, topic="outages")
    known = (await service.series(maya, 1)).series
    assert (known.audience, known.notification.topic) == ("Everyone", "outages")

    await service.submit(maya, 1, revision=3)
    for name in ("Omar", "Lena"):
        await service.approve(sandbox.actor(name), 1, revision=3, typed="Everyone")
    await sandbox.wait(timedelta(hours=21))
    await sandbox.wait(timedelta(days=6))
    second = get(sandbox, 2)
    assert (second.audience, second.status) == ("Everyone", Status.REVIEW)
    await service.withdraw(maya, 2, revision=second.revision)
    await to_everyone(sandbox, 2, audience="Our team")
    assert (get(sandbox, 2).audience, (await service.series(maya, 1)).series.audience) == (
        "Our team",
        "Everyone",
    )


@ONCE
async def test_a_correction_keeps_whom_it_reaches_and_what_it_is_about(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    wrong = get(sandbox)
    words = wrong.notification.model_copy(update={"all": Text(subject="We are live", content="At nine")})
    draft = await service.correct(maya, 1, revision=wrong.revision, notification=words, channel_id=13)
    with pytest.raises(
        NotReady, match="It is a correction, which reaches those whom #1 went to: compose anew"
    ):
        await to_everyone(sandbox, draft.id)
    with pytest.raises(NotReady, match="It is a correction, which keeps the topic of #1: compose anew"):
        await service.change_topic(maya, draft.id, revision=draft.revision, topic="outages")
    labels = button_labels(response(await opened(sandbox, draft.id)))
    assert {AUDIENCE, TOPIC}.isdisjoint(labels)


@ONCE
async def test_words_of_a_template_are_lent_no_approval_for_others_than_it_was_approved_for(
    sandbox: Sandbox,
) -> None:
    await approve(sandbox, "Omar")
    draft = await use(sandbox, "Maya", CHAT)
    assert "Send…" in button_labels(response(draft))
    draft = await changed(sandbox, draft, AUDIENCE, "Our team")
    assert "Send…" not in button_labels(response(draft))
    draft = await changed(sandbox, draft, AUDIENCE, "Gold members")
    assert "Send…" in button_labels(response(draft))
    draft = await changed(sandbox, draft, TOPIC, "announcements")
    assert "Ask for approval" in button_labels(response(draft))


async def test_a_time_that_quiet_hours_had_moved_is_its_own_again_for_another_audience(
    open_sandbox: OpenSandbox,
) -> None:
    def quiet(text: str) -> str:
        hours = 'size = 420\nquiet_hours = "00:00 to 23:00"\nin_quiet_hours = "shift"\n'
        return text.replace("size = 420\n", hours)

    async with open_sandbox("v1", edit_policy=quiet) as sandbox:
        draft = await draft_at(sandbox, timedelta(hours=20))
        meant = sandbox.clock() + timedelta(hours=20)
        assert draft.schedule is not None
        assert draft.schedule.at != meant
        after = await to_everyone(sandbox)
        assert after.schedule is not None
        assert (after.schedule.at, after.schedule.moved_from) == (meant, None)


def many(count: int) -> Callable[[str], str]:
    more = "".join(
        f'[[server.audience]]\nname = "Room {number}"\nsize = 7\ntargets.experiences = ["exp_r{number}"]\n'
        for number in range(count)
    )

    def edited(text: str) -> str:
        return text + more

    return edited


@pytest.mark.parametrize(("count", "listed"), [(22, True), (23, False)])
async def test_the_form_is_a_list_of_twenty_five_or_a_name_to_type(
    open_sandbox: OpenSandbox, count: int, *, listed: bool
) -> None:
    async with open_sandbox("v1", edit_policy=many(count)) as sandbox:
        draft = await sandbox.compose()
        form = await sandbox.person("Maya").click(response(draft), label=AUDIENCE)
        asked = str(form.modal)
        assert ("'type': 3" in asked) is listed
        # What it is for now is not among what can be chosen.
        assert "'value': 'Gold members'" not in asked
        assert ("about 12,000 · 2 approvals, name typed" in asked) is listed
        await changed(sandbox, draft, AUDIENCE, "Room 21")
        assert get(sandbox).audience == "Room 21"


async def test_a_part_of_a_name_is_enough_unless_it_is_one_of_several(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v1", edit_policy=many(30)) as sandbox:
        draft = await sandbox.compose()
        said = answer(await changed(sandbox, draft, AUDIENCE, "room 2"))
        assert said.startswith("“room 2” stands in several names: type more of it (“Room 2”, “Room 20”, ")
        said = answer(await changed(sandbox, draft, AUDIENCE, "nobody"))
        assert said.startswith("There is no audience “nobody”")
        assert get(sandbox).audience == "Gold members"
        await changed(sandbox, draft, AUDIENCE, "EVERY")
        assert get(sandbox).audience == "Everyone"


async def test_nothing_is_asked_where_there_is_nothing_else_to_choose(open_sandbox: OpenSandbox) -> None:
    def closed(text: str) -> str:
        return text.replace("targets =", "compose = [104900000000000031]\ntargets =").replace(
            "size = 420\ncompose = [104900000000000031]\n", "size = 420\n"
        )

    async with open_sandbox("v5", edit_policy=closed) as sandbox:
        draft = await sandbox.compose()
        said = answer(await sandbox.person("Maya").click(response(draft), label=AUDIENCE))
        assert said == "There is no other audience that you may choose."
        with pytest.raises(NotAllowed, match="“Everyone” takes the role"):
            await to_everyone(sandbox)
        assert only([get(sandbox).audience]) == "Gold members"
