"""Restarts: buttons outlive them, claims are not guessed, and what was missed waits for a person."""

import asyncio
from datetime import timedelta

import pytest

from bot.delivery import DeliveryStatus
from bot.sandbox.stage import UNDONE, Stage, answer, readable
from bot.sandbox.whop import Fault
from tests.database import close_what_was_killed


async def claimed_and_killed(stage: Stage) -> None:
    """Leave things as a process does that dies between its claim and Whop's answer."""
    await stage.approved()
    await stage.world.env.advance_time(11)
    dispatcher = stage.herald.dispatcher
    stage.whop.fail_next(Fault.SLOW)
    ticking = asyncio.create_task(dispatcher.tick())
    await stage.whop.slow_held()
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    close_what_was_killed()
    stage.whop.release_slow()


async def test_a_card_posted_before_a_restart_can_be_approved_after_it(stage: Stage) -> None:
    await stage.submit(await stage.compose())
    await stage.restart()
    await stage.press("Omar", "Approve")
    await stage.restart()
    await stage.wait(UNDONE)

    assert len(stage.whop.pushes) == 1
    assert "Accepted by Whop" in readable(stage.review_card())
    assert len(stage.channel("review").history(viewer=stage.person("Maya"))) == 1


async def test_a_card_still_works_after_days(stage: Stage) -> None:
    draft = await stage.compose()
    await stage.wait(timedelta(days=3))
    await stage.submit(draft)
    await stage.wait(timedelta(hours=23))
    assert "Approved" in answer(await stage.press("Omar", "Approve"))


async def test_a_restart_during_the_undo_window_sends_once_when_it_ends(stage: Stage) -> None:
    await stage.approved()
    await stage.restart()
    assert stage.whop.exchanges == []
    await stage.wait(UNDONE)
    assert len(stage.whop.pushes) == 1


async def test_a_claim_without_an_answer_after_a_crash_is_unknown_and_not_sent_again(stage: Stage) -> None:
    await claimed_and_killed(stage)
    await stage.restart()
    await stage.wait(timedelta(hours=1))

    assert len(stage.whop.pushes) == 1
    card = readable(stage.review_card())
    assert card.startswith("#1 · Answer unknown")
    assert "Herald stopped before an answer came" in card


async def test_an_attempt_is_written_down_before_its_first_byte(stage: Stage) -> None:
    await stage.approved()
    await stage.world.env.advance_time(11)
    stage.whop.fail_next(Fault.SLOW)
    ticking = asyncio.create_task(stage.herald.dispatcher.tick())
    await stage.whop.slow_held()
    async with stage.herald.store.reading() as tx:
        [delivery] = await tx.deliveries.of(1)
    stage.whop.release_slow()
    await ticking

    assert (delivery.status, delivery.attempts) == (DeliveryStatus.IN_FLIGHT, 1)


async def test_what_fell_due_while_herald_was_down_is_held_and_not_sent_late(stage: Stage) -> None:
    await stage.approved()
    await stage.world.env.advance_time(3600)
    await stage.restart()
    await stage.settle()
    await stage.wait(timedelta(hours=1))

    assert stage.whop.exchanges == []
    card = readable(stage.review_card())
    assert card.startswith("#1 · Held")
    assert "has been missed" in card
    assert "will not go out by itself" in stage.texts("moderators")[-1]


@pytest.mark.parametrize("name", ["Maya", "Lena"])
async def test_what_is_held_can_be_taken_back_to_draft(stage: Stage, name: str) -> None:
    await stage.approved()
    await stage.wait(timedelta(hours=1))
    await stage.press(name, "Back to draft")
    assert "It is a draft again" in readable(stage.review_card())


async def test_a_short_downtime_within_the_grace_only_delays(stage: Stage) -> None:
    await stage.approved()
    await stage.world.env.advance_time(300)
    await stage.restart()
    await stage.settle()
    assert len(stage.whop.pushes) == 1


async def test_commands_are_told_to_discord_only_when_they_changed(stage: Stage) -> None:
    def syncs() -> int:
        return sum(one.method == "PUT" and "commands" in one.path for one in stage.world.env.http_requests)

    before = syncs()
    await stage.restart()
    await stage.restart()
    assert before >= 1
    assert syncs() == before
