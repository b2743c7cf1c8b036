"""What has a time of its own goes out then, once, or is held with its reason; never late, never early."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, NotReady
from bot.notification import Text
from bot.schedule import MISSED, Meaning, Schedule
from bot.store import Access
from bot.store.outbox import PostKind
from tests.conftest import ONCE
from tests.harness.clock import NOW
from tests.harness.outbox import posts_to_make
from tests.harness.people import CHANNEL, LENA, MAYA, NOOR, OMAR, WORDS
from tests.harness.policy import parsed
from tests.harness.process import Cluster, Process

BERLIN: Final = "Europe/Berlin"
UNDO: Final = timedelta(seconds=10)
SECOND: Final = timedelta(seconds=1)
# A minute between the clock of the tests and the hour.
AT: Final = datetime.fromisoformat("2026-11-24T17:00:00+00:00")


def at(moment: datetime = AT) -> Schedule:
    return Schedule(typed="tomorrow 6pm", zone=BERLIN).settled(moment)


@pytest.fixture
async def cluster(setting: tuple[str, str], tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    generation, url = setting
    async with Cluster.open(url, tmp_path, generation=generation) as opened:
        yield opened


@pytest.fixture
async def process(cluster: Cluster) -> Process:
    return await cluster.join(alone=cluster.url.startswith("sqlite"))


def in_utc(moment: datetime, _zone: str) -> datetime:
    return moment.replace(tzinfo=None)


async def asked(process: Process, schedule: Schedule | None = None) -> Broadcast:
    draft = await process.service.compose(
        MAYA, audience="One", notification=WORDS, channel_id=CHANNEL, schedule=schedule or at()
    )
    return await process.service.submit(MAYA, draft.id, revision=1)


async def agreed(process: Process, schedule: Schedule | None = None) -> Broadcast:
    waiting = await asked(process, schedule)
    return await process.service.approve(OMAR, waiting.id, revision=1)


async def until(process: Process, moment: datetime) -> None:
    await process.tick(moment - process.clock())


def posts(process: Process, kind: PostKind) -> list[str]:
    with process.store.begin(Access.READ) as tx:
        return [one.step for one in posts_to_make(tx, process.clock()) if one.kind is kind]


async def test_it_goes_out_at_its_time_once_and_not_a_second_before(
    process: Process, cluster: Cluster
) -> None:
    approved = await agreed(process)
    assert (approved.due_at, approved.status) == (AT, Status.APPROVED)
    await until(process, AT - SECOND)
    assert cluster.deliveries_seen() == []
    await until(process, AT)
    await process.tick(timedelta(hours=1))
    assert len(cluster.deliveries_seen()) == 1
    assert await process.status() is Status.SENT


async def test_whoever_could_stop_it_and_its_author_are_called_when_its_undo_window_begins(
    process: Process, cluster: Cluster
) -> None:
    await agreed(process)
    await until(process, AT - UNDO - SECOND)
    assert (posts(process, PostKind.CALL), posts(process, PostKind.ECHO)) == ([], [])
    await until(process, AT - UNDO)
    assert (posts(process, PostKind.CALL), posts(process, PostKind.ECHO)) == (["approved"], ["goes out soon"])
    await process.tick(SECOND)
    assert len(posts(process, PostKind.CALL)) == 1
    await process.service.stop(LENA, 1, revision=1)
    await until(process, AT + SECOND)
    assert cluster.deliveries_seen() == []


async def test_what_nobody_approved_before_its_undo_window_is_held_and_never_sent_late(
    process: Process, cluster: Cluster
) -> None:
    waiting = await asked(process)
    assert waiting.review_expires_at == min(AT - UNDO, NOW + timedelta(hours=24))
    near = await asked(process, at(NOW + timedelta(minutes=20)))
    await until(process, NOW + timedelta(minutes=20) - UNDO)
    with pytest.raises(Conflict):
        await process.service.approve(OMAR, near.id, revision=1)
    held = await process.get(near.id)
    assert (held.status, held.reason) == (Status.HELD, MISSED)
    with pytest.raises(NotReady, match="too near"):
        await process.service.release(LENA, near.id, revision=1)
    await process.tick(timedelta(hours=1))
    assert cluster.deliveries_seen() == []


async def test_what_was_missed_while_nothing_ran_is_held(process: Process, cluster: Cluster) -> None:
    await agreed(process)
    process.clock.advance(AT - process.clock() + timedelta(minutes=16))
    await process.tick()
    assert await process.status() is Status.HELD
    assert cluster.deliveries_seen() == []


async def test_a_restart_in_each_second_around_its_time_sends_it_once(cluster: Cluster) -> None:
    alone = cluster.url.startswith("sqlite")
    process = await cluster.join(alone=alone)
    await agreed(process)
    process.clock.advance(AT - UNDO - timedelta(seconds=3) - process.clock())
    for _ in range(18):
        await process.tick(SECOND)
        # In order: as many crashes would freeze it.
        await process.startup.end()
        await process.leave()
        process = await cluster.join(alone=alone)
        await process.startup.begin()
    assert await process.status() is Status.SENT
    assert len(cluster.deliveries_seen()) == 1
    (attempt,) = (await process.deliveries())[0].past
    assert AT <= attempt.started_at <= AT + SECOND


@ONCE
async def test_another_time_takes_it_back_and_lets_no_approval_count(process: Process) -> None:
    approved = await agreed(process)
    later = at(AT + timedelta(days=1))
    with pytest.raises(NotAllowed):
        await process.service.reschedule(NOOR, 1, revision=1, schedule=later)
    draft = await process.service.reschedule(MAYA, 1, revision=1, schedule=later)
    assert (draft.status, draft.approvals, draft.due_at) == (Status.DRAFT, (), None)
    assert draft.proof != approved.proof
    await until(process, AT + SECOND)
    assert await process.status() is Status.DRAFT
    again = await process.service.submit(MAYA, 1, revision=2)
    assert again.proof == draft.proof
    after = await process.service.approve(OMAR, 1, revision=2)
    assert after.due_at == later.at
    none = await process.service.reschedule(MAYA, 1, revision=2, schedule=None)
    assert none.schedule is None
    assert await process.lines("reschedule") == [
        "at 2026-11-25 17:00 UTC (“tomorrow 6pm”, Europe/Berlin)",
        "as soon as it is approved",
    ]


@ONCE
async def test_the_words_of_one_time_are_known_again_at_another(cluster: Cluster) -> None:
    text = cluster.policy_text().replace('repeat_window = "0s"', 'repeat_window = "24h"')
    assert text != cluster.policy_text()
    process = await cluster.join(alone=cluster.url.startswith("sqlite"), policy=parsed(text))
    await agreed(process)
    near = await asked(process, at(AT + timedelta(hours=2)))
    with pytest.raises(NotReady, match="The same goes out as #1"):
        await process.service.approve(OMAR, near.id, revision=1)
    far = await asked(process, at(AT + timedelta(days=7)))
    await process.service.approve(OMAR, far.id, revision=1)


@ONCE
async def test_a_time_that_means_several_moments_is_chosen_before_anybody_is_asked(process: Process) -> None:
    meanings = tuple(Meaning(at=AT + timedelta(days=days), label=str(days)) for days in (0, 7))
    unclear = Schedule(typed="friday", zone=BERLIN, meanings=meanings, problem="Which one?")
    draft = await process.service.compose(
        MAYA, audience="One", notification=WORDS, channel_id=CHANNEL, schedule=unclear
    )
    with pytest.raises(NotReady, match="Which one"):
        await process.service.submit(MAYA, draft.id, revision=1)
    with pytest.raises(Conflict):
        await process.service.settle_time(MAYA, draft.id, revision=1, choice=2)
    chosen = await process.service.settle_time(MAYA, draft.id, revision=1, choice=1)
    assert chosen.schedule == Schedule(typed="friday", zone=BERLIN).settled(meanings[1].at)
    edited = await process.service.edit(
        MAYA, draft.id, revision=2, notification=WORDS.model_copy(update={"topic": "news"})
    )
    assert edited.schedule == chosen.schedule


async def test_a_clock_that_is_set_moves_nothing_that_is_still_to_come(
    process: Process, cluster: Cluster
) -> None:
    await agreed(process)
    await process.tick(SECOND)
    for span in (timedelta(hours=-5), timedelta(hours=3), timedelta(hours=2)):
        process.clock.jump(span)
        await process.tick(SECOND)
        await process.tick(timedelta(minutes=2))
        assert (await process.get()).due_at == AT
        assert await process.status() is Status.APPROVED
    await until(process, AT)
    assert len(cluster.deliveries_seen()) == 1
    process.clock.jump(timedelta(hours=-2))
    await process.tick(SECOND)
    await until(process, AT + timedelta(minutes=2))
    assert len(cluster.deliveries_seen()) == 1


@ONCE
async def test_a_zone_whose_rules_have_changed_voids_what_was_approved_for_its_time(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agreed(process)
    waiting = await asked(process, at(AT + timedelta(hours=30)))
    monkeypatch.setattr("bot.schedule.local_time", in_utc)
    with pytest.raises(Conflict, match="has changed"):
        await process.service.approve(OMAR, waiting.id, revision=1)
    await process.startup.begin()
    held = await process.get()
    assert held.status is Status.HELD
    assert "no longer what was approved" in held.reason


@ONCE
async def test_what_is_asked_for_anew_under_changed_rules_of_its_zone_is_approved_as_it_is_shown(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked(process)
    await asked(process, at(AT + timedelta(hours=1)))
    await process.service.approve(OMAR, 2, revision=1)
    monkeypatch.setattr("bot.schedule.local_time", in_utc)
    await process.startup.begin()
    await process.service.withdraw(MAYA, 1, revision=1)
    await process.service.submit(MAYA, 1, revision=1)
    await process.service.release(OMAR, 2, revision=1)
    for number in (1, 2):
        assert (await process.service.approve(LENA, number, revision=1)).status is Status.APPROVED
        approved = await process.get(number)
        server = process.service.policy.servers[0]
        prints = process.service.lifecycle.prints(server, "One", WORDS, approved.schedule)
        assert (approved.fingerprint, approved.timeless) == (prints["fingerprint"], prints["timeless"])


@ONCE
async def test_what_went_out_at_its_time_is_corrected_whatever_rules_its_zone_has_now(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agreed(process)
    await until(process, AT)
    monkeypatch.setattr("bot.schedule.local_time", in_utc)
    words = WORDS.model_copy(update={"all": Text(subject="We are live", content="Come at nine")})
    drafted = await process.service.correct(MAYA, 1, revision=1, notification=words, channel_id=CHANNEL)
    assert (await process.service.submit(MAYA, drafted.id, revision=drafted.revision)).corrects == 1
