"""Processes that send, side by side on one database, with a simulated Whop and without Discord."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import discord
from pydantic import SecretStr
from sqlalchemy import update

from bot.audit.chain import Event
from bot.broadcast import Broadcast, Status
from bot.chat.announcer import Rendered
from bot.clock import Clock
from bot.delivery import Delivery, NoAnswer, Request, Response
from bot.errors import Unreachable
from bot.freeze import Freeze
from bot.key_trust import Credential, Verdict, keep
from bot.lifecycle import Lifecycle
from bot.notification import Notification, Text
from bot.permissions import Actor
from bot.policy.loading import parse_policy
from bot.policy.model import Policy
from bot.sandbox.whop import SimulatedWhop
from bot.sending.dispatcher import Dispatcher
from bot.sending.restore_guard import RestoreGuard
from bot.sending.startup import Startup
from bot.service import Service
from bot.store import Access, Store
from bot.store.tables import deliveries
from bot.wakeup import Wakeup
from bot.whop import Transport, gateway_for
from cogs.buttons import ActionButton
from cogs.cards import Cards
from tests.database import close_what_was_killed

NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
KEY: Final = SecretStr("fake-whop-key")
GUILD: Final = 104900000000000001
OTHER_GUILD: Final = 104900000000000002
COMPOSE, APPROVE, OPERATE = (104900000000000021 + number for number in range(3))
# What the policy allows for the undo of an approval, and a second more.
UNDONE: Final = timedelta(seconds=11)
POLICY: Final = f"""\
[[server]]
name = "Sunrise Trading"
guild = {GUILD}
channels = {{ review = 104900000000000011, audit = 104900000000000012 }}
roles = {{ compose = [{COMPOSE}], approve = [{APPROVE}], operate = [{OPERATE}], audit = [{OPERATE}] }}
rules = {{ approvals = 1, undo_window = "10s", review_expires = "24h", missed_after = "15m" }}
[[server.topic]]
id = "news"
name = "News"
[[server.audience]]
name = "One"
size = 20
targets.experiences = ["exp_gold"]
[[server.audience]]
name = "Two"
size = 20
targets.experiences = ["exp_gold", "exp_silver"]
[[server]]
name = "Moonlight"
guild = {OTHER_GUILD}
channels = {{ review = 104900000000000013, audit = 104900000000000014 }}
roles = {{ compose = [{COMPOSE}], approve = [{APPROVE}], operate = [{OPERATE}], audit = [{OPERATE}] }}
[[server.topic]]
id = "news"
name = "News"
[[server.audience]]
name = "One"
size = 20
targets.experiences = ["exp_gold"]
"""


def member(number: int, name: str, *roles: int) -> Actor:
    return Actor(id=104900000000000100 + number, name=name, guild_id=GUILD, roles=frozenset(roles))


MAYA: Final = member(1, "Maya", COMPOSE)
OMAR: Final = member(2, "Omar", COMPOSE, APPROVE)
LENA: Final = member(3, "Lena", APPROVE, OPERATE)
NOOR: Final = member(4, "Noor", COMPOSE, OPERATE)


class Time:
    """A wall clock that can be set, and a steady one that cannot."""

    def __init__(self) -> None:
        self.now = NOW
        self.seconds = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def steady(self) -> float:
        return self.seconds

    def go_on(self, span: timedelta) -> None:
        """Let time pass, by both clocks."""
        self.now += span
        self.seconds += span.total_seconds()

    def jump(self, span: timedelta) -> None:
        """Set the wall clock."""
        self.now += span


class Members:
    """Discord, as far as roles go: what it says of each, or no answer at all."""

    def __init__(self, people: Iterable[Actor]) -> None:
        self.roles: dict[int, frozenset[int] | None] = {one.id: one.roles for one in people}
        self.away = False
        self.asked: list[int] = []

    async def roles_of(self, guild_id: int, user_id: int) -> frozenset[int] | None:
        assert guild_id == GUILD
        self.asked.append(user_id)
        if self.away:
            raise Unreachable("Discord does not answer")
        return self.roles[user_id]


class Gate:
    """Where a request is stopped until it may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def go_through(self) -> None:
        self.reached.set()
        await self.opened.wait()


