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

from benchmarks.workload import policy
from bot.cli.commands import main
from tests.harness.wire import KEY

# Nothing listens there.
NOWHERE: Final = "http://127.0.0.1:1/api/v10"


@asynccontextmanager
async def process(
    command: str, *, database_url: str, folder: Path, api: str, origin: str
) -> AsyncGenerator[Process, None]:
    """Run a `herald` command of its own until the end, which has to be an orderly one."""
    config = folder / "herald.toml"
    config.write_text(policy(), encoding="utf-8")
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
    with (folder / "herald.log").open("wb") as log:
        started = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.herald", command, "--env-file", str(folder / "none.env")),
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


if __name__ == "__main__":
    Route.BASE = NOWHERE
    main()
