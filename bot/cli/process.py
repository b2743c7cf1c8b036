"""`herald run` and `herald worker`: a process that goes on until it is told to stop."""

import asyncio
import os
import signal
from collections.abc import Awaitable
from pathlib import Path
from threading import Timer
from typing import Final

import structlog
from typing_extensions import override

from bot import app
from bot.app import Herald, Worker
from bot.cli.files import load
from bot.cli.loop import complete
from bot.errors import HeraldError
from bot.policy.model import Policy
from bot.settings import Settings

log = structlog.get_logger()

# So long after it was told to stop a process has ended, whatever hangs.
STOP_SECONDS: Final = 29.5


class Stop(asyncio.Event):
    """What a process is told to stop by; from then on it ends in time.

    A thread that waits for a database without an answer cannot be called off. What it was to write is as
    after a kill: the next start finds it, and asks.
    """

    def __init__(self) -> None:
        super().__init__()
        # How it ends if it has to be ended, and the sentence that says why.
        self._status = 0
        self._why = ""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.set)

    @override
    def set(self) -> None:
        """Tell it to stop."""
        if not self.is_set():
            timer = Timer(STOP_SECONDS, self._end)
            timer.daemon = True
            timer.start()
        super().set()

    async def watch(self, work: Awaitable[None]) -> None:
        """Await what a process does; what is left after it is closing."""
        self._status = 2
        try:
            await work
        except Exception as error:
            if isinstance(error, HeraldError):
                self._why = str(error)
            else:
                self._status = 1
            raise
        self._status = 0

    def _end(self) -> None:
        log.error("something did not end in time, so the process was ended", why=self._why)
        os._exit(self._status)


def run(env_file: Path) -> None:
    """Connect to Discord and send, until told to stop."""
    complete(_run(*load(env_file)))


def work(env_file: Path) -> None:
    """Only send, until told to stop."""
    complete(_work(*load(env_file)))


async def _run(settings: Settings, policy: Policy) -> None:
    stop = Stop()
    async with Herald.open(settings, policy) as herald:
        token = settings.discord_token.get_secret_value()
        await stop.watch(app.run(herald, lambda: herald.client.keep_connected(token), stop))


async def _work(settings: Settings, policy: Policy) -> None:
    stop = Stop()
    async with Worker.open(settings, policy) as worker:
        await stop.watch(app.work(worker, stop))
