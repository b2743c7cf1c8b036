"""How much of the rate that Whop allows is reached, by one process and by several, and never exceeded."""

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
from bot.whop.v1 import USERS_PER_REQUEST

WORKERS: Final = (1, 2, 4)
REQUESTS: Final = 1000
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


async def measure_large(databases: Databases) -> list[Row]:
    """Return the line for one broadcast to so many named users that it takes a thousand requests."""
    limit, people = LIMITS["v1"], REQUESTS * USERS_PER_REQUEST
    url, folder = databases.new("SQLite")
    users = ", ".join(f'"user_{number:06}"' for number in range(people))
    named = f'targets.users_in_experience = {{ experience = "exp_gold", users = [{users}] }}\n'
    told = workload.policy() + f'[[server.audience]]\nname = "Many"\nsize = {people}\n{named}'
    async with opened() as whop:
        gateway = gateway_for(limit.api, origin=whop.origin)
        async with workload.opened(url, folder, gateway, origin=whop.origin, told=told) as work:
            await work.approved(1, audience="Many")
        async with herald.process(
            "worker", database_url=url, folder=folder, api=limit.api, origin=whop.origin, told=told
        ):
            moments = await whop.wait_for(REQUESTS, seconds=REQUESTS / limit.requests * limit.seconds * 2)
    # The first ones leave at once, and the last of all when the documentation allows it.
    allowed = (-(-REQUESTS // limit.requests) - 1) * limit.seconds
    took = moments[-1] - moments[0]
    return [row(f"{REQUESTS} requests, {allowed} s at the earliest", [took], "s", ratios=[took / allowed])]


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
