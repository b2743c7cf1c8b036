"""`herald worker` as people run it: a process of its own, by the real time."""

import asyncio
import json
import signal
import sys
from asyncio import subprocess
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bot.broadcast import Status
from bot.clock import utc_now
from tests.harness.process import Cluster, Process
from tests.harness.wire import KEY

ROOT: Final = Path(__file__).parents[2]


@asynccontextmanager
async def open_cluster(url: str, folder: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(url, folder) as opened:
        # A worker goes by the real time.
        opened.clock.now = utc_now() - timedelta(seconds=30)
        yield opened


@asynccontextmanager
async def worker(
    cluster: Cluster,
    port: int,
    *,
    name: str = "one",
    token: str = "fake-discord-token",
    constants: Mapping[str, float] = MappingProxyType({}),
) -> AsyncGenerator[subprocess.Process]:
    """Start `herald worker` with an .env file in the folder of that database.

    `constants` gives other values to some, each by its dotted place.
    """
    (cluster.folder / "herald.toml").write_text(cluster.policy_text(), encoding="utf-8")
    env_file = cluster.folder / f"{name}.env"
    lines = {
        "DISCORD_TOKEN": token,
        "WHOP_API_KEY": KEY.get_secret_value(),
        "WHOP_API": "v1",
        "WHOP_BASE_URL": cluster.whop.origin,
        "DATABASE_URL": cluster.url,
        "HERALD_WITNESS": f"{name}.witness",
        "HEALTH_ADDRESS": "127.0.0.1:0",
        "LOG_FORMAT": "json",
    }
    env_file.write_text("".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")
    command = ("worker", "--env-file", env_file.name)
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.harness.discord.run",
        f"http://127.0.0.1:{port}", json.dumps({**constants}), *command,
        cwd=cluster.folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "300"},
        stdout=PIPE,
        stderr=STDOUT,
    )  # fmt: skip
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.kill()
        await running.communicate()


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    while not await done():  # noqa: ASYNC110 - another process can only be looked at
        await asyncio.sleep(0.05)


async def sent(process: Process, count: int) -> None:
    async def all_of_them() -> bool:
        return {await process.status(number) for number in range(1, count + 1)} == {Status.SENT}

    await until(all_of_them)


async def stopped(running: subprocess.Process) -> tuple[int | None, str]:
    running.send_signal(signal.SIGTERM)
    said, _ = await running.communicate()
    return running.returncode, said.decode()


async def due(cluster: Cluster, count: int) -> Process:
    process = await cluster.join()
    for _ in range(count):
        await process.approved()
    return process
