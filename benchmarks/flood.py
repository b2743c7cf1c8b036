"""Refused presses, fifty at a time, beside approvals and sends: a whole Herald on a Discord of our own."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from benchmarks.databases import Databases
from benchmarks.figures import Row, latency
from tests.harness.discord.herald import PEOPLE, herald_process, simulated_whop
from tests.harness.discord.person import AUDIT_CHANNEL, Person, approved, card, submitted
from tests.harness.discord.server import LoopbackDiscord
from tests.harness.people import MAYA
from tests.harness.policy import ONE, parsed, rules, server

TOGETHER: Final = 50
POLICY: Final = server(ONE, rules=rules(undo="2s"))
STRANGER: Final = replace(MAYA, id=MAYA.id + 900, name="Sam", roles=frozenset())


async def measure(databases: Databases, *, presses: int) -> list[Row]:
    """Return the table's lines: what so many refused presses cost everybody else."""
    _, folder = databases.new("SQLite")
    async with (
        LoopbackDiscord.open(parsed(POLICY), (*PEOPLE, STRANGER)) as discord,
        simulated_whop() as whop,
        herald_process(folder, discord, whop, "run", policy=POLICY) as herald,
    ):
        assert herald.stdout is not None
        draining = asyncio.create_task(herald.stdout.read())
        database = folder / "herald.db"
        alone = [await _stop_shown(discord) for _ in range(3)]
        old = deepcopy(await card(discord, await submitted(discord), "Waits for"))
        # The record's channel takes nothing for as long as the flood lasts.
        discord.faults.limit(f"POST /channels/{AUDIT_CHANNEL}/*", 3600)
        before, first, begun = _bytes(database), _number(database) + 1, time.perf_counter()
        flooding = asyncio.create_task(_flood(discord, old, presses))
        shown: list[float] = []
        while not flooding.done() or len(shown) < 2:
            shown.append(await _stop_shown(discord))
        await flooding
        spent = time.perf_counter() - begun
        grown = _bytes(database) - before
        late = _late(database)
        herald.kill()
        await draining
    return [
        Row(what=f"{presses:,} refused presses, {TOGETHER} at a time", figure=f"{presses / spent:,.0f} / s"),
        latency("approved until its card has Stop, alone", alone),
        latency("approved until its card has Stop, in the flood", shown),
        *(
            latency(
                f"due until the request to Whop, {how}", [some for one, some in late if (one < first) is calm]
            )
            for how, calm in (("alone", True), ("in the flood", False))
        ),
        Row(what=f"the database grew, {len(shown)} broadcasts included", figure=f"{grown / 1000:,.0f} kB"),
    ]


async def _stop_shown(discord: LoopbackDiscord) -> float:
    """Let a broadcast go through, and return how many seconds after its approval its card had Stop."""
    number = await approved(discord)
    begun = time.perf_counter()
    await card(discord, number, "Approved")
    seconds = time.perf_counter() - begun
    await card(discord, number, "Accepted by Whop")
    return seconds


async def _flood(discord: LoopbackDiscord, message: dict[str, Any], presses: int) -> None:
    """Let a stranger press a card's button again and again, the next as soon as one is answered."""
    numbers, stranger = count(), Person(discord, STRANGER)

    async def press() -> None:
        while next(numbers) < presses:
            await stranger.press(message, "Approve")

    await asyncio.gather(*(press() for _ in range(TOGETHER)))


def _read(database: Path, query: str) -> Sequence[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def _bytes(database: Path) -> int:
    ((pages, size),) = _read(
        database, "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
    )
    return pages * size


def _number(database: Path) -> int:
    ((newest,),) = _read(database, "SELECT max(id) FROM broadcasts")
    return newest


def _late(database: Path) -> list[tuple[int, float]]:
    """Return of each broadcast how many seconds after it was due its request left."""
    rows = _read(
        database,
        "SELECT broadcasts.id, broadcasts.due_at, attempts.started_at FROM broadcasts"
        " JOIN deliveries ON deliveries.broadcast_id = broadcasts.id"
        " JOIN attempts ON attempts.delivery_id = deliveries.id",
    )
    return [
        (number, (datetime.fromisoformat(begun) - datetime.fromisoformat(due)).total_seconds())
        for number, due, begun in rows
    ]
