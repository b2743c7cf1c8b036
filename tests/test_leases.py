"""Claims have owners and leases: nobody takes over what is under way, and a true answer counts late, too."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.broadcast import Status
from bot.delivery import DeliveryStatus
from bot.permissions import Action
from bot.sandbox.whop import Fault
from bot.sending import dispatcher
from bot.store import Transaction
from bot.store.deliveries import LEASE
from bot.whop.transport import TOTAL_SECONDS
from tests.desk import LENA, Desk, Office, deliveries_seen
from tests.waiting import until

LATE = "late answer"


@pytest.fixture
async def office(postgres_url: str, tmp_path: Path) -> AsyncGenerator[Office, None]:
    async with Office.open(postgres_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def anywhere(database_url: str, tmp_path: Path) -> AsyncGenerator[Office, None]:
    """Run the test on both databases, where it makes no difference how many processes may run on them."""
    async with Office.open(database_url, tmp_path) as opened:
        yield opened


# --- leases ----------------------------------------------------------------------------------------


def test_a_lease_is_longer_than_a_request_that_began_late_may_take() -> None:
    assert LEASE.total_seconds() > dispatcher.FRESH_SECONDS + TOTAL_SECONDS


@pytest.mark.parametrize("clock_is_off_by", [timedelta(), timedelta(days=365), -timedelta(days=365)])
async def test_a_claim_is_nobody_elses_while_its_lease_runs_whatever_a_process_takes_the_time_for(
    office: Office, clock_is_off_by: timedelta
) -> None:
    def wrong_clock() -> datetime:
        return office.time() + clock_is_off_by

    one, other = await office.join(), await office.join(clock=wrong_clock)
    await one.due()
    ticking, gate = await one.stopped_after_the_answer()
    await other.dispatcher.sweep()
    assert await other.status() is Status.SENDING

    gate.opened.set()
    await ticking
    assert await one.status() is Status.SENT
    assert await one.lines(LATE) == []


@pytest.mark.parametrize("clock_is_off_by", [timedelta(), -timedelta(days=365)])
async def test_a_claim_whose_lease_is_over_is_unknown_without_a_proven_key(
    office: Office, clock_is_off_by: timedelta
) -> None:
    def wrong_clock() -> datetime:
        return office.time() + clock_is_off_by

    one, other = await office.join(), await office.join(clock=wrong_clock)
    await one.due()
    await one.die_in_flight()
    await other.let_leases_end()
    await other.dispatcher.sweep()

    assert await other.status() is Status.UNKNOWN
    assert (await other.get()).reason == "Herald stopped before an answer came"
    await other.tick(timedelta(minutes=1))
    assert len(office.whop.exchanges) == 1


async def test_a_claim_whose_lease_is_over_is_sent_again_with_the_same_bytes_where_the_key_is_proven(
    office: Office,
) -> None:
    one, other = await office.join(), await office.join()
    await one.prove()
    await one.due()
    await one.die_in_flight()
    await other.tick()
    assert len(office.whop.exchanges) == 1

    await other.let_leases_end()
    await other.tick()
    assert await other.status() is Status.SENT
    first, second = deliveries_seen(office)
    assert first == second
    assert len(office.whop.pushes) == 1


async def test_a_run_takes_over_at_once_what_the_run_before_it_left_and_nothing_of_a_workers(
    office: Office,
) -> None:
    run, worker = await office.join(alone=True), await office.join()
    of_run, of_worker = await run.due(), await run.approved()
    await run.die_in_flight()
    office.time.go_on(timedelta(seconds=11))
    ticking, gate = await worker.stopped_after_the_answer()

    again = await office.join(alone=True)
    await again.dispatcher.sweep()
    assert await again.status(of_run.id) is Status.UNKNOWN
    assert await again.status(of_worker.id) is Status.SENDING
    gate.opened.set()
    await ticking
    assert await again.status(of_worker.id) is Status.SENT


async def test_a_worker_takes_nothing_over_before_its_lease_is_over(office: Office) -> None:
    run, worker = await office.join(alone=True), await office.join()
    await run.due()
    await run.die_in_flight()
    await worker.dispatcher.sweep()
    assert await worker.status() is Status.SENDING


async def test_the_one_process_of_a_file_takes_over_whatever_was_left(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with Office.open(sqlite_url, tmp_path) as office:
        for before in (True, False):
            desk = await office.join(alone=before)
            broadcast = await desk.due()
            await desk.die_in_flight()
            again = await office.join(alone=True)
            await again.dispatcher.sweep()
            assert await again.status(broadcast.id) is Status.UNKNOWN
            await again.leave()


async def test_a_process_never_sweeps_what_it_is_sending_itself(anywhere: Office) -> None:
    for alone in (True, False):
        desk = await anywhere.join(alone=alone)
        broadcast = await desk.due()
        ticking, gate = await desk.stopped_after_the_answer()
        await desk.let_leases_end()
        await desk.dispatcher.sweep()
        assert await desk.status(broadcast.id) is Status.SENDING
        gate.opened.set()
        await ticking
        assert await desk.status(broadcast.id) is Status.SENT
        await desk.leave()


async def test_two_who_sweep_at_once_settle_it_once(office: Office) -> None:
    one, two, three = [await office.join() for _ in range(3)]
    await one.due()
    await one.die_in_flight()
    await two.let_leases_end()
    await asyncio.gather(two.dispatcher.sweep(), three.dispatcher.sweep())
    assert await two.status() is Status.UNKNOWN
    assert len(await two.lines("unanswered")) == 1


# --- late answers ----------------------------------------------------------------------------------


async def swept(
    office: Office, audience: str = "One"
) -> tuple[Desk, Desk, asyncio.Task[None], asyncio.Event]:
    """Let one hold an answer in its hands for so long that the other gives the claim up."""
    one, other = await office.join(), await office.join()
    await one.due(audience)
    ticking, gate = await one.stopped_after_the_answer()
    await other.let_leases_end()
    await other.dispatcher.sweep()
    return one, other, ticking, gate.opened


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.NONE, Status.SENT), (Fault.REJECT, Status.FAILED)], ids=["yes", "no"]
)
async def test_an_answer_that_came_late_settles_what_was_given_up(
    anywhere: Office, fault: Fault, status: Status
) -> None:
    anywhere.whop.fail_next(fault)
    one, other, ticking, opened = await swept(anywhere)
    assert await other.status() is Status.UNKNOWN
    opened.set()
    await ticking
    assert await other.status() is status
    [delivery] = await one.deliveries()
    assert delivery.past[0].http_status in {202, 400}
    assert await other.lines(LATE) == []


async def test_a_late_yes_beside_a_no_makes_it_accepted_in_part(office: Office) -> None:
    office.whop.fail_next(Fault.NONE)
    office.whop.fail_next(Fault.REJECT)
    _, other, ticking, opened = await swept(office, "Two")
    opened.set()
    await ticking
    assert await other.status() is Status.PARTIAL
    assert sorted(one.status for one in await other.deliveries()) == ["accepted", "rejected"]


async def test_a_late_answer_that_settles_one_of_two_unknown_leaves_the_other_to_a_person(
    office: Office,
) -> None:
    office.whop.fail_next(Fault.DROP_AFTER_ACCEPT, times=2)
    one, other = await office.join(), await office.join()
    await one.due("Two")
    gate = one.wire.stop_after()
    ticking = asyncio.create_task(one.tick())
    await gate.reached.wait()
    await other.let_leases_end()
    await other.dispatcher.sweep()
    assert await other.status() is Status.UNKNOWN
    gate.opened.set()
    await ticking
    assert await other.status() is Status.UNKNOWN


async def test_a_late_yes_keeps_what_waits_for_its_repeat_from_being_repeated(office: Office) -> None:
    one = await office.join()
    await one.prove()
    one, other, ticking, opened = await swept(office)
    [delivery] = await other.deliveries()
    assert delivery.status is DeliveryStatus.PENDING
    opened.set()
    await ticking
    assert await other.status() is Status.SENT
    await other.tick(timedelta(minutes=2))
    assert len(office.whop.exchanges) == 1


async def test_late_news_that_nothing_left_settles_it_as_failed_and_says_so(anywhere: Office) -> None:
    one, other = await anywhere.join(), await anywhere.join()
    await one.due()
    gate = one.wire.stop_before()
    ticking = asyncio.create_task(one.tick())
    await gate.reached.wait()
    await other.let_leases_end()
    await other.dispatcher.sweep()
    assert await other.status() is Status.UNKNOWN

    anywhere.time.go_on(timedelta(seconds=dispatcher.FRESH_SECONDS))
    gate.opened.set()
    await ticking
    assert await other.status() is Status.FAILED
    reason = (await other.get()).reason
    assert reason == "nothing of it left this machine (it took too long to begin)"
    assert anywhere.whop.exchanges == []


async def test_late_news_that_nothing_left_says_nothing_of_an_earlier_attempt(office: Office) -> None:
    one, other = await office.join(), await office.join()
    await one.prove()
    office.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await one.due()
    await one.tick()
    assert len(office.whop.pushes) == 1

    gate = one.wire.stop_before()
    ticking = asyncio.create_task(one.tick(timedelta(seconds=10)))
    await gate.reached.wait()
    office.time.go_on(timedelta(minutes=20))
    await other.let_leases_end()
    await other.dispatcher.sweep()
    assert await other.status() is Status.UNKNOWN
    gate.opened.set()
    await ticking
    assert await other.status() is Status.UNKNOWN


@pytest.mark.parametrize("went_out", [True, False])
async def test_a_late_answer_does_not_undo_what_a_person_said_but_stands_in_the_record(
    anywhere: Office, went_out: bool
) -> None:
    anywhere.whop.fail_next(Fault.REJECT if went_out else Fault.NONE)
    _, other, ticking, opened = await swept(anywhere)
    await other.service.act_with_reason(
        LENA, Action.CONFIRM if went_out else Action.DENY, 1, revision=1, reason="I looked"
    )
    opened.set()
    await ticking
    assert await other.status() is (Status.SENT if went_out else Status.FAILED)
    said = "rejected" if went_out else "accepted"
    assert await other.lines(LATE) == [f"{said}, which is not what stands on the card"]


async def test_a_late_answer_that_says_what_a_person_said_needs_no_line(office: Office) -> None:
    _, other, ticking, opened = await swept(office)
    await other.service.confirm(LENA, 1, revision=1, reason="I looked")
    opened.set()
    await ticking
    assert await other.status() is Status.SENT
    assert await other.lines(LATE) == []


async def test_the_answer_to_an_older_attempt_changes_nothing(office: Office) -> None:
    one = await office.join()
    await one.prove()
    office.whop.fail_next(Fault.REJECT)
    _, other, first, first_opened = await swept(office)
    second, gate = await other.stopped_after_the_answer()
    third = await office.join()
    office.time.go_on(timedelta(minutes=20))
    await third.let_leases_end()
    await third.dispatcher.sweep()
    assert await third.status() is Status.UNKNOWN

    first_opened.set()
    await first
    [delivery] = await third.deliveries()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.UNKNOWN, 2)
    assert [attempt.http_status for attempt in delivery.past] == [None, None]
    assert await third.lines(LATE) == []

    gate.opened.set()
    await second
    assert await third.status() is Status.FAILED
    assert [attempt.http_status for attempt in (await third.deliveries())[0].past] == [None, 400]


# --- a claim that grew too old ---------------------------------------------------------------------


async def test_a_claim_that_grew_too_old_before_its_first_byte_is_given_back_and_sent_later(
    anywhere: Office,
) -> None:
    desk = await anywhere.join()
    await desk.due()
    gate = desk.wire.stop_before()
    ticking = asyncio.create_task(desk.tick())
    await gate.reached.wait()
    anywhere.time.go_on(timedelta(seconds=dispatcher.FRESH_SECONDS))
    gate.opened.set()
    await ticking
    assert anywhere.whop.exchanges == []
    [delivery] = await desk.deliveries()
    assert delivery.status is DeliveryStatus.PENDING
    assert "it took too long to begin" in delivery.detail

    await desk.tick(timedelta(seconds=5))
    assert await desk.status() is Status.SENT
    assert len(anywhere.whop.pushes) == 1


async def test_a_claim_just_young_enough_is_sent(office: Office) -> None:
    desk = await office.join()
    await desk.due()
    gate = desk.wire.stop_before()
    ticking = asyncio.create_task(desk.tick())
    await gate.reached.wait()
    office.time.go_on(timedelta(seconds=dispatcher.FRESH_SECONDS - 0.1))
    gate.opened.set()
    await ticking
    assert await desk.status() is Status.SENT


# --- one rate --------------------------------------------------------------------------------------


@pytest.fixture
async def busy(postgres_url: str, tmp_path: Path) -> AsyncGenerator[tuple[Office, list[Desk]], None]:
    """Give three processes, and more to send than Whop's v5 takes at once."""
    async with Office.open(postgres_url, tmp_path, generation="v5") as office:
        desks = [await office.join() for _ in range(3)]
        for _ in range(26):
            await desks[0].approved()
        office.time.go_on(timedelta(seconds=11))
        yield office, desks


