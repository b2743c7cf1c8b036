"""The clock: where it was set, nothing starts for a minute, and no old key becomes young by it."""

import sqlite3
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.broadcast import Status
from bot.clock import Watch, steady_now
from bot.delivery import DeliveryStatus
from bot.errors import StoreError
from bot.sandbox.whop import Fault
from tests.harness.clock import ManualClock
from tests.harness.people import LENA, OMAR
from tests.harness.policy import GUILD, OTHER_GUILD
from tests.harness.process import Cluster, Process

MOVED = "clock moved"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
A_BIT = timedelta(milliseconds=1)


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


# --- the watch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_more_than_30_seconds_are_a_jump_and_30_are_none(sign: int) -> None:
    clock = ManualClock()
    watch = Watch(clock, clock.steady)
    clock.jump(sign * 30 * SECOND)
    assert watch.look() is None
    assert not watch.is_doubtful
    clock.jump(sign * (30 * SECOND + A_BIT))
    assert watch.look() == sign * (30 * SECOND + A_BIT)
    assert watch.is_doubtful


def test_time_that_both_clocks_counted_is_no_jump() -> None:
    clock = ManualClock()
    watch = Watch(clock, clock.steady)
    clock.advance(timedelta(days=3))
    assert watch.look() is None


def test_the_doubt_ends_after_a_minute_of_the_clock_that_nobody_sets() -> None:
    clock = ManualClock()
    watch = Watch(clock, clock.steady)
    clock.jump(HOUR)
    watch.look()
    clock.jump(HOUR)
    clock.seconds += 59.9
    assert watch.is_doubtful
    clock.seconds += 0.1
    assert not watch.is_doubtful


def test_a_second_jump_begins_the_minute_anew() -> None:
    clock = ManualClock()
    watch = Watch(clock, clock.steady)
    clock.jump(HOUR)
    watch.look()
    clock.advance(50 * SECOND)
    clock.jump(-HOUR)
    assert watch.look() == -HOUR
    clock.advance(50 * SECOND)
    assert watch.is_doubtful


def test_the_highest_time_outlasts_a_clock_that_is_set_back() -> None:
    clock = ManualClock()
    watch = Watch(clock, clock.steady)
    clock.advance(HOUR)
    highest = clock()
    watch.look()
    clock.jump(-HOUR)
    watch.look()
    assert watch.highest == highest


def test_the_steady_clock_never_goes_back() -> None:
    before = steady_now()
    assert before <= steady_now()


# --- what a jump holds up --------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [31 * SECOND, -31 * SECOND])
async def test_after_a_jump_nothing_starts_for_a_minute_and_then_what_is_in_time_does(
    cluster: Cluster, jump: timedelta
) -> None:
    process = await cluster.join()
    await process.due()
    cluster.clock.advance(timedelta(minutes=1))
    cluster.clock.jump(jump)
    await process.tick()
    await process.tick(59 * SECOND)
    assert await process.status() is Status.APPROVED
    assert cluster.whop.exchanges == []
    await process.tick(SECOND)
    assert await process.status() is Status.SENT


async def test_after_a_jump_nothing_that_has_started_is_claimed_for_a_minute(cluster: Cluster) -> None:
    process = await cluster.join()
    cluster.whop.fail_next(Fault.RATE_LIMITED)
    await process.due()
    await process.tick()
    cluster.clock.advance(timedelta(seconds=30))
    cluster.clock.jump(timedelta(minutes=2))
    await process.tick()
    await process.tick(59 * SECOND)
    assert len(cluster.whop.exchanges) == 1
    assert (await process.deliveries())[0].status is DeliveryStatus.PENDING
    await process.tick(SECOND)
    assert await process.status() is Status.SENT


