"""A database that went back in time sends nothing by itself, whoever notices it and however late."""

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from bot.broadcast import Broadcast, Status
from bot.store import Access
from tests.harness.backup import back_up, dump_into_itself
from tests.harness.cards import review_card, words
from tests.harness.people import LENA, OMAR
from tests.harness.process import Cluster, Process

COPY = "the database was restored from a copy"
MOVED = "the database was restored from a copy, or a standby has taken over"
RESTORED = "the database was restored from a copy; it may have gone out since that was made"
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def cluster(tmp_path: Path, database_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def server(tmp_path: Path, postgres_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(postgres_url, tmp_path) as opened:
        yield opened


async def begun(cluster: Cluster, machine: str = "one") -> Process:
    """Start a process on a machine, which has a witness file of its own."""
    process = await cluster.join(restore_guard=cluster.folder / machine / "herald.witness")
    await process.startup.begin()
    return process


async def end(process: Process) -> None:
    await process.startup.end()
    await process.leave()


async def five_due(process: Process) -> Sequence[Broadcast]:
    """Let five broadcasts be due, two of which are on their way and wait for their first try."""
    due = [await process.due() for _ in range(2)]
    await process.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    return [*due, *[await process.due() for _ in range(3)]]


async def assert_nothing_goes_out(process: Process, *reasons: str) -> None:
    """Let it send what it would, and see that all is frozen, held and told."""
    for _ in range(3):
        await process.tick(MINUTE)
    assert [one.reason for one in await process.freezes()] == [*reasons]
    assert await process.lines("freeze") == [*reasons]
    found = [await process.get(number) for number in range(1, 6)]
    assert [one.status for one in found] == [Status.UNKNOWN] * 2 + [Status.HELD] * 3
    assert {one.reason for one in found} == {RESTORED}
    assert f"It will **not** go out by itself: {RESTORED}." in words(await review_card(process, 5))


async def test_a_copy_that_is_put_under_a_running_process_sends_nothing(cluster: Cluster) -> None:
    process = await begun(cluster)
    await five_due(process)
    put_back = back_up(cluster.url, cluster.folder)
    await process.tick()
    assert len(cluster.whop.exchanges) == 5
    put_back()
    await assert_nothing_goes_out(process, COPY)
    assert len(cluster.whop.exchanges) == 5


async def test_what_was_held_after_a_restore_is_released_one_by_one_after_two_have_agreed(
    cluster: Cluster,
) -> None:
    process = await begun(cluster)
    await five_due(process)
    put_back = back_up(cluster.url, cluster.folder)
    await process.tick()
    put_back()
    await assert_nothing_goes_out(process, COPY)
    await process.service.unfreeze(LENA)
    await process.tick(MINUTE)
    assert len(cluster.whop.exchanges) == 5
    held = await process.get(5)
    await process.service.release(LENA, held.id, revision=held.revision)
    await process.service.approve(OMAR, held.id, revision=held.revision)
    await process.tick(MINUTE)
    assert await process.status(5) is Status.SENT
    assert len(cluster.whop.exchanges) == 6


async def test_a_copy_under_a_process_that_has_not_sent_anything_since_is_noticed_by_its_mark(
    server: Cluster,
) -> None:
    process = await begun(server)
    put_back = dump_into_itself(server.url, server.folder)
    await five_due(process)
    put_back()
    await process.due()
    await process.tick()
    assert [one.reason for one in await process.freezes()] == [MOVED]
    assert await process.status() is Status.HELD
    assert server.whop.exchanges == []


async def test_after_a_restore_the_machine_that_sent_nothing_last_may_start_first(server: Cluster) -> None:
    one, two = await begun(server, "one"), await begun(server, "two")
    await five_due(one)
    put_back = back_up(server.url, server.folder)
    await end(two)
    await one.tick()
    await end(one)
    put_back()
    two = await begun(server, "two")
    await assert_nothing_goes_out(two, MOVED)
    one = await begun(server, "one")
    await one.tick(MINUTE)
    assert len(server.whop.exchanges) == 5


async def test_after_a_restore_a_machine_that_is_new_may_start_first(server: Cluster) -> None:
    one = await begun(server, "one")
    await five_due(one)
    put_back = back_up(server.url, server.folder)
    await one.tick()
    await end(one)
    put_back()
    await assert_nothing_goes_out(await begun(server, "new"), MOVED)
    assert len(server.whop.exchanges) == 5


async def test_a_copy_that_another_machine_has_gone_on_with_is_still_told_from_the_original(
    server: Cluster,
) -> None:
    one, two = await begun(server, "one"), await begun(server, "two")
    put_back = dump_into_itself(server.url, server.folder)
    await five_due(one)
    await one.tick()
    put_back()
    # The other knows nothing of what was lost, and counts on past it.
    with two.store.begin() as tx:
        for _ in range(20):
            two.restore_guard.keep(two.restore_guard.advance(tx))
    await one.due()
    await one.tick()
    assert len(await one.freezes()) == 1
    assert len(server.whop.exchanges) == 5


async def test_a_server_that_keeps_its_identity_to_itself_is_told_by_its_marks(server: Cluster) -> None:
    process = await begun(server)
    with process.store.begin(Access.READ) as tx:
        found = tx.history.find(1)
    assert len([part for part in found.here.split("/") if part]) == 4
    assert not found.has_moved
    assert not found._replace(here="///").has_moved
    assert not found._replace(identity="").has_moved
    for place in range(4):
        parts = found.here.split("/")
        parts[place] = "another"
        assert found._replace(here="/".join(parts)).has_moved
