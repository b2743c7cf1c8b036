"""Words that are used again: a new draft of whoever asks, the old broadcast as it was, and no own yes."""

import re
from dataclasses import replace

import pytest

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, NotFound, NotReady
from bot.notification import Notification, Text
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.sandbox.whop import Fault
from bot.store import Access
from tests.conftest import OpenSandbox, as_it_is
from tests.harness.found import last, only
from tests.harness.links import unlinked

REUSE = "Use these words again"
OTHER_WORDS = Notification(topic="announcements", all=Text(subject="Other words", content="Come in"))


def get(sandbox: Sandbox, number: int) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


def recorded(sandbox: Sandbox, action: str) -> list[str]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return [one.detail for one in tx.audit.of_guild(sandbox.world.guild.id) if one.action == action]


async def reuse(sandbox: Sandbox, who: str, number: int) -> Broadcast:
    revision, channel = get(sandbox, number).revision, sandbox.channel("moderators").id
    return await sandbox.herald.service.reuse(
        sandbox.actor(who), number, revision=revision, channel_id=channel
    )


async def composed(sandbox: Sandbox, who: str, *, audience: str = "Gold members") -> Broadcast:
    words = Notification(topic="announcements", all=Text(subject="We are live", content="Come in"))
    return await sandbox.herald.service.compose(
        sandbox.actor(who), audience=audience, notification=words, channel_id=1
    )


async def edited(sandbox: Sandbox, who: str, draft: Broadcast) -> Broadcast:
    return await sandbox.herald.service.edit(
        sandbox.actor(who), draft.id, revision=draft.revision, notification=OTHER_WORDS
    )


async def submitted(sandbox: Sandbox, who: str, draft: Broadcast) -> Broadcast:
    return await sandbox.herald.service.submit(sandbox.actor(who), draft.id, revision=draft.revision)


async def approve(sandbox: Sandbox, who: str, waiting: Broadcast) -> Broadcast:
    return await sandbox.herald.service.approve(sandbox.actor(who), waiting.id, revision=waiting.revision)


# --- what comes of it ------------------------------------------------------------------------------


async def test_what_was_sent_is_used_again_after_a_restart_reviewed_anew_and_sent_as_it_was(
    sandbox: Sandbox,
) -> None:
    await sandbox.approved(subject="Wir sind live 🎉", content="Zeile *eins*\nZeile <zwei>")
    await sandbox.wait(UNDONE)
    old = get(sandbox, 1)
    shown = await sandbox.person("Omar").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    await sandbox.restart()
    draft = await sandbox.person("Omar").click(response(shown), label=REUSE)

    assert draft.ephemeral
    assert answer(draft).startswith("A new draft in the words of #1.")
    new = get(sandbox, 2)
    assert (new.status, new.author.name, new.approvals, new.repeats) == (Status.DRAFT, "Omar", (), None)
    assert (new.notification, new.audience, new.fingerprint) == (
        old.notification,
        old.audience,
        old.fingerprint,
    )
    assert new.origin_channel_id == sandbox.channel("moderators").id
    assert get(sandbox, 1) == old
    assert recorded(sandbox, "composed") == [
        "for Gold members",
        "for Gold members, in the words of #1",
    ]

    await sandbox.submit(draft, "Omar")
    assert "You wrote this broadcast" in answer(await sandbox.press("Omar", "Approve"))
    await sandbox.press("Lena", "Approve")
    await sandbox.wait(UNDONE)
    first, second = sandbox.whop.pushes
    assert (first.feed, first.phone, first.audience) == (second.feed, second.phone, second.audience)
    assert readable(sandbox.review_card()).startswith("#2 · Accepted by Whop")


