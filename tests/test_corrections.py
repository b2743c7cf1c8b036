"""A correction of what went out: to the same people, with other words, and with a quorum of its own."""

import discord
import pytest

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, NotReady
from bot.notification import Notification, Text
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.store import Access
from cogs.layout import CORRECTS
from cogs.pairs import CORRECTED
from tests.conftest import OpenSandbox
from tests.harness.found import only
from tests.harness.links import unlinked

# One approval corrects what two had to approve.
QUORUM = ("approvals = 2\n", "approvals = 2\ncorrections = 1\n")


def saying(content: str, *, topic: str = "announcements") -> Notification:
    return Notification(topic=topic, all=Text(subject="We are live", content=content))


def get(sandbox: Sandbox, number: int) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


def fields(message: discord.Message) -> dict[str, str]:
    shown = [one for embed in message.embeds for one in embed.fields]
    return {one.name or "": unlinked(one.value or "") for one in shown}


async def sent(sandbox: Sandbox, content: str = "Come at noon", audience: str = "Gold members") -> None:
    """Let Maya write it, everybody approve it who can, and let it go out."""
    await sandbox.submit(await sandbox.compose(content=content, audience=audience))
    await sandbox.press("Omar", "Approve")
    if audience == "Everyone":
        await sandbox.press("Lena", "Approve")
    await sandbox.wait(UNDONE)
    assert "Accepted by Whop" in readable(sandbox.review_card())


async def corrected(sandbox: Sandbox, who: str, number: int, content: str) -> Broadcast:
    revision, channel = get(sandbox, number).revision, sandbox.channel("moderators").id
    return await sandbox.herald.service.correct(
        sandbox.actor(who), number, revision=revision, notification=saying(content), channel_id=channel
    )


async def test_what_was_wrong_is_corrected_to_the_same_people_and_both_cards_point_at_each_other(
    sandbox: Sandbox,
) -> None:
    maya, moderators = sandbox.person("Maya"), sandbox.channel("moderators")
    await sandbox.restart(edit_policy=lambda text: text.replace(*QUORUM))
    await sent(sandbox, audience="Everyone")
    first = sandbox.whop.pushes.copy()
    await sandbox.restart(edit_policy=lambda text: text.replace(*QUORUM))

    form = await maya.click(sandbox.review_card(), label="Correct…")
    assert form.modal is not None
    assert "Come at noon" in str(form.modal)
    values = {"subject": "We are live", "content": "Come at **nine**"}
    values |= {"where": "same"} if sandbox.generation == "v5" else {}
    draft = await maya.submit_modal(form, values)
    assert draft.ephemeral
    assert unlinked(answer(draft)).startswith("A correction of #1.")
    assert fields(response(draft))[CORRECTS] == (
        "It goes to those whom #1 went to.\n"
        r"__Feed and phone, content__: Come at ~~noon~~ **\*\*nine\*\***"
    )
    await sandbox.submit(draft)

    assert fields(sandbox.review_card())[CORRECTS].startswith("It goes to those whom #1 went to.")
    assert "Approvals 0 of 1" in readable(sandbox.review_card())
    assert "May be a second push" not in readable(sandbox.review_card())
    assert "The same words" not in readable(sandbox.review_card())
    shown = response(await maya.slash(moderators, "notify show", broadcast="1"))
    assert fields(shown)[CORRECTED] == "By #2 (Waits for approval)."
    assert "You wrote this broadcast" in answer(await sandbox.press("Maya", "Approve"))
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(UNDONE)

    new = sandbox.whop.pushes[len(first) :]
    assert [one.audience for one in new] == [one.audience for one in first]
    assert {one.feed for one in new} == {("We are live", "Come at **nine**")}
    keys = [one.headers.get("Idempotency-Key") for one in sandbox.whop.exchanges]
    assert len(set(keys)) == len(keys) or sandbox.generation == "v5"
    cards = [one for one in sandbox.channel("review").history() if one.embeds]
    assert fields(cards[0])[CORRECTED] == "By #2 (Accepted by Whop)."
    listed = unlinked(answer(await maya.slash(moderators, "notify history")))
    assert [line.partition(" · ✏️ ")[2].partition(" · ")[0] for line in listed.splitlines()[1:]] == [
        "corrects #1",
        "corrected by #2",
    ]
    assert "which corrects #1" in answer(await maya.slash(moderators, "notify show", broadcast="2"))
    assert "corrected by #2" in answer(await maya.slash(moderators, "notify show", broadcast="1"))


