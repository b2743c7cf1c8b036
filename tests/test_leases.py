"""Claims have owners and leases: nobody takes over what is under way, and a true answer counts late, too."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.broadcast import Status
from bot.clock import utc_now
from bot.delivery import DeliveryStatus
from bot.permissions import Action
from bot.policy.model import ACCOUNT
from bot.sandbox.whop import Fault
from bot.sending import dispatcher
from bot.store import Transaction
from bot.store.deliveries import LEASE
from bot.whop.transport import TOTAL_SECONDS
from tests.harness.deliveries import may_go
from tests.harness.found import only
from tests.harness.people import LENA
from tests.harness.process import Cluster, Process
from tests.waiting import until

LATE = "late answer"


@pytest.fixture
async def cluster(postgres_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(postgres_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def anywhere(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    """Run the test on both databases, where it makes no difference how many processes may run on them."""
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


# --- leases ----------------------------------------------------------------------------------------


def test_a_lease_is_longer_than_a_request_that_began_late_may_take() -> None:
    assert LEASE.total_seconds() > dispatcher.FRESH_SECONDS + TOTAL_SECONDS


@pytest.mark.parametrize("clock_is_off_by", [timedelta(), timedelta(days=365), -timedelta(days=365)])
async def test_a_claim_is_nobody_elses_while_its_lease_runs_whatever_a_process_takes_the_time_for(
    cluster: Cluster, clock_is_off_by: timedelta
) -> None:
    def wrong_clock() -> datetime:
        return cluster.clock() + clock_is_off_by

    one, other = await cluster.join(), await cluster.join(clock=wrong_clock)
    await one.due()
    ticking, barrier = await one.stopped_after_the_answer()
    await other.dispatcher.sweep()
    assert await other.status() is Status.SENDING

    barrier.opened.set()
    await ticking
    assert await one.status() is Status.SENT
    assert await one.lines(LATE) == []


@pytest.mark.parametrize("clock_is_off_by", [timedelta(), -timedelta(days=365)])
async def test_a_claim_whose_lease_is_over_is_unknown_without_a_proven_key(
    cluster: Cluster, clock_is_off_by: timedelta
) -> None:
    def wrong_clock() -> datetime:
        return cluster.clock() + clock_is_off_by

    one, other = await cluster.join(), await cluster.join(clock=wrong_clock)
    await one.due()
    await one.die_in_flight()
    await other.let_leases_end()
    await other.dispatcher.sweep()

    assert await other.status() is Status.UNKNOWN
    assert (await other.get()).reason == "Herald stopped before an answer came"
    await other.tick(timedelta(minutes=1))
    assert len(cluster.whop.exchanges) == 1


async def test_a_claim_is_free_for_others_in_time_though_the_clock_of_the_database_was_set_back(
    cluster: Cluster,
) -> None:
    one, other = await cluster.join(), await cluster.join()
    await one.due()
    await one.die_in_flight()
    await other.let_leases_end(datetime(2100, 1, 1, tzinfo=UTC))
    await other.tick()
    assert await other.status() is Status.SENDING
    assert all(lease <= utc_now() + LEASE for lease in await other.leases())


async def test_a_claim_whose_lease_is_over_is_sent_again_with_the_same_bytes_where_the_key_is_proven(
    cluster: Cluster,
) -> None:
    one, other = await cluster.join(), await cluster.join()
    await one.prove()
    await one.due()
    await one.die_in_flight()
    await other.tick()
    assert len(cluster.whop.exchanges) == 1

    await other.let_leases_end()
    await other.tick()
    assert await other.status() is Status.SENT
    first, second = cluster.deliveries_seen()
    assert first == second
    assert len(cluster.whop.pushes) == 1


async def test_a_run_takes_over_at_once_what_the_run_before_it_left_and_nothing_of_a_workers(
    cluster: Cluster,
) -> None:
    run, worker = await cluster.join(alone=True), await cluster.join()
    await run.startup.begin()
    of_run, of_worker = await run.due(), await run.approved()
    await run.die_in_flight()
    cluster.clock.advance(timedelta(seconds=11))
    ticking, barrier = await worker.stopped_after_the_answer()

    again = await cluster.join(alone=True)
    await again.startup.begin()
    await again.dispatcher.sweep()
    assert await again.status(of_run.id) is Status.UNKNOWN
    assert await again.status(of_worker.id) is Status.SENDING
    barrier.opened.set()
    await ticking
    assert await again.status(of_worker.id) is Status.SENT


async def test_a_worker_takes_nothing_over_before_its_lease_is_over(cluster: Cluster) -> None:
    run, worker = await cluster.join(alone=True), await cluster.join()
    await run.due()
    await run.die_in_flight()
    await worker.dispatcher.sweep()
    assert await worker.status() is Status.SENDING


async def test_the_one_process_of_a_file_takes_over_whatever_was_left(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        for before in (True, False):
            process = await cluster.join(alone=before)
            broadcast = await process.due()
            await process.die_in_flight()
            again = await cluster.join(alone=True)
            await again.dispatcher.sweep()
            assert await again.status(broadcast.id) is Status.UNKNOWN
            await again.leave()


async def test_a_process_never_sweeps_what_it_is_sending_itself(anywhere: Cluster) -> None:
    for alone in (True, False):
        process = await anywhere.join(alone=alone)
        broadcast = await process.due()
        ticking, barrier = await process.stopped_after_the_answer()
        await process.let_leases_end()
        await process.dispatcher.sweep()
        assert await process.status(broadcast.id) is Status.SENDING
        barrier.opened.set()
        await ticking
        assert await process.status(broadcast.id) is Status.SENT
        await process.leave()


async def test_two_who_sweep_at_once_settle_it_once(cluster: Cluster) -> None:
    one, two, three = [await cluster.join() for _ in range(3)]
    await one.due()
    await one.die_in_flight()
    await two.let_leases_end()
    await asyncio.gather(two.dispatcher.sweep(), three.dispatcher.sweep())
    assert await two.status() is Status.UNKNOWN
    assert len(await two.lines("unanswered")) == 1


# --- late answers ----------------------------------------------------------------------------------


async def swept(
    cluster: Cluster, audience: str = "One"
) -> tuple[Process, Process, asyncio.Task[None], asyncio.Event]:
    """Let one hold an answer in its hands for so long that the other gives the claim up."""
    one, other = await cluster.join(), await cluster.join()
    await one.due(audience)
    ticking, barrier = await one.stopped_after_the_answer()
    await other.let_leases_end()
    await other.dispatcher.sweep()
    return one, other, ticking, barrier.opened


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.NONE, Status.SENT), (Fault.REJECT, Status.FAILED)], ids=["yes", "no"]
)
async def test_an_answer_that_came_late_settles_what_was_given_up(
    anywhere: Cluster, fault: Fault, status: Status
) -> None:
    anywhere.whop.fail_next(fault)
    one, other, ticking, opened = await swept(anywhere)
    assert await other.status() is Status.UNKNOWN
    opened.set()
    await ticking
    assert await other.status() is status
    delivery = only(await one.deliveries())
    assert delivery.past[0].http_status in {202, 400}
    assert await other.lines(LATE) == []


async def test_a_late_yes_beside_a_no_makes_it_accepted_in_part(cluster: Cluster) -> None:
    cluster.whop.fail_next(Fault.NONE)
    cluster.whop.fail_next(Fault.REJECT)
    _, other, ticking, opened = await swept(cluster, "Two")
    opened.set()
    await ticking
    assert await other.status() is Status.PARTIAL
    assert sorted(one.status for one in await other.deliveries()) == ["accepted", "rejected"]


async def test_a_late_answer_that_settles_one_of_two_unknown_leaves_the_other_to_a_person(
    cluster: Cluster,
) -> None:
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT, times=2)
    one, other = await cluster.join(), await cluster.join()
    await one.due("Two")
    barrier = one.wire.stop_after()
    ticking = asyncio.create_task(one.tick())
    await barrier.reached.wait()
    await other.let_leases_end()
    await other.dispatcher.sweep()
    assert await other.status() is Status.UNKNOWN
    barrier.opened.set()
    await ticking
    assert await other.status() is Status.UNKNOWN


async def test_a_late_yes_keeps_what_waits_for_its_repeat_from_being_repeated(cluster: Cluster) -> None:
    one = await cluster.join()
    await one.prove()
    one, other, ticking, opened = await swept(cluster)
    delivery = only(await other.deliveries())
    assert delivery.status is DeliveryStatus.PENDING
    opened.set()
    await ticking
    assert await other.status() is Status.SENT
    await other.tick(timedelta(minutes=2))
    assert len(cluster.whop.exchanges) == 1


async def test_late_news_that_nothing_left_settles_it_as_failed_and_says_so(anywhere: Cluster) -> None:
    one, other = await anywhere.join(), await anywhere.join()
    await one.due()
    barrier = one.wire.stop_before()
    ticking = asyncio.create_task(one.tick())
    await barrier.reached.wait()
    await other.let_leases_end()
    await other.dispatcher.sweep()
    assert await other.status() is Status.UNKNOWN

    anywhere.clock.advance(timedelta(seconds=dispatcher.FRESH_SECONDS))
    barrier.opened.set()
    await ticking
    assert await other.status() is Status.FAILED
    reason = (await other.get()).reason
    assert reason == "nothing of it left this machine (it took too long to begin)"
    assert anywhere.whop.exchanges == []


async def test_late_news_that_nothing_left_says_nothing_of_an_earlier_attempt(cluster: Cluster) -> None:
    one, other = await cluster.join(), await cluster.join()
    await one.prove()
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await one.due()
    await one.tick()
    assert len(cluster.whop.pushes) == 1

    barrier = one.wire.stop_before()
    ticking = asyncio.create_task(one.tick(timedelta(seconds=10)))
    await barrier.reached.wait()
    cluster.clock.advance(timedelta(minutes=20))
    await other.let_leases_end()
    await other.dispatcher.sweep()
    assert await other.status() is Status.UNKNOWN
    barrier.opened.set()
    await ticking
    assert await other.status() is Status.UNKNOWN


@pytest.mark.parametrize("went_out", [True, False])
async def test_a_late_answer_does_not_undo_what_a_person_said_but_stands_in_the_record(
    anywhere: Cluster, went_out: bool
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


async def test_a_late_answer_that_says_what_a_person_said_needs_no_line(cluster: Cluster) -> None:
    _, other, ticking, opened = await swept(cluster)
    await other.service.confirm(LENA, 1, revision=1, reason="I looked")
    opened.set()
    await ticking
    assert await other.status() is Status.SENT
    assert await other.lines(LATE) == []


async def test_the_answer_to_an_older_attempt_changes_nothing(cluster: Cluster) -> None:
    one = await cluster.join()
    await one.prove()
    cluster.whop.fail_next(Fault.REJECT)
    _, other, first, first_opened = await swept(cluster)
    second, barrier = await other.stopped_after_the_answer()
    third = await cluster.join()
    cluster.clock.advance(timedelta(minutes=20))
    await third.let_leases_end()
    await third.dispatcher.sweep()
    assert await third.status() is Status.UNKNOWN

    first_opened.set()
    await first
    delivery = only(await third.deliveries())
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.UNKNOWN, 2)
    assert [attempt.http_status for attempt in delivery.past] == [None, None]
    assert await third.lines(LATE) == []

    barrier.opened.set()
    await second
    assert await third.status() is Status.FAILED
    assert [attempt.http_status for attempt in (await third.deliveries())[0].past] == [None, 400]


# --- a claim that grew too old ---------------------------------------------------------------------


async def test_a_claim_that_grew_too_old_before_its_first_byte_is_given_back_and_sent_later(
    anywhere: Cluster,
) -> None:
    process = await anywhere.join()
    await process.due()
    barrier = process.wire.stop_before()
    ticking = asyncio.create_task(process.tick())
    await barrier.reached.wait()
    anywhere.clock.advance(timedelta(seconds=dispatcher.FRESH_SECONDS))
    barrier.opened.set()
    await ticking
    assert anywhere.whop.exchanges == []
    delivery = only(await process.deliveries())
    assert delivery.status is DeliveryStatus.PENDING
    assert "it took too long to begin" in delivery.detail

    await process.tick(timedelta(seconds=5))
    assert await process.status() is Status.SENT
    assert len(anywhere.whop.pushes) == 1


async def test_a_claim_just_young_enough_is_sent(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    barrier = process.wire.stop_before()
    ticking = asyncio.create_task(process.tick())
    await barrier.reached.wait()
    cluster.clock.advance(timedelta(seconds=dispatcher.FRESH_SECONDS - 0.1))
    barrier.opened.set()
    await ticking
    assert await process.status() is Status.SENT


# --- one rate --------------------------------------------------------------------------------------


@pytest.fixture
async def busy(postgres_url: str, tmp_path: Path) -> AsyncGenerator[tuple[Cluster, list[Process]], None]:
    """Give three processes, and more to send than Whop's v5 takes at once."""
    async with Cluster.open(postgres_url, tmp_path, generation="v5") as cluster:
        processes = [await cluster.join() for _ in range(3)]
        for _ in range(26):
            await processes[0].approved()
        await processes[0].count()
        cluster.clock.advance(timedelta(seconds=11))
        yield cluster, processes


