"""The dispatcher: claimed before the first byte, recorded after the last, never repeated in doubt."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.broadcast import Status
from bot.delivery import DeliveryStatus, NoAnswer, Request, Response
from bot.errors import Conflict, StoreError
from bot.policy.model import ACCOUNT
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.sandbox.whop import Fault
from bot.sending.restore_guard import RestoreGuard
from bot.store import Access
from tests.conftest import OpenSandbox
from tests.harness.found import only
from tests.harness.process import Cluster, Process
from tests.waiting import until

WAITS = "an outcome waits for the database"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a locked database and the wait for it be over soon."""
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    for place in ("recording", "dispatcher"):
        monkeypatch.setattr(f"bot.sending.{place}.RECORD_AGAIN_SECONDS", 0.05)


def lock(database: Path) -> sqlite3.Connection:
    locker = sqlite3.connect(database, isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    return locker


def unlock(locker: sqlite3.Connection) -> None:
    locker.execute("ROLLBACK")
    locker.close()


async def statuses(sandbox: Sandbox) -> list[DeliveryStatus]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return [delivery.status for delivery in tx.deliveries.of(1)]


@pytest.mark.usefixtures("impatient")
async def test_a_known_outcome_is_recorded_as_soon_as_the_database_allows(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await sandbox.approved()
        await sandbox.world.env.advance_time(UNDONE.total_seconds())
        sandbox.whop.fail_next(Fault.SLOW)
        ticking = asyncio.create_task(sandbox.herald.dispatcher.tick())
        await sandbox.whop.slow_held()
        locker = lock(sandbox.settings.database_file)
        with capture_logs() as logged:
            sandbox.whop.release_slow()
            await until(lambda: [line["event"] for line in logged].count(WAITS) >= 2 or ticking.done())
        assert not ticking.done()
        unlock(locker)
        await ticking

        assert await statuses(sandbox) == [DeliveryStatus.ACCEPTED]
        assert len(sandbox.whop.exchanges) == 1


@pytest.mark.usefixtures("impatient")
async def test_nothing_is_sent_whose_claim_the_database_did_not_take(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await sandbox.approved()
        await sandbox.world.env.advance_time(UNDONE.total_seconds())
        locker = lock(sandbox.settings.database_file)
        with pytest.raises(StoreError, match="database is in trouble"):
            await sandbox.herald.dispatcher.tick()
        assert sandbox.whop.exchanges == []
        unlock(locker)

        await sandbox.settle()
        assert len(sandbox.whop.pushes) == 1


async def test_a_fault_of_our_own_after_the_claim_is_unknown_not_repeated(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sandbox.herald.service.lifecycle.accounts[ACCOUNT].gateway, "read", broken)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    await sandbox.wait(timedelta(hours=1))

    assert await statuses(sandbox) == [DeliveryStatus.UNKNOWN]
    assert len(sandbox.whop.exchanges) == 1
    assert "a fault inside Herald (ZeroDivisionError)" in readable(sandbox.review_card())


async def test_whop_out_of_reach_is_tried_again_with_the_same_bytes_and_then_arrives(
    sandbox: Sandbox,
) -> None:
    await sandbox.approved()
    port = int(sandbox.whop.origin.rpartition(":")[2])
    await sandbox.whop.close()
    await sandbox.wait(UNDONE)
    assert await statuses(sandbox) == [DeliveryStatus.PENDING]
    assert "Whop could not be reached" in (await detail(sandbox))

    await sandbox.whop.start(port=port)
    await sandbox.wait(timedelta(seconds=121))
    assert len(sandbox.whop.pushes) == 1
    assert await statuses(sandbox) == [DeliveryStatus.ACCEPTED]


async def detail(sandbox: Sandbox) -> str:
    with sandbox.herald.store.begin(Access.READ) as tx:
        delivery = only(tx.deliveries.of(1))
    return delivery.detail


async def test_a_stop_in_the_moment_of_sending_is_refused_once_it_is_too_late(sandbox: Sandbox) -> None:
    await sandbox.approved()
    card = sandbox.review_card()
    await sandbox.world.env.advance_time(UNDONE.total_seconds())
    sandbox.whop.fail_next(Fault.SLOW)
    ticking = asyncio.create_task(sandbox.herald.dispatcher.tick())
    await sandbox.whop.slow_held()
    with pytest.raises(Conflict, match="it is being sent now"):
        await sandbox.herald.service.stop(sandbox.actor("Lena"), 1, revision=1)
    sandbox.whop.release_slow()
    await ticking
    await sandbox.settle()
    assert card.id == sandbox.review_card().id


async def test_a_stop_and_a_send_at_once_end_in_one_of_the_two_never_both(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.world.env.advance_time(UNDONE.total_seconds())
    stopped, _ = await asyncio.gather(
        sandbox.herald.service.stop(sandbox.actor("Lena"), 1, revision=1),
        sandbox.herald.dispatcher.tick(),
        return_exceptions=True,
    )
    await sandbox.settle()
    sent = len(sandbox.whop.pushes)
    assert sent == (1 if isinstance(stopped, Exception) else 0)


async def test_many_due_at_once_each_go_out_once(sandbox: Sandbox) -> None:
    for number in range(1, 11):
        await sandbox.submit(await sandbox.compose(subject=f"Number {number}"))
        await sandbox.herald.service.approve(sandbox.actor("Omar"), number, revision=1)
    await sandbox.wait(UNDONE)
    assert sorted(push.feed[0] for push in sandbox.whop.pushes if push.feed) == sorted(
        f"Number {number}" for number in range(1, 11)
    )


# --- how many at once, and how soon ----------------------------------------------------------------


@asynccontextmanager
async def crowd(url: str, folder: Path, generation: str) -> AsyncGenerator[tuple[Cluster, Process], None]:
    """Give a process with one more to send than may be under way at once."""
    async with Cluster.open(url, folder, generation=generation) as cluster:
        process = await cluster.join()
        for _ in range(21):
            await process.approved()
        await process.count()
        cluster.clock.advance(timedelta(seconds=11))
        yield cluster, process


async def test_no_more_requests_are_under_way_at_once_than_there_is_width_for(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 20)
    opened = asyncio.Event()
    async with crowd(sqlite_url, tmp_path, "v1") as (cluster, process):
        send = process.wire.send

        async def held(request: Request, **more: Any) -> Response | NoAnswer:
            await opened.wait()
            return await send(request, **more)

        monkeypatch.setattr(process.wire, "send", held)
        for _ in range(2):
            await process.dispatcher._round()  # pyright: ignore[reportPrivateUsage]
        found = [one.status for number in range(1, 22) for one in await process.deliveries(number)]
        assert Counter(found) == {DeliveryStatus.IN_FLIGHT: 20, DeliveryStatus.PENDING: 1}
        opened.set()
        for _ in range(2):
            await process.tick()
        assert len(cluster.whop.pushes) == 21


async def test_what_waits_for_whops_rate_is_looked_at_again_within_moments(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.dispatcher.POLL_SECONDS", 3600.0)
    async with crowd(sqlite_url, tmp_path, "v5") as (cluster, process):
        take_a_round, rounds = process.dispatcher._round, count()  # pyright: ignore[reportPrivateUsage]
        begun = 0

        async def counted() -> bool:
            nonlocal begun
            begun = next(rounds)
            return await take_a_round()

        monkeypatch.setattr(process.dispatcher, "_round", counted)
        running = asyncio.create_task(process.dispatcher.run())
        await until(lambda: len(cluster.whop.pushes) == 20)
        await until(lambda: not process.dispatcher._flying)  # pyright: ignore[reportPrivateUsage]
        # One that was under way when the last answer came, and one that the answer called for.
        before = begun + 2
        await until(lambda: begun > before)
        answered = process.wire.expect(1)
        cluster.clock.advance(timedelta(seconds=11))
        await answered.wait()
        process.dispatcher.stop()
        await running
        assert len(cluster.whop.pushes) == 21


async def test_who_is_told_to_stop_gives_up_soon_what_is_not_answered_and_says_so(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.dispatcher.ANSWER_SECONDS", 0.05)
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        await process.due()
        barrier = process.wire.stop_after()
        running = asyncio.create_task(process.dispatcher.run())
        await barrier.reached.wait()
        process.dispatcher.stop()
        await running
        delivery = only(await process.deliveries())
        assert delivery.status is DeliveryStatus.UNKNOWN
        assert delivery.detail == "no answer from Whop: Herald was stopped before it came"


@pytest.mark.usefixtures("impatient")
async def test_who_stops_while_an_outcome_cannot_be_recorded_says_so_and_never_books_it_as_sent(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.dispatcher.RECORD_SECONDS", 0.05)
    monkeypatch.setattr("bot.sending.dispatcher.ANSWER_SECONDS", 0.05)
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        await process.due()
        barrier = process.wire.stop_after()
        running = asyncio.create_task(process.dispatcher.run())
        await barrier.reached.wait()
        locker = lock(tmp_path / "herald.db")
        process.dispatcher.stop()
        with pytest.raises(StoreError, match=r"1 outcome\(s\) could not be recorded before the stop"):
            await running
        unlock(locker)
        await until(lambda: not process.dispatcher._flying)  # pyright: ignore[reportPrivateUsage]
        # A write that waited for the lock may still come through: with the truth, that nobody knows.
        left = only(await process.deliveries()).status
        assert left in {DeliveryStatus.IN_FLIGHT, DeliveryStatus.UNKNOWN}


@pytest.fixture
def hasty(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stop wait for nothing."""
    _ = impatient
    monkeypatch.setattr("bot.sending.dispatcher.RECORD_SECONDS", 0.05)
    monkeypatch.setattr("bot.sending.dispatcher.ANSWER_SECONDS", 0.05)


@pytest.mark.usefixtures("hasty")
async def test_a_stop_ends_while_the_database_is_locked_and_the_witness_cannot_be_written(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        await process.due()
        lockers: list[sqlite3.Connection] = []

        def lock_and_fail(*_: object) -> None:
            lockers.append(lock(tmp_path / "herald.db"))
            raise StoreError("The witness cannot be written.")

        monkeypatch.setattr(RestoreGuard, "keep", lock_and_fail)
        running = asyncio.create_task(process.dispatcher.run())
        await until(lambda: lockers)
        process.dispatcher.stop()
        with pytest.raises(StoreError, match=r"1 outcome\(s\) could not be recorded before the stop"):
            await running
        unlock(lockers[0])
        assert cluster.whop.exchanges == []


@pytest.mark.usefixtures("hasty")
async def test_a_stop_ends_while_the_database_was_locked_from_the_start(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        await process.due()
        await process.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
        await process.dispatcher._claim_due()  # pyright: ignore[reportPrivateUsage]
        again = await cluster.join(alone=True)
        locker = lock(tmp_path / "herald.db")
        with capture_logs() as logged:
            running = asyncio.create_task(again.dispatcher.run())
            await until(lambda: WAITS in [line["event"] for line in logged])
            again.dispatcher.stop()
            await running
        unlock(locker)
        # The next start settles what this one could not.
        assert await process.status() is Status.SENDING
