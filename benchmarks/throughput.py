"""How many POSTs in a second, and what they cost, beside aiohttp alone and Whop's own SDK."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import aiohttp
import httpx
from whop_sdk import AsyncWhop
from whop_sdk.environment import WhopEnvironment

from benchmarks import workload
from benchmarks.databases import Databases, Kind
from benchmarks.figures import Row, over, row
from benchmarks.whop import Whop, opened
from benchmarks.workload import HUNDRED, ONE, TOPIC, Unlimited, subject
from bot.delivery import Request
from bot.notification import Notification, Text
from bot.policy.audience import Targets
from bot.sending.claiming import WIDTH
from bot.whop.v1 import API_VERSION_DATE
from tests.harness.wire import KEY

BARE: Final = "aiohttp alone, the same bytes and connections"
SDK: Final = "Whop's SDK 2.6.0 (it keeps connections)"
HERALD: Final = "Herald on {}, {} a broadcast"
KINDS: Final[Sequence[Kind]] = ("SQLite", "PostgreSQL")
CONTENT: Final = "The market opens in five minutes."
EXPERIENCE: Final = "exp_gold"


class Cost(NamedTuple):
    """What POSTs took of the clock, and of this process's CPU."""

    posts: int
    seconds: float
    cpu: float


class _Meter:
    def __init__(self, posts: int) -> None:
        self._posts = posts
        self._start, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> Cost:
        return Cost(self._posts, time.monotonic() - self._start, time.process_time() - self._cpu)


async def measure(databases: Databases, *, posts: int, rounds: int) -> list[Row]:
    """Return the table's lines; each round measures all of them, one after the other."""
    async with opened() as whop:
        return await _measure(whop, databases, posts=posts, rounds=rounds)


async def _measure(whop: Whop, databases: Databases, *, posts: int, rounds: int) -> list[Row]:
    ways: dict[str, Callable[[], Awaitable[Cost]]] = {
        BARE: lambda: _bare(whop, posts * 2),
        SDK: lambda: _sdk(whop, posts),
    }
    for kind in KINDS:
        for audience, requests in ((ONE, 1), (HUNDRED, 100)):
            count = max(1, posts * 4 // requests)
            ways[HERALD.format(kind, requests)] = partial(
                _herald, whop, databases, kind, count, audience=audience, requests=requests
            )
    costs: dict[str, list[Cost]] = {what: [] for what in ways}
    # Herald logs no line of its libraries for each request: here the SDK's is silent as well.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # What is imported at the first call is no part of its speed.
    await _bare(whop, posts)
    await _sdk(whop, WIDTH)
    for _ in range(rounds):
        for what, way in ways.items():
            costs[what].append(await way())
    speeds = {what: [one.posts / one.seconds for one in some] for what, some in costs.items()}
    burdens = {what: [one.cpu / one.posts * 1000 for one in some] for what, some in costs.items()}
    return [
        *(row(what, speeds[what], "POSTs/s", ratios=over(speeds[what], speeds[BARE])) for what in ways),
        *(
            row(what, burdens[what], "CPU s / 1000 POSTs", ratios=over(burdens[what], burdens[BARE]))
            for what in ways
        ),
    ]


async def _bare(whop: Whop, posts: int) -> Cost:
    def request(number: int) -> Request:
        text = Text(subject=subject(number), content=CONTENT)
        requests = Unlimited(whop.origin).build(
            Notification(topic=TOPIC, all=text), Targets(experiences=(EXPERIENCE,)), new_key=lambda: "0" * 36
        )
        return requests[0]

    requests = [request(number) for number in range(posts)]
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def send(number: int) -> None:
            one = requests[number]
            headers = {**one.headers, "Authorization": f"Bearer {KEY.get_secret_value()}"}
            async with session.post(one.url, data=one.body, headers=headers) as answer:
                await answer.read()

        return await _together(send, posts)


async def _sdk(whop: Whop, posts: int) -> Cost:
    environment = WhopEnvironment(api=f"{whop.origin}/api/v1", vault=whop.origin)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        sdk = AsyncWhop(
            environment=environment,
            api_version_date=API_VERSION_DATE,
            token=KEY.get_secret_value(),
            max_retries=0,
            httpx_client=client,
        )

        async def send(number: int) -> None:
            await sdk.notifications.create(title=subject(number), content=CONTENT, experience_id=EXPERIENCE)

        return await _together(send, posts)


async def _together(send: Callable[[int], Awaitable[None]], posts: int) -> Cost:
    """Send as many at once as Herald does."""
    numbers = iter(range(posts))

    async def work() -> None:
        for number in numbers:
            await send(number)

    meter = _Meter(posts)
    await asyncio.gather(*(work() for _ in range(WIDTH)))
    return meter.read()


async def _herald(
    whop: Whop, databases: Databases, kind: Kind, count: int, *, audience: str, requests: int
) -> Cost:
    """Start, claim, send and record so many broadcasts that are due."""
    posts = count * requests
    url, folder = databases.new(kind)
    async with workload.opened(url, folder, Unlimited(whop.origin), origin=whop.origin) as herald:
        await herald.approved(count, audience=audience)
        answered = herald.wire.expect(posts)
        meter = _Meter(posts)
        running = asyncio.create_task(herald.dispatcher.run())
        await answered.wait()
        # It ends when the last outcome is recorded.
        herald.dispatcher.stop()
        await running
        return meter.read()
