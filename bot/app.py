"""The composition root: the only place that builds things, runs them side by side, and closes them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self, TypedDict, Unpack

import structlog

from bot.accounts import Keyed, keyed_accounts
from bot.audit.watcher import Watcher
from bot.chat.announcer import Announcer
from bot.chat.channels import ChannelReader
from bot.chat.client import HeraldBot
from bot.chat.connection import bounded
from bot.chat.members import RestRoles
from bot.clock import Clock, Steady, steady_now, utc_now
from bot.delivery import NoAnswer, Request, Response
from bot.errors import Unreachable
from bot.health import Check, Database, Health, lately
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy.model import Policy
from bot.preview.drawing import Previews
from bot.sending.dispatcher import Dispatcher
from bot.sending.rate import count_read
from bot.sending.restore_guard import RestoreGuard
from bot.sending.restore_watch import RestoreWatch
from bot.sending.roles import RoleSource
from bot.sending.startup import Startup
from bot.service import Service
from bot.settings import Settings
from bot.store import Store
from bot.whop.gateway import check_policy
from bot.whop.transport import Transport

log = structlog.get_logger()

Connect = Callable[[], Coroutine[Any, Any, None]]
Running = dict[str, asyncio.Task[None]]


# How long Discord may take to show the record's channels to a machine that is new.
ASK_CHANNELS_SECONDS: Final = 5.0
# When told to stop: how long people's commands may take, then what they are still to be shown, and then
# the farewell to Discord. With what the dispatcher takes, all of it ends within half a minute.
DRAIN_SECONDS: Final = 10.0
ANNOUNCE_SECONDS: Final = 4.0
CLOSE_SECONDS: Final = 1.5


class Parts(TypedDict, total=False):
    """What may stand in the place of a process's own; whoever opened it also closes it."""

    store: Store
    accounts: Sequence[Keyed]
    # Of every account.
    transport: Transport
    role_source: RoleSource
    clock: Clock
    steady: Steady
    alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """All parts of a process that sends."""

    settings: Settings
    store: Store
    service: Service
    dispatcher: Dispatcher
    startup: Startup
    restore_guard: RestoreGuard
    restore_watch: RestoreWatch
    metrics: Metrics
    clock: Clock
    steady: Steady

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, policy: Policy, **parts: Unpack[Parts]
    ) -> AsyncGenerator[Self, None]:
        """Build a process that asks Discord for roles without a gateway, and close it in order.

        Several may run on one PostgreSQL server, but a file has one process. Raises ConfigurationError if
        something does not fit.
        """
        parts.setdefault("alone", settings.has_database_file)
        async with AsyncExitStack() as stack:
            core = await stack.enter_async_context(_Core.open(settings, policy, **parts))
            yield cls(
                settings=settings,
                store=core.store,
                service=core.service,
                dispatcher=core.dispatcher(
                    parts.get("role_source")
                    or await stack.enter_async_context(RestRoles(settings.discord_token))
                ),
                startup=core.startup(),
                restore_guard=core.restore_guard,
                restore_watch=core.restore_watch(),
                metrics=core.metrics(),
                clock=core.clock,
                steady=core.steady,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Herald(Worker):
    """All parts of a process that people in Discord talk to, and that sends."""

    client: HeraldBot
    watcher: Watcher
    announcer: Announcer

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, policy: Policy, **parts: Unpack[Parts]
    ) -> AsyncGenerator[Self, None]:
        """Build a process with a client, which is also asked for roles, and close it in order.

        Raises ConfigurationError if something does not fit.
        """
        async with _Core.open(settings, policy, **parts) as core, Previews() as previews:
            restore_watch = core.restore_watch()
            watcher = Watcher(
                store=core.store,
                lifecycle=core.service.lifecycle,
                clock=core.clock,
                restored=restore_watch,
            )
            client = HeraldBot(service=core.service, watcher=watcher, previews=previews)
            announcer = Announcer(
                store=core.store,
                service=core.service,
                client=client,
                clock=core.clock,
                steady=core.steady,
            )
            for heard in announcer.listeners:
                client.add_listener(heard)
            yield cls(
                settings=settings,
                store=core.store,
                service=core.service,
                client=client,
                watcher=watcher,
                dispatcher=core.dispatcher(parts.get("role_source") or client.members),
                announcer=announcer,
                startup=core.startup(),
                restore_guard=core.restore_guard,
                restore_watch=restore_watch,
                metrics=core.metrics(),
                clock=core.clock,
                steady=core.steady,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Core:
    """What every process that sends is built of."""

    store: Store
    transports: Mapping[str, Transport]
    service: Service
    restore_guard: RestoreGuard
    clock: Clock
    steady: Steady

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, policy: Policy, **parts: Unpack[Parts]
    ) -> AsyncGenerator[Self, None]:
        keyed = parts.get("accounts") or keyed_accounts(settings, policy)
        accounts = {one.account.name: one.account for one in keyed}
        gateways = {name: one.gateway for name, one in accounts.items()}
        check_policy(policy, gateways, file=str(settings.herald_config))
        clock = parts.get("clock", utc_now)
        address, alone = settings.database_url.get_secret_value(), parts.get("alone", True)
        async with AsyncExitStack() as stack:
            store = parts.get("store") or await stack.enter_async_context(Store.open(address, alone=alone))
            transports = {
                one.account.name: parts.get("transport") or await stack.enter_async_context(one.transport())
                for one in keyed
            }
            lifecycle = Lifecycle(policy=policy, accounts=accounts, clock=clock)
            restore_guard = RestoreGuard(
                settings.witness_file, lifecycle=lifecycle, clock=clock, newcomer=not store.alone
            )
            store.before_commit = restore_guard.refuse_given

            async def ask(account: str, question: Request) -> Response | NoAnswer:
                """Send a question that somebody waits for; where reads have the rate of sends, it counts."""
                if accounts[account].gateway.rate.for_all:
                    await store.write(count_read, account, clock)
                return await transports[account].send(question)

            yield cls(
                store=store,
                transports=transports,
                service=Service(
                    store=store,
                    lifecycle=lifecycle,
                    clock=clock,
                    ask=ask,
                ),
                restore_guard=restore_guard,
                clock=clock,
                steady=parts.get("steady", steady_now),
            )

    def dispatcher(self, role_source: RoleSource) -> Dispatcher:
        return Dispatcher(
            store=self.store,
            lifecycle=self.service.lifecycle,
            transports=self.transports,
            role_source=role_source,
            restore_guard=self.restore_guard,
            clock=self.clock,
            steady=self.steady,
        )

    def restore_watch(self) -> RestoreWatch:
        return RestoreWatch(store=self.store, restore_guard=self.restore_guard, policy=self.service.policy)

    def metrics(self) -> Metrics:
        return Metrics(store=self.store, policy=self.service.policy, clock=self.clock)

    def startup(self) -> Startup:
        return Startup(
            store=self.store,
            lifecycle=self.service.lifecycle,
            restore_guard=self.restore_guard,
            clock=self.clock,
        )


