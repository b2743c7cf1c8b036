"""A Herald without Discord, in this process: its real service, dispatcher, store and transport."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bot.accounts import Keyed
from bot.app import Worker
from bot.broadcast import Broadcast
from bot.notification import Notification, Text
from bot.sending.dispatcher import Dispatcher
from bot.service import Service
from bot.whop import V1, Account, WhopGateway
from bot.whop.gateway import Rate
from tests.harness.people import Members, member, submitted
from tests.harness.policy import APPROVE, COMPOSE, audience, parsed, rules, server
from tests.harness.process import settings_of
from tests.harness.wire import KEY, Wire

TOPIC, ONE, TEN, HUNDRED = "news", "One", "Ten", "Hundred"
MAYA, OMAR = member(1, "Maya", COMPOSE), member(2, "Omar", APPROVE)
_OPENING: Final = asyncio.Lock()


class Unlimited(V1):
    """Whop's v1 with a rate that no machine reaches."""

    rate = Rate(1_000_000, timedelta(seconds=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Whoever writes and approves, and the dispatcher."""

    service: Service
    dispatcher: Dispatcher
    wire: Wire

    async def under_review(self, count: int, *, audience: str = ONE) -> Sequence[Broadcast]:
        """Return broadcasts that wait for their one approval; each says which it is."""
        waiting: list[Broadcast] = []
        for number in range(count):
            text = Text(subject=subject(number), content="The market opens in five minutes.")
            words = Notification(topic=TOPIC, all=text)
            waiting.append(await submitted(self.service, audience, author=MAYA, words=words))
        return waiting

    async def approved(self, count: int, *, audience: str = ONE) -> None:
        """Store broadcasts that are approved and wait to be sent."""
        for broadcast in await self.under_review(count, audience=audience):
            await self.service.approve(OMAR, broadcast.id, revision=1, typed=audience)


def subject(number: int) -> str:
    """Return the subject of the broadcast with that number, counted from 0."""
    return f"We are live: {number:06}"


def policy(*, undo: int = 0) -> str:
    """Return a herald.toml whose undo window takes so many seconds."""
    many = [
        audience(name, *(f"exp_{number}" for number in range(count)))
        for name, count in ((TEN, 10), (HUNDRED, 100))
    ]
    return server(audience(ONE, "exp_gold"), *many, rules=rules(undo=f"{undo}s", missed="1h"))


@asynccontextmanager
async def opened(
    database_url: str,
    folder: Path,
    gateway: WhopGateway,
    *,
    origin: str,
    undo: int = 0,
    told: str = "",
    alone: bool = True,
) -> AsyncGenerator[Workload, None]:
    """Open a Herald on the database, by the policy that is `told` or by that of every workload."""
    settings = settings_of(database_url, folder, origin=origin, generation=gateway.generation)
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(Wire())
        # Alembic migrates one database at a time.
        async with _OPENING:
            worker = await stack.enter_async_context(
                Worker.open(
                    settings,
                    parsed(told or policy(undo=undo)),
                    transport=wire,
                    accounts=[Keyed(Account.of(gateway, origin=origin, api_key=KEY), KEY)],
                    role_source=Members((MAYA, OMAR)),
                    alone=alone,
                )
            )
        yield Workload(service=worker.service, dispatcher=worker.dispatcher, wire=wire)