async def test_a_draft_is_duplicated_by_its_author_and_both_go_their_own_way(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(subject="One of two")
    assert "Duplicate" in button_labels(response(draft))
    copy = await sandbox.person("Maya").click(response(draft), label="Duplicate")
    assert "One of two" in answer(copy)
    assert "Duplicate" in button_labels(response(copy))
    await edited(sandbox, "Maya", get(sandbox, 2))
    assert [(get(sandbox, one).title, get(sandbox, one).status) for one in (1, 2)] == [
        ("One of two", Status.DRAFT),
        ("Other words", Status.DRAFT),
    ]
    await sandbox.submit(draft)
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(UNDONE)
    assert (get(sandbox, 1).status, get(sandbox, 2).status) == (Status.SENT, Status.DRAFT)


async def test_words_can_be_used_again_wherever_their_broadcast_stands(v5: Sandbox) -> None:
    maya, moderators = v5.person("Maya"), v5.channel("moderators")

    async def offered() -> bool:
        shown = await maya.slash(moderators, "notify show", broadcast="1")
        return REUSE in button_labels(response(shown))

    await v5.submit(await v5.compose())
    assert await offered()
    await v5.press("Omar", "Approve")
    assert await offered()
    assert REUSE not in button_labels(v5.review_card())
    await v5.herald.service.cancel(v5.actor("Lena"), 1)
    assert await offered()
    assert (await reuse(v5, "Omar", 1)).title == "We are live"


async def test_the_same_again_is_warned_of_as_ever(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v1", rules=as_it_is) as careful:
        await careful.approved()
        await careful.wait(UNDONE)
        shown = await careful.person("Maya").slash(
            careful.channel("moderators"), "notify show", broadcast="1"
        )
        draft = await careful.person("Maya").click(response(shown), label=REUSE)
        assert "⚠️ The same was sent as #1" in unlinked(answer(draft))
        await careful.submit(draft)
        with pytest.raises(NotReady, match="The same was sent as #1"):
            await approve(careful, "Omar", get(careful, 2))


# --- whose words they are --------------------------------------------------------------------------


@pytest.mark.parametrize("changed", [False, True], ids=["as they were", "after an edit"])
async def test_whoever_wrote_the_words_cannot_approve_them_in_what_uses_them_again(
    v5: Sandbox, changed: bool
) -> None:
    await submitted(v5, "Omar", await composed(v5, "Omar"))
    draft = await reuse(v5, "Maya", 1)
    if changed:
        draft = await edited(v5, "Maya", draft)
    waiting = await submitted(v5, "Maya", draft)
    with pytest.raises(NotAllowed, match="You wrote this broadcast, so somebody else has to approve"):
        await approve(v5, "Omar", waiting)
    assert (await approve(v5, "Lena", waiting)).status is Status.APPROVED


async def test_whoever_wrote_the_words_twice_ago_cannot_approve_them_either(v5: Sandbox) -> None:
    await submitted(v5, "Omar", await composed(v5, "Omar"))
    second = await submitted(v5, "Maya", await edited(v5, "Maya", await reuse(v5, "Maya", 1)))
    third = await reuse(v5, "Maya", second.id)
    assert set(third.editors) == {v5.actor("Omar").id, v5.actor("Maya").id}
    waiting = await submitted(v5, "Maya", third)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await approve(v5, "Omar", waiting)


@pytest.mark.parametrize("changed", [False, True], ids=["as they were", "after an edit"])
async def test_whoever_only_used_them_again_wrote_none_of_them_and_whoever_changed_them_did(
    v5: Sandbox, changed: bool
) -> None:
    await submitted(v5, "Maya", await composed(v5, "Maya"))
    second = await reuse(v5, "Omar", 1)
    if changed:
        second = await edited(v5, "Omar", second)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await approve(v5, "Omar", await submitted(v5, "Omar", second))
    waiting = await submitted(v5, "Maya", await reuse(v5, "Maya", 2))
    if changed:
        with pytest.raises(NotAllowed, match="You wrote this broadcast"):
            await approve(v5, "Omar", waiting)
    else:
        assert (await approve(v5, "Omar", waiting)).status is Status.APPROVED


# --- what is refused -------------------------------------------------------------------------------


async def test_a_draft_of_somebody_elses_is_not_used_again_and_its_words_are_not_told(v5: Sandbox) -> None:
    draft = await composed(v5, "Maya")
    with pytest.raises(NotFound, match="#1 is a draft, and only its author can see it"):
        await reuse(v5, "Omar", draft.id)
    assert recorded(v5, "refused reuse") == ["#1 is a draft, and only its author can see it."]
    assert len(await v5.herald.service.drafts(v5.actor("Omar"))) == 0


async def test_it_takes_the_role_compose_and_nobody_else_is_offered_it(v5: Sandbox) -> None:
    await v5.approved()
    shown = await v5.person("Lena").slash(v5.channel("moderators"), "notify show", broadcast="1")
    assert REUSE not in button_labels(response(shown))
    with pytest.raises(NotAllowed, match="You cannot use the words of this broadcast again: it takes"):
        await reuse(v5, "Lena", 1)
    assert len(recorded(v5, "refused reuse")) == 1


async def test_it_is_used_as_it_was_shown_and_once_for_each_press(v5: Sandbox) -> None:
    draft, service = await composed(v5, "Maya"), v5.herald.service
    await edited(v5, "Maya", draft)
    with pytest.raises(Conflict, match="This card is out of date"):
        await service.reuse(v5.actor("Maya"), 1, revision=1, channel_id=1)
    with pytest.raises(Conflict, match="This card is out of date"):
        await service.reuse(replace(v5.actor("Maya"), seen="f" * 32), 1, revision=2, channel_id=1)
    pressing = replace(v5.actor("Maya"), interaction=7)
    await service.reuse(pressing, 1, revision=2, channel_id=1)
    with pytest.raises(Conflict, match="This has been done already"):
        await service.reuse(pressing, 1, revision=2, channel_id=1)
    assert len(await service.drafts(v5.actor("Maya"))) == 2


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ('"Gold members"', '"Golden members"', "The audience “Gold members” is no longer in the policy"),
        ('id = "announcements"', 'id = "news"', "The topic “announcements” is no longer in the policy"),
    ],
    ids=["audience", "topic"],
)
async def test_what_left_the_policy_is_named_with_what_to_do_and_nothing_is_lost(
    sandbox: Sandbox, was: str, now: str, said: str
) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    await sandbox.restart(edit_policy=lambda text: text.replace(was, now))
    maya, moderators = sandbox.person("Maya"), sandbox.channel("moderators")
    shown = await maya.slash(moderators, "notify show", broadcast="1")
    assert "The stream starts now" in answer(shown)
    old = get(sandbox, 1)
    refused = await maya.click(response(shown), label=REUSE)
    plain = re.sub("[\u2066-\u2069]", "", answer(refused))
    assert plain == (
        f"{said}: use /notify compose with another one, and copy the words from #1, which stays as it is."
    )
    assert only(recorded(sandbox, "refused reuse")).startswith(said)
    assert get(sandbox, 1) == old
    assert await sandbox.herald.service.drafts(sandbox.actor("Maya")) == []


