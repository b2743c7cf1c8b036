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
from tests.desk import GUILD, LENA, OMAR, OTHER_GUILD, Desk, Office, Time

MOVED = "clock moved"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
A_BIT = timedelta(milliseconds=1)


@pytest.fixture
async def office(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Office, None]:
    async with Office.open(sqlite_url, tmp_path) as opened:
        yield opened


# --- the watch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_more_than_30_seconds_are_a_jump_and_30_are_none(sign: int) -> None:
    time = Time()
    watch = Watch(time, time.steady)
    time.jump(sign * 30 * SECOND)
    assert watch.look() is None
    assert not watch.is_doubtful
    time.jump(sign * (30 * SECOND + A_BIT))
    assert watch.look() == sign * (30 * SECOND + A_BIT)
    assert watch.is_doubtful


def test_time_that_both_clocks_counted_is_no_jump() -> None:
    time = Time()
    watch = Watch(time, time.steady)
    time.go_on(timedelta(days=3))
    assert watch.look() is None


def test_the_doubt_ends_after_a_minute_of_the_clock_that_nobody_sets() -> None:
    time = Time()
    watch = Watch(time, time.steady)
    time.jump(HOUR)
    watch.look()
    time.jump(HOUR)
    time.seconds += 59.9
    assert watch.is_doubtful
    time.seconds += 0.1
    assert not watch.is_doubtful


def test_a_second_jump_begins_the_minute_anew() -> None:
    time = Time()
    watch = Watch(time, time.steady)
    time.jump(HOUR)
    watch.look()
    time.go_on(50 * SECOND)
    time.jump(-HOUR)
    assert watch.look() == -HOUR
    time.go_on(50 * SECOND)
    assert watch.is_doubtful


def test_the_highest_time_outlasts_a_clock_that_is_set_back() -> None:
    time = Time()
    watch = Watch(time, time.steady)
    time.go_on(HOUR)
    highest = time()
    watch.look()
    time.jump(-HOUR)
    watch.look()
    assert watch.highest == highest


def test_the_steady_clock_never_goes_back() -> None:
    before = steady_now()
    assert before <= steady_now()


# --- what a jump holds up --------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [31 * SECOND, -31 * SECOND])
async def test_after_a_jump_nothing_starts_for_a_minute_and_then_what_is_in_time_does(
    office: Office, jump: timedelta
) -> None:
    desk = await office.join()
    await desk.due()
    office.time.go_on(timedelta(minutes=1))
    office.time.jump(jump)
    await desk.tick()
    await desk.tick(59 * SECOND)
    assert await desk.status() is Status.APPROVED
    assert office.whop.exchanges == []
    await desk.tick(SECOND)
    assert await desk.status() is Status.SENT


async def test_after_a_jump_nothing_that_has_started_is_claimed_for_a_minute(office: Office) -> None:
    desk = await office.join()
    office.whop.fail_next(Fault.RATE_LIMITED)
    await desk.due()
    await desk.tick()
    office.time.go_on(timedelta(seconds=30))
    office.time.jump(timedelta(minutes=2))
    await desk.tick()
    await desk.tick(59 * SECOND)
    assert len(office.whop.exchanges) == 1
    assert (await desk.deliveries())[0].status is DeliveryStatus.PENDING
    await desk.tick(SECOND)
    assert await desk.status() is Status.SENT


async def test_no_review_expires_by_a_clock_that_may_be_wrong(office: Office) -> None:
    desk = await office.join()
    await desk.submitted()
    office.time.jump(timedelta(days=2))
    await desk.tick()
    assert await desk.status() is Status.REVIEW
    await desk.tick(timedelta(minutes=1))
    assert await desk.status() is Status.DRAFT


@pytest.mark.parametrize(("jump", "said"), [(90 * SECOND, "+90"), (-HOUR, "-3600")])
async def test_a_jump_stands_once_in_the_record_of_every_server(
    office: Office, jump: timedelta, said: str
) -> None:
    desk = await office.join()
    office.time.jump(jump)
    for _ in range(3):
        await desk.tick(SECOND)
    sentence = f"the clock was moved by {said} seconds; nothing starts for a minute"
    assert await desk.lines(MOVED, GUILD) == [sentence]
    assert await desk.lines(MOVED, OTHER_GUILD) == [sentence]


@pytest.mark.parametrize("jump", [30 * SECOND, -30 * SECOND])
async def test_a_clock_that_is_set_right_by_half_a_minute_holds_nothing_up(
    office: Office, jump: timedelta
) -> None:
    desk = await office.join()
    await desk.due()
    office.time.go_on(timedelta(minutes=1))
    office.time.jump(jump)
    await desk.tick()
    assert await desk.status() is Status.SENT
    assert await desk.lines(MOVED) == []


