"""The health page and the metrics, for whatever watches the process."""

import os
from collections.abc import Callable, Mapping
from typing import Self

import structlog
from aiohttp import web

from bot.errors import ConfigurationError, StoreError
from bot.metrics import CONTENT_TYPE, Metrics

log = structlog.get_logger()

Checks = Mapping[str, Callable[[], bool]]


class Health:
    """Answer GET /health with 200 while every check holds, and GET /metrics; a context manager.

    Entering raises ConfigurationError if the address cannot be listened on.
    """

    def __init__(self, address: str, checks: Checks, metrics: Metrics) -> None:
        host, _, port = address.rpartition(":")
        self._host = host
        self._port = int(port)
        self._checks = checks
        self._metrics = metrics
        application = web.Application()
        application.router.add_get("/health", self._answer)
        application.router.add_get("/metrics", self._measure)
        self._runner = web.AppRunner(application, access_log=None)

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
        results = {name: check() for name, check in self._checks.items()}
        return web.json_response(results, status=200 if all(results.values()) else 503)

    async def _measure(self, _request: web.Request) -> web.Response:
        try:
            page = await self._metrics.read()
        except StoreError as error:
            # The database's own words may name its address, which is nothing for this page.
            log.error("the metrics wait for the database", error=str(error))
            return web.Response(status=503, text="The database is in trouble: look into Herald's log.\n")
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})
