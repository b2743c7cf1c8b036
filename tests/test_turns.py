"""Nobody waits for somebody else: not for a frozen server, a long broadcast, or what fails inside Herald."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from bot.broadcast import Broadcast, Status, Step
from bot.delivery import Rejected
from bot.errors import StoreError
from bot.freeze import Freeze
from bot.permissions import Actor
from bot.sandbox.whop import Fault
from bot.store import Store, Transaction
from bot.store.store import Work
from tests.harness.people import LENA, MAYA, OMAR, Members, member
from tests.harness.policy import (
    APPROVE,
    COMPOSE,
    ONE,
    OTHER_GUILD,
    REVIEW_CHANNEL,
    audience,
    of_generation,
    parsed,
    server,
)
from tests.harness.process import UNDONE, Cluster, Process
from tests.harness.statements import counted
from tests.waiting import until

MANY: Final = audience("Many", *(f"exp_{number}" for number in range(6)))
POLICY: Final = server(ONE, MANY) + server(
    ONE, name="Moonlight", guild=OTHER_GUILD, review=REVIEW_CHANNEL + 2, rules='undo_window = "10s"'
)
ABROAD: Final = {
    "author": member(11, "Ines", COMPOSE, guild=OTHER_GUILD),
    "approver": member(12, "Paul", APPROVE, guild=OTHER_GUILD),
}
LATE: Final = timedelta(minutes=16)


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        opened.members = Members((MAYA, OMAR, LENA, *ABROAD.values()))
        yield opened


@pytest.fixture
async def process(cluster: Cluster) -> Process:
    return await cluster.join(policy=parsed(of_generation(POLICY, cluster.generation)))


async def due(process: Process, *audiences: str, **people: Actor) -> list[int]:
    """Let broadcasts to these audiences be due, and return their numbers."""
    found = [(await process.approved(one, **people)).id for one in audiences]
    await process.count()
    process.clock.advance(UNDONE)
    return found


async def freeze(process: Process) -> None:
    """Freeze the first server."""
    wanted = Freeze(guild_id=MAYA.guild_id, by=LENA.person, at=process.clock(), reason="a test")
    await process.store.write(process.service.lifecycle.freeze, wanted)


# --- a frozen server -------------------------------------------------------------------------------


async def test_what_is_due_in_a_frozen_server_hides_nothing_of_another(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.start.BATCH", 2)
    await freeze(process)
    frozen = await due(process, "One", "One", "One")
    (other,) = await due(process, "One", **ABROAD)
    await process.tick()
    assert await process.status(other) is Status.SENT
    assert [await process.status(one) for one in frozen] == [Status.APPROVED] * 3
    assert len(cluster.whop.pushes) == 1


async def test_what_waits_to_be_sent_in_a_frozen_server_hides_nothing_of_another(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 2)
    (frozen,) = await due(process, "Many")
    await process.tick()
    await freeze(process)
    (other,) = await due(process, "One", **ABROAD)
    await process.tick()
    assert await process.status(other) is Status.SENT
    assert len(cluster.whop.pushes) == 3
    assert await process.status(frozen) is Status.SENDING


async def test_what_is_late_is_given_up_while_its_server_is_frozen(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 2)
    (begun,) = await due(process, "Many")
    await process.tick()
    await freeze(process)
    (waiting,) = await due(process, "One")
    await process.tick(LATE)
    assert await process.status(begun) is Status.PARTIAL
    assert await process.status(waiting) is Status.HELD
    assert len(cluster.whop.pushes) == 2


async def test_what_is_frozen_costs_one_question_a_round(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 2)
    await due(process, "Many")
    await process.tick()
    await freeze(process)
    await due(process, "One", "One")
    await process.tick()
    with counted() as statements:
        await process.tick()
    assert len(statements) == 1, statements


# --- turns -----------------------------------------------------------------------------------------


async def test_a_long_broadcast_lets_each_that_comes_later_have_its_turn(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 2)
    (long,) = await due(process, "Many")
    await process.tick()
    short, other = *await due(process, "One"), *await due(process, "One", **ABROAD)
    await process.tick()
    assert await process.status(other) is Status.SENT, "each server has its turn"
    await process.tick()
    assert await process.status(short) is Status.SENT, "each broadcast has its turn"
    assert await process.status(long) is Status.SENDING
    for _ in range(3):
        await process.tick()
    assert await process.status(long) is Status.SENT
    assert len(cluster.whop.pushes) == 8


async def test_a_long_broadcast_goes_on_beside_another_that_comes_later(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 2)
    (long,) = await due(process, "Many")
    for _ in range(2):
        await process.tick()
    (other,) = await due(process, "Many")
    for _ in range(2):
        await process.tick()
    assert await process.status(long) is Status.SENT
    assert await process.status(other) is Status.SENDING


# --- what the database did not say -----------------------------------------------------------------


async def lose_the_answer(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next claim be committed without anybody hearing of it."""
    write = process.store.write
    dispatcher: Any = process.dispatcher

    async def lost(_store: Store, work: Work[..., Any], *args: Any, **more: Any) -> Any:
        result = await write(work, *args, **more)
        if work == dispatcher._claim:
            monkeypatch.undo()
            raise StoreError("the connection was cut")
        return result

    monkeypatch.setattr(Store, "write", lost)
    with pytest.raises(StoreError, match="cut"):
        await process.tick()


