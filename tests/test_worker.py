"""`herald worker` as people run it: a process that sends, without a connection to Discord."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.app import Worker, work
from bot.broadcast import Status
from bot.clock import utc_now
from bot.store import Access
from bot.store.facts import STARTS
from tests.harness.discord.server import LoopbackDiscord
from tests.harness.outbox import cards_to_draw, posts_to_make
from tests.harness.people import LENA
from tests.harness.policy import GUILD, parsed
from tests.harness.process import Cluster
from tests.harness.worker import due, open_cluster, sent, stopped, until, worker

# Processes of their own are started, and stopped, several times.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with open_cluster(database_url, tmp_path) as opened:
        yield opened


async def test_a_worker_sends_what_is_approved_leaves_the_messages_to_a_run_and_ends_in_order(
    tmp_path: Path, unused_tcp_port: int, sqlite_url: str
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        process = await due(cluster, 2)
        async with worker(cluster, unused_tcp_port) as running:
            await sent(process, 2)
            status, said = await stopped(running)
        assert status == 0, said
        assert "Traceback" not in said
        assert len(cluster.whop.pushes) == 2
        with process.store.begin(Access.READ) as tx:
            later = utc_now() + timedelta(days=1)
            kinds = [one.kind.value for one in posts_to_make(tx, later)]
            assert kinds.count("echo") == 2
            assert len(kinds) - 2 == len(tx.audit.of_guild(GUILD))
            assert len(cards_to_draw(tx, later)) == 2
            assert tx.facts.get(STARTS) == []


async def test_a_second_process_on_the_same_file_ends_with_its_sentence(
    tmp_path: Path, unused_tcp_port: int, sqlite_url: str
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        await cluster.join(alone=True)
        async with worker(cluster, unused_tcp_port) as second:
            said, _ = await second.communicate()
        assert second.returncode == 2
        assert said.decode() == (
            f"DATABASE_URL: another Herald is running on {tmp_path / 'herald.db'}: stop it first,"
            " or name another file.\n"
        )


async def test_two_workers_on_one_server_share_the_work_and_nothing_goes_out_twice(
    postgres_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(postgres_url, tmp_path) as cluster:
        process = await cluster.join()
        async with (
            worker(cluster, unused_tcp_port) as one,
            worker(cluster, unused_tcp_port, name="two") as two,
        ):
            for _ in range(12):
                await process.approved()
            await sent(process, 12)
            assert (await stopped(one))[0] == 0
            # The other goes on alone.
            cluster.clock.now = utc_now() - timedelta(seconds=30)
            await process.approved()
            await sent(process, 13)
            assert (await stopped(two))[0] == 0
        keys = [exchange.headers["Idempotency-Key"] for exchange in cluster.whop.exchanges]
        assert len(set(keys)) == len(keys) == 13


async def test_a_token_that_discord_refuses_delays_nothing_while_the_roles_it_told_last_are_fresh(
    tmp_path: Path, unused_tcp_port: int, sqlite_url: str
) -> None:
    async with (
        LoopbackDiscord.open(port=unused_tcp_port) as discord,
        open_cluster(sqlite_url, tmp_path) as cluster,
    ):
        process = await due(cluster, 1)
        old = await process.approved(approver=LENA)
        with process.store.begin() as tx:
            tx.members.saw(GUILD, LENA.id, LENA.roles, at=utc_now() - timedelta(minutes=61))
        async with worker(cluster, unused_tcp_port, token="not-the-token") as running:
            await sent(process, 1)

            async def held() -> bool:
                return await process.status(old.id) is Status.HELD

            await until(held)
            _, said = await stopped(running)
        assert "not-the-token" not in said
        assert len(cluster.whop.pushes) == 1
        assert "Discord could not be asked which roles Lena" in (await process.get(old.id)).reason
        assert discord.asked


# --- in this process -------------------------------------------------------------------------------


async def test_a_worker_on_the_copy_of_a_database_freezes_before_it_sends_anything(
    cluster: Cluster,
) -> None:
    process = await cluster.join()
    await process.startup.begin()
    await process.approved()
    cluster.folder.joinpath("herald.witness").write_text('["another", 7]')
    policy = parsed(cluster.policy_text())
    async with Worker.open(cluster.settings(), policy) as parts:
        stop = asyncio.Event()
        working = asyncio.create_task(work(parts, stop))

        async def frozen() -> bool:
            return bool(await process.freezes())

        await until(frozen)
        stop.set()
        await working
    assert cluster.whop.exchanges == []
    assert await process.status() is Status.HELD


async def test_a_worker_never_takes_over_what_another_process_of_a_server_sends(
    postgres_url: str, tmp_path: Path
) -> None:
    async with open_cluster(postgres_url, tmp_path) as cluster:
        process = await due(cluster, 1)
        cluster.clock.advance(timedelta(seconds=30))
        ticking, barrier = await process.stopped_after_the_answer()
        policy = parsed(cluster.policy_text())
        async with Worker.open(cluster.settings(), policy) as parts:
            await parts.dispatcher.sweep()
            assert await process.status() is Status.SENDING
        barrier.opened.set()
        await ticking
        assert await process.status() is Status.SENT
