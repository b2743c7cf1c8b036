"""Finding out who is in an audience of a hundred thousand, and sending to each of them by name."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import psutil

from benchmarks import herald, workload
from benchmarks.databases import Databases, Kind
from benchmarks.figures import Row, row
from benchmarks.whop import BOTH, CROWD, EXPERIENCES, Whop, opened
from bot.clock import utc_now
from bot.policy.audience import Targets
from bot.policy.model import ACCOUNT
from bot.sizes import SOURCES
from bot.store import Store, Transaction
from bot.whop import gateway_for
from bot.whop.reads_v1 import ROWS
from bot.whop.v1 import USERS_PER_REQUEST
from tests.harness.policy import GUILD, audience

NAME: Final = "Crowd"
# What Whop documents of v1.
A_MINUTE, MINUTE = 600, 60
WARM_SECONDS, WATCHED_SECONDS = 3.0, 0.05
# Both experiences, and a page for each hundred of either.
PAGES: Final = len(EXPERIENCES) + (CROWD + BOTH) // ROWS
REQUESTS: Final = CROWD // USERS_PER_REQUEST
PATIENCE_SECONDS: Final = 600.0
MIB: Final = 2**20


@dataclass(slots=True)
class Memory:
    """What a process has at rest, and at most."""

    process: psutil.Process
    idle: int = 0
    peak: int = 0

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None, None]:
        """Look at it all the time."""
        self.idle = self.process.memory_info().rss
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()

    async def _look(self) -> None:
        while True:
            self.peak = max(self.peak, self.process.memory_info().rss)
            await asyncio.sleep(WATCHED_SECONDS)

    @property
    def above_idle(self) -> float:
        """Return by how many MiB it has grown at most."""
        return (self.peak - self.idle) / MIB


async def measure(databases: Databases, *, at_rate: bool) -> list[Row]:
    """Return the table's lines: as fast as it goes on both databases, and at Whop's rate."""
    rows: list[Row] = []
    for kind in ("SQLite", "PostgreSQL"):
        rows += await _fast(databases, kind)
    return [*rows, *(await _at_rate(databases) if at_rate else [])]


async def _fast(databases: Databases, kind: Kind) -> list[Row]:
    """Resolve and send by a worker that no rate limits."""
    async with _prepared(databases, kind, unlimited=True) as (whop, url, memory):
        async with memory.watched():
            await _approve(url, whop)
            arrived = await whop.wait_for(REQUESTS, seconds=PATIENCE_SECONDS)
        asked = await whop.questions()
    # It is counted for approvers, and once more just before it goes out.
    per_second = len(asked) / (asked[-1] - asked[0])
    first_byte = (arrived[0] - asked[-1]) * 1000
    return [
        row(f"{kind}: {CROWD:,} people, {len(asked):,} pages", [per_second], "pages/s"),
        row(f"{kind}: memory above idle at most", [memory.above_idle], "MiB"),
        row(f"{kind}: last page to first byte of {REQUESTS} requests", [first_byte], "ms"),
    ]


async def _at_rate(databases: Databases) -> list[Row]:
    """Resolve by a worker that keeps to Whop's rate."""
    async with _prepared(databases, "SQLite", unlimited=False) as (whop, url, memory), memory.watched():
        await _count(url, whop)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(asked := await whop.questions()) < PAGES:  # noqa: ASYNC110 - it is another process's
                await asyncio.sleep(1)
    took, allowed = asked[-1] - asked[0], PAGES / A_MINUTE * MINUTE
    most = max(bisect_left(asked, moment + MINUTE) - number for number, moment in enumerate(asked))
    verdict = "kept" if most <= A_MINUTE else "EXCEEDED"
    what = f"{PAGES:,} pages, {allowed:.0f} s at {A_MINUTE} a minute; at most {most} in one ({verdict})"
    return [
        row(f"SQLite: {what}", [took], "s", ratios=[took / allowed]),
        row("SQLite: memory above idle at most, at the rate", [memory.above_idle], "MiB"),
    ]


@asynccontextmanager
async def _prepared(
    databases: Databases, kind: Kind, *, unlimited: bool
) -> AsyncGenerator[tuple[Whop, str, Memory], None]:
    """Start a Whop and a worker that has nothing to do yet."""
    url, folder = databases.new(kind)
    async with opened() as whop:
        async with Store.open(url):
            # It is migrated before anybody measures.
            pass
        started = herald.process(
            "worker",
            database_url=url,
            folder=folder,
            api="v1",
            origin=whop.origin,
            told=_policy(),
            unlimited=unlimited,
        )
        async with started as process:
            await herald.begun(folder)
            await asyncio.sleep(WARM_SECONDS)
            yield whop, url, Memory(psutil.Process(process.pid))


def _policy() -> str:
    return workload.policy() + audience(NAME, *EXPERIENCES, size=CROWD, more='reach = "once"\n')


async def _approve(url: str, whop: Whop) -> None:
    """Let a broadcast to the crowd be written and approved, beside the worker."""
    with TemporaryDirectory() as folder:
        beside = workload.opened(
            url,
            Path(folder),
            gateway_for("v1", origin=whop.origin),
            origin=whop.origin,
            told=_policy(),
            alone=False,
        )
        async with beside as work:
            await work.approved(1, audience=NAME)


async def _count(url: str, whop: Whop) -> None:
    """Let it be counted who is in the crowd, for nobody but who measures."""
    reads = gateway_for("v1", origin=whop.origin).reads
    sources = SOURCES.dump_json(reads.sources(Targets(experiences=EXPERIENCES))).decode()

    def want(tx: Transaction) -> None:
        tx.counts.want(
            guild_id=GUILD, account=ACCOUNT, digest="crowd", sources=sources, named=(), at=utc_now()
        )

    async with Store.open(url, alone=False) as store:
        await store.write(want)
