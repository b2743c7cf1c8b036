"""`herald run` and `herald worker`: a process that goes on until it is told to stop."""

import asyncio
import signal
from pathlib import Path

from bot import app
from bot.app import Herald, Worker
from bot.cli.files import load
from bot.cli.loop import complete
from bot.policy.model import Policy
from bot.settings import Settings


def run(env_file: Path) -> None:
    """Connect to Discord and send, until told to stop."""
    complete(_run(*load(env_file)))


def work(env_file: Path) -> None:
    """Only send, until told to stop."""
    complete(_work(*load(env_file)))


async def _run(settings: Settings, policy: Policy) -> None:
    stop = _stop_asked()
    async with Herald.open(settings, policy) as herald:
        token = settings.discord_token.get_secret_value()
        await app.run(herald, lambda: herald.client.keep_connected(token), stop)


async def _work(settings: Settings, policy: Policy) -> None:
    stop = _stop_asked()
    async with Worker.open(settings, policy) as worker:
        await app.work(worker, stop)


def _stop_asked() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