async def test_no_review_expires_by_a_clock_that_may_be_wrong(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.submitted()
    cluster.clock.jump(timedelta(days=2))
    await process.tick()
    assert await process.status() is Status.REVIEW
    await process.tick(timedelta(minutes=1))
    assert await process.status() is Status.DRAFT


@pytest.mark.parametrize(("jump", "said"), [(90 * SECOND, "+90"), (-HOUR, "-3600")])
async def test_a_jump_stands_once_in_the_record_of_every_server(
    cluster: Cluster, jump: timedelta, said: str
) -> None:
    process = await cluster.join()
    cluster.clock.jump(jump)
    for _ in range(3):
        await process.tick(SECOND)
    sentence = f"the clock was moved by {said} seconds; nothing starts for a minute"
    assert await process.lines(MOVED, GUILD) == [sentence]
    assert await process.lines(MOVED, OTHER_GUILD) == [sentence]


@pytest.mark.parametrize("jump", [30 * SECOND, -30 * SECOND])
async def test_a_clock_that_is_set_right_by_half_a_minute_holds_nothing_up(
    cluster: Cluster, jump: timedelta
) -> None:
    process = await cluster.join()
    await process.due()
    cluster.clock.advance(timedelta(minutes=1))
    cluster.clock.jump(jump)
    await process.tick()
    assert await process.status() is Status.SENT
    assert await process.lines(MOVED) == []


async def test_after_a_suspension_nothing_waits_but_what_is_overdue_is_held(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.approved()
    late = await process.approved()
    await process.tick(timedelta(minutes=16))
    assert await process.lines(MOVED) == []
    assert await process.status(late.id) is Status.HELD
    assert "has been missed" in (await process.get(late.id)).reason
    await process.due()
    await process.tick()
    assert len(cluster.whop.pushes) == 1


async def test_what_a_jump_made_overdue_is_held_when_the_minute_is_over(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.approved()
    cluster.clock.jump(HOUR)
    await process.tick()
    assert await process.status() is Status.APPROVED
    await process.tick(timedelta(minutes=1))
    assert await process.status() is Status.HELD
    assert cluster.whop.exchanges == []


# --- how old a key is ------------------------------------------------------------------------------


async def restarted(cluster: Cluster, process: Process) -> Process:
    await process.leave()
    return await cluster.join()


async def unknown_for(cluster: Cluster, span: timedelta) -> Process:
    """Get to where Whop accepted it that long ago, with a proven key, and nobody knows."""
    process = await cluster.join()
    await process.prove()
    await process.due()
    await process.die_in_flight()
    again = await cluster.join()
    await again.let_leases_end()
    await again.tick(timedelta(minutes=16))
    await again.tick(span - timedelta(minutes=16))
    return again


async def can_check(process: Process) -> bool:
    return await process.service.can_check(await process.get())


async def test_a_clock_set_back_does_not_make_an_old_key_young_nor_does_a_restart(
    cluster: Cluster,
) -> None:
    process = await unknown_for(cluster, 19 * HOUR)
    assert await can_check(process)

    cluster.clock.jump(-10 * HOUR)
    await process.tick()
    assert not await can_check(process)
    process = await restarted(cluster, process)
    assert not await can_check(process)


async def test_after_a_clock_was_set_back_nothing_is_repeated_by_itself(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.prove()
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await process.due()
    await process.tick()
    await process.service.freeze(LENA, "so that it is not repeated at once")
    await process.tick(timedelta(minutes=10))
    cluster.clock.jump(timedelta(minutes=-9))
    await process.tick()
    again = await restarted(cluster, process)
    await again.service.unfreeze(OMAR)
    await again.tick(timedelta(minutes=2))
    assert await again.status() is Status.UNKNOWN
    assert "no longer makes a repeat safe" in (await again.get()).reason
    assert len(cluster.whop.exchanges) == 1


async def test_what_was_first_tried_after_the_clock_was_set_back_is_trusted_once_it_has_come_back(
    cluster: Cluster,
) -> None:
    process = await cluster.join()
    await process.prove()
    cluster.clock.jump(-10 * HOUR)
    await process.tick()
    await process.leave()
    cluster.clock.advance(11 * HOUR)
    process = await unknown_for(cluster, timedelta(minutes=16))
    assert await can_check(process)


async def test_a_clock_set_back_twice_does_not_make_an_old_key_young(cluster: Cluster) -> None:
    process = await unknown_for(cluster, 19 * HOUR)
    cluster.clock.jump(-10 * HOUR)
    await process.tick()
    process = await restarted(cluster, process)
    await process.tick(HOUR)
    cluster.clock.jump(-40 * SECOND)
    await process.tick()
    cluster.clock.advance(timedelta(minutes=2))
    # It was sent 20 hours ago.
    assert not await can_check(process)


async def test_a_key_from_before_the_clock_was_set_back_stays_old_when_the_clock_has_come_back(
    cluster: Cluster,
) -> None:
    process = await unknown_for(cluster, 19 * HOUR)
    cluster.clock.jump(-10 * HOUR)
    await process.tick()
    await process.tick(10 * HOUR)
    # It was sent 29 hours ago, and Whop remembers a key for 24.
    assert not await can_check(process)


async def test_a_jump_that_the_database_did_not_take_at_once_is_written_later(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    process = await cluster.join()
    cluster.clock.jump(-HOUR)
    locker = sqlite3.connect(tmp_path / "herald.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError):
        await process.tick()
    locker.execute("ROLLBACK")
    locker.close()
    await process.tick(SECOND)
    assert len(await process.lines(MOVED)) == 1
