"""Processes that send, side by side on one database, with a simulated Whop and without Discord."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from pydantic import SecretStr
from sqlalchemy import select, update

from bot.app import Worker
from bot.audit.chain import Event
from bot.broadcast import Broadcast, Status
from bot.clock import Clock
from bot.delivery import Delivery
from bot.freeze import Freeze
from bot.key_trust import Verdict, keep
from bot.permissions import Actor
from bot.policy.model import ACCOUNT, Policy
from bot.sandbox.whop import SimulatedWhop
from bot.sending.dispatcher import Dispatcher
from bot.sending.restore_guard import RestoreGuard
from bot.sending.restore_watch import RestoreWatch
from bot.sending.startup import Startup
from bot.service import Service
from bot.settings import Settings
from bot.store import Access, Store
from bot.store.tables import deliveries
from tests.harness import people
from tests.harness.clock import ManualClock
from tests.harness.people import MAYA, OMAR, Members
from tests.harness.policy import OTHER_GUILD, POLICY, of_generation, parsed
from tests.harness.wire import KEY, Barrier, Wire

# What the policy allows for the undo of an approval, and a second more.
UNDONE: Final = timedelta(seconds=11)


def settings_of(
    url: str, folder: Path, *, origin: str, generation: str = "v1", key: SecretStr = KEY, **changed: Any
) -> Settings:
    """Return settings that read no file and no variable of the environment."""
    return Settings.model_validate(
        {
            "discord_token": "fake-discord-token",
            "whop_api_key": key,
            "whop_api": generation,
            "whop_base_url": origin,
            "database_url": url,
            "herald_config": folder / "herald.toml",
            "herald_witness": folder / "herald.witness",
            "health_address": "127.0.0.1:0",
        }
        | changed
    )


@dataclass(slots=True, kw_only=True)
class Process:
    """One process that sends."""

    settings: Settings
    clock: ManualClock
    store: Store
    service: Service
    dispatcher: Dispatcher
    startup: Startup
    wire: Wire
    restore_guard: RestoreGuard
    restore_watch: RestoreWatch
    _stack: AsyncExitStack = field(repr=False)

    async def leave(self) -> None:
        """End it, as a process that says nothing any more."""
        await self._stack.aclose()

    async def tick(self, after: timedelta = timedelta()) -> None:
        self.clock.advance(after)
        await self.dispatcher.tick()

    async def prove(self, *, at: datetime | None = None) -> None:
        """Let Whop be known to honour idempotency keys, since then or now."""
        account = self.service.lifecycle.accounts[ACCOUNT]
        await self.store.write(keep, account, Verdict(honoured=True, words=""), at=at or self.clock())

    async def unfreeze(self, actor: Actor) -> None:
        """Let somebody lift a freeze who may do so in each server."""
        await self.service.unfreeze(actor, elsewhere=[replace(actor, guild_id=OTHER_GUILD)])

    async def submitted(self, audience: str = "One", *, author: Actor = MAYA) -> Broadcast:
        """Let somebody compose and submit."""
        return await people.submitted(self.service, audience, author=author)

    async def approved(
        self, audience: str = "One", *, author: Actor = MAYA, approver: Actor = OMAR
    ) -> Broadcast:
        """Let somebody compose and submit, and another approve; it is due in ten seconds."""
        return await people.approved(self.service, audience, author=author, approver=approver)

    async def due(self, audience: str = "One", *, author: Actor = MAYA, approver: Actor = OMAR) -> Broadcast:
        broadcast = await self.approved(audience, author=author, approver=approver)
        await self.count()
        self.clock.advance(UNDONE)
        return await self.get(broadcast.id)

    async def count(self) -> None:
        """Let it be counted whom those reach that go out soon."""
        await self.dispatcher._count_soon()  # pyright: ignore[reportPrivateUsage]
        await self.dispatcher._counting.finish()  # pyright: ignore[reportPrivateUsage]

    async def get(self, number: int = 1) -> Broadcast:
        with self.store.begin(Access.READ) as tx:
            return tx.broadcasts.get(number)

    async def status(self, number: int = 1) -> Status:
        return (await self.get(number)).status

    async def deliveries(self, number: int = 1) -> list[Delivery]:
        with self.store.begin(Access.READ) as tx:
            return tx.deliveries.of(number)

    async def freezes(self) -> list[Freeze]:
        with self.store.begin(Access.READ) as tx:
            return tx.freezes.standing()

    async def record(self, guild: int = people.GUILD) -> list[Event]:
        with self.store.begin(Access.READ) as tx:
            return tx.audit.of_guild(guild)

    async def lines(self, action: str, guild: int = people.GUILD) -> list[str]:
        """Return the details of the record's lines about that action."""
        return [one.detail for one in await self.record(guild) if one.action == action]

    async def let_leases_end(self, at: datetime = datetime(2000, 1, 1, tzinfo=UTC)) -> None:
        """Let the leases of all claims end long ago, or at that time by the database's clock."""
        with self.store.begin() as tx:
            tx._connection.execute(  # pyright: ignore[reportPrivateUsage]
                update(deliveries).values(lease_until=at)
            )

    async def leases(self) -> list[datetime]:
        """Return when each claim is free for others, by the database's clock."""
        with self.store.begin(Access.READ) as tx:
            found = tx._connection.scalars(select(deliveries.c.lease_until))  # pyright: ignore[reportPrivateUsage]
            return list(found)

    async def stopped_after_the_answer(self) -> tuple[asyncio.Task[None], Barrier]:
        """Start to send, and stop where Whop's answer is there and not yet read."""
        barrier = self.wire.stop_after()
        ticking = asyncio.create_task(self.tick())
        await barrier.reached.wait()
        return ticking, barrier

    async def die_in_flight(self) -> None:
        """End it between the claim and the recording of Whop's answer."""
        ticking, _ = await self.stopped_after_the_answer()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await self.leave()


