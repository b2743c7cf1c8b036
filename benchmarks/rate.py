"""How much of the rate that Whop allows is reached, by one process and by three, and never exceeded."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from benchmarks import herald, workload
from benchmarks.databases import Databases
from benchmarks.figures import Row, row
from benchmarks.whop import opened
from benchmarks.workload import ONE, TEN
from bot.whop import gateway_for

WORKERS: Final = (1, 3)
SPARE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Documented:
    """What Whop's documentation allows, and the audience with which to ask for it."""

    api: str
    requests: int
    seconds: int
    audience: str
    each: int


LIMITS: Final = {
    "v5": Documented("v5", 20, 10, ONE, 1),
    "v1": Documented("v1", 600, 60, TEN, 10),
}


async def measure(databases: Databases, *, api: str, windows: int) -> list[Row]:
    """Return the table's lines for so many of the API's windows one after the other."""
    limit = LIMITS[api]
    results = await asyncio.gather(*(_send(databases, limit, workers, windows) for workers in WORKERS))
    return [_line(limit, workers, moments) for workers, moments in zip(WORKERS, results, strict=True)]


async def _send(databases: Databases, limit: Documented, workers: int, windows: int) -> list[float]:
    """Return when the requests came: as many as the windows hold, and the first of the next."""
    url, folder = databases.new("PostgreSQL")
    count = limit.requests * windows + 1
    async with opened() as whop, AsyncExitStack() as stack:
        gateway = gateway_for(limit.api, origin=whop.origin)
        async with workload.opened(url, folder, gateway, origin=whop.origin) as work:
            await work.approved(-(-count // limit.each), audience=limit.audience)
        for number in range(workers):
            beside = folder / str(number)
            beside.mkdir()
            await stack.enter_async_context(
                herald.process("worker", database_url=url, folder=beside, api=limit.api, origin=whop.origin)
            )
        return await whop.wait_for(count, seconds=limit.seconds * windows + SPARE_SECONDS)


def _line(limit: Documented, workers: int, moments: Sequence[float]) -> Row:
    # From the first request of a window to the first of the next: the documentation's time over ours.
    starts = moments[:: limit.requests]
    shares = [limit.seconds / (later - earlier) * 100 for earlier, later in pairwise(starts)]
    most = max(bisect_left(moments, moment + limit.seconds) - number for number, moment in enumerate(moments))
    verdict = "kept" if most <= limit.requests else "EXCEEDED"
    processes = "1 process" if workers == 1 else f"{workers} processes"
    return row(
        f"{limit.api}, {processes}: at most {most} of {limit.requests} in any {limit.seconds} s ({verdict})",
        shares,
        "% of the rate",
        ratios=[share / 100 for share in shares],
    )
