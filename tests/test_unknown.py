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
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, readable, response
from bot.sandbox.whop import Fault
from bot.store import Access
from bot.store.tables import interactions
from cogs.cards import Cards
from tests.desk import (
    LENA,
    MAYA,
    NOOR,
    NOW,
    OMAR,
    Desk,
    Office,
    deliveries_seen,
    labels,
    pressed,
    words,
)

DECIDE = ["It went out", "It did not", "Send again as a new broadcast"]
CHECKABLE = ["Check again", *DECIDE]
HOUR = timedelta(hours=1)


@pytest.fixture
async def office(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Office, None]:
    async with Office.open(sqlite_url, tmp_path) as opened:
        yield opened


async def unknown(office: Office, *, fault: Fault = Fault.NONE, audience: str = "One", **who: Actor) -> Desk:
    """Get to where a request left and its process died before it read the answer."""
    office.whop.fail_next(fault)
    desk = await office.join()
    await desk.due(audience, **who)
    await desk.die_in_flight()
    again = await office.join()
    await again.let_leases_end()
    await again.dispatcher.sweep()
    assert await again.status() is Status.UNKNOWN
    return again


async def checkable(office: Office, *, fault: Fault = Fault.NONE, **who: Actor) -> Desk:
    """Get to the same, with a key that was proven before the request left."""
    desk = await unknown(office, fault=fault, audience="One", **who)
    await desk.prove(at=NOW)
    return desk


async def check(desk: Desk, actor: Actor = LENA, *, revision: int = 1) -> Broadcast:
    return await desk.service.check_again(actor, 1, revision=revision)


# --- when it can be checked ------------------------------------------------------------------------


async def test_checking_again_is_offered_only_with_a_proven_key(office: Office) -> None:
    desk = await unknown(office)
    assert labels(await desk.card()) == DECIDE
    await desk.prove(at=NOW)
    card = await desk.card()
    assert labels(card) == CHECKABLE
    assert "**Check again** repeats the very same request" in words(card)


async def test_a_key_that_was_proven_after_the_request_left_is_of_no_use(office: Office) -> None:
    desk = await unknown(office)
    office.time.go_on(timedelta(seconds=1))
    await desk.prove()
    assert labels(await desk.card()) == DECIDE
    with pytest.raises(NotReady, match="It cannot be checked any more"):
        await check(desk)


async def test_checking_again_is_offered_as_long_as_the_key_lives_and_refused_after(office: Office) -> None:
    desk = await checkable(office)
    office.time.go_on(20 * HOUR - timedelta(seconds=1))
    assert labels(await desk.card()) == CHECKABLE
    office.time.go_on(timedelta(seconds=1))
    assert labels(await desk.card()) == DECIDE
    with pytest.raises(NotReady, match="Whop may have forgotten the request and send it twice"):
        await check(desk)
    await desk.tick()
    assert len(office.whop.exchanges) == 1


async def test_v5_has_no_key_and_can_never_be_checked_again(tmp_path: Path, sqlite_url: str) -> None:
    async with Office.open(sqlite_url, tmp_path, generation="v5") as office:
        desk = await checkable(office)
        assert labels(await desk.card()) == DECIDE
        with pytest.raises(NotReady):
            await check(desk)


async def test_what_is_not_unknown_cannot_be_checked(office: Office) -> None:
    desk = await office.join()
    await desk.prove()
    await desk.due()
    await desk.tick()
    assert not await desk.service.can_check(await desk.get())
    with pytest.raises(Conflict, match="Whop has already accepted it"):
        await check(desk)


# --- what comes of it ------------------------------------------------------------------------------


