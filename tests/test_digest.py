"""The weekly digest: counted from the record, each broadcast once, and posted once, whatever fails."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from bot.audit.chain import NewEvent
from bot.broadcast import Step
from bot.digest import Span, by_audience
from bot.errors import ConfigurationError
from bot.notification import Notification, Text
from bot.sandbox.sandbox import Sandbox
from bot.sending.digests import Digests
from bot.store import Access, Store, Transaction
from bot.value import Person
from bot.weekly import Weekly, read_weekly
from cogs.digest import QUIET
from tests.conftest import OpenSandbox
from tests.harness.policy import audience, parsed, rules, server

MAYA: Final = Person(101, "Maya")
# A Monday.
MONDAY: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WEEK: Final = timedelta(weeks=1)
SERVER: Final = parsed(
    server(audience("Gold", "exp_gold"), rules=rules(more='weekly_digest = "monday 09:00"\n'))
)
GUILD: Final = SERVER.servers[0].guild


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with Store.open(database_url) as opened:
        yield opened


def digests(store: Store, at: list[datetime]) -> Digests:
    """Return a process's, by a clock that shows the last of these times."""
    return Digests(store=store, policy=SERVER, clock=lambda: at[-1])


def spans(store: Store) -> list[Span]:
    """Return the times of which the server was told, in the order in which that is posted."""
    with store.begin(Access.READ) as tx:
        posts = tx.outbox.posts_to_make(SERVER.servers[0].channels.review, MONDAY + 99 * WEEK, limit=99)
    return [Span.of(one.step) for one in posts]


def test_a_time_of_the_week_is_read_or_refused_in_one_sentence() -> None:
    assert read_weekly("Monday 09:00") == Weekly(0, time(9, 0))
    assert read_weekly("off") is read_weekly(None) is None
    for wrong in (
        "monday",
        "monday 9:00",
        "monday 24:00",
        "funday 09:00",
        "09:00",
        "daily 09:00",
        "",
        7,
        True,
    ):
        with pytest.raises(ValueError, match='write "off", or a day of the week and a time') as caught:
            read_weekly(wrong)
        assert "\n" not in str(caught.value)
    text = server(audience("Gold", "exp_gold"), rules=rules(more='weekly_digest = "weekly"\n'))
    with pytest.raises(ConfigurationError, match="weekly_digest: write"):
        parsed(text)


def test_the_last_such_moment_is_by_the_clocks_of_the_zone_whatever_they_did() -> None:
    weekly, berlin = Weekly(6, time(2, 30)), ZoneInfo("Europe/Berlin")
    # That hour comes twice, the first time counts; and in spring not at all.
    for now, last in (
        ("2026-10-25T00:29", "2026-10-18T00:30"),
        ("2026-10-25T00:30", "2026-10-25T00:30"),
        ("2026-10-25T01:30", "2026-10-25T00:30"),
        ("2027-03-28T01:30", "2027-03-28T01:30"),
        ("2027-03-28T01:29", "2027-03-21T01:30"),
    ):
        found = weekly.last(datetime.fromisoformat(f"{now}+00:00"), berlin)
        assert found == datetime.fromisoformat(f"{last}+00:00"), now


async def test_each_week_is_told_once_by_all_processes_together_and_after_restarts(store: Store) -> None:
    at = [MONDAY + timedelta(days=3)]
    many = [digests(store, at) for _ in range(4)]
    await asyncio.gather(*(one.tell() for one in many))
    # What came before it was switched on is told by nobody.
    assert spans(store) == []
    at.append(MONDAY + WEEK - timedelta(seconds=1))
    await asyncio.gather(*(one.tell() for one in many))
    assert spans(store) == []
    at.append(MONDAY + WEEK)
    for _ in range(2):
        await asyncio.gather(*(one.tell() for one in [*many, digests(store, at), digests(store, at)]))
    assert spans(store) == [Span(MONDAY, MONDAY + WEEK)]
    # Three were missed: they are told once, and nothing of them is left out.
    at.append(MONDAY + 4.5 * WEEK)
    await asyncio.gather(*(one.tell() for one in [*many, digests(store, at)]))
    assert spans(store) == [Span(MONDAY, MONDAY + WEEK), Span(MONDAY + WEEK, MONDAY + 4 * WEEK)]
    # A clock that was set back tells nothing again.
    at.append(MONDAY + 2 * WEEK)
    await asyncio.gather(*(one.tell() for one in [*many, digests(store, at)]))
    at.append(MONDAY + 4.5 * WEEK)
    await digests(store, at).tell()
    assert len(spans(store)) == 2


