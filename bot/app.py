"""The composition root: the only place that builds things, runs them side by side, and closes them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from bot.announcer import Announcer
from bot.client import HeraldBot
from bot.clock import Clock, utc_now
from bot.dispatcher import Dispatcher
from bot.errors import ConfigurationError
from bot.health import Health
from bot.lifecycle import Lifecycle
from bot.policy import Policy
from bot.proof import Credential
from bot.service import Service
from bot.settings import Settings
from bot.store import Store
from bot.whop import Transport, WhopGateway, gateway_for

log = structlog.get_logger()

Connect = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Herald:
    """All parts of a Herald that is ready to run."""

    settings: Settings
    store: Store
    service: Service
    client: HeraldBot
    dispatcher: Dispatcher
    announcer: Announcer


@asynccontextmanager
async def assemble(
    settings: Settings, policy: Policy, *, clock: Clock = utc_now
) -> AsyncGenerator[Herald, None]:
    """Build a Herald and close it in order; raise ConfigurationError if something does not fit."""
    gateway = gateway_for(settings.whop_api, origin=settings.whop_base_url)
    check_audiences(policy, gateway, file=str(settings.herald_config))
    bell = asyncio.Event()
    async with (
        Store.open(settings.database_url.get_secret_value()) as store,
        Transport(api_key=settings.whop_api_key) as transport,
    ):
        lifecycle = Lifecycle(
            policy=policy, gateway=gateway, destination=settings.whop_base_url, clock=clock, bell=bell
        )
        service = Service(store=store, lifecycle=lifecycle, clock=clock, bell=bell)
        client = HeraldBot(service=service, store=store, environment=settings.environment)
        yield Herald(
            settings=settings,
            store=store,
            service=service,
            client=client,
            dispatcher=Dispatcher(
                store=store,
                service=service,
                transport=transport,
                clock=clock,
                bell=bell,
                credential=Credential.of(
                    gateway, origin=settings.whop_base_url, api_key=settings.whop_api_key
                ),
            ),
            announcer=Announcer(store=store, client=client, clock=clock, bell=bell),
        )


def check_audiences(policy: Policy, gateway: WhopGateway, *, file: str) -> None:
    """Raise ConfigurationError for audiences that the chosen API generation cannot reach."""
    problems = [
        f"{file}: server “{server.name}”, audience “{audience.name}”: targets.{problem}."
        for server in policy.servers
        for audience in server.audiences
        if (problem := gateway.refuse_targets(audience.targets))
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))


async def run(herald: Herald, connect: Connect, stop: asyncio.Event) -> None:
    """Run client, dispatcher and health page until told to stop, or until one of them ends.

    What is in flight is finished and announced before the connection to Discord is closed.
    """
    running: dict[str, asyncio.Task[Any]] = {}
    checks = {
        "discord": herald.client.is_ready,
        "dispatcher": lambda: not running["dispatcher"].done(),
        "announcer": lambda: not running["announcer"].done(),
    }
    async with Health(herald.settings.health_address, checks):
        running["discord"] = asyncio.create_task(connect())
        running["dispatcher"] = asyncio.create_task(herald.dispatcher.run())
        running["announcer"] = asyncio.create_task(herald.announcer.run())
        running["stop"] = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping", asked=stop.is_set())
            herald.dispatcher.stop()
            await asyncio.wait({running["dispatcher"]})
            herald.announcer.stop()
            await asyncio.wait({running["announcer"]})
            await herald.client.close()
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
    # What ended it, and what went wrong on the way to the end.
    for task in (*done, running["dispatcher"], running["announcer"]):
        if not task.cancelled():
            task.result()