async def test_a_correction_is_corrected_in_turn_and_what_went_out_stays_as_it_was(v5: Sandbox) -> None:
    await sent(v5)
    old = get(v5, 1)
    for number, content in ((1, "Come at nine"), (2, "Come at ten")):
        draft = await corrected(v5, "Maya", number, content)
        await v5.herald.service.submit(v5.actor("Maya"), draft.id, revision=draft.revision)
        await v5.settle()
        await v5.press("Omar", "Approve")
        await v5.wait(UNDONE)
    assert [get(v5, one).corrects for one in (1, 2, 3)] == [None, 1, 2]
    assert [get(v5, one).corrected_by for one in (1, 2, 3)] == [(2,), (3,), ()]
    assert [one.feed for one in v5.whop.pushes] == [
        ("We are live", one) for one in ("Come at noon", "Come at nine", "Come at ten")
    ]
    assert get(v5, 1).model_copy(update={"corrected_by": (), "updated_at": old.updated_at}) == old
    # What a correction was begun with and given up is none.
    await corrected(v5, "Maya", 1, "Come at eleven")
    assert get(v5, 1).corrected_by == (2, 4)
    await v5.herald.service.cancel(v5.actor("Maya"), 4)
    assert get(v5, 1).corrected_by == (2,)


async def test_nearly_the_same_is_what_a_correction_says_and_warns_of_nothing_that_it_corrects(
    open_sandbox: OpenSandbox,
) -> None:
    def strict(policy: str) -> str:
        return policy.replace("[[server.topic]]", '[server.lint]\nrepeats = "stop"\n\n[[server.topic]]', 1)

    async with open_sandbox("v5", rules=strict) as sandbox:
        service, maya = sandbox.herald.service, sandbox.actor("Maya")
        said = "The stream of tonight begins at {} and everybody is welcome to join us there"
        await sent(sandbox, said.format("noon"))
        for number, hour in ((1, "nine"), (2, "ten")):
            draft = await corrected(sandbox, "Maya", number, said.format(hour))
            assert [*(await service.beside(draft)).near] == []
            await service.submit(maya, draft.id, revision=draft.revision)
            await sandbox.settle()
            await sandbox.press("Omar", "Approve")
            await sandbox.wait(UNDONE)
        # Another correction of the same is news to nobody who has the first.
        third = await corrected(sandbox, "Maya", 1, said.format("eleven"))
        with pytest.raises(NotReady, match="early the same"):
            await service.submit(maya, third.id, revision=third.revision)


async def test_what_says_the_same_is_no_correction(v5: Sandbox) -> None:
    service, maya = v5.herald.service, v5.actor("Maya")
    await sent(v5)
    person, moderators = v5.person("Maya"), v5.channel("moderators")
    for content in ("Come at noon", "  Come   at noon\n"):
        draft = await corrected(v5, "Maya", 1, content)
        said = "It says what #1 said: change the words that were wrong."
        with pytest.raises(NotReady) as refused:
            await service.submit(maya, draft.id, revision=draft.revision)
        assert str(refused.value) == said
        shown = response(await person.slash(moderators, "notify show", broadcast=str(draft.id)))
        assert f"• {said}" in fields(shown)["Before you can ask for approval"]
        assert "Ask for approval" not in button_labels(shown)
    other = saying("Come at nine", topic="outages")
    draft = await service.edit(maya, 2, revision=get(v5, 2).revision, notification=other)
    with pytest.raises(NotReady, match="A correction keeps the topic of #1"):
        await service.submit(maya, 2, revision=draft.revision)


