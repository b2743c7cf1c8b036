"""A Whop that takes everything and remembers when each request came, in a process of its own."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web

from bot.clock import utc_now
from bot.delivery import Request
from bot.sandbox.whop import Owners, People, SimulatedWhop
from tests.harness.reading import asking

SEEN, ASKED = "/seen", "/asked"
# Whoever is in an audience, so many of them in both of two experiences.
CROWD, BOTH = 100_000, 1_000
EXPERIENCES: Final = ("exp_crowd", "exp_rest")
PEOPLE: Final = People(
    products={
        "prod_crowd": Owners(crowd=range(CROWD)),
        "prod_rest": Owners(crowd=range(CROWD - BOTH, CROWD)),
    },
    experiences={"exp_crowd": ["prod_crowd"], "exp_rest": ["prod_rest"]},
)
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Whop:
    """The server, as seen from the process that measures."""

    origin: str

    async def arrivals(self) -> list[tuple[float, str]]:
        """Return when each request came, by the machine's monotonic clock, and its body."""
        return [(moment, body) for moment, body in await self._told(SEEN)]

    async def questions(self) -> list[float]:
        """Return when each page of members was asked for, by the machine's monotonic clock."""
        return await self._told(ASKED)

    async def _told(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.origin + path) as answer:
            return await answer.json()

    async def wait_for(self, count: int, *, seconds: float) -> list[float]:
        """Return the times of the first `count` requests; raise TimeoutError if they do not come."""
        async with asyncio.timeout(seconds):
            while len(seen := await self.arrivals()) < count:  # noqa: ASYNC110 - it is another process's
                await asyncio.sleep(POLL_SECONDS)
        return sorted(moment for moment, _ in seen)


@asynccontextmanager
async def opened() -> AsyncGenerator[Whop, None]:
    """Start the server and stop it at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.whop", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield Whop((await process.stdout.readline()).decode().strip())
    finally:
        process.terminate()
        await process.wait()


async def _serve() -> None:
    seen: list[tuple[float, str]] = []
    asked: list[float] = []
    pages = asking("v1", SimulatedWhop(clock=utc_now, people=PEOPLE))

    async def take(request: web.Request) -> web.Response:
        moment = time.monotonic()
        seen.append((moment, await request.text()))
        return web.Response(status=202, body=b'{"success":true}', content_type="application/json")

    async def tell(request: web.Request) -> web.Response:
        known = {SEEN: seen, ASKED: asked}
        return web.json_response(known[request.path])

    async def answer(request: web.Request) -> web.Response:
        asked.append(time.monotonic())
        question = Request(method="GET", url=str(request.url), headers=request.headers, body=b"")
        said = pages(question)
        return web.Response(status=said.status, text=said.body, content_type="application/json")

    app = web.Application()
    app.router.add_get(SEEN, tell)
    app.router.add_get(ASKED, tell)
    app.router.add_get("/{path:.*}", answer)
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
