"""What goes out again and again: each on its day, each approved by itself, and nothing without an end."""

from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.approvals import UNCOVERED
from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, NotFound, NotReady
from bot.notification import Text
from bot.sandbox.whop import Owners, People
from bot.schedule import MISSED, Meaning, Schedule
from bot.sending.restored import RESTORED
from bot.series import AHEAD, MOST, Ends, Every, Series, SeriesStatus, read_times
from bot.store import Access
from bot.store.outbox import PostKind
from bot.zones import local_time, zones
from tests.conftest import ONCE
from tests.harness.backup import back_up
from tests.harness.outbox import posts_to_make
from tests.harness.people import CHANNEL, LENA, MAYA, OMAR, WORDS, member
from tests.harness.policy import COMPOSE, audience, parsed, rules, server
from tests.harness.process import Cluster, Process

STAN: Final = member(9, "Stan", COMPOSE)
BERLIN: Final = "Europe/Berlin"
SECOND: Final = timedelta(seconds=1)
WEEK: Final = timedelta(weeks=1)
# The first is on a Friday, more than a day after the clock of the tests.
AT: Final = datetime(2026, 11, 27, 17, tzinfo=UTC)
THRICE: Final = Ends(times=3)


@pytest.fixture
async def cluster(setting: tuple[str, str], tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    generation, url = setting
    async with Cluster.open(url, tmp_path, generation=generation) as opened:
        yield opened


@pytest.fixture
async def process(cluster: Cluster) -> Process:
    return await cluster.join(alone=cluster.url.startswith("sqlite"))


async def begun(process: Process, ends: Ends = THRICE, every: Every = Every.WEEK) -> Broadcast:
    draft = await process.service.compose(
        MAYA,
        audience="One",
        notification=WORDS,
        channel_id=CHANNEL,
        schedule=Schedule(typed="friday 6pm", zone=BERLIN).settled(AT),
    )
    return await process.service.repeat(MAYA, draft.id, revision=1, every=every, ends=ends)


async def sent_first(process: Process) -> None:
    await begun(process)
    await process.service.submit(MAYA, 1, revision=1)
    await process.service.approve(OMAR, 1, revision=1)
    await until(process, AT)


async def until(process: Process, moment: datetime) -> None:
    await process.tick(moment - process.clock())


async def known(process: Process) -> Series:
    return (await process.service.series(LENA, 1)).series


async def count(process: Process) -> int:
    with process.store.begin(Access.READ) as tx:
        return sum(tx.broadcasts.count(LENA.guild_id or 0).values())


async def test_each_comes_before_its_approvers_a_day_ahead_and_goes_out_at_its_time(
    process: Process, cluster: Cluster
) -> None:
    await sent_first(process)
    await until(process, AT + WEEK - AHEAD - SECOND)
    assert await count(process) == 1
    await until(process, AT + WEEK - AHEAD)
    await process.tick(SECOND)
    second = await process.get(2)
    assert (second.status, second.author, second.notification) == (Status.REVIEW, MAYA.person, WORDS)
    assert second.schedule is not None
    assert (second.schedule.at, second.series) == (AT + WEEK, 1)
    with pytest.raises(NotAllowed):
        await process.service.approve(MAYA, 2, revision=1)
    await process.service.approve(OMAR, 2, revision=1)
    await until(process, AT + WEEK)
    assert await process.status(2) is Status.SENT
    # Nobody approves the third.
    await until(process, AT + 2 * WEEK - AHEAD)
    await until(process, AT + 2 * WEEK)
    assert (await process.get(3)).reason == MISSED
    assert (await known(process)).status is SeriesStatus.ENDED
    await until(process, AT + 5 * WEEK)
    assert (await count(process), len(cluster.deliveries_seen())) == (3, 2)


async def test_what_was_missed_is_held_and_never_caught_up(process: Process, cluster: Cluster) -> None:
    await begun(process, Ends(times=6))
    process.clock.advance(AT + 2 * WEEK + timedelta(hours=1) - process.clock())
    await process.tick()
    await process.tick(SECOND)
    held = await process.get(2)
    assert held.schedule is not None
    assert (held.schedule.at, held.status, held.reason) == (AT + 2 * WEEK, Status.HELD, MISSED)
    assert "1 before it were missed" in (await process.lines("composed"))[-1]
    assert ((await known(process)).next_at, await count(process)) == (AT + 3 * WEEK, 2)
    assert cluster.deliveries_seen() == []


@ONCE
async def test_one_is_skipped_it_pauses_goes_on_and_ends(process: Process) -> None:
    await begun(process, Ends(times=9))
    skipped = (await process.service.skip(OMAR, 1, revision=1)).series
    assert (skipped.next_at, skipped.made, skipped.left) == (AT + 2 * WEEK, 2, 7)
    with pytest.raises(Conflict):
        await process.service.skip(MAYA, 1, revision=1)
    with pytest.raises(NotAllowed):
        await process.service.pause(STAN, 1, revision=2)
    await process.service.pause(OMAR, 1, revision=2)
    await until(process, AT + 3 * WEEK)
    assert await count(process) == 1
    with pytest.raises(NotAllowed):
        await process.service.go_on(OMAR, 1, revision=3)
    went_on = (await process.service.go_on(MAYA, 1, revision=3)).series
    assert (went_on.next_at, went_on.status) == (AT + 4 * WEEK, SeriesStatus.RUNNING)
    ended = (await process.service.end(LENA, 1, revision=4)).series
    assert (ended.next_at, ended.status) == (None, SeriesStatus.ENDED)
    await until(process, AT + 9 * WEEK)
    assert await count(process) == 1
    with pytest.raises(Conflict, match="has ended: ended by Lena"):
        await process.service.go_on(MAYA, 1, revision=5)
    with pytest.raises(NotFound):
        await process.service.end(LENA, 2, revision=1)


@ONCE
async def test_a_series_says_what_its_first_says_until_that_has_gone_out(process: Process) -> None:
    await begun(process)
    other = WORDS.model_copy(update={"link": None, "topic": WORDS.topic})
    later = Schedule(typed="saturday 6pm", zone=BERLIN).settled(AT + timedelta(days=1))
    edited = await process.service.edit(MAYA, 1, revision=1, notification=other, schedule=later)
    assert (await known(process)).next_at == AT + timedelta(days=8)
    alone = await process.service.edit(MAYA, 1, revision=edited.revision, notification=other, schedule=None)
    assert (await known(process)).status is SeriesStatus.ENDED
    assert await process.lines("end") == ["its first one has no time any more"]
    # It can begin another one.
    assert alone.series is None
    timed = await process.service.edit(MAYA, 1, revision=alone.revision, notification=other, schedule=later)
    again = await process.service.repeat(MAYA, 1, revision=timed.revision, every=Every.MONTH, ends=THRICE)
    assert (again.series, (await known(process)).every) == (1, Every.MONTH)
    assert (await known(process)).status is SeriesStatus.RUNNING


async def test_one_that_lacks_something_waits_for_its_author_who_is_told_why(cluster: Cluster) -> None:
    process = await cluster.join(alone=cluster.url.startswith("sqlite"))
    await sent_first(process)
    await process.leave()
    text = cluster.policy_text().replace('id = "news"', 'id = "other"')
    process = await cluster.join(alone=cluster.url.startswith("sqlite"), policy=parsed(text))
    await until(process, AT + WEEK - AHEAD)
    waits = await process.get(2)
    assert waits.status is Status.DRAFT
    assert "no longer in the policy" in waits.reason
    with process.store.begin(Access.READ) as tx:
        steps = [one.step for one in posts_to_make(tx, process.clock()) if one.kind is PostKind.ECHO]
    assert steps[-1] == "not asked for"


@pytest.mark.parametrize("state", ["a draft", "cancelled"])
@ONCE
async def test_while_nobody_asks_for_the_first_no_other_comes_before_approvers(
    process: Process, state: str
) -> None:
    await begun(process)
    if state == "cancelled":
        await process.service.cancel(MAYA, 1)
    await until(process, AT + WEEK - AHEAD)
    await process.tick(SECOND)
    second = await process.get(2)
    assert second.status is Status.DRAFT
    assert f"#1, with which the series began, is {state}" in second.reason
    assert (await process.service.submit(MAYA, 2, revision=1)).status is Status.REVIEW


@ONCE
async def test_a_series_stands_until_it_is_known_which_time_of_its_first_is_meant(process: Process) -> None:
    await begun(process)
    meanings = tuple(Meaning(at=AT + days * WEEK, label=str(days)) for days in (1, 2))
    unclear = Schedule(typed="friday", zone=BERLIN, meanings=meanings, problem="Which one?")
    other = WORDS.model_copy(update={"all": Text(subject="Other", content="Words")})
    edited = await process.service.edit(MAYA, 1, revision=1, notification=other, schedule=unclear)
    kept = await known(process)
    assert (kept.status, kept.next_at, kept.notification) == (SeriesStatus.RUNNING, AT + WEEK, other)
    await process.service.settle_time(MAYA, 1, revision=edited.revision, choice=1)
    assert (await known(process)).next_at == AT + 3 * WEEK


@ONCE
async def test_what_has_ended_has_nothing_to_come_whatever_its_first_says(process: Process) -> None:
    await begun(process)
    ended = (await process.service.end(LENA, 1, revision=1)).series
    later = Schedule(typed="friday", zone=BERLIN).settled(AT + WEEK)
    await process.service.edit(MAYA, 1, revision=1, notification=WORDS, schedule=later)
    assert await known(process) == ended


@ONCE
async def test_who_could_write_the_first_may_approve_none_of_the_others(process: Process) -> None:
    draft = await process.service.compose(
        MAYA,
        audience="One",
        notification=WORDS,
        channel_id=CHANNEL,
        schedule=Schedule(typed="friday 6pm", zone=BERLIN).settled(AT),
    )
    await process.service.share(MAYA, draft.id, revision=1, chosen=[OMAR])
    await process.service.repeat(OMAR, 1, revision=1, every=Every.WEEK, ends=THRICE)
    await process.service.submit(MAYA, 1, revision=1)
    await until(process, AT + WEEK - AHEAD)
    await process.tick(SECOND)
    second = await process.get(2)
    await process.service.submit(MAYA, 2, revision=second.revision)
    with pytest.raises(NotAllowed):
        await process.service.approve(OMAR, 2, revision=second.revision)
    await process.service.approve(LENA, 2, revision=second.revision)


@ONCE
async def test_only_what_has_a_time_and_an_end_begins_a_series_and_only_once(process: Process) -> None:
    timeless = await process.service.compose(MAYA, audience="One", notification=WORDS, channel_id=CHANNEL)
    with pytest.raises(NotReady, match="has a time"):
        await process.service.repeat(MAYA, timeless.id, revision=1, every=Every.WEEK, ends=THRICE)
    draft = await begun(process)
    assert draft.series == draft.id
    with pytest.raises(Conflict, match="already"):
        await process.service.repeat(MAYA, draft.id, revision=1, every=Every.WEEK, ends=THRICE)
    for typed, said in (("1", "2 to 104"), ("999", "2 to 104"), ("for ever", "neither"), ("", "neither")):
        with pytest.raises(NotReady, match=said):
            await process.service.read_ends(MAYA, typed)
    assert await process.service.read_ends(MAYA, " 12 times ") == Ends(times=12)
    assert await process.service.read_ends(MAYA, "2027-03-31") == Ends(until=date(2027, 3, 31))


async def test_what_may_have_gone_out_before_the_database_went_back_is_held_as_such(cluster: Cluster) -> None:
    process = await cluster.join(alone=cluster.url.startswith("sqlite"))
    await process.startup.begin()
    await sent_first(process)
    draft = await process.service.compose(
        MAYA,
        audience="Two",
        notification=WORDS,
        channel_id=CHANNEL,
        schedule=Schedule(typed="saturday 6pm", zone=BERLIN).settled(AT + timedelta(hours=20)),
    )
    waiting = await process.service.submit(MAYA, draft.id, revision=1)
    put_back = back_up(cluster.url, cluster.folder)
    await process.service.approve(OMAR, waiting.id, revision=1)
    await until(process, AT + timedelta(hours=20))
    assert await process.status(waiting.id) is Status.SENT
    await until(process, AT + WEEK - AHEAD)
    await process.service.approve(OMAR, 3, revision=1)
    await until(process, AT + WEEK)
    assert await process.status(3) is Status.SENT
    before = len(cluster.deliveries_seen())
    put_back()
    await process.startup.begin()
    await process.tick(SECOND)
    await process.tick(SECOND)
    with process.store.begin(Access.READ) as tx:
        held = tx.broadcasts.everywhere({Status.HELD})
    assert [(one.audience, one.reason) for one in held] == [("Two", RESTORED), ("One", RESTORED)]
    series = await known(process)
    assert (series.next_at, series.reason) == (AT + 2 * WEEK, "")
    assert len(cluster.deliveries_seen()) == before


@given(
    zone=st.sampled_from(zones()),
    first=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 - local times
    every=st.sampled_from(Every),
    number=st.integers(2, MOST),
)
def test_whatever_the_zone_each_is_at_the_same_time_of_day_on_its_own_day(
    zone: str, first: datetime, every: Every, number: int
) -> None:
    local = first.replace(second=0, microsecond=0)
    schedule = Schedule(typed="x", zone=zone, at=AT, local=local.isoformat(timespec="minutes"))
    series = one_of(schedule, every=every, times=MOST)
    before, at = series.at(number - 1), series.at(number)
    assert before is not None
    assert at is not None
    assert timedelta(days=6) < at - before < timedelta(days=32)
    shown = local_time(at, zone)
    # Where that time does not exist on a day, the clocks show one just after it.
    assert timedelta() <= shown - datetime.combine(shown.date(), local.time()) <= timedelta(hours=1)
    if every is not Every.MONTH:
        assert shown.weekday() == local.weekday()
    assert series.at(MOST + 1) is None


def one_of(schedule: Schedule, *, every: Every, times: int) -> Series:
    return Series(
        first=1,
        guild_id=1,
        author=MAYA.person,
        audience="One",
        notification=WORDS,
        schedule=schedule,
        every=every,
        times=times,
        until=None,
        made=0,
        next_at=None,
        status=SeriesStatus.RUNNING,
        reason="",
        origin_channel_id=1,
        version=1,
    )


def test_a_number_of_times_is_read_as_such_and_a_day_is_not() -> None:
    assert (read_times("10"), read_times("10x"), read_times("2027-03-31")) == (
        Ends(times=10),
        Ends(times=10),
        None,
    )


# --- one approval for several ----------------------------------------------------------------------


async def covering(cluster: Cluster, allowed: str = "2 in 60d") -> Process:
    text = cluster.policy_text().replace("undo_window", f'series_approval = "{allowed}"\nundo_window', 1)
    assert text != cluster.policy_text()
    return await cluster.join(alone=cluster.url.startswith("sqlite"), policy=parsed(text))


async def first_of_many(process: Process) -> None:
    await begun(process, Ends(times=9))
    await process.service.submit(MAYA, 1, revision=1)
    await process.service.approve(OMAR, 1, revision=1)
    await until(process, AT)


async def test_one_approval_covers_as_many_as_the_policy_says_and_no_more(cluster: Cluster) -> None:
    process = await covering(cluster)
    await first_of_many(process)
    for week in (1, 2):
        await until(process, AT + week * WEEK - AHEAD)
        covered = await process.get(week + 1)
        assert (covered.status, covered.due_at) == (Status.APPROVED, AT + week * WEEK)
        assert [(one.approver.name, one.series) for one in covered.approvals] == [("Omar", 1)]
        await until(process, AT + week * WEEK)
        assert await process.status(week + 1) is Status.SENT
    assert await process.lines("covered") == [
        f"by what Omar approved as #1: {place} of 2 that it covers" for place in (1, 2)
    ]
    await until(process, AT + 3 * WEEK - AHEAD)
    assert await process.status(4) is Status.REVIEW
    with process.store.begin(Access.READ) as tx:
        assert tx.testimony.against(None) == []
    # A new yes covers anew.
    await process.service.approve(OMAR, 4, revision=1)
    await until(process, AT + 3 * WEEK)
    await until(process, AT + 4 * WEEK - AHEAD)
    assert await process.status(5) is Status.APPROVED


async def test_what_nobody_looks_at_reaches_no_others_than_those_whom_approvers_were_shown(
    tmp_path: Path, sqlite_url: str
) -> None:
    policy = parsed(
        server(audience("One", "exp_gold", size=None), rules=rules(more='series_approval = "2 in 60d"\n'))
    )
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        gold = Owners(crowd=range(420))
        cluster.whop.people = People(products={"prod_gold": gold}, experiences={"exp_gold": ["prod_gold"]})
        process = await cluster.join(policy=policy)
        await begun(process, Ends(times=9))
        await process.service.submit(MAYA, 1, revision=1)
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1)
        for moment in (AT - timedelta(minutes=5), AT, AT + WEEK - AHEAD):
            await until(process, moment)
        assert await process.status(1) is Status.SENT
        assert await process.status(2) is Status.APPROVED
        gold.crowd = range(900)
        for moment in (AT + WEEK - timedelta(minutes=5), AT + WEEK):
            await until(process, moment)
        held = await process.get(2)
        assert (held.status, held.reason) == (
            Status.HELD,
            "it reaches 900 people by now: approvers were shown 420 people",
        )


