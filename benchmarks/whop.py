"""A Whop that takes everything and remembers when each request came, in a process of its own."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

SEEN: Final = "/seen"
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Whop:
    """The server, as seen from the process that measures."""

    origin: str

    async def arrivals(self) -> list[tuple[float, str]]:
        """Return when each request came, by the machine's monotonic clock, and its body."""
        async with aiohttp.ClientSession() as session, session.get(self.origin + SEEN) as answer:
            return [(moment, body) for moment, body in await answer.json()]

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

    async def take(request: web.Request) -> web.Response:
        moment = time.monotonic()
        seen.append((moment, await request.text()))
        return web.Response(status=202, body=b'{"success":true}', content_type="application/json")

    async def tell(_request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(seen), content_type="application/json")

    app = web.Application()
    app.router.add_get(SEEN, tell)
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
