"""A real `herald worker` in a process of its own, in a hurry, with an end that may be given to it."""

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import discord.http
from dotenv import dotenv_values

from bot import app, clock, key_trust
from bot.cli.commands import main
from bot.clock import utc_now
from bot.sending import dispatcher, rate, recording, timekeeping
from bot.store import counts, deliveries
from bot.whop import V1, V5, gateway, v1, v5
from bot.whop.gateway import Rate
from bot.whop.transport import Transport
from tests.crash.points import Points

# All times are so much shorter; a request still ends before its claim is stale, and that before the lease.
FASTER: Final = 12
LEASE: Final = deliveries.LEASE / FASTER
_SHORTENED: Final = (
    (clock, "PAUSE_AFTER_JUMP"),
    (clock, "LONGEST_DOUBT"),
    (timekeeping, "LOOK_OVER_SECONDS"),
    (deliveries, "LEASE"),
    (counts, "LEASE"),
    (dispatcher, "FRESH_SECONDS"),
    (dispatcher, "GIVEN_BACK"),
    (dispatcher, "RECORD_AGAIN_SECONDS"),
    (recording, "RECORD_AGAIN_SECONDS"),
    (gateway, "FIRST_RETRY"),
    (gateway, "LONGEST_RETRY"),
    (rate, "PAUSE"),
    (v1, "COOL_DOWN"),
    (v5, "COOL_DOWN"),
)
_POLL_SECONDS: Final = 0.2
# What the fork server says now and then of a process that was killed; nothing of Herald's ends so.
_STATUS_LOST: Final = 255
# A fork of a process that has everything imported starts many times faster than a new interpreter.
_CONTEXT: Final = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])
# The command would read it only when it is called.
import_module("bot.cli.process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How a worker is to run: die at the point with that number, or tell of all points.

    Of the write with the number `lose_at` it does not hear that it was committed. `clock` is a file with the
    seconds by which its wall clock is ahead. Where Whop honours keys it `refutes` no proof: what got lost on
    the way is rightly taken for new, which is far oftener here than where nothing is broken on purpose.
    """

    env_file: Path
    log: Path
    clock: Path
    kill_at: int | None = None
    lose_at: int | None = None
    tells: bool = False
    refutes: bool = True


class Worker:
    """A process, seen from outside."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._said, said = _CONTEXT.Pipe(duplex=False)
        self._process = _CONTEXT.Process(target=run, args=(order, said))
        self._process.start()
        said.close()

    @property
    def pid(self) -> int:
        """Return its number, by which it signs its requests."""
        return self._process.pid or 0

    @property
    def is_alive(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.is_alive()

    @property
    def was_killed(self) -> bool:
        """Tell whether SIGKILL ended it."""
        return self._process.exitcode in {-signal.SIGKILL, _STATUS_LOST}

    def wait_for(self, word: bytes, seconds: float) -> None:
        """Listen until it says that word; raise TimeoutError if it says nothing for so long."""
        while self._said.poll(seconds):
            if self._said.recv_bytes() == word:
                return
        raise TimeoutError(f"worker {self.pid} does not say {word!r}")

    def heard(self) -> list[bytes]:
        """Return what it has said since it was last listened to."""
        words: list[bytes] = []
        # EOFError: it is gone, and everything was heard.
        with suppress(EOFError):
            while self._said.poll():
                words.append(self._said.recv_bytes())
        return words

    def send(self, number: signal.Signals) -> None:
        """Send a signal, as long as there is somebody to get it."""
        if self.is_alive:
            os.kill(self.pid, number)

    def join(self, seconds: float) -> None:
        """Wait until it has ended; raise TimeoutError if it does not."""
        self._process.join(seconds)
        if self.is_alive:
            raise TimeoutError(f"worker {self.pid} goes on")


def run(order: Order, said: Connection) -> None:
    """Be `herald worker` until the end."""
    with order.log.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    hasten()
    if not order.refutes:
        key_trust.__dict__["REFUTED_BY"] = sys.maxsize
    app.utc_now = lambda: utc_now() + timedelta(seconds=float(order.clock.read_text("utf-8")))
    discord.http.Route.BASE = "http://127.0.0.1:1/nobody"
    Points(said, kill_at=order.kill_at, lose_at=order.lose_at, tells=order.tells).install()
    for name in dotenv_values(order.env_file):
        # What is set outside would win.
        os.environ.pop(name, None)
    sys.argv = ["herald", "worker", "--env-file", str(order.env_file)]
    main()


def hasten() -> None:
    """Shorten all times, so that hours of trouble fit into minutes."""
    for module, name in _SHORTENED:
        setattr(module, name, getattr(module, name) / FASTER)
    for name in ("POLL_SECONDS", "CROWDED_POLL_SECONDS"):
        setattr(dispatcher, name, min(getattr(dispatcher, name), _POLL_SECONDS))
    for generation in (V1, V5):
        generation.rate = Rate(generation.rate.requests, generation.rate.per / FASTER)
    defaults: dict[str, Any] = Transport.__init__.__kwdefaults__ or {}
    defaults["total_seconds"] /= FASTER