async def all_tick(desks: list[Desk]) -> None:
    await asyncio.gather(*(desk.dispatcher.tick() for desk in desks))


async def test_three_processes_together_keep_to_one_rate(busy: tuple[Office, list[Desk]]) -> None:
    office, desks = busy
    for _ in range(3):
        await all_tick(desks)
    assert [one.status for one in office.whop.exchanges] == [201] * 20
    await all_tick(desks)
    assert len(office.whop.exchanges) == 20
    office.time.go_on(timedelta(seconds=10.4))
    for _ in range(3):
        await all_tick(desks)
    assert [one.status for one in office.whop.exchanges] == [201] * 26


async def test_of_three_processes_one_asks_whether_a_pause_is_over(busy: tuple[Office, list[Desk]]) -> None:
    office, desks = busy
    office.whop.fault = Fault.RATE_LIMITED
    await all_tick(desks)
    begun = len(office.whop.exchanges)
    assert begun <= 20
    await all_tick(desks)
    assert len(office.whop.exchanges) == begun
    for number in (1, 2):
        office.time.go_on(timedelta(seconds=61))
        await all_tick(desks)
        assert len(office.whop.exchanges) == begun + number


def waiting_for_locks(tx: Transaction) -> int:
    """Return how many wait on this server for a lock that somebody else has."""
    found = tx._connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted")  # pyright: ignore[reportPrivateUsage]
    return found.scalar_one()


async def test_two_that_count_at_the_same_time_do_not_find_the_same_room(
    busy: tuple[Office, list[Desk]],
) -> None:
    office, (one, other, _) = busy
    await one.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]

    limiter = one.dispatcher._settlement.rate_limit  # pyright: ignore[reportPrivateUsage]

    def room(tx: Transaction) -> int:
        tx.claim_alone()
        return limiter.room(tx)

    with one.store.begin() as tx:
        due = tx.deliveries.due(office.time(), limit=room(tx))
        tx.deliveries.claim(due, owner="one", at=office.time())
        counting = asyncio.create_task(other.store.write(room))
        await until(lambda: counting.done() or waiting_for_locks(tx))
        assert not counting.done()
    assert await counting == 0