@dataclass(slots=True, kw_only=True)
class Cluster:
    """What all processes share: the database, Whop, Discord's members, and the time."""

    url: str
    folder: Path
    generation: str
    whop: SimulatedWhop
    clock: ManualClock
    members: Members
    _stack: AsyncExitStack = field(repr=False)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, folder: Path, *, generation: str = "v1") -> AsyncGenerator[Self, None]:
        clock = ManualClock()
        whop = SimulatedWhop(api_keys=[KEY.get_secret_value()], clock=clock.elsewhere, slow_seconds=60)
        await whop.start()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(whop.close)
            yield cls(
                url=url,
                folder=folder,
                generation=generation,
                whop=whop,
                clock=clock,
                members=Members(),
                _stack=stack,
            )

    async def join(
        self,
        *,
        alone: bool = False,
        clock: Clock | None = None,
        policy: Policy | None = None,
        restore_guard: Path | None = None,
    ) -> Process:
        """Start a process: one that is `alone` is `herald run`."""
        stack = await self._stack.enter_async_context(AsyncExitStack())
        settings = self.settings(**({"herald_witness": restore_guard} if restore_guard else {}))
        wire = await stack.enter_async_context(Wire())
        worker = await stack.enter_async_context(
            Worker.open(
                settings,
                policy or parsed(self.policy_text()),
                transport=wire,
                role_source=self.members,
                clock=clock or self.clock,
                steady=self.clock.steady,
                alone=alone,
            )
        )
        return Process(
            settings=settings,
            clock=self.clock,
            store=worker.store,
            service=worker.service,
            dispatcher=worker.dispatcher,
            startup=worker.startup,
            wire=wire,
            restore_guard=worker.restore_guard,
            restore_watch=worker.restore_watch,
            _stack=stack,
        )

    def settings(self, **changed: Any) -> Settings:
        """Return the settings of all processes."""
        return settings_of(
            self.url, self.folder, origin=self.whop.origin, generation=self.generation, **changed
        )

    def policy_text(self) -> str:
        """Return the herald.toml of all processes."""
        return of_generation(POLICY, self.generation)

    def deliveries_seen(self) -> list[tuple[str | None, Any]]:
        """Return the key and the bytes of each request that reached Whop."""
        return [(one.headers.get("Idempotency-Key"), one.body) for one in self.whop.exchanges]