class Wire(Transport):
    """The real transport, which can be stopped before the first byte and after the answer."""

    def __init__(self) -> None:
        super().__init__(api_key=KEY)
        self._before: Gate | None = None
        self._after: Gate | None = None

    def stop_before(self) -> Gate:
        """Stop the next request before its first byte."""
        self._before = Gate()
        return self._before

    def stop_after(self) -> Gate:
        """Stop the next request when its answer is there, before anybody reads it."""
        self._after = Gate()
        return self._after

    async def send(
        self, request: Request, *, may_leave: Callable[[], bool] = lambda: True
    ) -> Response | NoAnswer:
        if gate := self._before:
            self._before = None
            await gate.go_through()
        if gate := self._after:
            self._after = None
            answer = await super().send(request, may_leave=may_leave)
            await gate.go_through()
            return answer
        return await super().send(request, may_leave=may_leave)


@dataclass(slots=True, kw_only=True)
class Desk:
    """One process that sends."""

    time: Time
    store: Store
    service: Service
    dispatcher: Dispatcher
    startup: Startup
    restore_guard: RestoreGuard
    wire: Wire
    credential: Credential
    wakeup: Wakeup
    _stack: AsyncExitStack = field(repr=False)

    async def leave(self) -> None:
        """End it, as a process that says nothing any more."""
        await self._stack.aclose()

    async def tick(self, after: timedelta = timedelta()) -> None:
        self.time.go_on(after)
        await self.dispatcher.tick()

    async def prove(self, *, at: datetime | None = None) -> None:
        """Let Whop be known to honour idempotency keys, since then or now."""
        with self.store.begin() as tx:
            keep(tx, self.credential, Verdict(honoured=True, words=""), at=at or self.time())

    async def submitted(self, audience: str = "One", *, author: Actor = MAYA) -> Broadcast:
        """Let somebody compose and submit."""
        words = Notification(topic="news", all=Text(subject="We are live", content="Come in"))
        draft = await self.service.compose(author, audience=audience, notification=words, channel_id=13)
        return await self.service.submit(author, draft.id, revision=1)

    async def approved(
        self, audience: str = "One", *, author: Actor = MAYA, approver: Actor = OMAR
    ) -> Broadcast:
        """Let somebody compose and submit, and another approve; it is due in ten seconds."""
        waiting = await self.submitted(audience, author=author)
        return await self.service.approve(approver, waiting.id, revision=1)

    async def due(self, audience: str = "One", *, author: Actor = MAYA, approver: Actor = OMAR) -> Broadcast:
        broadcast = await self.approved(audience, author=author, approver=approver)
        self.time.go_on(UNDONE)
        return broadcast

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

    async def record(self, guild: int = GUILD) -> list[Event]:
        with self.store.begin(Access.READ) as tx:
            return tx.audit.of_guild(guild)

    async def lines(self, action: str, guild: int = GUILD) -> list[str]:
        """Return the details of the record's lines about that action."""
        return [one.detail for one in await self.record(guild) if one.action == action]

    async def let_leases_end(self) -> None:
        """Make all claims as old as the database's clock can."""
        with self.store.begin() as tx:
            tx._connection.execute(  # pyright: ignore[reportPrivateUsage]
                update(deliveries).values(lease_until=datetime(2000, 1, 1, tzinfo=UTC))
            )

    async def stopped_after_the_answer(self) -> tuple[asyncio.Task[None], Gate]:
        """Start to send, and stop where Whop's answer is there and not yet read."""
        gate = self.wire.stop_after()
        ticking = asyncio.create_task(self.tick())
        await gate.reached.wait()
        return ticking, gate

    async def die_in_flight(self) -> None:
        """End it between the claim and the recording of Whop's answer."""
        ticking, _ = await self.stopped_after_the_answer()
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        close_what_was_killed()
        await self.leave()

    async def card(self, number: int = 1) -> Rendered:
        """Draw the review card as it stands."""
        broadcast = await self.get(number)
        with self.store.begin(Access.READ) as tx:
            freeze = tx.freezes.over(GUILD)
        return Cards(
            self.service.lifecycle, environment="Whop production", role_name=lambda _, role: f"@{role}"
        ).review(
            broadcast,
            await self.deliveries(number),
            freeze=freeze,
            checkable=await self.service.can_check(broadcast),
        )


