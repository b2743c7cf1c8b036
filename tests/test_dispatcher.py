"""The dispatcher: claimed before the first byte, recorded after the last, never repeated in doubt."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from bot.broadcast import Broadcast
from bot.delivery import DeliveryStatus
from bot.sandbox.stage import UNDONE, Stage, readable
from bot.sandbox.whop import Fault
from tests.conftest import OpenStage


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a locked database and the wait for it be over soon."""
    monkeypatch.setattr("bot.store.store.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("bot.dispatcher.RECORD_AGAIN_SECONDS", 0.05)


def lock(database: Path) -> sqlite3.Connection:
    locker = sqlite3.connect(database, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    return locker


def unlock(locker: sqlite3.Connection) -> None:
    locker.execute("ROLLBACK")
    locker.close()


async def statuses(stage: Stage) -> list[DeliveryStatus]:
    async with stage.herald.store.reading() as tx:
        return [delivery.status for delivery in await tx.deliveries.of(1)]


@pytest.mark.usefixtures("impatient")
async def test_a_known_outcome_is_recorded_as_soon_as_the_database_allows(open_stage: OpenStage) -> None:
    async with open_stage("v5") as stage:
        await stage.approved()
        await stage.world.env.advance_time(UNDONE.total_seconds())
        stage.whop.fail_next(Fault.SLOW)
        ticking = asyncio.create_task(stage.herald.dispatcher.tick())
        await stage.whop.slow_held()
        locker = lock(stage.settings.database_file)
        stage.whop.release_slow()
        done, _ = await asyncio.wait({ticking}, timeout=0.5)
        assert not done
        unlock(locker)
        await ticking

        assert await statuses(stage) == [DeliveryStatus.ACCEPTED]
        assert len(stage.whop.exchanges) == 1


@pytest.mark.usefixtures("impatient")
async def test_nothing_is_sent_whose_claim_the_database_did_not_take(open_stage: OpenStage) -> None:
    async with open_stage("v5") as stage:
        await stage.approved()
        await stage.world.env.advance_time(UNDONE.total_seconds())
        locker = lock(stage.settings.database_file)
        with pytest.raises(Exception, match="database is in trouble"):
            await stage.herald.dispatcher.tick()
        assert stage.whop.exchanges == []
        unlock(locker)

        await stage.settle()
        assert len(stage.whop.pushes) == 1


async def test_a_fault_of_our_own_after_the_claim_is_unknown_not_repeated(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stage.herald.service.lifecycle.gateway, "read", broken)
    await stage.approved()
    await stage.wait(UNDONE)
    await stage.wait(timedelta(hours=1))

    assert await statuses(stage) == [DeliveryStatus.UNKNOWN]
    assert len(stage.whop.exchanges) == 1
    assert "a fault inside Herald (ZeroDivisionError)" in readable(stage.review_card())


async def test_whop_out_of_reach_is_tried_again_with_the_same_bytes_and_then_arrives(stage: Stage) -> None:
    await stage.approved()
    port = int(stage.whop.origin.rpartition(":")[2])
    await stage.whop.close()
    await stage.wait(UNDONE)
    assert await statuses(stage) == [DeliveryStatus.PENDING]
    assert "Whop could not be reached" in (await detail(stage))

    await stage.whop.start(port=port)
    await stage.wait(timedelta(seconds=121))
    assert len(stage.whop.pushes) == 1
    assert await statuses(stage) == [DeliveryStatus.ACCEPTED]


async def detail(stage: Stage) -> str:
    async with stage.herald.store.reading() as tx:
        [delivery] = await tx.deliveries.of(1)
    return delivery.detail


async def test_a_stop_in_the_moment_of_sending_is_refused_once_it_is_too_late(stage: Stage) -> None:
    await stage.approved()
    card = stage.review_card()
    await stage.world.env.advance_time(UNDONE.total_seconds())
    stage.whop.fail_next(Fault.SLOW)
    ticking = asyncio.create_task(stage.herald.dispatcher.tick())
    await stage.whop.slow_held()
    with pytest.raises(Exception, match="it is being sent now"):
        await stage.herald.service.stop(stage.actor("Lena"), 1, revision=1)
    stage.whop.release_slow()
    await ticking
    await stage.settle()
    assert card.id == stage.review_card().id


async def test_a_stop_and_a_send_at_once_end_in_one_of_the_two_never_both(stage: Stage) -> None:
    await stage.approved()
    await stage.world.env.advance_time(UNDONE.total_seconds())
    stopped, _ = await asyncio.gather(
        stage.herald.service.stop(stage.actor("Lena"), 1, revision=1),
        stage.herald.dispatcher.tick(),
        return_exceptions=True,
    )
    await stage.settle()
    sent = len(stage.whop.pushes)
    assert sent == (1 if isinstance(stopped, Exception) else 0)


async def test_many_due_at_once_each_go_out_once(stage: Stage) -> None:
    for number in range(1, 11):
        await stage.submit(await stage.compose(subject=f"Number {number}"))
        await stage.herald.service.approve(stage.actor("Omar"), number, revision=1)
    await stage.wait(UNDONE)
    assert sorted(push.feed[0] for push in stage.whop.pushes if push.feed) == sorted(
        f"Number {number}" for number in range(1, 11)
    )


async def test_a_review_decided_in_the_moment_it_expires_keeps_the_decision(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.submit(await stage.compose())
    await stage.world.env.advance_time(timedelta(hours=25).total_seconds())
    async with stage.herald.store.reading() as tx:
        stale = await tx.broadcasts.expired(stage.clock(), limit=1)
    await stage.herald.service.reject(stage.actor("Lena"), 1, revision=1, reason="No.")

    async def as_read_before(*_: object, **__: object) -> list[Broadcast]:
        return stale

    monkeypatch.setattr("bot.store.broadcasts.Broadcasts.expired", as_read_before)
    await stage.herald.dispatcher.tick()
    async with stage.herald.store.reading() as tx:
        assert (await tx.broadcasts.get(1)).status == "cancelled"
