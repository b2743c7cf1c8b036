"""The browser sandbox: Herald runs as it would in earnest, between two pages."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import discord
from aiohttp import web
from rich.console import Console
from yarl import URL

from bot import log
from bot.app import Herald, run
from bot.clock import utc_now
from bot.errors import ConfigurationError
from bot.policy.loading import parse_policy
from bot.sandbox.customers import customers
from bot.sandbox.discord import CHANNELS, SimulatedDiscord
from bot.sandbox.folder import data_folder, recorder
from bot.sandbox.guide import choices, pin_guide
from bot.sandbox.page import ChannelPage, Links
from bot.sandbox.sandbox import API_KEY, sandbox_settings
from bot.sandbox.whop import SimulatedWhop

TICK_SECONDS: Final = 1.0
QUIET_TICKS: Final = 5

_WELCOME: Final = """
[bold]Herald's sandbox is open[/] (Whop {generation}). Discord and Whop are simulated: no account is needed.

  Discord    {origin}/discord/moderators
             {origin}/discord/review
             {origin}/discord/audit
  Customers  {customers}        what they see, and what reached Whop

  Audiences  {audiences}
  Topics     {topics}

The first message in #moderators says what to do. In short: as Maya, type /notify compose, choose an
audience and a topic, fill in the form and press Ask for approval; open #review as Omar and press Approve;
look at the customers' page. Ctrl-C ends the sandbox."""


@dataclass(slots=True)
class Pages:
    """Discord's channels, each a page; one thing at a time happens on all of them together."""

    world: SimulatedDiscord
    links: Links
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _open: dict[str, ChannelPage] = field(default_factory=dict[str, ChannelPage])
    _seen: dict[str, int] = field(default_factory=dict[str, int])

    async def attach(self, client: discord.Client) -> None:
        """Connect this client."""
        async with self._turn:
            await self.world.attach(client)

    async def show(self, channel: str) -> str:
        """Return the address of the channel's page, which is opened when it is first asked for."""
        async with self._turn:
            page = self._open.get(channel)
            if page is None or page.closed:
                people = tuple(self.world.people.values())
                page = ChannelPage(
                    self.world.env, self.world.channels[channel], people, turn=self._turn, links=self.links
                )
                self._open[channel] = await page.__aenter__()
            return page.url

    async def step(self, *, all_anew: bool = False) -> None:
        """Let the simulated clock catch up, and the pages show what happened in the meantime."""
        async with self._turn:
            await _catch_up(self.world)
            for channel, page in self._open.items():
                posts = self._posts(channel)
                if not page.closed and (all_anew or posts != self._seen.get(channel)):
                    await page.refresh()
                self._seen[channel] = posts

    async def close(self) -> None:
        """End the pages."""
        # Not in turn: each waits for what is being done on it.
        for page in self._open.values():
            await page.close()

    async def switch(self, request: web.Request) -> web.Response:
        """Answer the link to a channel by sending the browser there."""
        asked = request.match_info["channel"]
        # Herald's own links name a channel by its number.
        numbers = {str(handle.id): name for name, handle in self.world.channels.items()}
        channel = numbers.get(asked, asked)
        if channel not in self.world.channels:
            raise web.HTTPNotFound(text=f"There is no channel {channel}: {', '.join(CHANNELS)}.")
        raise web.HTTPFound(URL(await self.show(channel)).with_query(request.query))

    def _posts(self, channel: str) -> int:
        path = f"/channels/{self.world.channels[channel].id}/"
        return sum(request.path.startswith(path) for request in self.world.env.http_requests)


async def serve(*, generation: str, port: int, record: Path | None, data: Path | None) -> None:
    """Run the sandbox until Ctrl-C."""
    log.configure(level="warning", style="console", secrets=[])
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_sandbox(generation, port=port, record=record, data=data) as (herald, pages, whop):
        welcome = _WELCOME.format(
            generation=generation,
            origin=whop.origin,
            customers=whop.page_url,
            **choices(herald.service.policy.servers[0]),
        )
        Console(soft_wrap=True).print(welcome)
        await run(herald, lambda: live(herald, pages), stop)


@asynccontextmanager
async def open_sandbox(
    generation: str, *, port: int, record: Path | None = None, data: Path | None = None
) -> AsyncGenerator[tuple[Herald, Pages, SimulatedWhop], None]:
    """Build the world, the two pages and a Herald on the real clock, ready to run."""
    with data_folder(data) as folder, recorder(record) as on_exchange:
        async with SimulatedDiscord.open(tolerant=True) as world:
            await _catch_up(world)
            whop = SimulatedWhop(
                api_keys=[API_KEY],
                clock=utc_now,
                on_exchange=on_exchange,
                links=_links,
                people=customers(),
            )
            pages = Pages(world, lambda: _absolute(whop))
            whop.add_routes([web.get("/", _to_first), web.get("/discord/{channel}", pages.switch)])
            await _listen(whop, port)
            settings = sandbox_settings(generation=generation, origin=whop.origin, data=folder)
            text = world.policy(generation)
            settings.herald_config.write_text(text, encoding="utf-8")
            policy = parse_policy(text, name=str(settings.herald_config))
            await pin_guide(world, policy.servers[0], whop.origin)
            try:
                async with Herald.open(settings, policy) as herald:
                    yield herald, pages, whop
            finally:
                await pages.close()
                await whop.close()


async def _listen(whop: SimulatedWhop, port: int) -> None:
    try:
        await whop.start(port=port)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ConfigurationError(
            f"--port: {port} cannot be used ({why}): name another, or 0 for a free one."
        ) from None


async def live(herald: Herald, pages: Pages) -> None:
    """Be Discord: connect Herald, then keep the simulated clock and the pages up to date."""
    await pages.attach(herald.client)
    for rounds in count(1):
        await asyncio.sleep(TICK_SECONDS)
        # TimeoutError: Herald was still busy when SimCord had waited long enough; the next step will do.
        with suppress(TimeoutError):
            await pages.step(all_anew=rounds % QUIET_TICKS == 0 and await _counting_down(herald))


async def _counting_down(herald: Herald) -> bool:
    return await herald.store.glance(lambda tx: tx.broadcasts.next_moment()) is not None


async def _catch_up(world: SimulatedDiscord) -> None:
    behind = (utc_now() - world.env.now()).total_seconds()
    if behind > 0:
        await world.env.advance_time(behind)


async def _to_first(_request: web.Request) -> web.Response:
    raise web.HTTPFound(f"/discord/{CHANNELS[0]}")


def _links() -> list[tuple[str, str]]:
    return [(f"#{name}", f"/discord/{name}") for name in CHANNELS]


def _absolute(whop: SimulatedWhop) -> list[tuple[str, str]]:
    return [(name, whop.origin + path) for name, path in _links()] + [("Customers", whop.page_url)]