async def run(herald: Herald, connect: Connect, stop: asyncio.Event) -> None:
    """Run client, dispatcher and health page until told to stop, or until one of them ends.

    What is in flight is finished and announced before the connection to Discord is closed.
    """

    async def close(running: Running) -> None:
        herald.dispatcher.stop()
        # It only reads, and begins anew at the next start.
        running["watcher"].cancel()
        # What people asked for in the last moment is finished while Whop's answers come in.
        drained = asyncio.create_task(herald.client.drain(DRAIN_SECONDS))
        await asyncio.wait({running["dispatcher"], drained})
        herald.announcer.stop()
        await asyncio.wait({running["announcer"]}, timeout=ANNOUNCE_SECONDS)
        with suppress(TimeoutError):
            await bounded(herald.client.close(), CLOSE_SECONDS)

    commands = herald.client.commands_of_servers
    await _side_by_side(
        herald,
        {
            "discord": connect,
            "dispatcher": herald.dispatcher.run,
            "announcer": herald.announcer.run,
            "watcher": lambda: herald.watcher.run(ChannelReader(herald.client)),
        },
        checks={
            "discord": lambda: herald.client.connection.condition,
            "commands": lambda: {"ok": not commands.missing, "missing_in": commands.missing},
            "announcer": lambda: lately(herald.announcer.last_good_round, herald.steady()),
            "cards": Database(herald.store, clock=herald.clock, steady=herald.steady).cards,
        },
        close=close,
        stop=stop,
    )


async def work(worker: Worker, stop: asyncio.Event) -> None:
    """Run a dispatcher and the health page until told to stop, or until the dispatcher ends."""

    if worker.restore_guard.is_new:
        await _ask_channels(worker)

    async def close(running: Running) -> None:
        worker.dispatcher.stop()
        await asyncio.wait({running["dispatcher"]})

    await _side_by_side(worker, {"dispatcher": worker.dispatcher.run}, checks={}, close=close, stop=stop)


async def _ask_channels(worker: Worker) -> None:
    """Let the record's channels tell a machine that is new whether the database went back."""
    try:
        async with asyncio.timeout(ASK_CHANNELS_SECONDS):
            async with ChannelReader.logged_in(worker.settings.discord_token) as channels:
                await worker.restore_watch.compare(channels)
    except (Unreachable, TimeoutError) as error:
        log.warning(
            "whether the database went back could not be asked of the record's channels", why=str(error)
        )


async def _side_by_side(
    worker: Worker,
    parts: Mapping[str, Connect],
    *,
    checks: Mapping[str, Check],
    close: Callable[[Running], Coroutine[Any, Any, None]],
    stop: asyncio.Event,
) -> None:
    parts = {**parts, "restore_guard": worker.restore_watch.run}
    running: Running = {}
    store = worker.store
    if store.alone:
        parts = {**parts, "lock": store.stay_alone}
        checks = {**checks, "lock": lambda: {"ok": store.holds_lock}}
    database = Database(worker.store, clock=worker.clock, steady=worker.steady)
    # A part is well as long as it runs, unless it has a better answer.
    well: dict[str, Check] = {name: lambda name=name: {"ok": not running[name].done()} for name in parts}
    well |= {
        "dispatcher": lambda: lately(worker.dispatcher.last_good_round, worker.steady()),
        "deliveries": database.deliveries,
        "database": database.writing,
        **checks,
    }
    async with worker.startup.counted(), Health(worker.settings.health_address, well, worker.metrics):
        running |= {name: asyncio.create_task(part()) for name, part in parts.items()}
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({*running.values(), stopped}, return_when=asyncio.FIRST_COMPLETED)
            log.info("stopping", asked=stop.is_set())
            # Whatever the reason is: from here on it is over soon.
            stop.set()
            await close(running)
        finally:
            for task in (*running.values(), stopped):
                task.cancel()
            await asyncio.wait({*running.values(), stopped})
        # What ended it, and what went wrong on the way to the end.
        for task in (*done, *running.values()):
            if not task.cancelled():
                task.result()
        await worker.restore_watch.end()