async def all_tick(processes: list[Process]) -> None:
    await asyncio.gather(*(process.dispatcher.tick() for process in processes))


async def test_three_processes_together_keep_to_one_rate(busy: tuple[Cluster, list[Process]]) -> None:
    cluster, processes = busy
    for _ in range(3):
        await all_tick(processes)
    assert [one.status for one in cluster.whop.exchanges] == [201] * 20
    await all_tick(processes)
    assert len(cluster.whop.exchanges) == 20
    cluster.clock.advance(timedelta(seconds=10.4))
    for _ in range(3):
        await all_tick(processes)
    assert [one.status for one in cluster.whop.exchanges] == [201] * 26


async def test_of_three_processes_one_asks_whether_a_pause_is_over(
    busy: tuple[Cluster, list[Process]],
) -> None:
    cluster, processes = busy
    cluster.whop.fault = Fault.RATE_LIMITED
    await all_tick(processes)
    begun = len(cluster.whop.exchanges)
    assert begun <= 20
    await all_tick(processes)
    assert len(cluster.whop.exchanges) == begun
    for number in (1, 2):
        cluster.clock.advance(timedelta(seconds=61))
        await all_tick(processes)
        assert len(cluster.whop.exchanges) == begun + number


def waiting_for_locks(tx: Transaction) -> int:
    """Return how many wait on this server for a lock that somebody else has."""
    found = tx._connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted")  # pyright: ignore[reportPrivateUsage]
    return found.scalar_one()


async def test_two_that_count_at_the_same_time_do_not_find_the_same_room(
    busy: tuple[Cluster, list[Process]],
) -> None:
    cluster, (one, other, _) = busy
    await one.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]

    limiter = one.dispatcher._settlement.rate_limits[ACCOUNT]  # pyright: ignore[reportPrivateUsage]

    def room(tx: Transaction) -> int:
        tx.claim_alone()
        return limiter.room(tx)

    with one.store.begin() as tx:
        due = may_go(tx, cluster.clock())[: room(tx)]
        tx.deliveries.claim(due, owner="one", at=cluster.clock())
        counting = asyncio.create_task(other.store.write(other.dispatcher._claim))  # pyright: ignore[reportPrivateUsage]
        await until(lambda: counting.done() or waiting_for_locks(tx))
        assert not counting.done()
    assert (await counting).claims == []