async def test_whoever_wrote_the_words_that_were_wrong_approves_no_correction(v5: Sandbox) -> None:
    await sent(v5)
    draft = await corrected(v5, "Omar", 1, "Come at nine")
    await v5.herald.service.submit(v5.actor("Omar"), 2, revision=draft.revision)
    assert set(get(v5, 2).editors) == {v5.actor("Maya").id, v5.actor("Omar").id}
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await v5.herald.service.approve(v5.actor("Omar"), 2, revision=draft.revision)


@pytest.mark.parametrize("generation", ["v5", "v1"])
async def test_others_than_it_went_to_get_no_correction(open_sandbox: OpenSandbox, generation: str) -> None:
    target = "prod_gold" if generation == "v5" else "exp_gold"
    async with open_sandbox(generation) as sandbox:
        await sent(sandbox)
        draft = await corrected(sandbox, "Maya", 1, "Come at nine")
        await sandbox.restart(
            edit_policy=lambda text: text.replace(
                f'"{target}"', '"x_all"'.replace("x", target[:4].rstrip("_"))
            )
        )
        said = "“Gold members” stands for others now than those whom #1 went to"
        with pytest.raises(NotReady, match=said):
            await sandbox.herald.service.submit(sandbox.actor("Maya"), 2, revision=draft.revision)
        with pytest.raises(NotReady, match=said):
            await corrected(sandbox, "Maya", 1, "Come at ten")
        shown = await sandbox.person("Maya").slash(
            sandbox.channel("moderators"), "notify show", broadcast="1"
        )
        pressed = await sandbox.person("Maya").click(response(shown), label="Correct…")
        assert pressed.modal is None
        assert said in answer(pressed)


async def test_only_what_reached_somebody_is_corrected(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    with pytest.raises(Conflict, match="it is under review"):
        await corrected(v5, "Maya", 1, "Come at nine")
    await v5.press("Omar", "Reject", reason="No")
    with pytest.raises(Conflict, match="it was cancelled"):
        await corrected(v5, "Maya", 1, "Come at nine")
    assert "Correct…" not in button_labels(v5.review_card())
    await sent(v5)
    with pytest.raises(NotAllowed, match="You cannot correct this broadcast"):
        await corrected(v5, "Lena", 2, "Come at nine")


async def test_a_template_lends_nothing_to_a_correction(v5: Sandbox) -> None:
    service, maya = v5.herald.service, v5.actor("Maya")
    standing = only(await service.templates(v5.actor("Omar")))
    await service.approve_template(v5.actor("Omar"), standing.number)
    values = {"service": "Streaming", "since": "noon"}
    draft = await service.compose_from(maya, standing.number, values, channel_id=1)
    await service.submit(maya, 1, revision=1)
    await v5.wait(UNDONE)
    words = get(v5, 1).notification
    assert words.all is not None
    other = words.model_copy(
        update={"all": words.all.model_copy(update={"content": words.all.content.replace("noon", "nine")})}
    )
    draft = await service.correct(maya, 1, revision=1, notification=other, channel_id=1)
    offer = await service.offer_of(draft)
    assert (offer.approvals, "it corrects #1, and that needs people" in offer.why_not) == ((), True)


async def test_a_partly_sent_broadcast_says_on_its_correction_that_not_everybody_got_it(v5: Sandbox) -> None:
    await sent(v5)
    with v5.herald.store.begin() as tx:
        tx._connection.exec_driver_sql(  # pyright: ignore[reportPrivateUsage]
            "UPDATE broadcasts SET status = 'partial' WHERE id = 1"
        )
    draft = await corrected(v5, "Maya", 1, "Come at nine")
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify show", broadcast=str(draft.id))
    assert "Not everybody got that one." in fields(response(shown))[CORRECTS]
    assert get(v5, 2).status is Status.DRAFT
