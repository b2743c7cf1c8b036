"""How much faster several workers on one PostgreSQL send than one, where nothing limits their rate."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from benchmarks import herald, workload
from benchmarks.databases import Databases
from benchmarks.figures import Row, over, row
from benchmarks.whop import opened
from benchmarks.workload import ONE, Unlimited
from bot.audit.chain import HERALD
from bot.clock import utc_now
from bot.freeze import Freeze

WORKERS: Final = (1, 2, 4)
SECONDS: Final = 120.0


async def measure(databases: Databases, *, posts: int, rounds: int) -> list[Row]:
    """Return the table's lines, each with its ratio to one worker."""
    speeds: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for _ in range(rounds):
        for workers in WORKERS:
            moments = await _send(databases, workers, posts)
            speeds[workers].append((len(moments) - 1) / (moments[-1] - moments[0]))
    return [
        row(
            f"Herald on PostgreSQL, {workers} worker{'s' if workers > 1 else ''}, 1 a broadcast",
            speeds[workers],
            "POSTs/s",
            ratios=over(speeds[workers], speeds[1]),
        )
        for workers in WORKERS
    ]


async def _send(databases: Databases, workers: int, posts: int) -> Sequence[float]:
    """Return when the requests came, of workers that were all waiting for a freeze to end."""
    url, folder = databases.new("PostgreSQL")
    freeze = Freeze(guild_id=None, by=HERALD, at=utc_now(), reason="until all are there")
    async with opened() as whop, AsyncExitStack() as stack:
        work = await stack.enter_async_context(
            workload.opened(url, folder, Unlimited(whop.origin), origin=whop.origin)
        )
        await work.approved(posts, audience=ONE)
        await work.service.store.write(work.service.lifecycle.freeze, freeze)
        for number in range(workers):
            beside = folder / str(number)
            beside.mkdir()
            started = herald.process(
                "worker", database_url=url, folder=beside, api="v1", origin=whop.origin, unlimited=True
            )
            await stack.enter_async_context(started)
        for number in range(workers):
            await herald.begun(folder / str(number))
        with work.service.store.begin() as tx:
            for standing in tx.freezes.standing():
                tx.freezes.remove(standing)
        return await whop.wait_for(posts, seconds=SECONDS)
