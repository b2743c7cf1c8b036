"""What waits is a calendar: each once, in the order in which it comes about, with what clashes with it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from simcord import InteractionResult

from bot.agenda import Clash, Waits, clashes, page
from bot.broadcast import OPEN, Status
from bot.notification import Notification, Text
from bot.sandbox.sandbox import Sandbox, answer, button_labels, response
from bot.service import PAGE
from bot.store import Access
from tests.harness.policy import audience, parsed, server

NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
SERVER: Final = parsed(
    server(
        audience("Gold", "exp_gold"),
        audience("Everyone", "exp_gold", "exp_silver"),
        audience("Bronze", "exp_bronze"),
    )
).servers[0]


def waits(
    number: int, status: Status = Status.APPROVED, *, after: timedelta | None = None, of: str = "Gold"
) -> Waits:
    at = None if after is None else NOW + after
    return Waits(number, status, of, at, at)


def numbers(found: Sequence[Waits]) -> list[int]:
    return [one.id for one in found]


def test_what_waits_for_somebody_is_first_then_what_goes_out_by_itself_by_its_time() -> None:
    found = [
        waits(1, after=2 * HOUR),
        waits(2, Status.REVIEW),
        waits(3, Status.HELD, after=HOUR),
        waits(4, Status.REVIEW, after=HOUR),
        waits(5, Status.UNKNOWN, after=-HOUR),
        waits(6, after=HOUR),
    ]
    assert numbers(page(found, limit=9)) == [5, 3, 2, 6, 4, 1]


def test_every_page_goes_on_where_the_one_before_ended_both_ways() -> None:
    random = Random(7)
    found = [
        waits(
            number,
            random.choice(sorted(OPEN)),
            after=random.choice((None, HOUR, 2 * HOUR, 30 * HOUR)),
        )
        for number in random.sample(range(1, 1000), k=60)
    ]
    whole = page(found, limit=100)
    assert all(one.place < other.place for one, other in pairwise(whole))
    for one in whole:
        place = whole.index(one)
        assert page(found, limit=7, before=one) == whole[place + 1 : place + 8]
        assert page(found, limit=7, after=one) == whole[:place][::-1][:7]
        # What has gone on in the meantime still says where a page ended.
        left = [other for other in found if other is not one]
        assert page(left, limit=7, before=one) == whole[place + 1 : place + 8]


def test_whatever_reaches_the_same_people_on_that_day_or_within_an_hour_is_a_clash() -> None:
    one = waits(1, after=timedelta(0))
    others = [
        waits(2, after=HOUR / 2),
        waits(3, Status.REVIEW, after=5 * HOUR, of="Everyone"),
        waits(4, after=HOUR / 2, of="Bronze"),
        waits(5, after=24 * HOUR),
        waits(6, Status.HELD, after=HOUR),
        waits(7, Status.REVIEW),
        waits(8, after=HOUR, of="Gone from the policy"),
    ]
    assert clashes(one, [one, *others], SERVER, UTC) == [
        Clash(2, is_close=True, is_same_audience=True),
        Clash(3, is_close=False, is_same_audience=False),
    ]
    assert clashes(waits(9, of="Bronze"), others, SERVER, UTC) == []
    late, early = waits(1, after=14 * HOUR), waits(2, after=14.5 * HOUR)
    # Two days in UTC, but half an hour; one day where it is noon by then.
    assert clashes(late, [early], SERVER, UTC) == [Clash(2, is_close=True, is_same_audience=True)]
    tomorrow = waits(3, after=18 * HOUR)
    assert clashes(late, [tomorrow], SERVER, UTC) == []
    there = ZoneInfo("Pacific/Auckland")
    assert clashes(late, [tomorrow], SERVER, there) == [Clash(3, is_close=False, is_same_audience=True)]


async def compose(sandbox: Sandbox, number: int, *, when: str = "", subject: str = "We are live") -> None:
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    words = Notification(topic="announcements", all=Text(subject=subject, content="Come in"))
    schedule = await service.read_time(maya, when) if when else None
    await service.compose(maya, audience="Gold members", notification=words, channel_id=1, schedule=schedule)
    await service.submit(maya, number, revision=1)


def evening(sandbox: Sandbox, *, days: int, at: str) -> datetime:
    """Return a time of a day to come, in UTC."""
    day = sandbox.clock().date() + timedelta(days=days)
    return datetime.fromisoformat(f"{day}T{at}:00+00:00")


async def test_the_queue_says_day_by_day_what_waits_for_whom_why_and_when(sandbox: Sandbox) -> None:
    times = [
        evening(sandbox, days=days, at=at) for days, at in ((20, "18:00"), (20, "18:30"), (300, "08:00"))
    ]
    eve, _, late = times
    await compose(sandbox, 1, subject="Needs a yes")
    for number, at in enumerate(times, start=2):
        await compose(sandbox, number, when=f"{at:%Y-%m-%d %H:%M}", subject=f"At {at:%H:%M}")
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    shown = await maya.slash(channel, "notify queue")
    lines = answer(shown).split("\n")
    assert lines[:2] == ["**Under way**", "__For somebody to decide, or under way__"]
    assert "Needs a yes · Gold members · Maya" in lines[2]
    assert "1 approval missing until <t:" in lines[2]
    assert f"{eve:%A} {eve.day} {eve:%B}" in lines[3]
    assert lines[3].endswith(" (UTC)__")
    assert lines[4].startswith(f"<t:{int(eve.timestamp())}:f> · **")
    assert lines[5] == "-# ⚠️ same audience: #3 within an hour"
    assert "At 18:30" in lines[6]
    assert f"{late:%A} {late.day} {late:%B}" in lines[8]
    assert "At 08:00" in lines[9]
    assert len(lines) == 10
    assert button_labels(response(shown)) == ["Open #1", "Open #2", "Open #3", "Open #4"]
    await sandbox.herald.service.approve(sandbox.actor("Omar"), 4, revision=1)
    assert "Approved · At 08:00" in answer(await maya.slash(channel, "notify queue"))


async def test_each_page_of_the_calendar_says_its_day_and_goes_on_after_a_restart(v5: Sandbox) -> None:
    at = evening(v5, days=20, at="18:00")
    for number in range(1, PAGE + 5):
        await compose(v5, number, when=f"{at - number * timedelta(minutes=1):%Y-%m-%d %H:%M}", subject="S")
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify queue")
    pages = [opened(shown)]
    await v5.restart()
    while "Later" in button_labels(response(shown)):
        shown = await v5.person("Maya").click(response(shown), label="Later")
        pages.append(opened(shown))
        assert answer(shown).count(" (UTC)__") == 1
    assert [one for page_ in pages for one in page_] == list(range(PAGE + 4, 0, -1))
    while "Earlier" in button_labels(response(shown)):
        shown = await v5.person("Maya").click(response(shown), label="Earlier")
        assert answer(shown).count(" (UTC)__") == 1
    assert opened(shown)[0] == PAGE + 4


def opened(shown: InteractionResult) -> list[int]:
    """Return the numbers that a page has a button for."""
    labels = button_labels(response(shown))
    return [int(one.removeprefix("Open #")) for one in labels if one.startswith("Open")]


async def test_what_waits_elsewhere_is_in_no_calendar_of_ours(v5: Sandbox) -> None:
    await compose(v5, 1)
    with v5.herald.store.begin(Access.READ) as tx:
        assert numbers(tx.agenda.waiting(v5.world.guild.id)) == [1]
        assert tx.agenda.waiting(7) == []
        assert tx.agenda.find(7, 1) is None
