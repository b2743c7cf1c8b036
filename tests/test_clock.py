"""The clock: where it was set, nothing starts for a minute, and no old key becomes young by it."""

import sqlite3
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.broadcast import Status
from bot.clock import LONGEST_DOUBT, Watch, steady_now
from bot.delivery import DeliveryStatus
from bot.errors import StoreError
from bot.sandbox.whop import Fault
from bot.store import Access
from bot.store.tables import deliveries
from tests.harness.clock import ManualClock
from tests.harness.people import LENA, OMAR
from tests.harness.policy import GUILD, OTHER_GUILD
from tests.harness.process import UNDONE, Cluster, Process

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


async def test_a_jump_while_herald_was_down_is_noticed_by_the_next_start(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.tick()
    await process.leave()
    cluster.clock.jump(-HOUR)
    process = await cluster.join()
    await process.tick()
    assert await process.lines(MOVED) == ["the clock was moved by -3600 seconds; nothing starts for a minute"]


async def jump_to_and_fro(process: Process, span: timedelta, *, every: timedelta = 50 * SECOND) -> None:
    """Set the clock ahead and back again, oftener than the minute takes."""
    ahead = HOUR
    for _ in range(round(span / every)):
        process.clock.jump(ahead)
        ahead = -ahead
        await process.tick(every)


async def test_a_clock_that_is_moved_again_and_again_freezes_and_what_waits_reaches_a_person(
    cluster: Cluster,
) -> None:
    process = await cluster.join()
    await process.due()
    await jump_to_and_fro(process, LONGEST_DOUBT - 60 * SECOND)
    assert await process.freezes() == []
    await jump_to_and_fro(process, 2 * LONGEST_DOUBT)
    (freeze,) = await process.freezes()
    assert "is moved again and again" in freeze.reason
    await jump_to_and_fro(process, timedelta(minutes=15))
    assert await process.status() is Status.HELD
    assert cluster.whop.exchanges == []


async def test_a_freeze_for_a_clock_that_goes_wrong_can_be_lifted_once_it_goes_right(
    cluster: Cluster,
) -> None:
    process = await cluster.join()
    await jump_to_and_fro(process, 2 * LONGEST_DOUBT)
    await process.unfreeze(LENA)
    await process.tick()
    assert len(await process.freezes()) == 1
    await process.tick(timedelta(minutes=1))
    await process.unfreeze(LENA)
    await process.due()
    await process.tick()
    assert await process.status() is Status.SENT


# --- what waits for a moment that was taken back ---------------------------------------------------

DAY = timedelta(days=1)


@pytest.fixture
async def v5_cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path, generation="v5") as opened:
        yield opened


@pytest.mark.parametrize("back", [20 * SECOND, 2 * HOUR, DAY])
async def test_a_clock_set_back_under_the_rate_stops_nothing_for_longer_than_a_span_and_a_minute(
    v5_cluster: Cluster, back: timedelta
) -> None:
    process = await v5_cluster.join()
    for _ in range(25):
        await process.approved()
    await process.count()
    await process.tick(UNDONE)
    assert len(v5_cluster.whop.pushes) == 20
    v5_cluster.clock.jump(-back)
    await process.tick()
    assert len(v5_cluster.whop.pushes) == 20
    for _ in range(72):
        await process.tick(SECOND)
    assert len(v5_cluster.whop.pushes) == 25


async def test_a_clock_set_ahead_by_less_than_a_jump_lets_no_more_through(v5_cluster: Cluster) -> None:
    process = await v5_cluster.join()
    for _ in range(25):
        await process.approved()
    await process.count()
    await process.tick(UNDONE)
    v5_cluster.clock.jump(20 * SECOND)
    await process.tick(9 * SECOND)
    assert len(v5_cluster.whop.exchanges) == 20


@pytest.mark.parametrize("back", [2 * HOUR, DAY])
async def test_what_was_approved_before_the_clock_was_set_back_goes_out_when_its_minute_is_over(
    cluster: Cluster, back: timedelta
) -> None:
    process = await cluster.join()
    await process.approved()
    await process.tick()
    cluster.clock.jump(-back)
    await process.tick()
    assert (await process.get()).due_at == cluster.clock() + timedelta(seconds=10)
    await process.tick(timedelta(minutes=1))
    # What was counted by the other time says nothing: it is counted again.
    await process.tick()
    assert await process.status() is Status.SENT


async def test_what_is_in_review_expires_no_later_for_a_clock_that_was_set_back(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.submitted()
    await process.tick()
    cluster.clock.jump(-10 * DAY)
    await process.tick()
    await process.tick(DAY)
    assert await process.status() is Status.DRAFT


async def test_what_is_to_be_tried_again_is_tried_and_given_up_in_time_though_the_clock_was_set_back(
    cluster: Cluster,
) -> None:
    process = await cluster.join()
    cluster.whop.fail_next(Fault.RATE_LIMITED, times=2)
    await process.due()
    await process.tick()
    cluster.clock.jump(-DAY)
    await process.tick()
    await process.tick(2 * timedelta(minutes=1))
    assert len(cluster.whop.exchanges) == 2
    await process.service.freeze(LENA, "so that it is not repeated")
    await process.tick(timedelta(minutes=16))
    assert await process.status() is Status.FAILED


async def test_what_is_to_be_tried_again_later_than_anything_ever_is_waits_no_longer_than_a_minute(
    cluster: Cluster,
) -> None:
    process = await cluster.join()
    cluster.whop.fail_next(Fault.RATE_LIMITED)
    await process.due()
    await process.tick()
    # As if that had been told before the clock was set back, and written down after it.
    with process.store.begin() as tx:
        tx._connection.execute(  # pyright: ignore[reportPrivateUsage]
            update(deliveries).values(next_at=cluster.clock() + DAY)
        )
    await process.tick(timedelta(minutes=1))
    assert await process.status() is Status.SENT


async def test_a_card_waits_no_longer_for_a_clock_that_was_set_back(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.submitted()
    await process.tick()
    cluster.clock.jump(-DAY)
    await process.tick()
    with process.store.begin(Access.READ) as tx:
        waiting = tx.outbox.waiting(cards_until=cluster.clock(), posts_until=cluster.clock()).values()
    assert any(what.cards for what in waiting)
    assert any(what.posts for what in waiting)


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
    await again.unfreeze(OMAR)
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