async def test_after_a_suspension_nothing_waits_but_what_is_overdue_is_held(office: Office) -> None:
    desk = await office.join()
    await desk.approved()
    late = await desk.approved()
    await desk.tick(timedelta(minutes=16))
    assert await desk.lines(MOVED) == []
    assert await desk.status(late.id) is Status.HELD
    assert "has been missed" in (await desk.get(late.id)).reason
    await desk.due()
    await desk.tick()
    assert len(office.whop.pushes) == 1


async def test_what_a_jump_made_overdue_is_held_when_the_minute_is_over(office: Office) -> None:
    desk = await office.join()
    await desk.approved()
    office.time.jump(HOUR)
    await desk.tick()
    assert await desk.status() is Status.APPROVED
    await desk.tick(timedelta(minutes=1))
    assert await desk.status() is Status.HELD
    assert office.whop.exchanges == []


# --- how old a key is ------------------------------------------------------------------------------


async def restarted(office: Office, desk: Desk) -> Desk:
    await desk.leave()
    return await office.join()


async def unknown_for(office: Office, span: timedelta) -> Desk:
    """Get to where Whop accepted it that long ago, with a proven key, and nobody knows."""
    desk = await office.join()
    await desk.prove()
    await desk.due()
    await desk.die_in_flight()
    again = await office.join()
    await again.let_leases_end()
    await again.tick(timedelta(minutes=16))
    await again.tick(span - timedelta(minutes=16))
    return again


async def can_check(desk: Desk) -> bool:
    return await desk.service.can_check(await desk.get())


async def test_a_clock_set_back_does_not_make_an_old_key_young_nor_does_a_restart(office: Office) -> None:
    desk = await unknown_for(office, 19 * HOUR)
    assert await can_check(desk)

    office.time.jump(-10 * HOUR)
    await desk.tick()
    assert not await can_check(desk)
    desk = await restarted(office, desk)
    assert not await can_check(desk)


async def test_after_a_clock_was_set_back_nothing_is_repeated_by_itself(office: Office) -> None:
    desk = await office.join()
    await desk.prove()
    office.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await desk.due()
    await desk.tick()
    await desk.service.freeze(LENA, "so that it is not repeated at once")
    await desk.tick(timedelta(minutes=10))
    office.time.jump(timedelta(minutes=-9))
    await desk.tick()
    again = await restarted(office, desk)
    await again.service.unfreeze(OMAR)
    await again.tick(timedelta(minutes=2))
    assert await again.status() is Status.UNKNOWN
    assert "no longer makes a repeat safe" in (await again.get()).reason
    assert len(office.whop.exchanges) == 1


async def test_what_was_first_tried_after_the_clock_was_set_back_is_trusted_once_it_has_come_back(
    office: Office,
) -> None:
    desk = await office.join()
    await desk.prove()
    office.time.jump(-10 * HOUR)
    await desk.tick()
    await desk.leave()
    office.time.go_on(11 * HOUR)
    desk = await unknown_for(office, timedelta(minutes=16))
    assert await can_check(desk)


async def test_a_clock_set_back_twice_does_not_make_an_old_key_young(office: Office) -> None:
    desk = await unknown_for(office, 19 * HOUR)
    office.time.jump(-10 * HOUR)
    await desk.tick()
    desk = await restarted(office, desk)
    await desk.tick(HOUR)
    office.time.jump(-40 * SECOND)
    await desk.tick()
    office.time.go_on(timedelta(minutes=2))
    # It was sent 20 hours ago.
    assert not await can_check(desk)


async def test_a_key_from_before_the_clock_was_set_back_stays_old_when_the_clock_has_come_back(
    office: Office,
) -> None:
    desk = await unknown_for(office, 19 * HOUR)
    office.time.jump(-10 * HOUR)
    await desk.tick()
    await desk.tick(10 * HOUR)
    # It was sent 29 hours ago, and Whop remembers a key for 24.
    assert not await can_check(desk)


async def test_a_jump_that_the_database_did_not_take_at_once_is_written_later(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    desk = await office.join()
    office.time.jump(-HOUR)
    locker = sqlite3.connect(tmp_path / "herald.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError):
        await desk.tick()
    locker.execute("ROLLBACK")
    locker.close()
    await desk.tick(SECOND)
    assert len(await desk.lines(MOVED)) == 1
