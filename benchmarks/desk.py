"""A Herald without Discord, in this process: its real service, dispatcher, store and transport."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from typing_extensions import override

from bot.broadcast import Broadcast
from bot.clock import steady_now, utc_now
from bot.delivery import NoAnswer, Request, Response
from bot.lifecycle import Lifecycle
from bot.notification import Notification, Text
from bot.permissions import Actor
from bot.policy.loading import parse_policy
from bot.sending.dispatcher import Dispatcher
from bot.sending.restore_guard import RestoreGuard
from bot.service import Service
from bot.store import Store
from bot.whop import V1, Transport, WhopGateway
from bot.whop.gateway import Rate

KEY: Final = SecretStr("benchmark-key")
TOPIC, ONE, TEN = "news", "One", "Ten"
GUILD, COMPOSE, APPROVE = 104900000000000001, 104900000000000021, 104900000000000022
MAYA: Final = Actor(id=104900000000000031, name="Maya", guild_id=GUILD, roles=frozenset({COMPOSE}))
OMAR: Final = Actor(id=104900000000000032, name="Omar", guild_id=GUILD, roles=frozenset({APPROVE}))
_POLICY: Final = """\
[[server]]
name = "Benchmark"
guild = {guild}
channels = {{ review = 104900000000000011, audit = 104900000000000012 }}
roles = {{ compose = [{compose}], approve = [{approve}], operate = [{approve}], audit = [{approve}] }}
rules = {{ approvals = 1, undo_window = "{undo}s", review_expires = "24h", missed_after = "1h" }}

[[server.topic]]
id = "news"
name = "News"

[[server.audience]]
name = "One"
size = 20
targets.experiences = ["exp_gold"]

[[server.audience]]
name = "Ten"
size = 20
targets.experiences = [{ten}]
"""

_OPENING: Final = asyncio.Lock()


class Unlimited(V1):
    """Whop's v1 with a rate that no machine reaches."""

    rate = Rate(1_000_000, timedelta(seconds=1))


class Counted(Transport):
    """The real transport, which also tells when so many requests were answered."""

    def __init__(self) -> None:
        super().__init__(api_key=KEY)
        self._left = 0
        self._done = asyncio.Event()

    def expect(self, count: int) -> asyncio.Event:
        """Return what is set once that many more requests were answered."""
        self._left, self._done = count, asyncio.Event()
        return self._done

    @override
    async def send(
        self, request: Request, *, may_leave: Callable[[], bool] = lambda: True
    ) -> Response | NoAnswer:
        answer = await super().send(request, may_leave=may_leave)
        self._left -= 1
        if self._left == 0:
            self._done.set()
        return answer


class Present:
    """Discord while everybody holds their roles."""

    async def roles_of(self, guild_id: int, user_id: int) -> frozenset[int] | None:
        """Return the roles of the one who writes and the one who approves."""
        _ = guild_id
        return {MAYA.id: MAYA.roles, OMAR.id: OMAR.roles}.get(user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Whoever writes and approves, and the dispatcher."""

    service: Service
    dispatcher: Dispatcher
    transport: Counted

    async def under_review(self, count: int, *, audience: str = ONE) -> Sequence[Broadcast]:
        """Return broadcasts that wait for their one approval; each says which it is."""
        waiting: list[Broadcast] = []
        for number in range(count):
            text = Text(subject=subject(number), content="The market opens in five minutes.")
            draft = await self.service.compose(
                MAYA, audience=audience, notification=Notification(topic=TOPIC, all=text), channel_id=1
            )
            waiting.append(await self.service.submit(MAYA, draft.id, revision=1))
        return waiting

    async def approved(self, count: int, *, audience: str = ONE) -> None:
        """Store broadcasts that are approved and wait to be sent."""
        for broadcast in await self.under_review(count, audience=audience):
            await self.service.approve(OMAR, broadcast.id, revision=1)


def subject(number: int) -> str:
    """Return the subject of the broadcast with that number, counted from 0."""
    return f"We are live: {number:06}"


def policy(*, undo: int = 0) -> str:
    """Return a herald.toml whose undo window takes so many seconds."""
    ten = ", ".join(f'"exp_{number}"' for number in range(10))
    return _POLICY.format(guild=GUILD, compose=COMPOSE, approve=APPROVE, undo=undo, ten=ten)


@asynccontextmanager
async def opened(
    database_url: str, folder: Path, gateway: WhopGateway, *, origin: str, undo: int = 0
) -> AsyncGenerator[Desk, None]:
    """Open a Herald on the database."""
    lifecycle = Lifecycle(
        policy=parse_policy(policy(undo=undo), name="herald.toml"),
        gateway=gateway,
        destination=origin,
        clock=utc_now,
    )
    async with AsyncExitStack() as stack, Counted() as transport:
        # Alembic migrates one database at a time.
        async with _OPENING:
            store = await stack.enter_async_context(Store.open(database_url))
        service = Service(store=store, lifecycle=lifecycle, clock=utc_now)
        dispatcher = Dispatcher(
            store=store,
            lifecycle=lifecycle,
            transport=transport,
            role_source=Present(),
            restore_guard=RestoreGuard(folder / "herald.witness"),
            clock=utc_now,
            steady=steady_now,
        )
        yield Desk(service=service, dispatcher=dispatcher, transport=transport)
