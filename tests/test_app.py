"""Herald runs as a whole, says how it is, and ends without leaving anything undone."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Unpack

import aiohttp
import pytest

from bot.app import Herald, Parts, Worker, run
from bot.chat import announcer
from bot.errors import ConfigurationError
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.sandbox.whop import Fault
from bot.sending import dispatcher
from bot.settings import Settings
from bot.store import Access
from tests.conftest import MakeSettings
from tests.harness.clock import ManualClock
from tests.harness.policy import audience, parsed, server
from tests.waiting import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll often: the loops' own rate_limit is no part of what they promise."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(announcer, "POLL_SECONDS", 0.01)


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


async def connected() -> None:
    """Be a connection that lasts until it is ended."""
    await asyncio.Event().wait()


def listening(herald: Herald, address: str) -> Herald:
    return replace(herald, settings=herald.settings.model_copy(update={"health_address": address}))


@asynccontextmanager
async def unconnected(settings: Settings, **parts: Unpack[Parts]) -> AsyncGenerator[Herald, None]:
    """Give a Herald whose client has never reached Discord."""
    policy = parsed(server(audience("Gold", "prod_gold")))
    async with Herald.open(settings, policy, **parts) as herald:
        yield herald


@asynccontextmanager
async def running(herald: Herald, connect: Any = connected) -> AsyncGenerator[asyncio.Event, None]:
    """Run it, and see it end cleanly once told to stop."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(herald, connect, stop))
    await asyncio.sleep(0)
    try:
        yield stop
    finally:
        stop.set()
        await task