async def test_a_claim_of_which_the_database_did_not_tell_is_sent_once_by_whoever_has_it(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (number,) = await due(process, "One")
    await lose_the_answer(process, monkeypatch)
    assert cluster.whop.pushes == []
    assert await process.status(number) is Status.SENDING
    await process.tick()
    assert await process.status(number) is Status.SENT
    assert len(cluster.whop.pushes) == 1
    assert [one.bytes_left for one in (await process.deliveries(number))[0].past] == [False, None]


async def test_what_another_process_began_with_is_not_taken_for_what_was_never_begun(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Cluster.open(postgres_url, tmp_path, generation="v5") as cluster:
        one, other = await cluster.join(), await cluster.join()
        number = (await one.approved()).id
        cluster.clock.advance(UNDONE)

        def refuse(_: Transaction) -> None:
            if one.dispatcher._claiming.attempted:  # pyright: ignore[reportPrivateUsage]
                raise StoreError("the commit was refused")

        with monkeypatch.context() as patch:
            patch.setattr(one.store, "before_commit", refuse)
            with pytest.raises(StoreError):
                await one.tick()
        await other.die_in_flight()
        await one.let_leases_end()
        for _ in range(3):
            await one.tick(timedelta(minutes=2))
        assert len(cluster.whop.exchanges) == 1
        assert await one.status(number) is Status.UNKNOWN


# --- a fault of our own ----------------------------------------------------------------------------


def failing_for(
    number: int, step: Step, advance_all: Callable[..., list[Broadcast]]
) -> Callable[..., list[Broadcast]]:
    def fails(tx: Transaction, before: Sequence[Broadcast], taken: Step, **more: Any) -> list[Broadcast]:
        if taken is step and number in {one.id for one in before}:
            raise KeyError("a fault")
        return advance_all(tx, before, taken, **more)

    return fails


async def test_an_outcome_that_cannot_be_written_down_ends_unknown_and_takes_no_other_along(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.recording.RECORD_AGAIN_SECONDS", 0)
    first, second = await due(process, "One", "One")
    lifecycle = process.service.lifecycle
    monkeypatch.setattr(lifecycle, "advance_all", failing_for(first, Step.ACCEPTED, lifecycle.advance_all))
    with capture_logs() as logged:
        await process.tick()
    assert (await process.get(first)).reason == "a fault inside Herald (KeyError)"
    assert await process.status(first) is Status.UNKNOWN
    assert await process.status(second) is Status.SENT
    assert "an outcome cannot be written down" in [line["event"] for line in logged]
    assert len(cluster.whop.pushes) == 2


async def test_a_broadcast_that_cannot_be_started_waits_for_a_person_and_takes_no_other_along(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await due(process, "One", "One")
    lifecycle = process.service.lifecycle
    monkeypatch.setattr(lifecycle, "advance_all", failing_for(first, Step.START, lifecycle.advance_all))
    await process.tick()
    assert (await process.get(first)).reason == "a fault inside Herald (KeyError)"
    assert await process.status(first) is Status.HELD
    assert await process.status(second) is Status.SENT
    assert len(cluster.whop.pushes) == 1


async def test_a_delivery_that_cannot_be_judged_is_given_up_and_takes_no_other_along(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await due(process, "One", "One")
    settlement: Any = process.dispatcher._settlement  # pyright: ignore[reportPrivateUsage]
    judge = settlement._given_up

    def fails(delivery: Any, *more: Any) -> Any:
        if delivery.broadcast_id == first:
            raise KeyError("a fault")
        return judge(delivery, *more)

    monkeypatch.setattr(settlement, "_given_up", fails)
    await process.tick()
    assert await process.status(first) is Status.FAILED
    assert await process.status(second) is Status.SENT
    assert len(cluster.whop.pushes) == 1


async def test_what_is_given_up_and_cannot_be_written_down_keeps_no_other_from_being_sent(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.recording.RECORD_AGAIN_SECONDS", 0)
    first, second = await due(process, "One", "One")
    settlement: Any = process.dispatcher._settlement  # pyright: ignore[reportPrivateUsage]
    judge, lifecycle = settlement._given_up, process.service.lifecycle

    def gives_up_the_first(delivery: Any, *more: Any) -> Any:
        return Rejected("a test") if delivery.broadcast_id == first else judge(delivery, *more)

    monkeypatch.setattr(settlement, "_given_up", gives_up_the_first)
    monkeypatch.setattr(
        lifecycle, "advance_all", failing_for(first, Step.NOT_ACCEPTED, lifecycle.advance_all)
    )
    await process.tick()
    assert await process.status(second) is Status.SENT
    assert (await process.get(first)).reason == "a fault inside Herald (KeyError)"


async def test_what_fails_beside_the_sending_does_not_stop_it(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 2)
    (late,) = await due(process, "Many")
    await process.tick()
    lifecycle = process.service.lifecycle
    monkeypatch.setattr(lifecycle, "advance_all", failing_for(late, Step.PARTLY, lifecycle.advance_all))
    process.clock.advance(LATE)
    (other,) = await due(process, "One", **ABROAD)
    with capture_logs() as logged:
        await process.tick()
    assert await process.status(other) is Status.SENT
    assert "a step failed inside Herald" in [line["event"] for line in logged]


async def test_a_round_that_fails_inside_herald_is_told_and_the_next_goes_on(
    process: Process, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await due(process, "One")
    dispatcher: Any = process.dispatcher
    do, tries = dispatcher._round, iter([True])

    async def fails_once() -> bool:
        if next(tries, False):
            dispatcher._woken.set()
            raise KeyError("a fault")
        return await do()

    monkeypatch.setattr(dispatcher, "_round", fails_once)
    with capture_logs() as logged:
        running = asyncio.create_task(process.dispatcher.run())
        await until(lambda: len(cluster.whop.pushes) == 1)
        process.dispatcher.stop()
        await running
    assert "a round failed inside Herald" in [line["event"] for line in logged]


# --- a pause ---------------------------------------------------------------------------------------


async def test_a_pause_costs_one_question_a_round_and_what_waits_goes_on_after_it(
    process: Process, cluster: Cluster
) -> None:
    cluster.whop.fail_next(Fault.RATE_LIMITED)
    (number,) = await due(process, "One")
    await process.tick()
    await due(process, "One")
    await process.tick()
    with counted() as statements:
        await process.tick()
    assert len(statements) == 1, statements
    for _ in range(3):
        await process.tick(timedelta(minutes=2))
    assert await process.status(number) is Status.SENT
    assert len(cluster.whop.pushes) == 2
