"""A process that starts, answers one command in a simulated Discord, and says when and with how much memory.

`python -m benchmarks.first_command discord | simcord | bare | herald FOLDER`: the first two answer nothing,
but have read what stands in the memory of the others; the last finds a database in the folder.
"""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

if TYPE_CHECKING:
    from bot.sandbox.discord import SimulatedDiscord

# Each process reads what it uses, and nothing of the others.


async def _discord(_: Path) -> None:
    from discord.ext import commands

    _tell(commands.Bot.__name__)


async def _simcord(_: Path) -> None:
    from bot.sandbox.discord import SimulatedDiscord

    async with SimulatedDiscord.open():
        _tell("connected")


async def _bare(_: Path) -> None:
    from benchmarks.bare_bot import BareBot
    from bot.sandbox.discord import SimulatedDiscord

    async with SimulatedDiscord.open() as world:
        await world.attach(BareBot())
        _tell(await _answered(world, "queue"))


async def _herald(folder: Path) -> None:
    from bot import log
    from bot.app import Herald, run
    from bot.policy.loading import load_policy
    from bot.sandbox.discord import SimulatedDiscord
    from bot.sandbox.sandbox import sandbox_settings

    async with SimulatedDiscord.open() as world:
        settings = sandbox_settings(generation="v1", origin="http://127.0.0.1:1", data=folder)
        log.configure(level="warning", style="console", secrets=settings.secrets())
        settings.herald_config.write_text(world.policy("v1"), encoding="utf-8")
        stop = asyncio.Event()
        async with Herald.open(settings, load_policy(settings.herald_config)) as herald:

            async def connect() -> None:
                await world.attach(herald.client)
                _tell(await _answered(world, "notify queue"))
                stop.set()
                await asyncio.Event().wait()

            await run(herald, connect, stop)


async def _answered(world: "SimulatedDiscord", command: str) -> str:
    """Let somebody give the command, and return its answer."""
    from benchmarks.answered import Answered

    answered = Answered()

    async def go_on(**_: object) -> None:
        """Return at once: SimCord would wait until nothing of the process runs any more."""

    with answered.listening(world.env), patch.object(world.env, "_settle_internal", go_on):
        given = await world.people["Omar"].slash(world.channels["moderators"], command)
        await answered.come()
    return f"{given.response.message.content if given.response else 'no answer'}"


def _tell(what: str) -> None:
    memory = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    print(time.monotonic(), memory[1] if memory else 0, what, flush=True)


WAYS: Final[Mapping[str, Callable[[Path], Coroutine[None, None, None]]]] = MappingProxyType(
    {"discord": _discord, "simcord": _simcord, "bare": _bare, "herald": _herald}
)

if __name__ == "__main__":
    asyncio.run(WAYS[sys.argv[1]](Path(sys.argv[2])))
