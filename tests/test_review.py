"""Each step before the send changes what it must, is told to whom it concerns, and is recorded as theirs."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from bot.broadcast import Status
from bot.notification import Notification, Text
from bot.store import Access
from bot.store.outbox import Card, PostKind
from tests.harness.outbox import cards_to_draw, posts_to_make
from tests.harness.people import CHANNEL, LENA, MAYA, OMAR, WORDS
from tests.harness.policy import GUILD, POLICY, parsed
from tests.harness.process import Cluster, Process

TWICE: Final = parsed(POLICY.replace("approvals = 1", "approvals = 2"))


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def process(cluster: Cluster) -> Process:
    return await cluster.join()


async def echoes(process: Process) -> list[str]:
    """Return of which steps the author is told where they composed."""
    with process.store.begin(Access.READ) as tx:
        posts = posts_to_make(tx, process.clock() + timedelta(days=1))
    found = [one for one in posts if one.kind is PostKind.ECHO]
    assert all((one.guild_id, one.channel_id) == (GUILD, CHANNEL) for one in found)
    return [one.step for one in found]


async def test_an_author_is_told_of_what_others_did_that_changes_its_course_and_of_nothing_else(
    process: Process,
) -> None:
    await process.approved()
    assert await echoes(process) == []
    await process.service.stop(MAYA, 1, revision=1)
    assert await echoes(process) == []
    await process.service.submit(MAYA, 1, revision=1)
    await process.service.approve(LENA, 1, revision=1)
    await process.service.stop(OMAR, 1, revision=1)
    assert await echoes(process) == ["stop"]


async def test_what_is_approved_waits_for_its_time_and_no_longer_for_a_review(process: Process) -> None:
    waiting = await process.submitted()
    assert (waiting.due_at, waiting.review_expires_at) == (None, process.clock() + timedelta(hours=24))
    await process.service.approve(OMAR, 1, revision=1)
    approved = await process.get()
    assert (approved.status, approved.reason) == (Status.APPROVED, "")
    assert (approved.due_at, approved.review_expires_at) == (process.clock() + timedelta(seconds=10), None)


async def test_an_edit_is_known_by_a_proof_code_of_its_own(process: Process) -> None:
    draft = await process.service.compose(MAYA, audience="One", notification=WORDS, channel_id=CHANNEL)
    other = Notification(topic="news", all=Text(subject="We are live", content="Come in now"))
    edited = await process.service.edit(MAYA, 1, revision=1, notification=other)
    assert (edited.revision, edited.notification, edited.reason) == (2, other, "")
    assert edited.proof != draft.proof
    assert (await process.service.submit(MAYA, 1, revision=2)).proof == edited.proof


async def test_what_is_a_draft_again_waits_for_nothing(process: Process) -> None:
    await process.approved()
    stopped = await process.service.stop(OMAR, 1, revision=1)
    assert (stopped.status, stopped.due_at, stopped.review_expires_at) == (Status.DRAFT, None, None)
    await process.service.submit(MAYA, 1, revision=1)
    await process.service.withdraw(MAYA, 1, revision=1)
    withdrawn = await process.get()
    assert (withdrawn.status, withdrawn.due_at, withdrawn.review_expires_at) == (Status.DRAFT, None, None)


async def test_each_approval_is_recorded_as_who_gave_it(cluster: Cluster) -> None:
    process = await cluster.join(policy=TWICE)
    await process.submitted()
    await process.service.approve(OMAR, 1, revision=1)
    await process.service.retract(OMAR, 1, revision=1)
    await process.service.approve(OMAR, 1, revision=1)
    await process.service.approve(LENA, 1, revision=1)
    assert [(one.actor.name, one.action, one.detail) for one in await process.record()][2:] == [
        ("Omar", "approve", ""),
        ("Omar", "retract", ""),
        ("Omar", "approve", ""),
        ("Lena", "approve", ""),
        ("Herald", "quorum", "enough approvals"),
    ]


async def test_what_is_released_stands_before_its_approvers_on_a_card_of_its_own(process: Process) -> None:
    await process.approved()
    await process.tick(timedelta(days=1))
    assert await process.status() is Status.HELD
    (before,) = await cards(process)
    released = await process.service.release(LENA, 1, revision=1)
    assert (released.status, released.reason, released.due_at) == (Status.REVIEW, "", None)
    assert (released.agreed, released.review_expires_at) == (0, process.clock() + timedelta(hours=24))
    older, newer = await cards(process)
    assert (older.id, older.current, newer.current) == (before.id, False, True)


async def cards(process: Process) -> list[Card]:
    with process.store.begin(Access.READ) as tx:
        return cards_to_draw(tx, process.clock() + timedelta(days=1))


async def test_who_only_looks_does_not_wait_for_those_who_write(process: Process) -> None:
    await process.submitted()
    with process.store.begin():
        assert [one.id for one in await process.service.queue(OMAR)] == [1]