@pytest.mark.parametrize(
    "ends_it", ["too old", "stopped", "another policy", "role lost", "another time", "corrected"]
)
async def test_what_is_no_longer_as_it_was_approved_is_covered_no_more(
    tmp_path: Path, sqlite_url: str, ends_it: str
) -> None:
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await covering(cluster, "9 in 12d" if ends_it == "too old" else "9 in 60d")
        await first_of_many(process)
        await until(process, AT + WEEK - AHEAD)
        assert await process.status(2) is Status.APPROVED
        if ends_it == "stopped":
            await process.service.stop(LENA, 2, revision=1)
        if ends_it == "corrected":
            words = WORDS.model_copy(update={"all": Text(subject="We are live", content="At nine")})
            await process.service.correct(MAYA, 1, revision=1, notification=words, channel_id=CHANNEL)
        if ends_it == "role lost":
            cluster.members.roles[OMAR.id] = frozenset()
        if ends_it == "another time":
            later = Schedule(typed="7pm", zone=BERLIN).settled(AT + WEEK + timedelta(hours=1))
            await process.service.reschedule(MAYA, 2, revision=1, schedule=later)
            await process.service.submit(MAYA, 2, revision=2)
            await process.service.approve(OMAR, 2, revision=2)
        if ends_it == "another policy":
            await process.leave()
            process = await cluster.join(alone=True)
        await until(process, AT + WEEK)
        await until(process, AT + WEEK + timedelta(hours=1))
        await until(process, AT + 2 * WEEK - AHEAD)
        newest = 4 if ends_it == "corrected" else 3
        assert await process.status(newest) is Status.REVIEW
        assert (await process.get(newest)).approvals == ()