async def test_a_check_repeats_the_same_request_once_and_an_answer_from_memory_is_an_acceptance(
    office: Office,
) -> None:
    desk = await checkable(office)
    # Long after what was approved would have been missed: a person asked.
    office.time.go_on(3 * HOUR)
    await check(desk)
    card = await desk.card()
    assert labels(card) == []
    assert "Whop is being asked again, with the same request" in words(card)
    await desk.tick()
    await desk.tick(HOUR)

    assert await desk.status() is Status.SENT
    first, second = deliveries_seen(office)
    assert first == second
    assert first[0]
    assert [one.replayed for one in office.whop.exchanges] == [False, True]
    assert len(office.whop.pushes) == 1
    assert len(await desk.lines("check")) == 1


async def test_whoever_did_not_get_it_then_gets_it_by_the_check(office: Office) -> None:
    desk = await checkable(office, fault=Fault.DROP_BEFORE_ACCEPT)
    assert office.whop.pushes == []
    await check(desk)
    await desk.tick()
    assert await desk.status() is Status.SENT
    assert len(office.whop.pushes) == 1


async def test_a_refusal_from_memory_is_the_refusal_of_then(office: Office) -> None:
    desk = await checkable(office, fault=Fault.REJECT)
    await check(desk)
    await desk.tick()
    assert await desk.status() is Status.FAILED


async def test_a_new_refusal_says_nothing_of_then_and_a_person_is_asked_again(office: Office) -> None:
    desk = await checkable(office, fault=Fault.DROP_AFTER_ACCEPT)
    office.whop.fault = Fault.UNAUTHORIZED
    await check(desk)
    await desk.tick()
    assert await desk.status() is Status.UNKNOWN
    assert "an earlier attempt was left without a final answer" in words(await desk.card())


@pytest.mark.parametrize(
    "fault", [Fault.DROP_AFTER_ACCEPT, Fault.DROP_BEFORE_ACCEPT, Fault.SERVER_ERROR, Fault.RATE_LIMITED]
)
async def test_a_check_without_an_answer_is_not_repeated_and_a_person_is_asked_again(
    office: Office, fault: Fault
) -> None:
    desk = await checkable(office)
    office.whop.fault = fault
    await check(desk)
    await desk.tick()
    assert await desk.status() is Status.UNKNOWN
    assert labels(await desk.card()) == CHECKABLE
    await desk.tick(timedelta(minutes=5))
    assert len(office.whop.exchanges) == 2

    office.whop.fault = Fault.NONE
    await check(desk)
    await desk.tick()
    assert await desk.status() is Status.SENT
    assert len(office.whop.pushes) == 1


async def test_a_check_asks_only_for_what_is_unknown(office: Office) -> None:
    desk = await office.join()
    office.whop.fail_next(Fault.NONE)
    office.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await desk.due("Two")
    await desk.tick()
    assert await desk.status() is Status.UNKNOWN
    await desk.prove(at=NOW)
    await check(desk)
    await desk.tick()
    assert await desk.status() is Status.SENT
    assert (len(office.whop.exchanges), len(office.whop.pushes)) == (3, 2)


@pytest.mark.parametrize("late", [False, True])
async def test_a_crash_during_a_check_leaves_it_unknown_and_a_person_is_asked_again(
    office: Office, late: bool
) -> None:
    desk = await checkable(office)
    if late:
        office.time.go_on(HOUR)
    await check(desk)
    await desk.die_in_flight()
    again = await office.join()
    await again.let_leases_end()
    for _ in range(2):
        await again.tick(timedelta(minutes=1))
    assert await again.status() is Status.UNKNOWN
    assert labels(await again.card()) == CHECKABLE
    assert len(office.whop.exchanges) == 2


async def test_a_check_that_waits_when_it_crashes_is_made_by_the_next_start(office: Office) -> None:
    desk = await checkable(office)
    await check(desk)
    await desk.leave()
    again = await office.join()
    await again.tick()
    assert await again.status() is Status.SENT
    assert len(office.whop.pushes) == 1


