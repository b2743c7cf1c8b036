"""However clocks are set and processes end: never more than Whop's rate, and nothing stands still for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hypothesis import example, given
from hypothesis import strategies as st

from bot.clock import Pace, Watch
from bot.delivery import Delivery, DeliveryStatus, Request
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.sending.rate import RateLimit
from bot.store import Store, Transaction
from bot.value import Person
from bot.whop.gateway import Rate
from tests.database import new_file
from tests.harness.clock import NOW, ManualClock
from tests.properties import examples

PER: Final = timedelta(seconds=10)
ROOM: Final = 3


@dataclass
class Sender:
    """A process that sends: its limiter, and the clocks as it sees them."""

    limit: RateLimit
    watch: Watch
    open: list[Delivery] = field(default_factory=list[Delivery])


class Senders:
    """Two processes on one machine and one database, what they send, and when that arrived in truth."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        self.pace: Pace | None = None
        self.ended: list[float] = []
        self.senders = [self._begun(), self._begun()]

    def _begun(self) -> Sender:
        watch = Watch(self.clock, self.clock.steady)
        if self.pace:
            watch.resume(self.pace)
        limit = RateLimit(
            ACCOUNT,
            Rate(ROOM, PER),
            clock=self.clock,
            steady=self.clock.steady,
            watch=watch,
            alarm=lambda _tx, _reason: None,
        )
        return Sender(limit, watch)

    def restart(self, which: int) -> None:
        """Let another process take the place of one, which leaves what it had under way."""
        abandoned = self.senders[which].open
        self.senders[which] = self._begun()
        self.senders[which].open = abandoned

    async def start(self, which: int, wanted: int) -> int:
        """Let a process begin as many requests as it wants and may; return for how many there was room."""
        sender = self.senders[which]
        sender.watch.look()
        self.pace = sender.watch.pace
        room, claims = await self.store.write(self._claim, sender.limit, wanted)
        sender.open += claims
        busy = sum(len(one.open) for one in self.senders)
        recent = sum(self.clock.seconds - end < PER.total_seconds() for end in self.ended)
        assert busy + recent <= ROOM, "never more than the rate in any span of it"
        return room

    def _claim(self, tx: Transaction, limit: RateLimit, wanted: int) -> tuple[int, list[Delivery]]:
        room = limit.room(tx)
        if room <= 0 or not wanted:
            return room, []
        pending = [one for one in tx.deliveries.of(1) if one.status is DeliveryStatus.PENDING]
        claims = tx.deliveries.claim(pending[: min(room, wanted)], owner="me", at=self.clock())
        limit.begin(tx, len(claims))
        return room, claims

    async def finish(self, which: int, number: int) -> None:
        """Let answers come to a process, first those that it has waited for longest."""
        answered, self.senders[which].open = (
            self.senders[which].open[:number],
            self.senders[which].open[number:],
        )
        self.ended += [self.clock.seconds] * len(answered)
        await self.store.write(self._settle, answered)

    def _settle(self, tx: Transaction, answered: Sequence[Delivery]) -> None:
        for claim in answered:
            tx.deliveries.settle(claim, status=DeliveryStatus.ACCEPTED, detail="", at=self.clock())


WHO = st.integers(0, 1)
NUMBERS = st.integers(1, ROOM)
SPANS = st.sampled_from([0.1, 1, 9.9, 10])
JUMPS = st.sampled_from([0.2, 1, 9, 11, 20, 40, 7200, 86400]).flatmap(lambda by: st.sampled_from([by, -by]))
STEPS = st.one_of(
    # As many as may go, and how long their answers take.
    st.tuples(st.just("send"), WHO, st.sampled_from([0, 0.1, 9.9, 30])),
    st.tuples(st.just("start"), WHO, NUMBERS),
    st.tuples(st.just("finish"), WHO, NUMBERS),
    st.tuples(st.just("pass"), WHO, SPANS),
    st.tuples(st.just("jump"), WHO, JUMPS),
    # While it is down, the clock may be set.
    st.tuples(st.just("restart"), WHO, st.just(0) | JUMPS),
)


@example([("send", 0, 0), ("restart", 0, 20), ("send", 0, 0)])
@example([("send", 0, 0), ("restart", 0, 0.2), ("pass", 0, 9.9), ("send", 0, 0)])
@example([("send", 0, 0), ("jump", 0, 20), ("start", 1, 1), ("restart", 0, 0), ("send", 0, 0)])
@given(st.lists(STEPS, max_size=20))
@examples(100)
def test_whatever_the_clocks_do_no_more_goes_out_than_the_rate_and_then_it_goes_on(
    story: list[tuple[str, int, Any]],
) -> None:
    async def play(folder: Path) -> None:
        async with Store.open(new_file(folder)) as store:
            await store.write(add_requests, 40 * ROOM)
            senders = Senders(store)
            for step, which, what in story:
                match step:
                    case "start":
                        await senders.start(which, what)
                    case "finish":
                        await senders.finish(which, what)
                    case "send":
                        await senders.start(which, ROOM)
                        senders.clock.advance(timedelta(seconds=what))
                        await senders.finish(which, ROOM)
                    case "pass":
                        senders.clock.advance(timedelta(seconds=what))
                    case _:
                        senders.clock.jump(timedelta(seconds=what))
                        if step == "restart":
                            senders.restart(which)
            await goes_on(senders)

    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        asyncio.run(play(Path(folder)))


async def goes_on(senders: Senders) -> None:
    """Expect that the whole rate is free for either, a minute and a span after the clocks are left alone."""
    for which in (0, 1):
        await senders.finish(which, len(senders.senders[which].open))
    for span in (timedelta(), timedelta(minutes=1), PER):
        senders.clock.advance(span)
        rooms = [await senders.start(which, 0) for which in (0, 1)]
    assert rooms == [ROOM, ROOM]


def add_requests(tx: Transaction, count: int) -> None:
    draft = tx.broadcasts.add(
        guild_id=1,
        author=Person(1, "Maya"),
        audience="Gold",
        notification=Notification(topic="news", all=Text(subject="a", content="b")),
        fingerprint="a" * 64,
        origin_channel_id=5,
        at=NOW,
    )
    request = Request(method="POST", url="", headers={}, body=b"")
    tx.deliveries.add(draft, [request] * count, account=ACCOUNT, at=NOW)
