"""How many people an audience has: counted, shown, compared, and never invented."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot import sizes
from bot.broadcast import Broadcast, Status
from bot.counted import Counted, Drift, drifted
from bot.lifecycle import Lifecycle
from bot.permissions import Action
from bot.sandbox.whop.people import Owners, People
from bot.sandbox.whop.record import ReadFault
from bot.store import Transaction
from bot.store.counts import Recipient
from bot.store.facts import reads_begun
from bot.store.tables import cards
from cogs.reach import size
from tests.harness.people import CHANNEL, LENA, MAYA, OMAR, WORDS
from tests.harness.policy import GUILD, audience, of_generation, parsed, rules, server
from tests.harness.process import UNDONE, Cluster, Process
from tests.harness.statements import counted

GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v5"])


@asynccontextmanager
async def counting(
    url: str, folder: Path, generation: str = "v1", *, size: int | None = None, **ruled: Any
) -> AsyncGenerator[tuple[Cluster, Process]]:
    """Give a process whose audience is the owners of one product, of which there are as many as wanted."""
    gold = audience("Gold", "exp_gold", size=size)
    policy = parsed(of_generation(server(gold, rules=rules(**ruled)), generation))
    async with Cluster.open(url, folder, generation=generation) as cluster:
        cluster.whop.people = People(
            products={"prod_gold": Owners(crowd=range(420))}, experiences={"exp_gold": ["prod_gold"]}
        )
        yield cluster, await cluster.join(policy=policy)


def grow(cluster: Cluster, people: int) -> None:
    cluster.whop.people.products["prod_gold"].crowd = range(people)


@GENERATIONS
async def test_people_are_counted_at_submit_and_again_before_the_send(
    database_url: str, tmp_path: Path, generation: str
) -> None:
    async with counting(database_url, tmp_path, generation) as (cluster, process):
        asked = await process.submitted("Gold")
        assert asked.counted == Counted(so_far=0)
        await process.tick()
        shown = (await process.get()).counted
        assert shown is not None
        assert (shown.people, shown.why, shown.so_far) == (420, "", None)
        assert await process.lines("counted") == ["up to 420 people"]
        await process.service.approve(OMAR, 1, revision=1)
        grow(cluster, 430)
        process.clock.advance(timedelta(minutes=6))
        await process.tick()
        await process.tick()
        sent = await process.get()
        assert sent.status is Status.SENT
        assert sent.counted is not None
        assert sent.counted.people == 430


@GENERATIONS
async def test_a_drift_beyond_what_the_policy_lets_pass_is_held_with_both_numbers(
    sqlite_url: str, tmp_path: Path, generation: str
) -> None:
    async with counting(sqlite_url, tmp_path, generation) as (cluster, process):
        await process.submitted("Gold")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1)
        grow(cluster, 505)
        process.clock.advance(UNDONE)
        await process.tick()
        held = await process.get()
        assert held.status is Status.HELD
        assert held.reason == "it reaches 505 people by now: approvers were shown 420 people"
        assert cluster.whop.exchanges == []
        # Whoever releases it has it counted anew, and approvers see that.
        await process.service.release(LENA, 1, revision=1)
        await process.tick()
        released = await process.get()
        assert released.status is Status.REVIEW
        assert released.counted is not None
        assert released.counted.people == 505


@pytest.mark.parametrize(
    ("shown", "now", "is_exceeded"),
    [
        (400, 480, False),
        (400, 481, True),
        (400, 320, False),
        (400, 319, True),
        (100, 150, False),
        (100, 151, True),
        (0, 50, False),
        (0, 51, True),
        (10_000, 12_000, False),
        (10_000, 12_001, True),
    ],
)
def test_a_drift_is_a_change_by_more_than_so_many_people_and_than_such_a_part(
    shown: int, now: int, is_exceeded: bool
) -> None:
    assert Drift(20, 50).exceeded(shown, now) is is_exceeded


def test_what_was_counted_and_cannot_be_counted_now_is_a_reason_to_ask_a_person() -> None:
    drift, unknown = Drift(20, 50), Counted(why="Whop did not tell")
    assert drifted(drift, Counted(people=7), unknown, bound=None) == (
        "how many people it reaches cannot be told now (Whop did not tell): approvers were shown 7 people"
    )
    assert drifted(drift, unknown, unknown, bound=None) == ""
    assert drifted(drift, None, Counted(people=600), bound=500) == ""
    assert drifted(drift, None, Counted(people=601), bound=500) == (
        "it reaches 601 people, and by the policy up to 500 people"
    )


@GENERATIONS
async def test_what_was_counted_and_can_be_counted_no_more_is_held(
    sqlite_url: str, tmp_path: Path, generation: str
) -> None:
    async with counting(sqlite_url, tmp_path, generation) as (cluster, process):
        await process.submitted("Gold")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1)
        cluster.whop.read_fault = ReadFault.FORBIDDEN
        process.clock.advance(UNDONE)
        await process.tick()
        held = await process.get()
        assert held.status is Status.HELD
        assert held.reason.startswith("how many people it reaches cannot be told now (")
        assert cluster.whop.exchanges == []


@GENERATIONS
async def test_what_whop_never_told_is_of_unknown_size_and_large_and_goes_out_once_its_name_was_typed(
    sqlite_url: str, tmp_path: Path, generation: str
) -> None:
    async with counting(sqlite_url, tmp_path, generation) as (cluster, process):
        cluster.whop.read_fault = ReadFault.FORBIDDEN
        await process.submitted("Gold")
        await process.tick()
        counted = (await process.get()).counted
        assert counted is not None
        assert counted.people is None
        assert counted.why
        await process.service.approve(OMAR, 1, revision=1, typed="Gold")
        process.clock.advance(UNDONE)
        await process.tick()
        assert await process.status() is Status.SENT


@GENERATIONS
async def test_what_is_large_is_decided_from_the_count(
    sqlite_url: str, tmp_path: Path, generation: str
) -> None:
    async with counting(sqlite_url, tmp_path, generation, size=5000) as (cluster, process):
        # The owner's number is a bound: by that alone its name would have to be typed.
        await process.submitted("Gold")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1)
        assert await process.status() is Status.APPROVED
        assert cluster.whop.exchanges == []


async def test_who_approved_before_it_was_counted_as_large_has_to_type_its_name_after_all(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with counting(sqlite_url, tmp_path, size=1000) as (cluster, process):
        grow(cluster, 1040)
        await process.submitted("Gold")
        await process.service.approve(OMAR, 1, revision=1)
        process.clock.advance(UNDONE)
        await process.tick()
        held = await process.get()
        assert held.status is Status.HELD
        assert "counts as large now" in held.reason
        assert cluster.whop.exchanges == []


async def test_a_card_says_no_more_that_it_is_counted_once_a_later_count_is_over(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wanted(tx: Transaction) -> int:
        """Return how often the first card was to be drawn."""
        found = select(cards.c.wanted).where(cards.c.broadcast_id == 1)
        return tx._connection.scalar(found) or 0  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr("bot.sending.counting.SHOWN_PAGES", 2)
    async with counting(sqlite_url, tmp_path) as (_, process):
        await process.submitted("Gold")
        await process.tick()
        process.clock.advance(timedelta(minutes=10))
        # Another for the same people has them counted anew; both wait for approval.
        await process.submitted("Gold")
        counter = process.dispatcher._counting  # pyright: ignore[reportPrivateUsage]
        for _ in range(4):
            await counter.step()
        first = (await process.get(1)).counted
        assert first is not None
        assert first.so_far
        before = await process.store.read(wanted)
        await counter.finish()
        assert (await process.get(1)).counted == first.shown()
        assert await process.store.read(wanted) == before + 1


async def test_what_has_become_large_since_it_was_approved_without_its_name_is_held(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with counting(sqlite_url, tmp_path) as (cluster, process):
        grow(cluster, 990)
        await process.submitted("Gold")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1)
        # No drift that anybody would have to look at, and above what needs no name.
        grow(cluster, 1020)
        await process.tick()
        await process.tick(UNDONE)
        held = await process.get()
        assert held.status is Status.HELD
        assert "counts as large now" in held.reason
        assert cluster.whop.exchanges == []


async def test_what_was_counted_long_before_a_freeze_was_lifted_is_counted_again(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with counting(sqlite_url, tmp_path) as (cluster, process):
        await process.submitted("Gold")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1)
        await process.tick()
        await process.service.freeze(LENA, "a test")
        process.clock.advance(timedelta(minutes=12))
        grow(cluster, 430)
        await process.service.unfreeze(OMAR)
        for _ in range(3):
            await process.tick()
        sent = await process.get()
        assert sent.status is Status.SENT
        assert sent.counted is not None
        assert sent.counted.people == 430


@GENERATIONS
@pytest.mark.parametrize("fault", [ReadFault.SERVER_ERROR, ReadFault.HANG_UP, ReadFault.RATE_LIMITED])
async def test_a_page_that_fails_is_read_again_and_what_was_read_before_it_is_not(
    sqlite_url: str, tmp_path: Path, generation: str, fault: ReadFault
) -> None:
    async with counting(sqlite_url, tmp_path, generation) as (cluster, process):
        await process.submitted("Gold")
        cluster.whop.read_fault = fault
        await process.tick()
        assert (await process.get()).counted == Counted(so_far=0)
        cluster.whop.read_fault = ReadFault.NONE
        for _ in range(3):
            await process.tick(timedelta(minutes=5))
        counted = (await process.get()).counted
        assert counted is not None
        assert counted.people == 420


@pytest.mark.parametrize(
    ("generation", "owners", "why"),
    [
        ("v1", Owners(named=[f"user_{'x' * 64}"]), "a member of prod_gold has no user id that Whop gives"),
        ("v5", Owners(crowd=range(900_000_000)), "Whop tells of more people than there are"),
    ],
)
async def test_a_page_that_no_database_could_keep_is_the_end_of_that_count_and_of_no_other(
    postgres_url: str, tmp_path: Path, generation: str, owners: Owners, why: str
) -> None:
    targets = ["exp_gold"] if generation == "v1" else ["prod_gold", "prod_silver", "prod_bronze"]
    policy = parsed(of_generation(server(audience("Gold", *targets, size=None)), generation))
    async with Cluster.open(postgres_url, tmp_path, generation=generation) as cluster:
        products = dict.fromkeys(["prod_gold", "prod_silver", "prod_bronze"], owners)
        cluster.whop.people = People(products=products, experiences={"exp_gold": ["prod_gold"]})
        process = await cluster.join(policy=policy)
        await process.submitted("Gold")
        await process.tick()
        counted = (await process.get()).counted
        assert counted is not None
        assert (counted.people, counted.why) == (None, why)


async def test_a_restart_in_the_middle_reads_on_where_it_was(database_url: str, tmp_path: Path) -> None:
    async with counting(database_url, tmp_path) as (cluster, process):
        await process.submitted("Gold")
        counter = process.dispatcher._counting  # pyright: ignore[reportPrivateUsage]
        for _ in range(3):
            assert await counter.step()
        before = len(cluster.whop.reads)
        await process.leave()
        again = await cluster.join(policy=parsed(server(audience("Gold", "exp_gold", size=None))))
        # Its claim is its own for a while; then another reads on.
        with again.store.begin() as tx:
            tx._connection.exec_driver_sql("UPDATE counts SET lease_until = '2000-01-01 00:00:00'")  # pyright: ignore[reportPrivateUsage]
        await again.tick()
        counted = (await again.get()).counted
        assert counted is not None
        assert counted.people == 420
        # One question leads to the product, five to all of its people: none was asked twice.
        assert before == 3
        assert len(cluster.whop.reads) == 6


@GENERATIONS
async def test_a_draft_says_what_was_counted_last(sqlite_url: str, tmp_path: Path, generation: str) -> None:
    async with counting(sqlite_url, tmp_path, generation) as (_, process):
        await process.submitted("Gold")
        await process.tick(timedelta(seconds=1))
        draft = await process.service.compose(MAYA, audience="Gold", notification=WORDS, channel_id=CHANNEL)
        assert draft.counted is not None
        assert (draft.counted.people, draft.counted.so_far) == (420, None)


async def test_what_left_its_review_says_no_more_that_it_is_being_counted(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with counting(sqlite_url, tmp_path) as (_, process):
        asked = await process.submitted("Gold")
        lifecycle = process.service.lifecycle
        assert "being counted" in size(lifecycle, asked)
        draft = await process.service.withdraw(MAYA, 1, revision=1)
        await process.tick()
        assert "being counted" not in size(lifecycle, draft)
        again = await process.service.submit(MAYA, 1, revision=draft.revision)
        assert "up to 420 people, counted" in size(lifecycle, again)


async def test_what_people_ask_whop_counts_where_reads_have_the_rate_of_sends(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with counting(sqlite_url, tmp_path, "v5") as (cluster, process):
        await process.service.look_at_audience(LENA, "Gold")
        assert len(cluster.whop.reads) == 1
        with process.store.begin() as tx:
            begun = tx.facts.get(reads_begun("whop"))
        assert begun is not None
        assert begun.number == 1


async def test_one_broadcast_that_cannot_be_counted_keeps_no_other_waiting(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with counting(sqlite_url, tmp_path, size=500) as (_, process):
        for _ in range(2):
            await process.approved("Gold")
        begin = sizes.begin_before_start

        def fail(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> int:
            if broadcast.id == 1:
                raise RuntimeError
            return begin(tx, lifecycle, broadcast)

        monkeypatch.setattr("bot.sending.start.begin_before_start", fail)
        await process.tick()
        await process.tick(UNDONE)
        assert (await process.get(1)).reason == "a fault inside Herald (RuntimeError)"
        assert await process.status(2) is Status.SENT


@GENERATIONS
async def test_the_list_of_audiences_says_what_was_counted_last_by_one_question(
    sqlite_url: str, tmp_path: Path, generation: str
) -> None:
    async with counting(sqlite_url, tmp_path, generation, size=5000) as (_, process):
        (offered,) = await process.service.offered_audiences(MAYA, Action.COMPOSE)
        assert offered.told == "about 5,000 · 1 approval, name typed"
        await process.submitted("Gold")
        await process.tick(timedelta(seconds=1))
        with counted() as statements:
            (offered,) = await process.service.offered_audiences(MAYA, Action.COMPOSE)
        assert offered.told == "about 420 · 1 approval"
        assert len(statements) == 1
        assert await process.service.offered_audiences(LENA, Action.COMPOSE) == ()


async def test_old_counts_are_dropped_once_others_have_followed(database_url: str, tmp_path: Path) -> None:
    async with counting(database_url, tmp_path) as (_, process):
        for _ in range(3):
            await process.submitted("Gold")
            await process.tick()
            process.clock.advance(timedelta(minutes=10))
        assert await process.store.read(lambda tx: [tx.counts.result(one) is None for one in (1, 2, 3)]) == [
            *[False] * 3
        ]
        process.clock.advance(timedelta(days=31))
        await process.count()
        # The last one still tells.
        assert await process.store.read(lambda tx: [tx.counts.result(one) is None for one in (1, 2, 3)]) == [
            True,
            True,
            False,
        ]


async def test_reads_wait_behind_what_is_to_be_sent_and_leave_a_part_of_the_rate(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with counting(sqlite_url, tmp_path, "v5") as (cluster, process):
        await process.submitted("Gold")
        limit = process.dispatcher._settlement.rate_limits["whop"]  # pyright: ignore[reportPrivateUsage]
        with process.store.begin() as tx:
            assert limit.room_behind(tx, 0) == 18
            assert limit.room_behind(tx, 17) == 1
            assert limit.room_behind(tx, 18) == 0
            for _ in range(18):
                limit.begin_read(tx)
        with process.store.begin() as tx:
            assert limit.room_behind(tx, 0) == 0
            # What is sent still has its own part.
            assert limit.room(tx) == 2
        await process.tick()
        assert cluster.whop.reads == []


async def test_two_processes_count_an_audience_once(postgres_url: str, tmp_path: Path) -> None:
    async with counting(postgres_url, tmp_path) as (cluster, process):
        other = await cluster.join(policy=parsed(server(audience("Gold", "exp_gold", size=None))))
        await process.submitted("Gold")
        counters = [one.dispatcher._counting for one in (process, other)]  # pyright: ignore[reportPrivateUsage]
        await asyncio.gather(*(one.finish() for one in counters))
        for one in counters:
            await one.finish()
        counted = (await process.get()).counted
        assert counted is not None
        assert counted.people == 420
        assert len(cluster.whop.reads) == 6


async def test_people_who_are_found_are_kept_no_longer_than_they_are_needed(
    database_url: str, tmp_path: Path
) -> None:
    async with counting(database_url, tmp_path) as (_, process):
        broadcast = await process.submitted("Gold")
        named = [Recipient("exp_gold", f"user_{number}") for number in range(7)]

        def want(tx: Transaction, broadcast_id: int | None) -> int:
            at = process.clock()
            return tx.counts.want(
                guild_id=GUILD,
                account="whop",
                digest="one",
                sources="[]",
                named=named,
                at=at,
                broadcast_id=broadcast_id,
            )

        def kept(tx: Transaction) -> list[int]:
            return [len([*tx.counts.pieces(number, most=3)]) for number in wanted]

        wanted = [await process.store.write(want, one) for one in (None, broadcast.id)]
        assert await process.store.read(kept) == [3, 3]
        await process.count()
        # What only counted needs nobody; whom a broadcast went to is kept for as long as the policy says.
        assert await process.store.read(kept) == [0, 3]
        process.clock.advance(timedelta(days=29))
        await process.count()
        assert await process.store.read(kept) == [0, 3]
        process.clock.advance(timedelta(days=2))
        await process.count()
        assert await process.store.read(kept) == [0, 0]
