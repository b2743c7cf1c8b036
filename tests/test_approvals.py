"""What a yes counts for is decided at the moment, by the end of the review and by the policy of now."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from bot.approvals import FEWER, GROWN
from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotReady
from bot.policy.model import Policy
from bot.service import Service
from bot.store import Access
from bot.store.outbox import Post, PostKind
from cogs.calls import reminds
from tests.harness.found import only
from tests.harness.outbox import posts_to_make
from tests.harness.people import LENA, MAYA, NOOR, OMAR
from tests.harness.policy import POLICY, audience, parsed, rules, server
from tests.harness.process import UNDONE, Cluster, Process

DAY: Final = timedelta(hours=24)
SECOND: Final = timedelta(seconds=1)
NAMED: Final = "typed the audience's name"


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


def asking(approvals: int = 1, *, size: int = 20) -> Policy:
    """Return a policy that asks for so many approvals of an audience of that size."""
    return parsed(server(audience("One", "exp_gold", size=size), rules=rules(approvals)))


SMALL: Final = asking()
LARGE: Final = asking(size=1001)
TWO_SMALL: Final = asking(2)
TWO_LARGE: Final = asking(2, size=1001)


async def restarted(cluster: Cluster, process: Process, policy: Policy) -> Process:
    """Start it again with another policy."""
    await process.leave()
    return await begun(cluster, policy)


async def begun(cluster: Cluster, policy: Policy) -> Process:
    process = await cluster.join(alone=True, policy=policy)
    await process.startup.begin()
    return process


def calls(process: Process) -> list[Post]:
    with process.store.begin(Access.READ) as tx:
        posts = posts_to_make(tx, process.clock() + DAY)
    return [one for one in posts if one.kind is PostKind.CALL]


# --- the end of a review ---------------------------------------------------------------------------

Decide = Callable[[Service], Awaitable[Broadcast]]
DECISIONS: Final[Mapping[str, Decide]] = MappingProxyType(
    {
        "approve": lambda service: service.approve(LENA, 1, revision=1),
        "retract": lambda service: service.retract(OMAR, 1, revision=1),
        "ask for changes": lambda service: service.request_changes(OMAR, 1, revision=1, reason="Shorter"),
        "reject": lambda service: service.reject(OMAR, 1, revision=1, reason="No"),
        "withdraw": lambda service: service.withdraw(MAYA, 1, revision=1),
    }
)


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS)
async def test_nothing_is_decided_after_the_end_of_a_review_whether_or_not_anybody_swept(
    cluster: Cluster, decide: Decide
) -> None:
    process = await cluster.join(policy=TWO_SMALL)
    await process.submitted()
    await process.service.approve(OMAR, 1, revision=1)
    cluster.clock.advance(DAY)
    before = await process.get()
    with pytest.raises(Conflict, match="The review of #1 has ended, since nobody decided in time"):
        await decide(process.service)
    assert await process.get() == before
    assert await process.lines("quorum") == []


async def test_until_its_last_second_a_review_is_decided(cluster: Cluster) -> None:
    process = await cluster.join(policy=SMALL)
    await process.submitted()
    cluster.clock.advance(DAY - SECOND)
    await process.service.approve(OMAR, 1, revision=1)
    assert await process.status() is Status.APPROVED


async def test_what_nobody_decided_in_time_may_still_be_cancelled(cluster: Cluster) -> None:
    process = await cluster.join(policy=SMALL)
    await process.submitted()
    cluster.clock.advance(DAY)
    assert (await process.service.cancel(NOOR, 1, revision=1)).status is Status.CANCELLED


# --- the size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [restarted, "another process"], ids=["restarted", "another process"])
async def test_what_was_approved_while_it_was_small_is_held_once_it_is_large(
    cluster: Cluster, start: Any
) -> None:
    process = await cluster.join(alone=start is restarted, policy=SMALL)
    await process.approved()
    other = await (restarted(cluster, process, LARGE) if start is restarted else cluster.join(policy=LARGE))
    await other.tick(UNDONE)
    held = await other.get()
    assert (held.status, held.reason) == (Status.HELD, GROWN)
    assert cluster.whop.exchanges == []

    await other.service.release(LENA, 1, revision=1)
    with pytest.raises(NotReady, match="type its name"):
        await other.service.approve(OMAR, 1, revision=1)
    await other.service.approve(OMAR, 1, revision=1, typed="One")
    await other.tick(UNDONE)
    assert await other.status() is Status.SENT


async def test_a_name_that_was_typed_counts_however_large_it_grows_and_once_it_is_small(
    cluster: Cluster,
) -> None:
    process = await cluster.join(alone=True, policy=LARGE)
    for _ in range(2):
        waiting = await process.submitted()
        await process.service.approve(OMAR, waiting.id, revision=1, typed="One")
    process = await restarted(cluster, process, asking(size=50_000))
    assert await process.status(1) is Status.APPROVED
    process = await restarted(cluster, process, SMALL)
    assert await process.status(2) is Status.APPROVED


async def test_a_yes_to_a_small_audience_is_void_once_it_is_large_and_its_approvers_are_called(
    cluster: Cluster,
) -> None:
    process = await cluster.join(alone=True, policy=TWO_SMALL)
    await process.submitted()
    await process.service.approve(OMAR, 1, revision=1)
    process = await restarted(cluster, process, TWO_LARGE)
    assert (await process.get()).agreed == 0
    assert await process.lines("approvals void") == [GROWN]
    assert [(one.broadcast_id, one.step) for one in calls(process)] == [(1, "review")]

    for who in (LENA, OMAR):
        assert await process.status() is Status.REVIEW
        await process.service.approve(who, 1, revision=1, typed="One")
    assert await process.status() is Status.APPROVED


async def test_two_processes_with_two_policies_agree_that_a_yes_to_a_small_audience_is_none_to_a_large_one(
    cluster: Cluster,
) -> None:
    older, newer = await cluster.join(policy=TWO_SMALL), await cluster.join(policy=TWO_LARGE)
    await older.submitted()
    await older.service.approve(OMAR, 1, revision=1)
    assert (await newer.service.approve(LENA, 1, revision=1, typed="One")).status is Status.REVIEW
    with pytest.raises(Conflict, match="approved this already"):
        await newer.service.approve(LENA, 1, revision=1, typed="One")
    approved = await newer.service.approve(OMAR, 1, revision=1, typed="One")
    assert approved.status is Status.APPROVED
    assert [one.named for one in approved.approvals] == [True, True]


# --- the quorum --------------------------------------------------------------------------------------


async def test_once_the_policy_asks_for_fewer_what_has_enough_goes_on_and_who_could_stop_it_is_called(
    cluster: Cluster,
) -> None:
    process = await cluster.join(alone=True, policy=TWO_SMALL)
    for approvers in ((OMAR,), ()):
        waiting = await process.submitted()
        for one in approvers:
            await process.service.approve(one, waiting.id, revision=1)
    process = await restarted(cluster, process, SMALL)
    on, waits = await process.get(1), await process.get(2)
    assert (on.status, waits.status) == (Status.APPROVED, Status.REVIEW)
    assert (on.due_at, on.review_expires_at) == (process.clock() + timedelta(seconds=10), None)
    assert await process.lines("quorum") == ["enough approvals by the policy of now"]
    assert [(one.broadcast_id, one.step) for one in calls(process)] == [(1, "approved")]
    said = reminds(on, only(SMALL.servers))
    assert "has all the approvals that the policy asks for now: it goes out <t:" in said

    assert (await process.service.stop(LENA, 1, revision=1)).status is Status.DRAFT


async def test_what_goes_on_by_itself_goes_out_once_its_undo_window_has_passed(cluster: Cluster) -> None:
    process = await cluster.join(alone=True, policy=TWO_SMALL)
    await process.submitted()
    await process.service.approve(OMAR, 1, revision=1)
    process = await restarted(cluster, process, SMALL)
    await process.tick()
    assert cluster.whop.exchanges == []
    await process.tick(UNDONE)
    assert (await process.status(), len(cluster.whop.exchanges)) == (Status.SENT, 1)


CHANGED_BESIDE: Final[Mapping[str, tuple[str, timedelta]]] = MappingProxyType(
    {
        "its review has ended": (POLICY, DAY),
        "it would go to others": (POLICY.replace("exp_gold", "exp_other"), SECOND),
        "its audience is large": (POLICY.replace("size = 20", "size = 1001"), SECOND),
    }
)


@pytest.mark.parametrize(("policy", "later"), CHANGED_BESIDE.values(), ids=CHANGED_BESIDE)
async def test_a_lower_quorum_lets_nothing_on_of_which_something_else_has_changed(
    cluster: Cluster, policy: str, later: timedelta
) -> None:
    process = await cluster.join(alone=True, policy=parsed(POLICY.replace("approvals = 1", "approvals = 2")))
    await process.submitted()
    await process.service.approve(OMAR, 1, revision=1)
    cluster.clock.advance(later)
    process = await restarted(cluster, process, parsed(policy))
    assert await process.status() is Status.REVIEW
    await process.tick(UNDONE)
    assert cluster.whop.exchanges == []


async def test_what_is_approved_and_has_too_few_approvals_by_the_policy_of_now_is_held_at_the_start(
    cluster: Cluster,
) -> None:
    process = await cluster.join(alone=True, policy=SMALL)
    await process.approved()
    process = await restarted(cluster, process, TWO_SMALL)
    held = await process.get()
    assert (held.status, held.reason) == (Status.HELD, FEWER)