async def test_nothing_covers_what_a_database_that_went_back_makes(cluster: Cluster) -> None:
    process = await covering(cluster)
    await process.startup.begin()
    await first_of_many(process)
    put_back = back_up(cluster.url, cluster.folder)
    await process.startup.begin()
    series = await known(process)
    await process.service.end(LENA, 1, revision=series.version)
    put_back()
    await process.startup.begin()
    await until(process, AT + WEEK - AHEAD)
    await process.tick(SECOND)
    with process.store.begin(Access.READ) as tx:
        assert [one.agreed for one in tx.broadcasts.everywhere({Status.REVIEW, Status.APPROVED})] == [0]


async def test_what_is_covered_is_held_once_the_policy_lets_no_approval_cover_it(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with Cluster.open(sqlite_url, tmp_path) as cluster:
        process = await covering(cluster)
        await first_of_many(process)
        await until(process, AT + WEEK - AHEAD)
        assert await process.status(2) is Status.APPROVED
        await process.leave()
        process = await cluster.join(alone=True)
        await process.startup.begin()
        held = await process.get(2)
        assert (held.status, held.reason) == (Status.HELD, UNCOVERED)
        await until(process, AT + WEEK)
        assert len(cluster.deliveries_seen()) == 1


@ONCE
async def test_what_is_covered_is_held_once_what_covers_it_is_corrected(cluster: Cluster) -> None:
    process = await covering(cluster)
    await first_of_many(process)
    await until(process, AT + WEEK - AHEAD)
    assert await process.status(2) is Status.APPROVED
    words = WORDS.model_copy(update={"all": Text(subject="We are live", content="At nine")})
    await process.service.correct(MAYA, 1, revision=1, notification=words, channel_id=CHANNEL)
    await until(process, AT + WEEK)
    held = await process.get(2)
    assert (held.status, "#1 of its series was corrected" in held.reason) == (Status.HELD, True)
