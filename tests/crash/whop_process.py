"""The fault server as a process that can be killed and started again without forgetting what it counted."""

import asyncio
import random
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Final

from tests.crash.faults import HOLD_SECONDS

# Below these are no ports that the system gives out by itself, so that nobody takes it meanwhile.
_PORTS: Final = (20000, 30000)


class WhopProcess:
    """A fault server on one port with one journal, and word of the workers that it holds."""

    def __init__(self, journal: Path, *, honours: bool) -> None:
        self.journal = journal
        self.port = _free_port()
        self._honours = honours
        self._process: Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._holding: asyncio.Queue[tuple[float, int]] = asyncio.Queue()

    async def start(self) -> None:
        """Start it, or start it again, and wait until it can be reached."""
        arguments = ("-m", "tests.crash.fault_server", str(self.port), str(self.journal))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, *(["--honours"] if self._honours else []), stdout=PIPE
        )
        words = self._process.stdout
        if words is None or await words.readline() != b"ready\n":
            raise RuntimeError("the fault server did not start")
        self._listening = asyncio.create_task(self._listen(words))

    async def kill(self) -> None:
        """End it as a power cut does."""
        if self._process and self._listening:
            self._process.kill()
            await self._process.wait()
            await self._listening

    async def holds(self, seconds: float) -> int | None:
        """Return the process whose request is held at this moment, as soon as there is one."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    since, pid = await self._holding.get()
                    if time.monotonic() - since < HOLD_SECONDS / 2:
                        return pid
        except TimeoutError:
            return None

    async def _listen(self, words: asyncio.StreamReader) -> None:
        while line := await words.readline():
            self._holding.put_nowait((time.monotonic(), int(line)))


def _free_port() -> int:
    while True:
        port = random.randrange(*_PORTS)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
