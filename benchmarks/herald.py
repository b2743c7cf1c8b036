"""The `herald` command with Discord out of reach: no benchmark may call on it."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from discord.http import Route

from benchmarks.workload import Unlimited, policy
from bot.cli.commands import main
from bot.whop import V1
from tests.harness.wire import KEY

# Nothing listens there.
NOWHERE: Final = "http://127.0.0.1:1/api/v10"
# What a process says before it claims anything.
BEGUN: Final = "Whop's idempotency keys"
# An option of these processes alone: no rate that a machine reaches.
UNLIMITED: Final = "--unlimited"


@asynccontextmanager
async def process(
    command: str,
    *,
    database_url: str,
    folder: Path,
    api: str,
    origin: str,
    told: str = "",
    unlimited: bool = False,
) -> AsyncGenerator[Process, None]:
    """Run a `herald` command of its own until the end, which has to be an orderly one.

    It goes by the policy that is `told`, or by that of every workload.
    """
    config = folder / "herald.toml"
    config.write_text(told or policy(), encoding="utf-8")
    settings = {
        "DISCORD_TOKEN": "benchmark-token",
        "WHOP_API_KEY": KEY.get_secret_value(),
        "WHOP_API": api,
        "WHOP_BASE_URL": origin,
        "DATABASE_URL": database_url,
        "HERALD_WITNESS": str(folder / "herald.witness"),
        "HERALD_CONFIG": str(config),
        "HEALTH_ADDRESS": "127.0.0.1:0",
        "LOG_LEVEL": "info",
    }
    options = [command, "--env-file", str(folder / "none.env"), *([UNLIMITED] if unlimited else [])]
    with (folder / "herald.log").open("wb") as log:
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.herald", *options),
            env=os.environ | settings,
            stderr=log,
        )
        try:
            yield started
        finally:
            if started.returncode is None:
                started.terminate()
            ended = await started.wait()
    if ended:
        raise RuntimeError(f"herald {command} ended with {ended}: {(folder / 'herald.log').read_text()}")


async def begun(folder: Path) -> None:
    """Wait until a process that sends says that it has begun."""
    # It is another process's.
    while BEGUN not in (folder / "herald.log").read_text(encoding="utf-8"):  # noqa: ASYNC110
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    Route.BASE = NOWHERE
    if UNLIMITED in sys.argv:
        sys.argv.remove(UNLIMITED)
        V1.rate = Unlimited.rate
    main()
