"""The health page and the metrics, for whatever watches the process."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self

import structlog
from aiohttp import web

from bot.clock import Beat, Clock, Steady
from bot.errors import ConfigurationError, StoreError
from bot.metrics import CONTENT_TYPE, Metrics
from bot.store import Store, Transaction
from bot.store.facts import SEEN_WELL

log = structlog.get_logger()

# What has not gone well for so long is not well: each loop goes round about once a second.
OLD: Final = timedelta(seconds=30)
# The database is written to for the page alone, if nothing else has shown lately that it can be.
PROBE_EVERY: Final = timedelta(seconds=10)
PROBE_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 1.0

# How one part is: whether it is well, as "ok", and what there is to know besides.
Condition = Mapping[str, Any]
Check = Callable[[], Condition | Awaitable[Condition]]


class Health:
    """Answer GET /health with 200 while every check is well, and GET /metrics; a context manager.

    Entering raises ConfigurationError if the address cannot be listened on.
    """

    def __init__(self, address: str, checks: Mapping[str, Check], metrics: Metrics) -> None:
        host, _, port = address.rpartition(":")
        self._host = host
        self._port = int(port)
        self._checks = checks
        self._metrics = metrics
        application = web.Application()
        application.router.add_get("/health", self._answer)
        application.router.add_get("/metrics", self._measure)
        # Whoever asks at the very end waits in vain, and keeps nobody waiting.
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_SECONDS)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            # A name that cannot be resolved has no errno of the system's, but words of its own.
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise ConfigurationError(
                f"HEALTH_ADDRESS: {self._host}:{self._port} cannot be used ({why}): name another."
            ) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self._runner.addresses[0][1]

    async def _answer(self, _request: web.Request) -> web.Response:
        found = {name: check() for name, check in self._checks.items()}
        conditions = {name: await one if isinstance(one, Awaitable) else one for name, one in found.items()}
        well = all(condition["ok"] for condition in conditions.values())
        page = json.dumps({"ok": well} | conditions, indent=2, ensure_ascii=False) + "\n"
        return web.Response(text=page, status=200 if well else 503, content_type="application/json")

    async def _measure(self, _request: web.Request) -> web.Response:
        try:
            page = await self._metrics.read()
        except StoreError as error:
            # The database's own words may name its address, which is nothing for this page.
            log.error("the metrics wait for the database", error=str(error))
            return web.Response(status=503, text="The database is in trouble: look into Herald's log.\n")
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})


def lately(good: Beat | None, steady_now: float, *, name: str = "last_good_round") -> Condition:
    """Return the condition of what has to go well again and again: when it last did, and how long ago."""
    if good is None:
        return {"ok": False, name: None, "seconds_ago": None}
    ago = steady_now - good.steady
    return {
        "ok": ago <= OLD.total_seconds(),
        name: f"{good.at:%Y-%m-%dT%H:%M:%SZ}",
        "seconds_ago": round(ago, 1),
    }


class Database:
    """Whether the database can be written to, and what waits in it the longest."""

    def __init__(self, store: Store, *, clock: Clock, steady: Steady) -> None:
        self._store = store
        self._clock = clock
        self._steady = steady
        self._written: Beat | None = None
        self._probe: asyncio.Task[None] | None = None

    async def writing(self) -> Condition:
        """Tell when it was last written to; write now, if that is some seconds ago."""
        if self._written is None or self._steady() - self._written.steady > PROBE_EVERY.total_seconds():
            # One that still waits is not joined by others, and not called off.
            if self._probe is None or self._probe.done():
                self._probe = asyncio.create_task(self._write())
            await asyncio.wait({self._probe}, timeout=PROBE_SECONDS)
        return lately(self._written, self._steady(), name="last_write")

    async def _write(self) -> None:
        try:
            await self._store.write(_note, at=self._clock())
        except StoreError as error:
            log.error("the database takes nothing now", error=str(error))
        else:
            self._written = Beat(self._clock(), self._steady())

    async def cards(self) -> Condition:
        """Tell how long the card has waited whose turn to be drawn came first."""
        return await self._waiting(_oldest_card)

    async def deliveries(self) -> Condition:
        """Tell how long what is due to be sent has waited."""
        return await self._waiting(_oldest_delivery)

    async def _waiting(self, oldest: Callable[[Transaction, datetime], datetime | None]) -> Condition:
        now = self._clock()
        try:
            since = await self._store.glance(oldest, now)
        except StoreError:
            return {"ok": False, "oldest_waits_seconds": None}
        return {"ok": True, "oldest_waits_seconds": round((now - since).total_seconds(), 1) if since else 0}


def _note(tx: Transaction, *, at: datetime) -> None:
    tx.facts.set(SEEN_WELL, at)


def _oldest_card(tx: Transaction, now: datetime) -> datetime | None:
    return tx.outbox.oldest_card(now)


def _oldest_delivery(tx: Transaction, now: datetime) -> datetime | None:
    return tx.deliveries.oldest_due(now)
