"""How soon a press is acknowledged and done, beside a bare discord.py bot on the same simulated gateway."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final
from unittest.mock import patch

import discord
import simcord

from benchmarks.answered import ALL_SECONDS, Answered
from benchmarks.bare_bot import BareBot
from benchmarks.databases import Databases
from benchmarks.figures import Row, latency
from bot.sandbox.discord import SimulatedDiscord
from bot.sandbox.sandbox import Sandbox, response
from tests.harness.past import lay_past

BEGIN: Final = datetime(2025, 1, 1, tzinfo=UTC)
FORM, PRESS, LIST = "a command opens its form", "a press", "a list"

Step = Callable[[], Awaitable[object]]


async def measure(databases: Databases, *, times: int, past_broadcasts: int) -> list[Row]:
    """Return the table's lines: so many of each one after the other, and so many at once.

    Each is measured on an empty database, and on one with so many broadcasts of the past.
    """
    _, folder = databases.new("SQLite")
    rows: list[Row] = []
    for together in (False, True):
        how = f"{times} at once" if together else "one at a time"
        async with _bare(times) as (env, steps):
            bare = {what: await _timed(env, some, together=together) for what, some in steps.items()}
        for past in (0, past_broadcasts):
            data = folder / f"{how.replace(' ', '-')}-{past}"
            async with _herald(data, times, past) as (env, steps):
                for what, some in steps.items():
                    answered = await _timed(env, some, together=together)
                    base = bare[what.partition(":")[0]]
                    after = f", after {past:,} broadcasts" if past else ""
                    rows += _rows(f"{what}, {how}{after}", answered, base)
    return rows


def _rows(what: str, answered: Answered, base: Answered) -> list[Row]:
    return [
        latency(f"{what}: {until}", answered.spans(mine), base=median(base.spans(bare)), of="times")
        for until, mine, bare in (
            ("acknowledged", answered.first, base.first),
            ("done", answered.last, base.last),
        )
    ]


async def _timed(env: simcord.Env, steps: list[Step], *, together: bool) -> Answered:
    answered = Answered()

    async def go_on(**_: object) -> None:
        """Return at once: SimCord would poll the client, which works in threads, and slow it down."""

    with answered.listening(env), patch.object(env, "_settle_internal", go_on):
        for step in steps:
            await step()
            if not together:
                await answered.come()
        await answered.come()
    await env.settle(timeout=ALL_SECONDS)
    return answered


@asynccontextmanager
async def _herald(
    data: Path, times: int, past: int
) -> AsyncGenerator[tuple[simcord.Env, dict[str, list[Step]]], None]:
    await asyncio.to_thread(data.mkdir)
    async with Sandbox.open("v5", data=data) as sandbox:
        if past:
            await sandbox.herald.store.write(lay_past, guild=sandbox.world.guild.id, rows=past, begin=BEGIN)
        maya, omar, place = sandbox.person("Maya"), sandbox.person("Omar"), sandbox.channel("moderators")
        drafts = [response(await sandbox.compose()) for _ in range(times)]
        # An approval is drawn on a card of its own: who approves one waits for no other.
        waiting: list[discord.Message] = []
        for number in range(times):
            # Other words each time: the same again would ask for the audience's name.
            await sandbox.submit(await sandbox.compose(subject=f"We are live: {number}"))
            waiting.append(sandbox.review_card())
        compose = partial(maya.slash, place, "notify compose", audience="Gold members", topic="announcements")
        yield (
            sandbox.world.env,
            {
                FORM: [compose] * times,
                f"{LIST}: /notify queue": [partial(omar.slash, place, "notify queue")] * times,
                f"{FORM}: Ask for approval": [
                    partial(maya.click, card, label="Ask for approval") for card in drafts
                ],
                f"{PRESS}: Approve": [partial(omar.click, card, label="Approve") for card in waiting],
            },
        )


@asynccontextmanager
async def _bare(times: int) -> AsyncGenerator[tuple[simcord.Env, dict[str, list[Step]]], None]:
    async with SimulatedDiscord.open() as world:
        await world.attach(BareBot())
        maya, place = world.people["Maya"], world.channels["moderators"]
        cards = [response(await maya.slash(place, "card")) for _ in range(times)]
        yield (
            world.env,
            {
                FORM: [partial(maya.slash, place, "form")] * times,
                LIST: [partial(maya.slash, place, "queue")] * times,
                PRESS: [partial(maya.click, card, label="Press") for card in cards],
            },
        )