async def test_a_check_whose_key_dies_while_it_is_frozen_is_not_made(office: Office) -> None:
    desk = await checkable(office)
    await check(desk)
    await desk.service.freeze(OMAR, "Wait")
    await desk.tick(20 * HOUR)
    await desk.service.unfreeze(LENA)
    await desk.tick()
    assert await desk.status() is Status.UNKNOWN
    assert len(office.whop.exchanges) == 1


# --- who may, and when -----------------------------------------------------------------------------


@pytest.mark.parametrize("actor", [OMAR, MAYA], ids=["approver", "author"])
async def test_checking_again_takes_the_role_operate_and_somebody_else_than_the_author(
    office: Office, actor: Actor
) -> None:
    desk = await checkable(office)
    with pytest.raises(NotAllowed):
        await check(desk, actor)
    assert len(await desk.lines("refused check")) == 1
    await desk.tick()
    assert len(office.whop.exchanges) == 1


async def test_the_author_cannot_check_again_even_with_the_role(office: Office) -> None:
    desk = await checkable(office, author=NOOR)
    with pytest.raises(NotAllowed, match="You wrote this broadcast, so somebody else has to ask Whop again"):
        await check(desk, NOOR)


async def test_nothing_is_checked_while_sending_is_frozen(office: Office) -> None:
    desk = await checkable(office)
    await desk.service.freeze(OMAR, "Wait")
    with pytest.raises(NotReady, match="is frozen by Omar"):
        await check(desk)
    await desk.service.unfreeze(LENA)
    await check(desk)


async def test_an_old_card_cannot_check(office: Office) -> None:
    desk = await checkable(office)
    with pytest.raises(Conflict, match="This card is out of date"):
        await check(desk, revision=2)


WHILE = "Whop is being asked about it right now: wait for the answer"


@pytest.mark.parametrize("in_flight", [False, True])
async def test_while_it_is_checked_nobody_can_check_again_or_say_what_became_of_it(
    office: Office, in_flight: bool
) -> None:
    desk = await checkable(office)
    await check(desk)
    ticking, gate = await desk.stopped_after_the_answer() if in_flight else (None, None)
    with pytest.raises(Conflict, match=WHILE):
        await check(desk)
    for action in (Action.CONFIRM, Action.DENY):
        with pytest.raises(Conflict, match=WHILE):
            await desk.service.act_with_reason(LENA, action, 1, revision=1, reason="I looked")
    assert labels(await desk.card()) == []
    if ticking and gate:
        gate.opened.set()
        await ticking
    else:
        await desk.tick()
    assert await desk.status() is Status.SENT
    assert len(office.whop.exchanges) == 2


# --- sending again as a new broadcast --------------------------------------------------------------


async def again(desk: Desk, actor: Actor = NOOR, *, revision: int = 1) -> Broadcast:
    return await desk.service.send_again(actor, 1, revision=revision, channel_id=77)


async def test_sending_again_makes_a_draft_of_the_presser_and_leaves_the_old_one_unknown(
    office: Office,
) -> None:
    desk = await unknown(office)
    draft, old = await again(desk), await desk.get()
    assert (draft.status, draft.author, draft.repeats) == (Status.DRAFT, NOOR.person, old.id)
    assert (draft.notification, draft.audience, draft.fingerprint) == (
        old.notification,
        old.audience,
        old.fingerprint,
    )
    assert (draft.origin_channel_id, draft.approvals) == (77, ())
    assert old.status is Status.UNKNOWN
    await desk.tick(HOUR)
    assert len(office.whop.exchanges) == 1


async def test_what_is_sent_again_needs_a_full_review_by_none_of_its_authors(office: Office) -> None:
    desk = await unknown(office, author=OMAR, approver=LENA)
    draft = await again(desk)
    await desk.service.submit(NOOR, draft.id, revision=1)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await desk.service.approve(OMAR, draft.id, revision=1)
    await desk.service.approve(LENA, draft.id, revision=1)
    await desk.tick(timedelta(seconds=11))
    assert await desk.status(draft.id) is Status.SENT
    assert await desk.status() is Status.UNKNOWN
    first, second = deliveries_seen(office)
    assert first[1] == second[1]
    assert first[0] != second[0]