async def health(address: str) -> tuple[int, dict[str, Any]]:
    """Ask for the health page, as soon as it is there."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://{address}/health") as answer:
                    return answer.status, await answer.json()
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0)


# --- the end ---------------------------------------------------------------------------------------


async def approved_and_due(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())
    await sandbox.press("Omar", "Approve")
    await sandbox.world.env.advance_time(UNDONE.total_seconds())


async def test_what_is_in_flight_is_recorded_and_announced_before_the_end(sandbox: Sandbox) -> None:
    await approved_and_due(sandbox)
    sandbox.whop.fail_next(Fault.SLOW)
    async with running(sandbox.herald) as stop:
        await sandbox.whop.slow_held()
        stop.set()
        sandbox.whop.release_slow()
    assert len(sandbox.whop.pushes) == 1
    assert readable(sandbox.review_card()).startswith("#1 · Accepted by Whop")
    assert "was accepted by Whop" in sandbox.newest("moderators")
    assert "accepted by Whop" in sandbox.newest("audit")


async def test_the_answer_is_waited_for_before_anything_else_ends(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[str] = []
    stop_dispatcher, announce_the_rest = v5.herald.dispatcher.stop, v5.herald.announcer.drain

    def stop_and_let_whop_answer() -> None:
        stop_dispatcher()
        v5.whop.release_slow()

    async def drain(**ahead: timedelta) -> None:
        with v5.herald.store.begin(Access.READ) as tx:
            statuses.append((tx.broadcasts.get(1)).status)
        await announce_the_rest(**ahead)

    await approved_and_due(v5)
    v5.whop.fail_next(Fault.SLOW)
    async with running(v5.herald) as stop:
        await v5.whop.slow_held()
        monkeypatch.setattr(v5.herald.dispatcher, "stop", stop_and_let_whop_answer)
        monkeypatch.setattr(v5.herald.announcer, "drain", drain)
        stop.set()
    assert statuses[-1] == "sent"


async def test_stop_lets_nothing_new_go_out(sandbox: Sandbox) -> None:
    await approved_and_due(sandbox)
    stop = asyncio.Event()
    stop.set()
    await run(sandbox.herald, connected, stop)
    assert sandbox.whop.exchanges == []
    assert sandbox.herald.client.is_closed()


async def test_stop_closes_the_connection_to_discord_last(sandbox: Sandbox) -> None:
    ended: list[str] = []

    begun = asyncio.Event()

    async def connect() -> None:
        begun.set()
        try:
            await connected()
        finally:
            ended.append("discord" if sandbox.herald.client.is_closed() else "discord, too early")

    async with running(sandbox.herald, connect):
        await begun.wait()
    assert ended == ["discord"]


# --- what ends it ----------------------------------------------------------------------------------


async def test_a_connection_that_dies_ends_everything_with_its_own_error(v5: Sandbox) -> None:
    async def connect() -> None:
        raise ConfigurationError("DISCORD_TOKEN: Discord does not accept it.")

    with pytest.raises(ConfigurationError, match="DISCORD_TOKEN"):
        await run(v5.herald, connect, asyncio.Event())
    assert v5.herald.client.is_closed()


async def test_a_connection_that_dies_in_flight_still_lets_the_outcome_be_recorded(v5: Sandbox) -> None:
    await approved_and_due(v5)
    v5.whop.fail_next(Fault.SLOW)

    async def connect() -> None:
        await v5.whop.slow_held()
        v5.whop.release_slow()
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await run(v5.herald, connect, asyncio.Event())
    with v5.herald.store.begin(Access.READ) as tx:
        assert (tx.broadcasts.get(1)).status == "sent"


@pytest.mark.parametrize("part", ["dispatcher", "announcer"])
async def test_a_part_that_dies_ends_everything_with_its_own_error(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    async def die() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(getattr(v5.herald, part), "run", die)
    with pytest.raises(ZeroDivisionError):
        await run(v5.herald, connected, asyncio.Event())
    assert v5.herald.client.is_closed()


async def test_a_part_that_dies_on_the_way_to_the_end_is_not_passed_over(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die_when_stopped() -> None:
        await stopping.wait()
        raise ZeroDivisionError

    stopping, stop = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(v5.herald.dispatcher, "run", die_when_stopped)
    monkeypatch.setattr(v5.herald.dispatcher, "stop", stopping.set)
    stop.set()
    with pytest.raises(ZeroDivisionError):
        await run(v5.herald, connected, stop)


async def test_no_task_is_left_behind_when_it_is_cancelled(v5: Sandbox) -> None:
    async def connect() -> None:
        begun.set()
        await connected()

    before, begun = asyncio.all_tasks(), asyncio.Event()
    task = asyncio.create_task(run(v5.herald, connect, asyncio.Event()))
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert {task.get_coro() for task in asyncio.all_tasks() - before} == set()


async def test_no_task_is_left_behind(v5: Sandbox) -> None:
    before = asyncio.all_tasks()
    async with running(v5.herald):
        await asyncio.sleep(0)
    assert {task.get_name() for task in asyncio.all_tasks() - before if not task.done()} == set()


# --- the health page -------------------------------------------------------------------------------

PARTS = [
    "discord", "dispatcher", "announcer", "watcher", "restore_guard", "deliveries", "database", "commands",
    "cards", "lock",
]  # fmt: skip


async def test_the_health_page_stands_where_the_settings_say_and_names_each_part(
    v5: Sandbox, address: str
) -> None:
    async with running(listening(v5.herald, address)):
        _, page = await health(address)
    assert sorted(page) == sorted(["ok", *PARTS])
    assert all(isinstance(page[part]["ok"], bool) for part in PARTS)


async def test_the_health_page_is_not_well_while_discord_is_not_connected(
    make_settings: MakeSettings, address: str
) -> None:
    async with unconnected(make_settings(health_address=address)) as herald, running(herald):
        status, page = await health(address)
    assert status == 503
    assert not page["ok"]
    assert {part: page[part]["ok"] for part in ("discord", "commands", "watcher", "database")} == {
        "discord": False,
        "commands": False,
        "watcher": True,
        "database": True,
    }


async def test_a_loop_that_hangs_looks_no_younger_after_the_clock_was_set_back(
    make_settings: MakeSettings, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, hangs, go_on = ManualClock(), asyncio.Event(), asyncio.Event()

    async def hang() -> bool:
        hangs.set()
        await go_on.wait()
        return False

    settings = make_settings(health_address=address)
    async with unconnected(settings, clock=clock, steady=clock.steady) as herald, running(herald):
        await until(lambda: herald.dispatcher.last_good_round)
        monkeypatch.setattr(herald.dispatcher, "_round", hang)
        await hangs.wait()
        clock.seconds += 31
        clock.jump(-timedelta(hours=2))
        _, page = await health(address)
        go_on.set()
    assert (page["dispatcher"]["ok"], page["dispatcher"]["seconds_ago"]) == (False, 31)
    # It was looked at anew, though its last write lies in the future now.
    assert page["database"] == {"ok": True, "last_write": f"{clock():%Y-%m-%dT%H:%M:%SZ}", "seconds_ago": 0}


async def test_the_health_page_is_gone_after_the_end(make_settings: MakeSettings, address: str) -> None:
    async with unconnected(make_settings(health_address=address)) as herald:
        async with running(herald):
            await health(address)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"http://{address}/health")


async def test_the_metrics_stand_beside_the_health_page_and_nothing_else_does(
    make_settings: MakeSettings, address: str
) -> None:
    async with unconnected(make_settings(health_address=address)) as herald, running(herald):
        await health(address)
        async with aiohttp.ClientSession() as session:
            for path in ("/", "/health/x", "/metrics/x"):
                async with session.get(f"http://{address}{path}") as answer:
                    assert answer.status == 404
            async with session.post(f"http://{address}/health") as answer:
                assert answer.status == 405


async def test_an_address_in_use_ends_the_start_and_leaves_nothing_running(
    make_settings: MakeSettings,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        before = asyncio.all_tasks()
        async with unconnected(make_settings(health_address=address)) as herald:
            with pytest.raises(ConfigurationError, match=rf"HEALTH_ADDRESS: {address} .*name another"):
                await run(herald, connected, asyncio.Event())
        assert asyncio.all_tasks() == before


# --- assembling ------------------------------------------------------------------------------------


async def test_an_audience_that_the_generation_cannot_reach_refuses_the_start(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    policy = parsed(
        server(audience("Gold", "prod_gold")).replace('products = ["prod_gold"]', 'team = "biz_Sunrise"')
    )
    with pytest.raises(ConfigurationError, match="team"):
        async with Herald.open(make_settings(), policy):
            pass
    assert not (tmp_path / "herald.db").exists()


async def test_a_dispatcher_stopped_before_it_runs_still_sweeps(v5: Sandbox) -> None:
    await approved_and_due(v5)
    herald = v5.herald
    await herald.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    assert len((await herald.dispatcher._claim_due()).claims) == 1  # pyright: ignore[reportPrivateUsage]
    async with Worker.open(v5.settings, v5.policy, store=herald.store, clock=v5.clock) as fresh:
        fresh.dispatcher.stop()
        await fresh.dispatcher.run()
    with herald.store.begin(Access.READ) as tx:
        assert (tx.broadcasts.get(1)).status == "unknown"
    assert v5.whop.exchanges == []
