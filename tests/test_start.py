"""What is due goes out only if nothing speaks against it: each reason alone, each limit to its moment."""

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from bot.broadcast import Approval, Broadcast, Status
from bot.freeze import Freeze
from bot.lifecycle import CHANGED
from bot.permissions import Actor
from bot.policy.model import Policy
from bot.sending.roles import RoleCheck
from bot.sending.start import Start
from tests.harness.clock import NOW
from tests.harness.people import LENA, MAYA, OMAR
from tests.harness.policy import GUILD, OTHER_GUILD, POLICY, parsed
from tests.harness.process import Cluster, Process

SECOND: Final = timedelta(seconds=1)
UNDO_WINDOW: Final = timedelta(seconds=10)
GRACE: Final = timedelta(minutes=15)
EXPIRES: Final = timedelta(hours=24)
TWICE: Final = parsed(POLICY.replace("approvals = 1", "approvals = 2"))


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


def start_of(process: Process, cluster: Cluster) -> Start:
    lifecycle, clock = process.service.lifecycle, process.clock
    role_check = RoleCheck(role_source=cluster.members, policy=lifecycle.policy, clock=clock)
    return Start(
        lifecycle=lifecycle,
        role_check=role_check,
        restore_guard=process.restore_guard,
        clock=clock,
        new_key=lambda: "key",
    )


def by(actor: Actor, template: str | None = None) -> Approval:
    return Approval(approver=actor.person, at=NOW, template=template)


# --- reasons to hold -------------------------------------------------------------------------------

WROTE: Final = "it was approved by someone who wrote it"
NOBODY: Final = "nobody decided in time"
FEWER: Final = "it has fewer approvals than the policy asks for now"
DOUBTS: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "nothing": ({}, ""),
    "a server that the policy does not name": (
        {"guild_id": 5},
        "the policy no longer names this server",
    ),
    "due so long ago as is allowed": ({"due_at": NOW - GRACE}, ""),
    "due longer ago": ({"due_at": NOW - GRACE - SECOND}, "it was due 15 minutes ago and has been missed"),
    "due hours ago": (
        {"due_at": NOW - timedelta(hours=2)},
        "it was due 2 hours ago and has been missed",
    ),
    "due nearly two hours ago": (
        {"due_at": NOW - timedelta(minutes=119, seconds=59)},
        "it was due 119 minutes ago and has been missed",
    ),
    "due at no time": ({"due_at": None}, ""),
    "another fingerprint": ({"fingerprint": "a" * 64}, CHANGED),
    "no approval": ({"approvals": ()}, FEWER),
    "an approval that a template lends": ({"approvals": (), "lent": (by(OMAR, "t"),)}, ""),
    "approved by its author": ({"approvals": (by(MAYA),)}, WROTE),
    "approved by its author and another": ({"approvals": (by(OMAR), by(MAYA))}, WROTE),
    "approved by an editor": ({"editors": (MAYA.id, OMAR.id)}, WROTE),
    "written by an approver, though no revision says so": (
        {"author": OMAR.person, "editors": (MAYA.id,)},
        WROTE,
    ),
    "lent by its author": ({"lent": (by(MAYA, "t"),)}, WROTE),
}


@pytest.mark.parametrize("case", DOUBTS)
async def test_each_reason_to_hold_is_enough_and_without_any_it_goes_out(cluster: Cluster, case: str) -> None:
    changes, said = DOUBTS[case]
    process = await cluster.join()
    approved = await process.approved()
    cluster.clock.jump(NOW - cluster.clock())
    assert start_of(process, cluster).doubt(approved.model_copy(update={"due_at": NOW} | changes)) == said


async def test_a_topic_that_the_policy_lost_since_the_approval_holds_it(cluster: Cluster) -> None:
    await (await cluster.join()).due()
    process = await cluster.join(policy=parsed(POLICY.replace('id = "news"', 'id = "other"')))
    await process.tick()
    said = "The topic “news” is no longer in the policy: choose another one with Change topic."
    assert (await process.get()).reason == said
    assert cluster.whop.exchanges == []


async def test_a_quorum_that_was_raised_since_the_approval_holds_what_was_approved(cluster: Cluster) -> None:
    await (await cluster.join()).due()
    process = await cluster.join(policy=TWICE)
    await process.tick()
    assert await process.status() is Status.HELD
    assert (await process.get()).reason == FEWER
    assert cluster.whop.exchanges == []


