"""Nothing waits for ever: each status and each row that waits has somebody who moves it on, in bounded time.

Whatever is killed or refused, a broadcast comes to an end or before a person, and stays before them. No
announcer runs here: what people are to see waits for one, and holds nothing up.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, get_origin

import pytest

from bot.broadcast import ENDED, Broadcast, Status
from bot.delivery import DeliveryStatus
from bot.errors import NotAllowed
from bot.policy.model import ACCOUNT
from bot.reminders import DECIDED_BY_PEOPLE
from bot.sandbox.whop import Fault
from bot.store import Access, facts
from bot.store.outbox import PostKind
from bot.store.tables import UtcDateTime, metadata
from tests.harness.outbox import posts_to_make
from tests.harness.people import CHANNEL, LENA, MAYA, WORDS
from tests.harness.policy import GUILD, parsed
from tests.harness.process import Cluster, Process

# A review may take a day, and what is late is known after a quarter of an hour.
LONGEST: Final = timedelta(hours=25)
STEP: Final = timedelta(minutes=10)
STEP_OF_REVIEW: Final = timedelta(hours=2)
A_DAY: Final = timedelta(days=1)
Brought = Callable[[Cluster, Process], Awaitable[Broadcast]]
Trouble = Callable[[Cluster, Process], Awaitable[Process]]


@pytest.fixture
async def cluster(sqlite_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


# --- every status ----------------------------------------------------------------------------------


async def draft(_: Cluster, process: Process) -> Broadcast:
    return await process.service.compose(MAYA, audience="One", notification=WORDS, channel_id=CHANNEL)


async def under_review(_: Cluster, process: Process) -> Broadcast:
    return await process.submitted("Two")


async def approved(_: Cluster, process: Process) -> Broadcast:
    return await process.approved("Two")


async def held(_: Cluster, process: Process) -> Broadcast:
    one = await process.approved("Two")
    await process.tick(timedelta(hours=1))
    return one


async def to_be_repeated(cluster: Cluster, process: Process) -> Broadcast:
    cluster.whop.fail_next(Fault.RATE_LIMITED, times=2)
    one = await process.due("Two")
    await process.tick()
    return one


async def in_flight(_: Cluster, process: Process) -> Broadcast:
    one = await process.due()
    await process.die_in_flight()
    return one


async def unknown(cluster: Cluster, process: Process) -> Broadcast:
    cluster.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    one = await process.due()
    await process.tick()
    return one


# How each status that waits is come to, so that everything may then go wrong. Nobody waits for a draft but
# its author, who finds it in /notify drafts.
WAITING: Final[Mapping[Status, tuple[Brought, ...]]] = MappingProxyType(
    {
        Status.REVIEW: (under_review,),
        Status.APPROVED: (approved,),
        Status.HELD: (held,),
        Status.SENDING: (to_be_repeated, in_flight),
        Status.UNKNOWN: (unknown,),
    }
)
# Each delivery that waits stands in one of these.
UNDER_WAY: Final[Mapping[DeliveryStatus, Brought]] = MappingProxyType(
    {DeliveryStatus.PENDING: to_be_repeated, DeliveryStatus.IN_FLIGHT: in_flight}
)


def test_every_status_waits_for_somebody_or_is_an_end() -> None:
    assert set(WAITING) | ENDED | {Status.DRAFT} == set(Status)
    assert {DeliveryStatus.ACCEPTED, DeliveryStatus.REJECTED, DeliveryStatus.UNKNOWN} | set(UNDER_WAY) == set(
        DeliveryStatus
    )


@pytest.mark.parametrize("status", list(UNDER_WAY))
async def test_what_is_tried_below_does_wait_as_it_says(cluster: Cluster, status: DeliveryStatus) -> None:
    process, looking = await cluster.join(), await cluster.join()
    one = await UNDER_WAY[status](cluster, process)
    assert status in {delivery.status for delivery in await looking.deliveries(one.id)}


# --- everything that goes wrong --------------------------------------------------------------------


async def nothing(_: Cluster, other: Process) -> Process:
    return other


async def whop_is_out_of_reach(cluster: Cluster, other: Process) -> Process:
    cluster.whop.fault = Fault.DROP_BEFORE_ACCEPT
    return other


async def whop_says_not_now(cluster: Cluster, other: Process) -> Process:
    cluster.whop.fault = Fault.RATE_LIMITED
    return other


async def discord_is_out_of_reach(cluster: Cluster, other: Process) -> Process:
    cluster.members.away = True
    return other


async def the_witness_cannot_be_written(_: Cluster, other: Process) -> Process:
    file = other.settings.witness_file
    file.unlink(missing_ok=True)
    file.mkdir()
    return other


async def sending_is_frozen(_: Cluster, other: Process) -> Process:
    await other.service.freeze(LENA, reason="a test")
    return other


async def nobody_runs_for_a_day(cluster: Cluster, other: Process) -> Process:
    cluster.clock.advance(A_DAY)
    return other


async def the_policy_lost_its_server(cluster: Cluster, other: Process) -> Process:
    await other.leave()
    kept = tuple(one for one in parsed().servers if one.guild != GUILD)
    return await cluster.join(policy=parsed().model_copy(update={"servers": kept}))


async def a_pause_of_years_is_kept(cluster: Cluster, other: Process) -> Process:
    with other.store.begin() as tx:
        tx.facts.set(facts.not_before(ACCOUNT), cluster.clock() + timedelta(days=3650))
    return other


TROUBLES: Final[tuple[Trouble, ...]] = (
    nothing,
    whop_is_out_of_reach,
    whop_says_not_now,
    discord_is_out_of_reach,
    the_witness_cannot_be_written,
    sending_is_frozen,
    nobody_runs_for_a_day,
    the_policy_lost_its_server,
    a_pause_of_years_is_kept,
)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    ("status", "bring"),
    [(status, bring) for status, ways in WAITING.items() for bring in ways],
    ids=lambda one: one.__name__ if callable(one) else None,
)
async def test_whatever_goes_wrong_a_broadcast_comes_to_an_end_or_before_a_person(
    cluster: Cluster, status: Status, bring: Brought, trouble: Trouble
) -> None:
    # Whoever began with it is gone: another process goes on.
    process, other = await cluster.join(), await cluster.join()
    one = await bring(cluster, process)
    assert await other.status(one.id) is status
    await process.leave()
    other = await trouble(cluster, other)
    latest = cluster.clock() + LONGEST
    while not await is_settled(other, one.id):
        assert cluster.clock() < latest, f"#{one.id} still waits: {await other.get(one.id)}"
        await other.let_leases_end()
        await other.tick(STEP_OF_REVIEW if status is Status.REVIEW else STEP)
    if (settled := await other.get(one.id)).status in DECIDED_BY_PEOPLE:
        assert await is_reminded_of(other, settled)


async def is_settled(process: Process, number: int) -> bool:
    """Tell whether it is back with its author, has ended, or is before somebody who will be reminded."""
    one = await process.get(number)
    if one.status in DECIDED_BY_PEOPLE:
        assert one.remind_at is not None
    elif one.status not in {*ENDED, Status.DRAFT}:
        return False
    waiting = [delivery for delivery in await process.deliveries(number) if delivery.status in UNDER_WAY]
    return not waiting


async def is_reminded_of(process: Process, broadcast: Broadcast) -> bool:
    """Tell whether each day brings a reminder, and the next one is as certain."""
    await process.tick(A_DAY)
    later = (await process.get(broadcast.id)).remind_at
    return later is not None and later > process.clock()


async def test_a_reminder_is_a_post_of_its_own(cluster: Cluster) -> None:
    process = await cluster.join()
    one = await held(cluster, process)

    def calls() -> int:
        with process.store.begin(Access.READ) as tx:
            posts = posts_to_make(tx, datetime.max.replace(tzinfo=process.clock().tzinfo))
        return sum(post.kind is PostKind.CALL and post.broadcast_id == one.id for post in posts)

    before = calls()
    await process.tick(A_DAY)
    assert calls() == before + 1


# --- every row that waits --------------------------------------------------------------------------

# Each moment in the database at which something is to happen: who looks for it, and the test that shows it.
AWAITED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "broadcasts.due_at": "test_deadlines.py::test_whatever_goes_wrong",
        "broadcasts.review_expires_at": "test_deadlines.py::test_whatever_goes_wrong",
        "broadcasts.remind_at": "test_deadlines.py::test_a_reminder_is_a_post_of_its_own",
        "deliveries.next_at": "test_deadlines.py::test_whatever_goes_wrong",
        "deliveries.lease_until": "test_leases.py::test_a_claim_whose_lease_is_over_is_unknown",
        "cards.next_at": "test_announcer.py::test_an_outage_of_all_channels_delays_no_send_and_loses_no_word",
        "posts.next_at": "test_announcer.py::test_the_audit_mirror_catches_up_in_order",
        "series.make_at": "test_series.py::test_each_comes_before_its_approvers_a_day_ahead",
        "counts.next_at": "test_counting.py::test_a_page_that_fails_is_read_again",
        "counts.lease_until": "test_counting.py::test_a_restart_in_the_middle_reads_on",
        "counts.wanted_at": "test_counting.py::test_people_are_counted_at_submit",
        "lists.next_at": "test_lists_of_people.py::test_a_check_goes_on_after_a_restart_and_after_trouble",
        "refusals.until": "test_deadlines.py::test_a_streak_of_refusals_is_ended_by_whoever_sends",
    }
)
# Moments that have passed, of which nothing is to come.
PAST: Final = frozenset(
    {
        "approvals.at",
        "counts.counted_at",
        "lists.at",
        "lists.checked_at",
        "links.at",
        "received.at",
        # Whoever types the code compares it with now.
        "link_codes.expires_at",
        "everyday_revisions.at",
        # What was typed is kept until the form is taken, or another one is refused.
        "kept_forms.at",
        # A search is forgotten once it is old; nobody waits for that.
        "searches.at",
        "shares.at",
        "loans.at",
        "attempts.started_at",
        "attempts.finished_at",
        "audit_events.at",
        "broadcasts.created_at",
        "broadcasts.updated_at",
        # It is due at that time once it is approved, and its review ends before it.
        "broadcasts.scheduled_at",
        # Each of them is made a day before.
        "series.next_at",
        # What a freeze holds up is held or given up when it is late; the freeze itself waits for nothing.
        "freezes.at",
        "interactions.at",
        "members.at",
        # Whoever asks compares it with now.
        "members.timed_out_until",
        "refusals.since",
        "refusals.last",
        "revisions.at",
        # A template that nobody approves only lends no approval.
        "template_approvals.at",
    }
)


def test_every_moment_in_the_database_is_awaited_by_somebody_or_past() -> None:
    moments = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, UtcDateTime)
    }
    assert moments == PAST | AWAITED.keys()
    assert not PAST & AWAITED.keys()


@pytest.mark.parametrize("shown", sorted(set(AWAITED.values())))
def test_who_looks_for_it_is_shown_by_a_test(shown: str) -> None:
    file, _, name = shown.partition("::")
    assert f"def {name}" in Path(__file__).with_name(file).read_text(encoding="utf-8")


async def test_a_streak_of_refusals_is_ended_by_whoever_sends(cluster: Cluster) -> None:
    process = await cluster.join()
    one = await process.submitted()
    with pytest.raises(NotAllowed):
        await process.service.approve(MAYA, one.id, revision=1)

    def standing() -> int:
        with process.store.begin(Access.READ) as tx:
            return len(tx.refusals.standing())

    assert standing() == 1
    await process.tick(timedelta(hours=1))
    assert standing() == 0


# What Herald remembers beside the rows. Sending waits for one of them, the pause of an account, and what
# waits for it is given up when it is late, as is shown above.
REMEMBERED: Final = frozenset(
    {
        "BROADCASTS_ABOVE",
        "HIGHEST_TIME",
        "REVISIONS_ABOVE",
        "RUN",
        "SEEN_WELL",
        "STARTS",
        "begun",
        "cards_of",
        "digest_of",
        "key_trust",
        "mirror_unread",
        "not_before",
        "pace_of",
        # Reads are put off, and never for longer than the span of the rate.
        "reads_begun",
        "scope_of",
        "template_asked",
        "unknown_cause",
        "unknown_streak",
    }
)


def test_every_fact_is_known_to_hold_nothing_up_for_ever() -> None:
    kept = {
        name
        for name, one in vars(facts).items()
        if isinstance(one, facts.Fact) or get_origin(_returned(one)) is facts.Fact
    }
    assert {name for name in kept if not name.startswith("_")} == REMEMBERED


def _returned(one: object) -> object:
    return getattr(one, "__annotations__", {}).get("return")
