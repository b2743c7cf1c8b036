"""How long from somebody's approval until Whop sees the request, while the dispatcher runs."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Final

import aiohttp

from benchmarks import workload
from benchmarks.databases import Databases, Kind
from benchmarks.figures import Row, latency
from benchmarks.whop import Whop, opened
from benchmarks.workload import OMAR, subject
from bot.whop import gateway_for

KINDS: Final[Sequence[Kind]] = ("SQLite", "PostgreSQL")


async def measure(databases: Databases, *, sends: int, windows: int) -> list[Row]:
    """Return the table's lines: `sends` without an undo window, and `windows` with one."""
    async with opened() as whop:
        base = await _bare(whop, sends)
    middle = sorted(base)[len(base) // 2]
    at_once = {kind: await _herald(databases, kind, sends, undo=0) for kind in KINDS}
    # These wait for most of the time: they do not disturb each other.
    waited = await asyncio.gather(*(_herald(databases, kind, windows, undo=1) for kind in KINDS))
    return [
        latency("aiohttp alone, from the call to the server", base, base=middle),
        *(
            latency(f"Herald on {kind}, no undo window", times, base=middle)
            for kind, times in at_once.items()
        ),
        *(
            latency(f"Herald on {kind}, after the undo window's end", times, base=middle)
            for kind, times in zip(KINDS, waited, strict=True)
        ),
    ]


async def _bare(whop: Whop, sends: int) -> list[float]:
    called: list[float] = []
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        for number in range(sends):
            called.append(time.monotonic())
            async with session.post(whop.origin, json={"title": subject(number)}) as answer:
                await answer.read()
            await asyncio.sleep(0.01)
    return await _between(whop, called)


async def _herald(databases: Databases, kind: Kind, sends: int, *, undo: int) -> list[float]:
    url, folder = databases.new(kind)
    called: list[float] = []
    async with (
        opened() as whop,
        workload.opened(
            url, folder, gateway_for("v1", origin=whop.origin), origin=whop.origin, undo=undo
        ) as herald,
    ):
        waiting = await herald.under_review(sends)
        running = asyncio.create_task(herald.dispatcher.run())
        for broadcast in waiting:
            # Nobody approves in step with the dispatcher's own rounds.
            await asyncio.sleep(random.uniform(0.05, 0.2))
            answered = herald.wire.expect(1)
            await herald.service.approve(OMAR, broadcast.id, revision=1)
            called.append(time.monotonic() + undo)
            if undo:
                # The approval woke the dispatcher, and its rounds are as far apart as the window is long:
                # whatever else happens meanwhile gives them another beat.
                await asyncio.sleep(random.uniform(0, 0.9 * undo))
                herald.service.store.wakeup.wake()
            await answered.wait()
        herald.dispatcher.stop()
        await running
        return await _between(whop, called)


async def _between(whop: Whop, called: Sequence[float]) -> list[float]:
    seen = {json.loads(body)["title"]: moment for moment, body in await whop.arrivals()}
    return [seen[subject(number)] - moment for number, moment in enumerate(called)]