# --- beside what is unknown ------------------------------------------------------------------------


async def unknown(sandbox: Sandbox) -> None:
    sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    assert get(sandbox, 1).status is Status.UNKNOWN


async def test_of_what_is_unknown_it_is_a_repeat_that_warns_and_one_is_open_at_a_time(v5: Sandbox) -> None:
    await unknown(v5)
    shown = await v5.person("Omar").slash(v5.channel("moderators"), "notify show", broadcast="1")
    assert REUSE not in button_labels(response(shown))
    assert (await reuse(v5, "Omar", 1)).repeats == 1
    assert last(recorded(v5, "composed")).endswith("again after #1: it may be a second push")
    with pytest.raises(Conflict, match="#2 sends #1 again already"):
        await reuse(v5, "Maya", 1)


async def test_a_duplicate_of_what_sends_another_again_warns_of_that_until_it_has_ended(v5: Sandbox) -> None:
    await unknown(v5)
    await reuse(v5, "Omar", 1)
    assert (await reuse(v5, "Omar", 2)).repeats == 1
    shown = await v5.person("Omar").slash(v5.channel("moderators"), "notify show", broadcast="3")
    assert "Also sent again as #2 (Draft)" in unlinked(answer(shown))
    await v5.herald.service.cancel(v5.actor("Omar"), 2)
    assert (await reuse(v5, "Omar", 2)).repeats is None
