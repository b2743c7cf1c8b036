"""What nobody knows the end of: asked again where that is safe, and sent again only as something new."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, NotReady, Refused
from bot.key_trust import Verdict, keep
from bot.notification import Notification, Text
from bot.permissions import Action, Actor
from bot.policy.model import ACCOUNT
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.sandbox.whop import Fault
from bot.store import Access
from bot.store.tables import interactions
from cogs.cards import Cards
from tests.harness.cards import labels, review_card, words
from tests.harness.clock import NOW
from tests.harness.found import only
from tests.harness.people import LENA, MAYA, NOOR, OMAR
from tests.harness.process import Cluster, Process

DECIDE = ["It went out", "It did not", "Send again as a new broadcast"]
# What v1's log of requests may show.
UNCHECKED = ["Look it up", *DECIDE]
CHECKABLE = ["Look it up", "Check again", *DECIDE]
HOUR = timedelta(hours=1)


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


async def unknown(
    cluster: Cluster, *, fault: Fault = Fault.NONE, audience: str = "One", **who: Actor
) -> Process:
    """Get to where a request left and its process died before it read the answer."""
    cluster.whop.fail_next(fault)
    process = await cluster.join()
    await process.due(audience, **who)
    await process.die_in_flight()
    again = await cluster.join()
    await again.let_leases_end()
    await again.dispatcher.sweep()
    assert await again.status() is Status.UNKNOWN
    return again


async def checkable(cluster: Cluster, *, fault: Fault = Fault.NONE, **who: Actor) -> Process:
    """Get to the same, with a key that was proven before the request left."""
    process = await unknown(cluster, fault=fault, audience="One", **who)
    await process.prove(at=NOW)
    return process


async def check(process: Process, actor: Actor = LENA, *, revision: int = 1) -> Broadcast:
    return await process.service.check_again(actor, 1, revision=revision)


# --- when it can be checked ------------------------------------------------------------------------


async def test_checking_again_is_offered_only_with_a_proven_key(cluster: Cluster) -> None:
    process = await unknown(cluster)
    assert labels(await review_card(process)) == UNCHECKED
    await process.prove(at=NOW)
    card = await review_card(process)
    assert labels(card) == CHECKABLE
    assert "**Check again** repeats the very same request" in words(card)


async def test_a_key_that_was_proven_after_the_request_left_is_of_no_use(cluster: Cluster) -> None:
    process = await unknown(cluster)
    cluster.clock.advance(timedelta(seconds=1))
    await process.prove()
    assert labels(await review_card(process)) == UNCHECKED
    with pytest.raises(NotReady, match="It cannot be checked any more"):
        await check(process)


async def test_checking_again_is_offered_as_long_as_the_key_lives_and_refused_after(
    cluster: Cluster,
) -> None:
    process = await checkable(cluster)
    cluster.clock.advance(20 * HOUR - timedelta(seconds=1))
    assert labels(await review_card(process)) == CHECKABLE
    cluster.clock.advance(timedelta(seconds=1))
    assert labels(await review_card(process)) == UNCHECKED
    with pytest.raises(NotReady, match="Whop may have forgotten the request and send it twice"):
        await check(process)
    await process.tick()
    assert len(cluster.whop.exchanges) == 1


async def test_v5_has_no_key_and_can_never_be_checked_again(tmp_path: Path, sqlite_url: str) -> None:
    async with Cluster.open(sqlite_url, tmp_path, generation="v5") as cluster:
        process = await checkable(cluster)
        assert labels(await review_card(process)) == DECIDE
        with pytest.raises(NotReady):
            await check(process)


async def test_what_is_not_unknown_cannot_be_checked(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.prove()
    await process.due()
    await process.tick()
    assert not await process.service.can_check(await process.get())
    with pytest.raises(Conflict, match="Whop has already accepted it"):
        await check(process)


# --- what comes of it ------------------------------------------------------------------------------


async def test_a_check_repeats_the_same_request_once_and_an_answer_from_memory_is_an_acceptance(
    cluster: Cluster,
) -> None:
    process = await checkable(cluster)
    # Long after what was approved would have been missed: a person asked.
    cluster.clock.advance(3 * HOUR)
    await check(process)
    card = await review_card(process)
    assert labels(card) == []
    assert "Whop is being asked again, with the same request" in words(card)
    await process.tick()
    await process.tick(HOUR)

    assert await process.status() is Status.SENT
    first, second = cluster.deliveries_seen()
    assert first == second
    assert first[0]
    assert [one.replayed for one in cluster.whop.exchanges] == [False, True]
    assert len(cluster.whop.pushes) == 1
    assert len(await process.lines("check")) == 1


async def test_whoever_did_not_get_it_then_gets_it_by_the_check(cluster: Cluster) -> None:
    process = await checkable(cluster, fault=Fault.DROP_BEFORE_ACCEPT)
    assert cluster.whop.pushes == []
    await check(process)
    await process.tick()
    assert await process.status() is Status.SENT
    assert len(cluster.whop.pushes) == 1


async def test_a_refusal_from_memory_is_the_refusal_of_then(cluster: Cluster) -> None:
    process = await checkable(cluster, fault=Fault.REJECT)
    await check(process)
    await process.tick()
    assert await process.status() is Status.FAILED


async def test_a_new_refusal_says_nothing_of_then_and_a_person_is_asked_again(cluster: Cluster) -> None:
    process = await checkable(cluster, fault=Fault.DROP_AFTER_ACCEPT)
    cluster.whop.fault = Fault.UNAUTHORIZED
    await check(process)
    await process.tick()
    assert await process.status() is Status.UNKNOWN
    assert "an earlier attempt was left without a final answer" in words(await review_card(process))


@pytest.mark.parametrize(
    "fault", [Fault.DROP_AFTER_ACCEPT, Fault.DROP_BEFORE_ACCEPT, Fault.SERVER_ERROR, Fault.RATE_LIMITED]
)
async def test_a_check_without_an_answer_is_not_repeated_and_a_person_is_asked_again(
    cluster: Cluster, fault: Fault
) -> None:
    process = await checkable(cluster)
    cluster.whop.fault = fault
    await check(process)
    await process.tick()
    assert await process.status() is Status.UNKNOWN
    assert labels(await review_card(process)) == CHECKABLE
    await process.tick(timedelta(minutes=5))
    assert len(cluster.whop.exchanges) == 2

    cluster.whop.fault = Fault.NONE
    await check(process)
    await process.tick()
    assert await process.status() is Status.SENT
    assert len(cluster.whop.pushes) == 1


async def test_a_check_asks_only_for_what_is_unknown(cluster: Cluster) -> None:
    process = await cluster.join()
    cluster.whop.fail_next(Fault.NONE)
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await process.due("Two")
    await process.tick()
    assert await process.status() is Status.UNKNOWN
    await process.prove(at=NOW)
    await check(process)
    await process.tick()
    assert await process.status() is Status.SENT
    assert (len(cluster.whop.exchanges), len(cluster.whop.pushes)) == (3, 2)


@pytest.mark.parametrize("late", [False, True])
async def test_a_crash_during_a_check_leaves_it_unknown_and_a_person_is_asked_again(
    cluster: Cluster, late: bool
) -> None:
    process = await checkable(cluster)
    if late:
        cluster.clock.advance(HOUR)
    await check(process)
    await process.die_in_flight()
    again = await cluster.join()
    await again.let_leases_end()
    for _ in range(2):
        await again.tick(timedelta(minutes=1))
    assert await again.status() is Status.UNKNOWN
    assert labels(await review_card(again)) == CHECKABLE
    assert len(cluster.whop.exchanges) == 2


async def test_a_check_that_waits_when_it_crashes_is_made_by_the_next_start(cluster: Cluster) -> None:
    process = await checkable(cluster)
    await check(process)
    await process.leave()
    again = await cluster.join()
    await again.tick()
    assert await again.status() is Status.SENT
    assert len(cluster.whop.pushes) == 1


async def test_a_check_whose_key_dies_while_it_is_frozen_is_not_made(cluster: Cluster) -> None:
    process = await checkable(cluster)
    await check(process)
    await process.service.freeze(OMAR, "Wait")
    await process.tick(20 * HOUR)
    await process.unfreeze(LENA)
    await process.tick()
    assert await process.status() is Status.UNKNOWN
    assert len(cluster.whop.exchanges) == 1


# --- who may, and when -----------------------------------------------------------------------------


@pytest.mark.parametrize("actor", [OMAR, MAYA], ids=["approver", "author"])
async def test_checking_again_takes_the_role_operate_and_somebody_else_than_the_author(
    cluster: Cluster, actor: Actor
) -> None:
    process = await checkable(cluster)
    with pytest.raises(NotAllowed):
        await check(process, actor)
    assert len(await process.lines("refused check")) == 1
    await process.tick()
    assert len(cluster.whop.exchanges) == 1


async def test_the_author_cannot_check_again_even_with_the_role(cluster: Cluster) -> None:
    process = await checkable(cluster, author=NOOR)
    with pytest.raises(NotAllowed, match="You wrote this broadcast, so somebody else has to ask Whop again"):
        await check(process, NOOR)


async def test_nothing_is_checked_while_sending_is_frozen(cluster: Cluster) -> None:
    process = await checkable(cluster)
    await process.service.freeze(OMAR, "Wait")
    with pytest.raises(NotReady, match="is frozen by Omar"):
        await check(process)
    await process.unfreeze(LENA)
    await check(process)


async def test_an_old_card_cannot_check(cluster: Cluster) -> None:
    process = await checkable(cluster)
    with pytest.raises(Conflict, match="This card is out of date"):
        await check(process, revision=2)


WHILE = "Whop is being asked about it right now: wait for the answer"


@pytest.mark.parametrize("in_flight", [False, True])
async def test_while_it_is_checked_nobody_can_check_again_or_say_what_became_of_it(
    cluster: Cluster, in_flight: bool
) -> None:
    process = await checkable(cluster)
    await check(process)
    ticking, barrier = await process.stopped_after_the_answer() if in_flight else (None, None)
    with pytest.raises(Conflict, match=WHILE):
        await check(process)
    for action in (Action.CONFIRM, Action.DENY):
        with pytest.raises(Conflict, match=WHILE):
            await process.service.act_with_reason(LENA, action, 1, revision=1, reason="I looked")
    assert labels(await review_card(process)) == []
    if ticking and barrier:
        barrier.opened.set()
        await ticking
    else:
        await process.tick()
    assert await process.status() is Status.SENT
    assert len(cluster.whop.exchanges) == 2


# --- sending again as a new broadcast --------------------------------------------------------------


async def again(process: Process, actor: Actor = NOOR, *, revision: int = 1) -> Broadcast:
    return await process.service.send_again(actor, 1, revision=revision, channel_id=77)


async def test_sending_again_makes_a_draft_of_the_presser_and_leaves_the_old_one_unknown(
    cluster: Cluster,
) -> None:
    process = await unknown(cluster)
    draft, old = await again(process), await process.get()
    assert (draft.status, draft.author, draft.repeats) == (Status.DRAFT, NOOR.person, old.id)
    assert (draft.notification, draft.audience, draft.fingerprint) == (
        old.notification,
        old.audience,
        old.fingerprint,
    )
    assert (draft.origin_channel_id, draft.approvals) == (77, ())
    assert old.status is Status.UNKNOWN
    await process.tick(HOUR)
    assert len(cluster.whop.exchanges) == 1


async def test_what_is_sent_again_needs_a_full_review_by_none_of_its_authors(cluster: Cluster) -> None:
    process = await unknown(cluster, author=OMAR, approver=LENA)
    draft = await again(process)
    await process.service.submit(NOOR, draft.id, revision=1)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await process.service.approve(OMAR, draft.id, revision=1)
    await process.service.approve(LENA, draft.id, revision=1)
    await process.tick(timedelta(seconds=11))
    assert await process.status(draft.id) is Status.SENT
    assert await process.status() is Status.UNKNOWN
    first, second = cluster.deliveries_seen()
    assert first[1] == second[1]
    assert first[0] != second[0]


async def test_whoever_wrote_the_old_words_cannot_approve_them_after_an_edit_either(
    cluster: Cluster,
) -> None:
    process = await unknown(cluster, author=OMAR, approver=LENA)
    draft = await again(process)
    other = Notification(topic="news", all=Text(subject="Other words", content="Come in"))
    await process.service.edit(NOOR, draft.id, revision=1, notification=other)
    await process.service.submit(NOOR, draft.id, revision=2)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await process.service.approve(OMAR, draft.id, revision=2)


async def test_whoever_wrote_the_words_twice_ago_cannot_approve_them(cluster: Cluster) -> None:
    process = await unknown(cluster, author=OMAR, approver=LENA)
    second = await again(process, NOOR)
    with process.store.begin() as tx:
        assert tx.broadcasts.change(second, status=Status.UNKNOWN, at=NOW)
    third = await process.service.send_again(MAYA, second.id, revision=second.revision, channel_id=77)
    assert set(third.editors) == {OMAR.id, NOOR.id}
    await process.service.submit(MAYA, third.id, revision=third.revision)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await process.service.approve(OMAR, third.id, revision=third.revision)


async def test_the_author_may_send_again_what_they_wrote(cluster: Cluster) -> None:
    process = await unknown(cluster)
    assert (await again(process, MAYA)).author == MAYA.person


async def test_sending_again_takes_the_role_compose(cluster: Cluster) -> None:
    process = await unknown(cluster)
    with pytest.raises(NotAllowed, match="You cannot compose this broadcast again"):
        await again(process, LENA)
    assert len(await process.lines("refused send_again")) == 1


async def test_only_what_is_unknown_can_be_sent_again_and_only_from_its_newest_card(
    cluster: Cluster,
) -> None:
    process = await unknown(cluster)
    with pytest.raises(Conflict, match="This card is out of date"):
        await again(process, revision=2)
    await process.service.confirm(LENA, 1, revision=1, reason="I looked")
    assert await process.lines("confirm") == ["I looked"]
    with pytest.raises(Conflict, match="has moved on"):
        await again(process)
    waiting = await process.submitted()
    with pytest.raises(Conflict, match="has moved on"):
        await process.service.send_again(NOOR, waiting.id, revision=1, channel_id=77)


async def test_all_who_see_it_are_warned_of_a_second_push(cluster: Cluster) -> None:
    process = await unknown(cluster)
    draft = await again(process)
    cards = Cards(process.service.lifecycle, role_name=lambda _, role: f"@{role}")
    warning = "⚠️ May be a second push: It sends #1 again"
    assert warning in words(cards.draft(draft))
    assert "It **may be a second push**: nobody knew whether customers got #1: whoever" in cards.confirmation(
        draft
    )
    await process.service.submit(NOOR, draft.id, revision=1)
    assert warning in words(await review_card(process, draft.id))
    await process.service.approve(OMAR, draft.id, revision=1)
    assert warning in words(await review_card(process, draft.id))
    assert warning not in words(await review_card(process, 1))


async def test_in_discord_both_buttons_do_what_they_say(v1: Sandbox) -> None:
    v1.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await v1.approved()
    await v1.wait(UNDONE)
    shown = await v1.press("Omar", "Send again as a new broadcast")
    assert "⚠️ May be a second push" in answer(shown)
    modal = await v1.person("Omar").click(response(shown), label="Ask for approval")
    assert "may be a second push" in str(modal.modal)
    await v1.person("Omar").submit_modal(modal, {})
    await v1.settle()
    assert "⚠️ May be a second push" in readable(v1.review_card())

    account = v1.herald.service.lifecycle.accounts[ACCOUNT]
    queue = await v1.person("Lena").slash(v1.channel("moderators"), "notify show", broadcast="1")
    assert "Check again" not in button_labels(response(queue))
    with v1.herald.store.begin() as tx:
        keep(tx, account, Verdict(honoured=True, words=""), at=v1.clock() - HOUR)
    queue = await v1.person("Lena").slash(v1.channel("moderators"), "notify show", broadcast="1")
    done = await v1.person("Lena").click(response(queue), label="Check again")
    assert answer(done).startswith("Whop is being asked about [#1](https://discord.com/channels/")
    await v1.settle()
    with v1.herald.store.begin(Access.READ) as tx:
        assert (tx.broadcasts.get(1)).status is Status.SENT
    assert len(v1.whop.pushes) == 1


# --- each interaction counts once ------------------------------------------------------------------

TWICE = "This has been done already: Discord sent it twice"
HELLO = Notification(topic="news", all=Text(subject="Hello", content="World"))


@pytest.fixture
async def anywhere(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


Work = Callable[[Process, Actor], Awaitable[Any]]


def compose(process: Process, actor: Actor) -> Awaitable[Any]:
    return process.service.compose(actor, audience="One", notification=HELLO, channel_id=1)


async def test_what_discord_sends_twice_is_done_once_and_politely_refused_then(anywhere: Cluster) -> None:
    process = await anywhere.join()
    await compose(process, replace(MAYA, interaction=7))
    with pytest.raises(Conflict, match=TWICE):
        await compose(process, replace(MAYA, interaction=7))
    await compose(process, replace(MAYA, interaction=8))
    assert len(await process.service.drafts(MAYA)) == 2


async def test_what_comes_twice_at_once_is_done_once_too(anywhere: Cluster) -> None:
    one = await anywhere.join()
    other = one if anywhere.url.startswith("sqlite") else await anywhere.join()
    for number in range(5):
        results = await asyncio.gather(
            *(compose(process, replace(MAYA, interaction=number)) for process in (one, other)),
            return_exceptions=True,
        )
        refusal = only([one for one in results if isinstance(one, BaseException)])
        assert isinstance(refusal, Refused)
        assert str(refusal).startswith(TWICE)
    assert len(await one.service.drafts(MAYA)) == 5


async def test_every_way_to_change_something_uses_its_interaction_up(cluster: Cluster) -> None:
    process = await unknown(cluster)
    await process.prove(at=NOW)
    works: list[Work] = [
        lambda process, actor: process.service.submit(actor, 2, revision=1),
        again,
        lambda process, actor: process.service.freeze(actor, "Wait"),
        lambda process, actor: process.service.cancel(actor, 2),
    ]
    await compose(process, replace(NOOR, interaction=7))
    for work in works:
        with pytest.raises(Conflict, match=TWICE):
            await work(process, replace(NOOR, interaction=7))
    assert await process.status(2) is Status.DRAFT
    await process.service.freeze(LENA, "Wait")
    with pytest.raises(Conflict, match=TWICE):
        await process.service.unfreeze(replace(NOOR, interaction=7))


async def test_what_was_refused_may_come_again_by_the_same_interaction(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    stranger = replace(LENA, id=1, roles=frozenset(), interaction=9)
    with pytest.raises(NotAllowed):
        await process.service.stop(stranger, 1, revision=1)
    await process.service.stop(replace(LENA, interaction=9), 1, revision=1)
    assert await process.status() is Status.DRAFT


async def test_what_people_do_in_discord_carries_its_interaction(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await v5.press("Omar", "Approve")
    with v5.herald.store.begin(Access.READ) as tx:
        used = tx._connection.scalar(  # pyright: ignore[reportPrivateUsage]
            select(func.count()).select_from(interactions)
        )
    assert used == 3
