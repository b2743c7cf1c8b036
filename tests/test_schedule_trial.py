"""Random schedules through clocks that are set, restarts and zones whose rules change.

Each goes out once, at its minute by the clock that Herald has, or is held or given back with its reason. The
suite tries a few, always the same; HERALD_SCHEDULES=10000 tries as many in lives of their own, as
`make properties` does.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

import bot.schedule
from bot.broadcast import Broadcast, Status
from bot.errors import Refused
from bot.notification import Text
from bot.policy.model import Policy
from bot.schedule import Schedule
from bot.store import Access, Transaction
from bot.zones import local_time
from tests.harness.clock import NOW
from tests.harness.people import CHANNEL, MAYA, OMAR, WORDS
from tests.harness.policy import parsed
from tests.harness.process import Cluster, Process

# So many in each life.
MANY: Final = 24
LIVES: Final = -(-int(os.environ.get("HERALD_SCHEDULES", "24")) // MANY)
SEED: Final = int(os.environ.get("HERALD_SEED", "20261128"))
MISSED_AFTER: Final = timedelta(minutes=15)
DAYS: Final = 3
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
# Its rules change in the course of the trial.
CHANGING: Final = "Africa/Casablanca"
REASONS: Final = (
    "its time came before it was approved",
    "and has been missed",
    "what it would send is no longer what was approved",
    "nobody decided in time",
)


@dataclass
class Trial:
    """A Herald that lives through it all, and what it has to do."""

    cluster: Cluster
    chance: random.Random
    process: Process
    policy: Policy
    times: list[datetime] = field(default_factory=list[datetime])
    to_approve: list[tuple[datetime, int]] = field(default_factory=list[tuple[datetime, int]])

    @property
    def now(self) -> datetime:
        return self.cluster.clock()

    async def compose(self, number: int) -> None:
        at = NOW + timedelta(minutes=self.chance.randrange(20, DAYS * 24 * 60))
        zone = self.chance.choice([*ZONES, CHANGING])
        self.times.append(at)
        words = WORDS.model_copy(update={"all": Text(subject=f"Number {number}", content="Come in")})
        draft = await self.process.service.compose(
            MAYA,
            audience="One",
            notification=words,
            channel_id=CHANNEL,
            schedule=Schedule(typed="then", zone=zone).settled(at),
        )
        await self.process.service.submit(MAYA, draft.id, revision=1)
        # Some are approved in good time, some at the last moment, some too late, some never.
        when = at - timedelta(seconds=self.chance.choice([5, 9, 11, 60, 3600, 24 * 3600, -60]))
        if self.chance.random() < 0.9:
            self.to_approve.append((max(when, NOW), draft.id))

    async def approve_due(self) -> None:
        while self.to_approve and self.to_approve[0][0] <= self.now:
            _, number = self.to_approve.pop(0)
            try:
                await self.process.service.approve(OMAR, number, revision=1)
            except Refused:
                continue

    async def restart(self) -> None:
        await self.process.leave()
        self.cluster.clock.advance(timedelta(seconds=self.chance.choice([1, 30, 600, 1200])))
        self.process = await self.cluster.join(alone=True, policy=self.policy)
        await self.process.startup.begin()

    def step(self) -> timedelta:
        """Return how much time passes until the next look: little where something is near, else much."""
        short = timedelta(seconds=self.chance.choice([5, 20, 59]))
        near = [one - self.now for one in self.times if one > self.now - timedelta(minutes=2)]
        return max(short, min(near) - timedelta(minutes=1)) if near else max(short, timedelta(hours=1))

    async def pass_time(self, span: timedelta) -> None:
        self.cluster.clock.advance(span)
        await self.approve_due()
        while await self.process.dispatcher.tick():
            pass


def all_of(tx: Transaction) -> list[Broadcast]:
    return tx.broadcasts.everywhere([*Status])


def changed_rules(at: datetime, zone: str) -> datetime:
    """Return what clocks show where the changing zone has another offset than before."""
    return local_time(at, zone) + (timedelta(hours=1) if zone == CHANGING else timedelta())


@pytest.mark.parametrize("life", range(LIVES))
async def test_each_of_many_schedules_goes_out_once_at_its_minute_or_is_held_with_its_reason(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, life: int
) -> None:
    chance = random.Random(SEED + life)
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        text = cluster.policy_text().replace('review_expires = "24h"', 'review_expires = "5d"')
        policy = parsed(text)
        process = await cluster.join(alone=True, policy=policy)
        trial = Trial(cluster, chance, process, policy)
        for number in range(MANY):
            await trial.compose(number)
        trial.to_approve.sort()
        end, set_by = NOW + timedelta(days=DAYS, hours=8), timedelta()
        is_changed = False
        while trial.now - set_by < end:
            await trial.pass_time(trial.step())
            lot = chance.random()
            if lot < 0.01 and not set_by:
                set_by = timedelta(minutes=chance.choice([-300, -61, -3, 3, 61, 300]))
                cluster.clock.jump(set_by)
            elif lot < 0.1 and set_by:
                cluster.clock.jump(-set_by)
                set_by = timedelta()
            elif 0.1 < lot < 0.11:
                await trial.restart()
            elif not is_changed and trial.now > NOW + timedelta(days=DAYS / 2):
                monkeypatch.setattr(bot.schedule, "local_time", changed_rules)
                is_changed = True
                await trial.restart()
        judge(trial)


def judge(trial: Trial) -> None:
    """Fail if any went out twice, early or late, or waits without a reason."""
    posted = Counter(key for key, _ in trial.cluster.deliveries_seen())
    assert max(posted.values()) == 1
    ends = Counter[str]()
    with trial.process.store.begin(Access.READ) as tx:
        for one in all_of(tx):
            assert one.schedule is not None
            assert one.schedule.at is not None
            ends[one.status.value] += 1
            if one.status is Status.SENT:
                (delivery,) = tx.deliveries.of(one.id)
                (attempt,) = delivery.past
                late = attempt.started_at - one.schedule.at
                assert timedelta() <= late <= MISSED_AFTER, (one.id, late)
            else:
                assert one.status in {Status.HELD, Status.DRAFT}, (one.id, one.status)
                assert any(known in one.reason for known in REASONS), one.reason
    assert ends["sent"] == len(trial.cluster.deliveries_seen())
    # As the suite's own life has it, so that it tries both.
    assert LIVES > 1 or min(ends["sent"], ends["held"]) > MANY / 6, ends