@dataclass(slots=True, kw_only=True)
class Office:
    """What all processes share: the database, Whop, Discord's members, and the time."""

    url: str
    folder: Path
    generation: str
    whop: SimulatedWhop
    time: Time
    members: Members
    _stack: AsyncExitStack = field(repr=False)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, folder: Path, *, generation: str = "v1") -> AsyncGenerator[Self, None]:
        time = Time()
        whop = SimulatedWhop(api_keys=[KEY.get_secret_value()], clock=time, slow_seconds=60)
        await whop.start()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(whop.close)
            members = Members((MAYA, OMAR, LENA, NOOR))
            yield cls(
                url=url,
                folder=folder,
                generation=generation,
                whop=whop,
                time=time,
                members=members,
                _stack=stack,
            )

    async def join(
        self,
        *,
        alone: bool = False,
        clock: Clock | None = None,
        policy: Policy | None = None,
        restore_guard: Path | None = None,
    ) -> Desk:
        """Start a process: one that is `alone` is `herald run`."""
        stack = await self._stack.enter_async_context(AsyncExitStack())
        wakeup, now = Wakeup(), clock or self.time
        store = await stack.enter_async_context(Store.open(self.url, alone=alone, wakeup=wakeup))
        wire = await stack.enter_async_context(Wire())
        gateway = gateway_for(self.generation, origin=self.whop.origin)
        credential = Credential.of(gateway, origin=self.whop.origin, api_key=KEY)
        lifecycle = Lifecycle(
            policy=policy or parse_policy(self.policy_text(), name="herald.toml"),
            gateway=gateway,
            destination=self.whop.origin,
            clock=now,
        )
        service = Service(store=store, lifecycle=lifecycle, clock=now, credential=credential)
        beside = RestoreGuard(restore_guard or self.folder / "herald.witness")
        dispatcher = Dispatcher(
            store=store,
            lifecycle=lifecycle,
            transport=wire,
            role_source=self.members,
            restore_guard=beside,
            clock=now,
            steady=self.time.steady,
            wakeup=wakeup,
            credential=credential,
        )
        return Desk(
            time=self.time,
            store=store,
            service=service,
            dispatcher=dispatcher,
            startup=Startup(store=store, lifecycle=lifecycle, restore_guard=beside, clock=now),
            restore_guard=beside,
            wire=wire,
            credential=credential,
            wakeup=wakeup,
            _stack=stack,
        )

    def policy_text(self) -> str:
        """Return the herald.toml of all processes."""
        return (
            POLICY
            if self.generation == "v1"
            else POLICY.replace("experiences = ", "products = ").replace("exp_", "prod_")
        )


def words(shown: Rendered) -> str:
    """Return all that can be read on a card."""
    parts = [shown.content]
    for embed in shown.embeds:
        parts += [embed.title or "", embed.description or ""]
        parts += [f"{field.name}: {field.value}" for field in embed.fields]
    return "\n".join(part for part in parts if part)


def labels(shown: Rendered) -> list[str]:
    """Return what stands on the card's buttons."""
    view = shown.view or discord.ui.View()
    return [one.item.label or "" for one in view.children if isinstance(one, ActionButton)]


def pressed(actor: Actor, interaction: int) -> Actor:
    """Return the same person, acting by an interaction of Discord's."""
    return replace(actor, interaction=interaction)


def deliveries_seen(office: Office) -> list[tuple[Any, Any]]:
    """Return the key and the bytes of each request that reached Whop."""
    return [(one.headers.get("Idempotency-Key"), one.body) for one in office.whop.exchanges]
