"""The dispatcher: claimed before the first byte, recorded after the last, never repeated in doubt."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.delivery import DeliveryStatus
from bot.errors import Conflict, StoreError
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.sandbox.whop import Fault
from bot.store import Access
from tests.conftest import OpenSandbox
from tests.harness.found import only
from tests.waiting import until

WAITS = "an outcome waits for the database"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a locked database and the wait for it be over soon."""
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("bot.sending.dispatcher.RECORD_AGAIN_SECONDS", 0.05)


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

    monkeypatch.setattr(sandbox.herald.service.lifecycle.gateway, "read", broken)
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
