"""What a Herald costs that has nothing to do."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import Final

import psutil

from benchmarks import herald, workload
from benchmarks.databases import Databases, Kind
from benchmarks.figures import Row, row
from benchmarks.whop import opened
from bot.audit.chain import HERALD
from bot.clock import utc_now
from bot.freeze import Freeze
from bot.policy.model import ACCOUNT
from bot.store import Transaction
from bot.store.facts import not_before
from bot.whop import gateway_for
from bot.whop.gateway import LONGEST_WAIT

SAMPLES: Final = 3
WARM_SECONDS: Final = 4.0
BARE: Final = "Python with discord.py, asleep"
COMMANDS: Final[Sequence[tuple[str, Kind]]] = (
    ("worker", "SQLite"),
    ("worker", "PostgreSQL"),
    ("run", "SQLite"),
)
# So many broadcasts wait where nothing may go.
WAITING: Final = 100


def _freeze(tx: Transaction) -> None:
    tx.freezes.add(Freeze(guild_id=None, by=HERALD, at=utc_now(), reason="a benchmark"))


def _pause(tx: Transaction) -> None:
    tx.facts.set(not_before(ACCOUNT), utc_now() + LONGEST_WAIT)


HALTS: Final[Mapping[str, Callable[[Transaction], None]]] = {"frozen": _freeze, "pausing": _pause}


async def measure(databases: Databases, *, seconds: float) -> list[Row]:
    """Return the table's lines: CPU over that time, in samples, and memory at its end."""
    async with opened() as whop, AsyncExitStack() as stack:
        bare = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import asyncio, discord; asyncio.run(asyncio.sleep(3600))"
        )
        stack.callback(bare.terminate)
        processes: dict[str, Process] = {BARE: bare}
        for command, kind in COMMANDS:
            url, folder = databases.new(kind)
            processes[f"herald {command} on {kind}"] = await stack.enter_async_context(
                herald.process(command, database_url=url, folder=folder, api="v1", origin=whop.origin)
            )
        for why, halt in HALTS.items():
            url, folder = databases.new("SQLite")
            async with workload.opened(
                url, folder, gateway_for("v1", origin=whop.origin), origin=whop.origin
            ) as work:
                await work.approved(WAITING)
                await work.service.store.write(halt)
            started = herald.process("worker", database_url=url, folder=folder, api="v1", origin=whop.origin)
            what = f"herald worker on SQLite, {why}, {WAITING} waiting"
            processes[what] = await stack.enter_async_context(started)
        await asyncio.sleep(WARM_SECONDS)
        watched = {what: psutil.Process(process.pid) for what, process in processes.items()}
        shares = await _shares(watched, seconds / SAMPLES)
        memory = {what: [one.memory_info().rss / 2**20] for what, one in watched.items()}
    floor = median(memory[BARE])
    return [
        *(row(what, values, "% of a core") for what, values in shares.items()),
        *(row(what, mib, "MiB", ratios=[mib[0] / floor]) for what, mib in memory.items()),
    ]


async def _shares(watched: dict[str, psutil.Process], seconds: float) -> dict[str, list[float]]:
    def used() -> dict[str, float]:
        return {what: sum(one.cpu_times()[:2]) for what, one in watched.items()}

    shares: dict[str, list[float]] = {what: [] for what in watched}
    for _ in range(SAMPLES):
        before = used()
        await asyncio.sleep(seconds)
        for what, now in used().items():
            shares[what].append((now - before[what]) / seconds * 100)
    return shares
