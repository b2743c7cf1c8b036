"""The browser sandbox: Herald runs as it would in earnest, between two pages."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import simcord
from aiohttp import web
from rich.console import Console

from bot import log
from bot.app import Herald, run
from bot.clock import utc_now
from bot.errors import ConfigurationError
from bot.policy.loading import parse_policy
from bot.sandbox.discord import CHANNELS, SimulatedDiscord
from bot.sandbox.folder import data_folder, recorder
from bot.sandbox.sandbox import API_KEY, sandbox_settings
from bot.sandbox.whop import SimulatedWhop

TICK_SECONDS: Final = 1.0
QUIET_TICKS: Final = 5

_WELCOME: Final = """
[bold]Herald's sandbox is open[/] (Whop {generation}). Discord and Whop are simulated: no account is needed.

  Discord    {address}/discord/moderators
             {address}/discord/review
             {address}/discord/audit        (one channel is open at a time)
  Customers  {customers}        what they see, and what reached Whop

As Maya, type /notify compose in #moderators, fill in the form and press Submit. Then open #review,
choose to view it as Omar, and press Approve. Ctrl-C ends the sandbox."""


@dataclass(slots=True)
class Pages:
    """Discord's page, which shows one channel at a time, and the way to switch it."""

    world: SimulatedDiscord
    _preview: simcord.Preview | None = None
    _switching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def show(self, channel: str) -> str:
        """Put the page on that channel and return its address.

        Each time it is a new one: on the same, a browser would reuse a connection that has ended.
        """
        async with self._switching:
            await self.close()
            preview = self.world.env.preview(
                self.world.channels[channel],
                viewers=list(self.world.people.values()),
                layout="channel",
            )
            self._preview = await preview.__aenter__()
            return preview.url

    async def refresh(self) -> None:
        """Let the page show what happened in the meantime."""
        if self._preview is not None:
            await self._preview.refresh()

    async def close(self) -> None:
        """End the page."""
        if self._preview is not None:
            await self._preview.close()
            self._preview = None

    async def switch(self, request: web.Request) -> web.Response:
        """Answer the link to a channel by sending the browser there."""
        channel = request.match_info["channel"]
        if channel not in self.world.channels:
            raise web.HTTPNotFound(text=f"There is no channel {channel}: {', '.join(CHANNELS)}.")
        raise web.HTTPFound(await self.show(channel))


async def serve(*, generation: str, port: int, record: Path | None, data: Path | None) -> None:
    """Run the sandbox until Ctrl-C."""
    log.configure(level="warning", style="console", secrets=[])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_sandbox(generation, port=port, record=record, data=data) as (herald, pages, whop):
        address = f"http://127.0.0.1:{port}"
        console = Console(soft_wrap=True)
        console.print(_WELCOME.format(generation=generation, address=address, customers=whop.page_url))
        await run(herald, lambda: live(herald, pages), stop)


@asynccontextmanager
async def open_sandbox(
    generation: str, *, port: int, record: Path | None = None, data: Path | None = None
) -> AsyncGenerator[tuple[Herald, Pages, SimulatedWhop], None]:
    """Build the world, the two pages and a Herald on the real clock, ready to run."""
    with data_folder(data) as folder, recorder(record) as on_exchange:
        async with SimulatedDiscord.open(tolerant=True) as world:
            await _catch_up(world)
            pages = Pages(world)
            whop = SimulatedWhop(api_keys=[API_KEY], clock=utc_now, on_exchange=on_exchange, links=_links)
            whop.add_routes([web.get("/", _to_customers), web.get("/discord/{channel}", pages.switch)])
            try:
                await whop.start(port=port)
                await pages.show(CHANNELS[0])
            except OSError as error:
                raise ConfigurationError(
                    f"--port: {port} cannot be used ({os.strerror(error.errno or 0)}): name another."
                ) from None
            settings = sandbox_settings(generation=generation, origin=whop.origin, data=folder)
            text = world.policy(generation)
            settings.herald_config.write_text(text, encoding="utf-8")
            policy = parse_policy(text, name=str(settings.herald_config))
            try:
                async with Herald.open(settings, policy) as herald:
                    yield herald, pages, whop
            finally:
                await pages.close()
                await whop.close()


async def live(herald: Herald, pages: Pages) -> None:
    """Be Discord: connect Herald, then keep the simulated clock and the page up to date."""
    await pages.world.attach(herald.client)
    seen, rounds = 0, 0
    while True:
        await asyncio.sleep(TICK_SECONDS)
        rounds += 1
        # SetupError: someone is clicking in this very moment; the next tick will do.
        with suppress(simcord.SetupError, TimeoutError):
            await _catch_up(pages.world)
            # A refresh makes what is shown in the browser out of date until it asks again, and a click in
            # between is lost: so only where Herald posted something, and slowly while a countdown runs.
            changes = _posts(pages.world)
            if changes != seen or (rounds % QUIET_TICKS == 0 and await _counting_down(herald)):
                await pages.refresh()
            seen = changes


def _posts(world: SimulatedDiscord) -> int:
    return sum(request.path.startswith("/channels/") for request in world.env.http_requests)


async def _counting_down(herald: Herald) -> bool:
    return await herald.store.glance(lambda tx: tx.broadcasts.next_moment()) is not None


async def _catch_up(world: SimulatedDiscord) -> None:
    behind = (utc_now() - world.env.now()).total_seconds()
    if behind > 0:
        await world.env.advance_time(behind)


async def _to_customers(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/customers")


def _links() -> list[tuple[str, str]]:
    return [(f"Discord #{name}", f"/discord/{name}") for name in CHANNELS]
