"""A whole Herald of this process on the loopback Discord, with a simulated Whop, by the real clock."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot import app
from bot.app import Herald
from bot.clock import utc_now
from bot.policy.model import Policy
from bot.sandbox.whop import SimulatedWhop
from bot.settings import Settings
from tests.database import new_file
from tests.harness.discord.server import TOKEN, LoopbackDiscord
from tests.harness.people import LENA, MAYA, NOOR, OMAR
from tests.harness.policy import ONE, parsed, rules, server
from tests.harness.process import settings_of
from tests.harness.wire import KEY

PEOPLE: Final = (MAYA, OMAR, LENA, NOOR)
# What is approved goes out at once.
POLICY_TEXT: Final = server(ONE, rules=rules(undo="0s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """It, and both sides that it talks to."""

    herald: Herald
    discord: LoopbackDiscord
    whop: SimulatedWhop
    running: asyncio.Task[None]
    stop: asyncio.Event


@asynccontextmanager
async def simulated_whop() -> AsyncGenerator[SimulatedWhop]:
    """Serve a Whop that knows the key of the settings."""
    whop = SimulatedWhop(api_keys=[KEY.get_secret_value()], clock=utc_now)
    await whop.start()
    try:
        yield whop
    finally:
        await whop.close()


def settings_at(folder: Path, whop: SimulatedWhop) -> Settings:
    """Return the settings of a Herald with a database in that folder."""
    return settings_of(new_file(folder), folder, origin=whop.origin)


@asynccontextmanager
async def connected(folder: Path, discord: LoopbackDiscord, policy: Policy) -> AsyncGenerator[Connected]:
    """Run a Herald on that Discord, without waiting until it has connected; end it as SIGTERM does."""
    async with simulated_whop() as whop, Herald.open(settings_at(folder, whop), policy) as herald:
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(herald, lambda: herald.client.keep_connected(TOKEN), stop))
        try:
            yield Connected(herald=herald, discord=discord, whop=whop, running=running, stop=stop)
        finally:
            stop.set()
            await asyncio.wait({running})
        running.result()


def the_policy() -> Policy:
    """Return a policy under which one approval sends at once."""
    return parsed(POLICY_TEXT)