async def test_whoever_wrote_the_old_words_cannot_approve_them_after_an_edit_either(office: Office) -> None:
    desk = await unknown(office, author=OMAR, approver=LENA)
    draft = await again(desk)
    other = Notification(topic="news", all=Text(subject="Other words", content="Come in"))
    await desk.service.edit(NOOR, draft.id, revision=1, notification=other)
    await desk.service.submit(NOOR, draft.id, revision=2)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await desk.service.approve(OMAR, draft.id, revision=2)


async def test_whoever_wrote_the_words_twice_ago_cannot_approve_them(office: Office) -> None:
    desk = await unknown(office, author=OMAR, approver=LENA)
    second = await again(desk, NOOR)
    with desk.store.begin() as tx:
        assert tx.broadcasts.change(second, status=Status.UNKNOWN, at=NOW)
    third = await desk.service.send_again(MAYA, second.id, revision=second.revision, channel_id=77)
    assert set(third.editors) == {OMAR.id, NOOR.id}
    await desk.service.submit(MAYA, third.id, revision=third.revision)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await desk.service.approve(OMAR, third.id, revision=third.revision)


async def test_the_author_may_send_again_what_they_wrote(office: Office) -> None:
    desk = await unknown(office)
    assert (await again(desk, MAYA)).author == MAYA.person


async def test_sending_again_takes_the_role_compose(office: Office) -> None:
    desk = await unknown(office)
    with pytest.raises(NotAllowed, match="You cannot compose this broadcast again"):
        await again(desk, LENA)
    assert len(await desk.lines("refused send_again")) == 1


async def test_only_what_is_unknown_can_be_sent_again_and_only_from_its_newest_card(office: Office) -> None:
    desk = await unknown(office)
    with pytest.raises(Conflict, match="This card is out of date"):
        await again(desk, revision=2)
    await desk.service.confirm(LENA, 1, revision=1, reason="I looked")
    with pytest.raises(Conflict, match="has moved on"):
        await again(desk)
    waiting = await desk.submitted()
    with pytest.raises(Conflict, match="has moved on"):
        await desk.service.send_again(NOOR, waiting.id, revision=1, channel_id=77)


async def test_all_who_see_it_are_warned_of_a_second_push(office: Office) -> None:
    desk = await unknown(office)
    draft = await again(desk)
    cards = Cards(desk.service.lifecycle, environment="x", role_name=lambda _, role: f"@{role}")
    warning = "⚠️ May be a second push: It sends #1 again"
    assert warning in words(cards.draft(draft))
    assert "It **may be a second push**: nobody knew whether customers got #1." in cards.confirmation(draft)
    await desk.service.submit(NOOR, draft.id, revision=1)
    assert warning in words(await desk.card(draft.id))
    await desk.service.approve(OMAR, draft.id, revision=1)
    assert warning in words(await desk.card(draft.id))
    assert warning not in words(await desk.card(1))


async def test_in_discord_both_buttons_do_what_they_say(v1: Sandbox) -> None:
    v1.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await v1.approved()
    await v1.wait(UNDONE)
    shown = await v1.press("Omar", "Send again as a new broadcast")
    assert "⚠️ May be a second push" in answer(shown)
    modal = await v1.person("Omar").click(response(shown), label="Submit")
    assert "may be a second push" in str(modal.modal)
    await v1.person("Omar").submit_modal(modal, {})
    await v1.settle()
    assert "⚠️ May be a second push" in readable(v1.review_card())

    credential = v1.herald.service.gate.credential  # pyright: ignore[reportPrivateUsage]
    assert credential is not None
    queue = await v1.person("Lena").slash(v1.channel("moderators"), "notify show", broadcast="1")
    assert "Check again" not in button_labels(response(queue))
    with v1.herald.store.begin() as tx:
        keep(tx, credential, Verdict(honoured=True, words=""), at=v1.clock() - HOUR)
    queue = await v1.person("Lena").slash(v1.channel("moderators"), "notify show", broadcast="1")
    done = await v1.person("Lena").click(response(queue), label="Check again")
    assert answer(done) == "Whop is being asked about #1: see its card."
    await v1.settle()
    with v1.herald.store.begin(Access.READ) as tx:
        assert (tx.broadcasts.get(1)).status is Status.SENT
    assert len(v1.whop.pushes) == 1


