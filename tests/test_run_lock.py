"""The one `run` of a database stays the only one, or ends: what it holds on a connection can be lost."""

import asyncio
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from bot.app import Worker, work
from bot.broadcast import Status
from bot.errors import ConfigurationError, StoreError, Superseded
from bot.store import Store, postgresql
from bot.store.facts import Fact
from bot.store.postgresql import RunLock
from tests.harness.policy import parsed
from tests.harness.process import Cluster
from tests.harness.wire import Wire
from tests.waiting import until

NAME = Fact("name", str, str)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.store.LOOK_SECONDS", 0.01)
    monkeypatch.setattr(postgresql, "RESTART_SECONDS", 0.1)


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def servers(postgres_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(postgres_url, tmp_path) as opened:
        yield opened


def cut_off(url: str) -> None:
    """Take from everybody what they hold: on a server each session, on a file the file that is locked."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        Path(f"{address.database}.lock").unlink()
        return
    with psycopg.connect(
        address.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False),
        autocommit=True,
    ) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [address.database],
        )


async def refused(url: str) -> bool:
    try:
        async with Store.open(url):
            return False
    except ConfigurationError:
        return True


# --- the lock --------------------------------------------------------------------------------------


async def test_what_was_lost_and_nobody_took_is_taken_again(database_url: str) -> None:
    async with Store.open(database_url) as store:
        cut_off(database_url)
        assert store._is_still_alone()  # pyright: ignore[reportPrivateUsage]
        assert await refused(database_url)
    assert not await refused(database_url)


async def test_who_lost_it_to_another_is_told_so(database_url: str) -> None:
    async with Store.open(database_url) as store:
        cut_off(database_url)
        async with Store.open(database_url) as other:
            with pytest.raises(Superseded, match="has taken the database over"):
                await store.stay_alone()
            assert other._is_still_alone()  # pyright: ignore[reportPrivateUsage]


async def test_while_the_server_is_away_it_is_neither_held_nor_given_up(postgres_url: str) -> None:
    async with Store.open(postgres_url) as store:
        looking = asyncio.create_task(store.stay_alone())
        await asyncio.to_thread(allow_connections, postgres_url, allowed=False)
        await asyncio.to_thread(cut_off, postgres_url)
        await until(lambda: not store.holds_lock)
        await asyncio.to_thread(allow_connections, postgres_url, allowed=True)
        await until(lambda: store.holds_lock)
        assert await refused(postgres_url)
        looking.cancel()
        await asyncio.wait({looking})


def allow_connections(url: str, *, allowed: bool) -> None:
    address = make_url(url)
    with psycopg.connect(
        address.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False),
        autocommit=True,
    ) as server:
        server.execute(f"ALTER DATABASE {address.database} ALLOW_CONNECTIONS {str(allowed).lower()}".encode())


def test_a_session_of_its_own_that_the_server_still_takes_for_alive_does_not_stand_in_its_way(
    postgres_url: str,
) -> None:
    with postgresql.opened(make_url(postgres_url), alone=False) as (engine, _):
        lock = RunLock(engine)
        assert lock.take()
        # The connection was cut on the way: the server has heard nothing of it.
        left_behind, lock._session = lock._session, None  # pyright: ignore[reportPrivateUsage]
        assert lock.hold()
        assert left_behind is not None
        left_behind.invalidate()
        left_behind.close()
        lock.release()


# --- what depends on it ----------------------------------------------------------------------------


@asynccontextmanager
async def running(cluster: Cluster) -> AsyncGenerator[tuple["asyncio.Task[None]", Store, Wire], None]:
    """Run what sends, alone on its database, as `herald run` does."""
    async with (
        Wire() as wire,
        Worker.open(
            cluster.settings(),
            parsed(cluster.policy_text()),
            transport=wire,
            role_source=cluster.members,
            clock=cluster.clock,
            steady=cluster.clock.steady,
            alone=True,
        ) as parts,
    ):
        stop = asyncio.Event()
        task = asyncio.create_task(work(parts, stop))
        try:
            yield task, parts.store, wire
        finally:
            stop.set()
            await asyncio.wait({task})


async def test_who_was_replaced_records_what_is_in_flight_and_ends_with_a_sentence(cluster: Cluster) -> None:
    process = await cluster.join()
    async with running(cluster) as (task, store, wire):
        barrier = wire.stop_after()
        await process.due()
        await barrier.reached.wait()
        looked = threading.Event()

        def sees_nothing() -> bool:
            looked.set()
            return True

        look, store._is_still_alone = store._is_still_alone, sees_nothing  # pyright: ignore[reportPrivateUsage]
        # One that had begun before would take the lock again.
        await asyncio.to_thread(looked.wait)
        await asyncio.to_thread(cut_off, cluster.url)
        # Between two looks.
        other = await cluster.join(alone=True)
        store._is_still_alone = look  # pyright: ignore[reportPrivateUsage]
        barrier.opened.set()
        with pytest.raises(Superseded, match="so this one ends"):
            await task
    assert await other.status() is Status.SENT
    assert len(cluster.whop.exchanges) == 1


@pytest.fixture
def living() -> Generator[int, None, None]:
    """Give the number of a process that runs."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process.pid
        process.kill()


Elsewhere = Callable[[pytest.MonkeyPatch, int], None]


def on_another_host(monkeypatch: pytest.MonkeyPatch, _: int) -> None:
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")


def in_another_process(monkeypatch: pytest.MonkeyPatch, living: int) -> None:
    monkeypatch.setattr(os, "getpid", lambda: living)


@pytest.mark.parametrize("elsewhere", [on_another_host, in_another_process])
async def test_a_run_that_may_yet_live_is_not_taken_for_gone_though_its_lock_is(
    servers: Cluster, monkeypatch: pytest.MonkeyPatch, living: int, elsewhere: Elsewhere
) -> None:
    with monkeypatch.context() as there:
        elsewhere(there, living)
        first = await servers.join(alone=True)
        await first.startup.begin()
    await first.due()
    ticking, barrier = await first.stopped_after_the_answer()
    cut_off(servers.url)

    other = await servers.join(alone=True)
    await other.startup.begin()
    await other.dispatcher.sweep()
    assert await other.status() is Status.SENDING
    barrier.opened.set()
    await ticking
    assert await other.status() is Status.SENT
    assert await other.lines("unanswered") == []


# --- a file that is gone ---------------------------------------------------------------------------


def deleted(file: Path) -> None:
    file.unlink()


def replaced(file: Path) -> None:
    shutil.copy(file, file.with_suffix(".copy"))
    file.with_suffix(".copy").replace(file)


@pytest.mark.parametrize("lost", [deleted, replaced])
async def test_a_database_file_that_was_deleted_or_replaced_is_noticed_and_nothing_is_sent(
    sqlite_url: str, tmp_path: Path, lost: Callable[[Path], None]
) -> None:
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await cluster.join(alone=True)
        await process.due()
        lost(tmp_path / "herald.db")
        with pytest.raises(StoreError, match=r"herald\.db was deleted or replaced while Herald runs"):
            await process.tick()
        assert cluster.whop.exchanges == []
        assert lost is replaced or not tmp_path.joinpath("herald.db").exists()
