"""A process that is told to stop ends in time, whatever hangs, with an honest state and the right status."""

import asyncio
import json
import os
import signal
import sqlite3
from asyncio.subprocess import Process as Running
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import make_url

from bot import app, health
from bot.app import Herald
from bot.broadcast import Status
from bot.cli.process import STOP_SECONDS
from bot.delivery import DeliveryStatus
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.whop import Fault
from bot.sending import dispatcher, restore_watch, startup
from bot.store import Access
from bot.store.facts import STARTS
from tests.harness.found import only
from tests.harness.process import Process
from tests.harness.worker import open_cluster, stopped, until, worker

# Processes of their own are started, and stopped.
pytestmark = pytest.mark.timeout(120)

# A stop that has nothing to wait for; what hangs, hangs for ever.
HASTY: Final = {
    "bot.sending.dispatcher.ANSWER_SECONDS": 0.2,
    "bot.sending.dispatcher.RECORD_SECONDS": 0.2,
    "bot.sending.startup.END_SECONDS": 0.2,
    "bot.sending.restore_watch.END_SECONDS": 0.2,
    "bot.store.sqlite.BUSY_SECONDS": 600,
}
# Where the orderly end is to be seen, the last resort is far away.
PATIENT: Final = HASTY | {"bot.cli.process.STOP_SECONDS": 60}
FORCED: Final = HASTY | {"bot.cli.process.STOP_SECONDS": 2}


def test_all_that_a_stop_may_wait_for_fits_into_half_a_minute() -> None:
    parts = (
        dispatcher.ANSWER_SECONDS + dispatcher.RECORD_SECONDS,
        app.ANNOUNCE_SECONDS,
        app.CLOSE_SECONDS,
        health.CLOSE_SECONDS,
        startup.END_SECONDS,
        restore_watch.END_SECONDS,
    )
    assert parts[0] > app.DRAIN_SECONDS
    assert sum(parts) < STOP_SECONDS < 30


