"""A whole Herald of this process on the loopback Discord, with a simulated Whop, by the real clock."""

import asyncio
import json
import socket
import sys
from asyncio import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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

ROOT: Final = Path(__file__).parents[3]
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

    @property
    def health_address(self) -> str:
        """Return where its health page is."""
        return f"http://{self.herald.settings.health_address}/health"


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
    database = f"sqlite:///{folder / 'herald.db'}" if (folder / "herald.db").exists() else new_file(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return settings_of(database, folder, origin=whop.origin, health_address=address)


@asynccontextmanager
async def connected(folder: Path, discord: LoopbackDiscord, policy: Policy) -> AsyncGenerator[Connected]:
    """Run a Herald on that Discord, without waiting until it has connected; end it as SIGTERM does."""
    async with simulated_whop() as whop, Herald.open(settings_at(folder, whop), policy) as herald:
        stop = asyncio.Event()
        # The library waits so long for servers that come late, when all are there.
        herald.client._connection.guild_ready_timeout = 0.05  # pyright: ignore[reportPrivateUsage]
        running = asyncio.create_task(app.run(herald, lambda: herald.client.keep_connected(TOKEN), stop))
        try:
            yield Connected(herald=herald, discord=discord, whop=whop, running=running, stop=stop)
        finally:
            library: Any = herald.client._connection  # pyright: ignore[reportPrivateUsage]
            _keep_from_being_ready(library)
            stop.set()
            await asyncio.wait({running})
            # A connection may have come about while it ended.
            _keep_from_being_ready(library)
        running.result()


@asynccontextmanager
async def herald_process(
    folder: Path,
    discord: LoopbackDiscord,
    whop: SimulatedWhop,
    *arguments: str,
    policy: str = POLICY_TEXT,
    **constants: Any,
) -> AsyncGenerator[subprocess.Process]:
    """Start the `herald` command in a process of its own, with other values for some constants."""
    settings = settings_at(folder, whop)
    (folder / "herald.toml").write_text(policy, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.harness.discord.run", discord.origin, json.dumps(constants), *arguments,
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "300", "LOG_FORMAT": "json",
            "DISCORD_TOKEN": TOKEN, "WHOP_API_KEY": KEY.get_secret_value(), "WHOP_API": "v1",
            "WHOP_BASE_URL": whop.origin, "DATABASE_URL": settings.database_url.get_secret_value(),
            "HERALD_WITNESS": "herald.witness", "HEALTH_ADDRESS": settings.health_address,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def _keep_from_being_ready(library: Any) -> None:
    """Keep the library from telling that it is ready after the end of the client, for which it waits on."""
    library.guild_ready_timeout = 3600
    if library._ready_task is not None:
        library._ready_task.cancel()


def the_policy() -> Policy:
    """Return a policy under which one approval sends at once."""
    return parsed(POLICY_TEXT)