def button_labels(message: Any) -> list[str]:
    return [one.label for row in message.components for one in row.children]


# --- each interaction counts once ------------------------------------------------------------------

TWICE = "This has been done already: Discord sent it twice"
HELLO = Notification(topic="news", all=Text(subject="Hello", content="World"))


@pytest.fixture
async def anywhere(database_url: str, tmp_path: Path) -> AsyncGenerator[Office, None]:
    async with Office.open(database_url, tmp_path) as opened:
        yield opened


Work = Callable[[Desk, Actor], Awaitable[Any]]


def compose(desk: Desk, actor: Actor) -> Awaitable[Any]:
    return desk.service.compose(actor, audience="One", notification=HELLO, channel_id=1)


async def test_what_discord_sends_twice_is_done_once_and_politely_refused_then(anywhere: Office) -> None:
    desk = await anywhere.join()
    await compose(desk, pressed(MAYA, 7))
    with pytest.raises(Conflict, match=TWICE):
        await compose(desk, pressed(MAYA, 7))
    await compose(desk, pressed(MAYA, 8))
    assert len(await desk.service.drafts(MAYA)) == 2


async def test_what_comes_twice_at_once_is_done_once_too(anywhere: Office) -> None:
    one = await anywhere.join()
    other = one if anywhere.url.startswith("sqlite") else await anywhere.join()
    for number in range(5):
        results = await asyncio.gather(
            *(compose(desk, pressed(MAYA, number)) for desk in (one, other)), return_exceptions=True
        )
        [refusal] = [one for one in results if isinstance(one, BaseException)]
        assert isinstance(refusal, Refused)
        assert str(refusal).startswith(TWICE)
    assert len(await one.service.drafts(MAYA)) == 5


async def test_every_way_to_change_something_uses_its_interaction_up(office: Office) -> None:
    desk = await unknown(office)
    await desk.prove(at=NOW)
    works: list[Work] = [
        lambda desk, actor: desk.service.submit(actor, 2, revision=1),
        again,
        lambda desk, actor: desk.service.freeze(actor, "Wait"),
        lambda desk, actor: desk.service.cancel(actor, 2),
    ]
    await compose(desk, pressed(NOOR, 7))
    for work in works:
        with pytest.raises(Conflict, match=TWICE):
            await work(desk, pressed(NOOR, 7))
    assert await desk.status(2) is Status.DRAFT
    await desk.service.freeze(LENA, "Wait")
    with pytest.raises(Conflict, match=TWICE):
        await desk.service.unfreeze(pressed(NOOR, 7))


async def test_what_was_refused_may_come_again_by_the_same_interaction(office: Office) -> None:
    desk = await office.join()
    await desk.due()
    stranger = replace(LENA, id=1, roles=frozenset(), interaction=9)
    with pytest.raises(NotAllowed):
        await desk.service.stop(stranger, 1, revision=1)
    await desk.service.stop(pressed(LENA, 9), 1, revision=1)
    assert await desk.status() is Status.DRAFT


async def test_what_people_do_in_discord_carries_its_interaction(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await v5.press("Omar", "Approve")
    with v5.herald.store.begin(Access.READ) as tx:
        used = tx._connection.scalar(  # pyright: ignore[reportPrivateUsage]
            select(func.count()).select_from(interactions)
        )
    assert used == 3
