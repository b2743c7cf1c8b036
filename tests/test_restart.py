"""Restarts: buttons outlive them, claims are not guessed, and what was missed waits for a person."""

import asyncio
from datetime import timedelta

import pytest

from bot.broadcast import Status
from bot.delivery import DeliveryStatus
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, readable
from bot.sandbox.whop import Fault
from bot.store import Access
from tests.harness.found import only


async def claimed_and_killed(sandbox: Sandbox) -> None:
    """Leave things as a process does that dies between its claim and Whop's answer."""
    await sandbox.herald.startup.begin()
    await sandbox.approved()
    await sandbox.world.env.advance_time(11)
    dispatcher = sandbox.herald.dispatcher
    sandbox.whop.fail_next(Fault.SLOW)
    ticking = asyncio.create_task(dispatcher.tick())
    await sandbox.whop.slow_held()
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    sandbox.whop.release_slow()


async def test_a_card_posted_before_a_restart_can_be_approved_after_it(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())
    await sandbox.restart()
    await sandbox.press("Omar", "Approve")
    await sandbox.restart()
    await sandbox.wait(UNDONE)

    assert len(sandbox.whop.pushes) == 1
    assert "Accepted by Whop" in readable(sandbox.review_card())
    assert len(sandbox.channel("review").history(viewer=sandbox.person("Maya"))) == 1


async def test_a_card_still_works_after_days(sandbox: Sandbox) -> None:
    draft = await sandbox.compose()
    await sandbox.wait(timedelta(days=3))
    await sandbox.submit(draft)
    await sandbox.wait(timedelta(hours=23))
    assert "Approved" in answer(await sandbox.press("Omar", "Approve"))


async def test_a_restart_during_the_undo_window_sends_once_when_it_ends(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.restart()
    assert sandbox.whop.exchanges == []
    await sandbox.wait(UNDONE)
    assert len(sandbox.whop.pushes) == 1


async def test_a_claim_without_an_answer_after_a_crash_is_unknown_and_not_sent_again(
    sandbox: Sandbox,
) -> None:
    await claimed_and_killed(sandbox)
    await sandbox.restart()
    # What sees that the one before is gone.
    await sandbox.herald.startup.begin()
    await sandbox.wait(timedelta(hours=1))

    assert len(sandbox.whop.pushes) == 1
    card = readable(sandbox.review_card())
    assert card.startswith("#1 · Answer unknown")
    assert "Herald stopped before an answer came" in card


async def test_what_one_crash_leaves_in_flight_is_one_event_and_freezes_nothing(sandbox: Sandbox) -> None:
    await sandbox.herald.startup.begin()
    for number in range(1, 5):
        await sandbox.submit(await sandbox.compose())
        await sandbox.herald.service.approve(sandbox.actor("Omar"), number, revision=1)
    await sandbox.herald.dispatcher.tick()
    await sandbox.world.env.advance_time(11)
    sandbox.whop.fail_next(Fault.SLOW, times=4)
    ticking = asyncio.create_task(sandbox.herald.dispatcher.tick())
    await sandbox.whop.slow_held()
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    sandbox.whop.release_slow()
    await sandbox.restart()
    await sandbox.herald.startup.begin()
    await sandbox.wait(timedelta(seconds=1))

    with sandbox.herald.store.begin(Access.READ) as tx:
        assert [tx.broadcasts.head(one).status for one in range(1, 5)] == [Status.UNKNOWN] * 4
        assert tx.freezes.standing() == []


async def test_an_attempt_is_written_down_before_its_first_byte(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.world.env.advance_time(11)
    sandbox.whop.fail_next(Fault.SLOW)
    ticking = asyncio.create_task(sandbox.herald.dispatcher.tick())
    await sandbox.whop.slow_held()
    with sandbox.herald.store.begin(Access.READ) as tx:
        delivery = only(tx.deliveries.of(1))
    sandbox.whop.release_slow()
    await ticking

    assert (delivery.status, delivery.attempts) == (DeliveryStatus.IN_FLIGHT, 1)


async def test_what_fell_due_while_herald_was_down_is_held_and_not_sent_late(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.world.env.advance_time(3600)
    await sandbox.restart()
    await sandbox.settle()
    await sandbox.wait(timedelta(hours=1))

    assert sandbox.whop.exchanges == []
    card = readable(sandbox.review_card())
    assert card.startswith("#1 · Held")
    assert "has been missed" in card
    assert "will not go out by itself" in sandbox.newest("moderators")


@pytest.mark.parametrize("name", ["Maya", "Lena"])
async def test_what_is_held_can_be_taken_back_to_draft(sandbox: Sandbox, name: str) -> None:
    await sandbox.approved()
    await sandbox.wait(timedelta(hours=1))
    await sandbox.press(name, "Back to draft")
    assert "It is a draft again" in readable(sandbox.review_card())


async def test_a_short_downtime_within_the_grace_only_delays(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.world.env.advance_time(300)
    await sandbox.restart()
    await sandbox.settle()
    assert len(sandbox.whop.pushes) == 1


async def test_commands_are_told_to_discord_only_when_they_changed(sandbox: Sandbox) -> None:
    def syncs() -> int:
        return sum(one.method == "PUT" and "commands" in one.path for one in sandbox.world.env.http_requests)

    before = syncs()
    await sandbox.restart()
    await sandbox.restart()
    assert before >= 1
    assert syncs() == before