async def test_a_server_that_the_policy_lost_since_is_started_nowhere(cluster: Cluster) -> None:
    await (await cluster.join()).due()
    process = await cluster.join(policy=_without(GUILD))
    await process.tick()
    assert (await process.get()).reason == "the policy no longer names this server"
    assert cluster.whop.exchanges == []


def _without(guild: int) -> Policy:
    policy = parsed()
    return policy.model_copy(update={"servers": tuple(one for one in policy.servers if one.guild != guild)})


# --- moments ---------------------------------------------------------------------------------------


async def test_it_starts_when_its_undo_window_is_over_and_not_a_moment_before(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.approved()
    await process.tick(UNDO_WINDOW - timedelta(microseconds=1))
    assert await process.status() is Status.APPROVED
    await process.tick(timedelta(microseconds=1))
    assert await process.status() is Status.SENT


@pytest.mark.parametrize(("beyond", "ends"), [(timedelta(), Status.SENT), (SECOND, Status.HELD)])
async def test_it_is_missed_only_beyond_its_grace(cluster: Cluster, beyond: timedelta, ends: Status) -> None:
    process = await cluster.join()
    await process.approved()
    await process.tick(UNDO_WINDOW + GRACE + beyond)
    assert await process.status() is ends


async def test_a_review_expires_at_its_very_moment_and_not_before(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.submitted()
    await process.tick(EXPIRES - timedelta(microseconds=1))
    assert await process.status() is Status.REVIEW
    await process.tick(timedelta(microseconds=1))
    assert await process.status() is Status.DRAFT


# --- reviews that nobody decided -------------------------------------------------------------------


async def half_approved(cluster: Cluster) -> tuple[Process, Broadcast]:
    process = await cluster.join(policy=TWICE)
    await process.submitted()
    return process, await process.service.approve(OMAR, 1, revision=1)


async def test_the_expiry_of_a_review_voids_its_approvals(cluster: Cluster) -> None:
    process, _ = await half_approved(cluster)
    await process.tick(EXPIRES)
    expired = await process.get()
    assert (expired.status, expired.approvals, expired.review_expires_at) == (Status.DRAFT, (), None)
    assert (expired.reason, await process.lines("expire")) == (NOBODY, [NOBODY])

    again = await process.service.submit(MAYA, 1, revision=1)
    assert again.approvals == ()
    await process.service.approve(LENA, 1, revision=again.revision)
    assert await process.status() is Status.REVIEW


async def test_a_review_that_somebody_decided_meanwhile_does_not_expire(cluster: Cluster) -> None:
    process, waiting = await half_approved(cluster)
    await process.service.approve(LENA, 1, revision=1)
    await process.store.write(start_of(process, cluster).expire, waiting)
    after = await process.get()
    assert (after.status, len(after.approvals)) == (Status.APPROVED, 2)


# --- what changed between the question and the start -----------------------------------------------


async def test_what_was_stopped_since_it_was_read_is_not_started(cluster: Cluster) -> None:
    process = await cluster.join()
    due = await process.due()
    await process.service.stop(OMAR, 1, revision=1)
    await process.store.write(start_of(process, cluster).start, [due], [])
    assert await process.status() is Status.DRAFT
    assert await process.deliveries() == []


async def test_what_was_started_since_it_was_read_is_not_started_twice(cluster: Cluster) -> None:
    process = await cluster.join()
    due = await process.due()
    await process.tick()
    await process.store.write(start_of(process, cluster).start, [due], [])
    assert len(await process.deliveries()) == 1


@pytest.mark.parametrize(
    ("guild", "ends"),
    [(GUILD, Status.APPROVED), (None, Status.APPROVED), (OTHER_GUILD, Status.SENDING)],
    ids=["here", "everywhere", "elsewhere"],
)
async def test_a_freeze_since_it_was_read_halts_its_start_and_one_of_another_server_does_not(
    cluster: Cluster, guild: int | None, ends: Status
) -> None:
    process = await cluster.join()
    due = await process.due()
    freeze = Freeze(guild_id=guild, by=LENA.person, at=cluster.clock(), reason="a test")
    await process.store.write(process.service.lifecycle.freeze, freeze)
    await process.store.write(start_of(process, cluster).start, [due], [])
    assert await process.status() is ends
    assert bool(await process.deliveries()) is (ends is Status.SENDING)
