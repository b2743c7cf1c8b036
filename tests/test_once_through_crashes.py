"""Whoever is in an audience is reached exactly once, however its parts overlap and whenever Herald dies."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import update

from bot.broadcast import Status
from bot.policy.model import Policy
from bot.sandbox.whop import People, ReadFault
from bot.store import counts as stored_counts
from bot.store.tables import counts
from bot.whop import reads_v1
from tests.database import new_file
from tests.harness.policy import audience, parsed, rules, server
from tests.harness.process import Cluster, Process
from tests.properties import examples

# So few on a page and in a request that a handful of people take many of them.
ROWS, PIECE = 2, 2
EXPERIENCES: Final = ("exp_a", "exp_b", "exp_c")
MEMORY: Final = Path("/dev/shm")
LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
# More than any life takes.
STEPS: Final = 60
Death = tuple[str, int, bool]
PERSON = st.integers(0, 9).map("user_{:06}".format)
MEMBERS = st.fixed_dictionaries({one: st.lists(PERSON, max_size=6, unique=True) for one in EXPERIENCES})
METHODS = st.sampled_from(["GET", "GET", "POST"])
# Behind how many questions or sends it dies, and whether before the first byte or when the answer is there.
DEATHS = st.lists(st.tuples(METHODS, st.integers(0, 9), st.booleans()), max_size=4)


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads_v1, "ROWS", ROWS)
    monkeypatch.setitem(stored_counts.Counts.pieces.__kwdefaults__ or {}, "most", PIECE)


def policy() -> Policy:
    whole = audience("Crowd", *EXPERIENCES, more='reach = "once"\n')
    return parsed(server(whole, rules=rules(missed="20h")))


async def die(process: Process, of: str, behind: int, early: bool) -> None:
    """Let it work and end it at that request, or when it has nothing to do any more."""
    stop = process.wire.stop_before if early else process.wire.stop_after
    barrier = stop(of=of, behind=behind)
    dying = asyncio.create_task(barrier.reached.wait())
    working = asyncio.create_task(to_the_end(process))
    await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
    for task in (working, dying):
        task.cancel()
    await asyncio.gather(working, dying, return_exceptions=True)
    await process.leave()


async def to_the_end(process: Process) -> None:
    """Let time pass until the broadcast has come to an end."""
    for _ in range(STEPS):
        if await process.status() not in {Status.APPROVED, Status.SENDING}:
            return
        await process.tick(timedelta(seconds=5))


async def reborn(cluster: Cluster) -> Process:
    """Start another, long after whoever was before."""
    process = await cluster.join(policy=policy())
    await process.let_leases_end()
    with process.store.begin() as tx:
        tx._connection.execute(update(counts).values(lease_until=LONG_AGO))  # pyright: ignore[reportPrivateUsage]
    return process


async def live(members: dict[str, list[str]], deaths: Sequence[Death], failing: int) -> Counter[str]:
    """Return how often each was reached."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        async with Cluster.open(new_file(Path(folder)), Path(folder)) as cluster:
            cluster.whop.people = People.of(members)
            # A product opens several experiences, and an experience is opened by several products.
            cluster.whop.people.experiences |= {"exp_a": ["prod_a", "prod_c"], "exp_c": ["prod_b"]}
            cluster.whop.fail_reads(ReadFault.SERVER_ERROR, after=failing)
            process = await cluster.join(policy=policy())
            await process.prove()
            await process.approved("Crowd")
            for death in deaths:
                await die(process, *death)
                process = await reborn(cluster)
            await to_the_end(process)
            wanted = Status.SENT if any(members.values()) else Status.HELD
            assert await process.status() is wanted, await process.lines("hold")
            return Counter(user for push in cluster.whop.pushes for user in push.reached)


@examples(12)
@given(members=MEMBERS, deaths=DEATHS, failing=st.integers(0, 20))
@example(
    members={
        "exp_a": [f"user_{number:06}" for number in range(6)],
        "exp_b": [f"user_{number:06}" for number in range(3, 9)],
        "exp_c": ["user_000000", "user_000009"],
    },
    # Twice while it is read who they are, and three times while they are sent to.
    deaths=[("GET", 3, True), ("GET", 7, False), ("POST", 1, True), ("POST", 0, False), ("POST", 1, False)],
    failing=2,
)
def test_for_any_overlap_and_any_deaths_everybody_is_reached_exactly_once(
    members: dict[str, list[str]], deaths: list[Death], failing: int
) -> None:
    reached = asyncio.run(live(members, deaths, failing))
    assert reached == Counter(dict.fromkeys((user for users in members.values() for user in users), 1))