@contextmanager
def locked(file: Path) -> Generator[None, None, None]:
    """Keep the database's only place for a writer."""
    with closing(sqlite3.connect(file, isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield


async def begun(process: Process) -> None:
    """Wait until a worker has noted its start: it sends from then on."""

    async def noted() -> bool:
        with process.store.begin(Access.READ) as tx:
            return bool(tx.facts.get(STARTS))

    await until(noted)


async def starts(process: Process) -> int:
    with process.store.begin(Access.READ) as tx:
        return len(tx.facts.get(STARTS) or ())


async def in_flight(process: Process) -> None:
    async def claimed() -> bool:
        return [one.status for one in await process.deliveries()] == [DeliveryStatus.IN_FLIGHT]

    await until(claimed)


async def test_a_whop_that_never_answers_leaves_an_unknown_and_status_0(
    sqlite_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        cluster.whop.fail_next(Fault.SLOW)
        await process.approved()
        async with worker(cluster, unused_tcp_port, constants=PATIENT) as running:
            await in_flight(process)
            status, said = await stopped(running)
        assert status == 0, said
        assert await process.status() is Status.UNKNOWN
        assert await starts(process) == 0


async def test_a_database_that_is_locked_while_nothing_is_under_way_costs_nothing_but_time(
    sqlite_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        async with worker(cluster, unused_tcp_port, constants=FORCED) as running:
            await begun(process)
            with locked(tmp_path / "herald.db"):
                status, said = await stopped(running)
        assert status == 0, said
        assert "the end could not be written down" in said


async def test_an_outcome_that_a_locked_database_does_not_take_is_told_by_status_2(
    sqlite_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        cluster.whop.fail_next(Fault.SLOW)
        await process.approved()
        async with worker(cluster, unused_tcp_port, constants=FORCED) as running:
            await in_flight(process)
            with locked(tmp_path / "herald.db"):
                status, said = await stopped(running)
        assert status == 2, said
        assert "1 outcome(s) could not be recorded before the stop: the next start will ask." in said
        assert only(await process.deliveries()).status is DeliveryStatus.IN_FLIGHT


async def test_a_start_that_waits_for_a_locked_database_can_be_stopped_and_leaves_nothing(
    sqlite_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        with locked(tmp_path / "herald.db"):
            async with worker(cluster, unused_tcp_port, constants=FORCED) as running:

                async def opening() -> bool:
                    return tmp_path.joinpath("herald.db.lock").exists()

                await until(opening)
                status, said = await stopped(running)
        assert status == 0, said
        assert await starts(process) == 0


async def test_a_witness_that_cannot_be_written_delays_no_stop(
    sqlite_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        async with worker(cluster, unused_tcp_port, constants=PATIENT) as running:
            await begun(process)
            witness = tmp_path / "one.witness"

            async def written() -> bool:
                return witness.exists()

            await until(written)
            witness.unlink()
            witness.mkdir()
            await process.approved()

            async def given_back() -> bool:
                return any("cannot be written" in one.detail for one in await process.deliveries())

            await until(given_back)
            status, said = await stopped(running)
        assert status == 0, said
        assert only(await process.deliveries()).status is DeliveryStatus.PENDING
        assert cluster.whop.exchanges == []


# --- a server --------------------------------------------------------------------------------------


def administrator(url: str) -> psycopg.Connection[Any]:
    address = make_url(url).set(drivername="postgresql", database="postgres")
    return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)


def sessions(administrator: psycopg.Connection[Any], url: str) -> list[int]:
    """Return the server's processes that speak with a Herald."""
    rows = administrator.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'herald'",
        [make_url(url).database],
    )
    return [pid for (pid,) in rows]


async def worker_begun(administrator: psycopg.Connection[Any], url: str) -> None:
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

    async def noted() -> bool:
        with psycopg.connect(address) as connection:
            found = connection.execute("SELECT value FROM facts WHERE name = %s", [STARTS.name]).fetchone()
        return found is not None and bool(json.loads(found[0])) and len(sessions(administrator, url)) > 1

    await until(noted)


async def test_a_server_that_hangs_keeps_no_stop_waiting(
    postgres_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(postgres_url, tmp_path) as cluster:
        with closing(administrator(postgres_url)) as server:
            async with worker(cluster, unused_tcp_port, constants=FORCED) as running:
                await worker_begun(server, postgres_url)
                hanging = sessions(server, postgres_url)
                for pid in hanging:
                    os.kill(pid, signal.SIGSTOP)
                try:
                    status, said = await stopped(running)
                finally:
                    for pid in hanging:
                        os.kill(pid, signal.SIGCONT)
        assert status == 0, said


async def test_a_server_that_is_gone_keeps_no_stop_waiting(
    postgres_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(postgres_url, tmp_path) as cluster:
        with closing(administrator(postgres_url)) as server:
            async with worker(cluster, unused_tcp_port, constants=PATIENT) as running:
                await worker_begun(server, postgres_url)
                server.execute(
                    f"ALTER DATABASE {make_url(postgres_url).database} ALLOW_CONNECTIONS false".encode()
                )
                for pid in sessions(server, postgres_url):
                    server.execute("SELECT pg_terminate_backend(%s)", [pid])
                status, said = await stopped(running)
        assert status == 0, said


# --- what counts as a crash ------------------------------------------------------------------------


async def killed(running: Running) -> None:
    running.send_signal(signal.SIGKILL)
    await running.communicate()


async def test_who_is_killed_has_crashed_and_who_was_told_to_stop_has_not(
    sqlite_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    async with open_cluster(sqlite_url, tmp_path) as cluster:
        process = await cluster.join()
        async with worker(cluster, unused_tcp_port) as running:
            await begun(process)
            assert (await stopped(running))[0] == 0
        assert await starts(process) == 0
        async with worker(cluster, unused_tcp_port) as running:
            await begun(process)
            await killed(running)
        assert await starts(process) == 1


# --- a run -----------------------------------------------------------------------------------------


async def told_to_stop(herald: Herald) -> None:
    stop, begun = asyncio.Event(), asyncio.Event()

    async def connect() -> None:
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(app.run(herald, connect, stop))
    await begun.wait()
    stop.set()
    await running


async def test_a_discord_that_does_not_say_goodbye_is_not_waited_for(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(v5.herald.client, "close", never)
    monkeypatch.setattr(app, "CLOSE_SECONDS", 0.05)
    await told_to_stop(v5.herald)


async def test_messages_that_discord_does_not_take_are_not_waited_for(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(v5.herald.announcer, "run", never)
    monkeypatch.setattr(app, "ANNOUNCE_SECONDS", 0.05)
    await told_to_stop(v5.herald)