def add(tx: Transaction, *steps: tuple[str, timedelta], audience: str = "Gold") -> None:
    words = Notification(topic="news", all=Text(subject="We are live", content="Come in"))
    one = tx.broadcasts.add(
        guild_id=GUILD, author=MAYA, audience=audience, notification=words, fingerprint="a" * 64,
        origin_channel_id=5, at=MONDAY,
    )  # fmt: skip
    for action, after in steps:
        tx.audit.append(
            NewEvent(guild_id=GUILD, at=MONDAY + after, actor=MAYA, action=action, broadcast_id=one.id)
        )


async def test_each_broadcast_counts_once_by_the_last_that_the_record_says_of_it(store: Store) -> None:
    hour = timedelta(hours=1)
    with store.begin() as tx:
        add(tx, (Step.HOLD, hour), (Step.RELEASE, 2 * hour), (Step.ACCEPTED, 3 * hour))
        add(tx, (Step.UNANSWERED, hour), (Step.CONFIRM, 5 * hour))
        add(tx, (Step.UNANSWERED, hour), (Step.CHECK, 2 * hour))
        add(tx, (Step.REJECT, hour), audience="Everyone")
        add(tx, (Step.PARTLY, WEEK - timedelta(seconds=1)), audience="Everyone")
        # It ended at the very end, which is the next one's, and before the beginning.
        add(tx, (Step.ACCEPTED, WEEK))
        add(tx, (Step.ACCEPTED, -hour))
        add(tx, (f"refused {Step.REJECT}", hour), (Step.SUBMIT, hour))
    with store.begin(Access.READ) as tx:
        found = by_audience(tx.tallies.results(GUILD, Span(MONDAY, MONDAY + WEEK)))
        assert found == {"Everyone": {"partly sent": 1, "rejected": 1}, "Gold": {"sent": 2, "unknown": 1}}
        assert list(found["Everyone"]) == ["partly sent", "rejected"]
        assert tx.tallies.results(GUILD + 1, Span(MONDAY, MONDAY + WEEK)) == []


def weekly(policy: str) -> str:
    return policy.replace('repeat_window = "24h"', 'repeat_window = "0s"\nweekly_digest = "monday 09:00"')


async def test_the_review_channel_is_told_of_the_week_even_after_a_restart(
    setting: tuple[str, str], open_sandbox: OpenSandbox
) -> None:
    generation, url = setting
    async with open_sandbox(generation, database_url=url, rules=weekly) as sandbox:
        await sandbox.herald.dispatcher.tick()
        await sandbox.submit(await sandbox.compose(subject="Counted"))
        await sandbox.press("Omar", "Approve")
        await sandbox.wait(timedelta(seconds=11))
        await sandbox.wait(WEEK)
        await sandbox.restart()
        for _ in range(2):
            await sandbox.herald.dispatcher.tick()
            await sandbox.settle()
        told = [one for one in sandbox.channel("review").history() if one.content.startswith("📊")]
        assert ["**Gold members**: 1 sent" in one.content for one in told] == [True]
        await sandbox.wait(WEEK)
        await sandbox.herald.dispatcher.tick()
        await sandbox.settle()
        told = [one for one in sandbox.channel("review").history() if one.content.startswith("📊")]
        assert [QUIET in one.content for one in sorted(told, key=lambda one: one.id)] == [False, True]


async def test_without_a_line_in_the_policy_nothing_is_told(v5: Sandbox) -> None:
    await v5.wait(3 * WEEK)
    await v5.herald.dispatcher.tick()
    assert [one for one in v5.channel("review").history() if one.content.startswith("📊")] == []
