"""Refusals are answered without end and recorded within bounds: each for a while, then how many more."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot.errors import NotAllowed, NotReady, Refused
from bot.permissions import Action, Actor
from bot.service import Service
from bot.store import Access
from bot.store.tables import interactions, members
from tests.database import new_file
from tests.harness.found import only
from tests.harness.people import LENA, MAYA, WORDS, member
from tests.harness.policy import audience, parsed, server
from tests.harness.process import Cluster, Process

STRANGER = member(9, "Sam")
MINUTE = timedelta(minutes=1)
AGAIN = "refused again"


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def process(cluster: Cluster) -> Process:
    return await cluster.join(alone=True)


async def refused(service: Service, times: int, *, who: Actor = STRANGER) -> set[str]:
    """Let somebody ask in vain so often; return what they were answered."""
    said: set[str] = set()
    for number in range(times):
        with pytest.raises(NotAllowed) as refusal:
            await service.approve(
                Actor(id=who.id, name=who.name, guild_id=who.guild_id, roles=who.roles, interaction=number),
                1,
                revision=1,
            )
        said.add(str(refusal.value))
    return said


async def test_ten_refusals_in_a_minute_are_recorded_and_what_follows_is_one_event_when_it_has_ended(
    process: Process,
) -> None:
    await process.submitted()
    assert "it takes the role" in only(await refused(process.service, 30))
    assert len(await process.lines("refused approve")) == 10
    assert await process.lines(AGAIN) == []

    await process.tick(MINUTE - timedelta(seconds=1))
    assert await process.lines(AGAIN) == []
    await process.tick(timedelta(seconds=1))
    assert await process.lines(AGAIN) == ["and 20 more until 2026-11-23 09:41:00 UTC"]
    event = only([one for one in await process.record() if one.action == AGAIN])
    assert event.actor == STRANGER.person

    await process.tick(MINUTE)
    assert len(await process.lines(AGAIN)) == 1
    await refused(process.service, 1)
    assert len(await process.lines("refused approve")) == 11


async def test_the_next_refusal_after_a_streak_tells_of_it_first(process: Process) -> None:
    await process.submitted()
    await refused(process.service, 12)
    process.clock.advance(MINUTE)
    await refused(process.service, 1)
    assert [one.action for one in await process.record()][-2:] == [AGAIN, "refused approve"]
    assert only(await process.lines(AGAIN)).startswith("and 2 more")


async def test_how_many_more_there_were_survives_a_restart(cluster: Cluster) -> None:
    before = await cluster.join(alone=True)
    await before.submitted()
    await refused(before.service, 15)
    await before.leave()
    after = await cluster.join(alone=True)
    await after.tick(MINUTE)
    assert only(await after.lines(AGAIN)).startswith("and 5 more")


async def test_ten_in_a_minute_are_few_enough_to_be_recorded_for_ever(process: Process) -> None:
    await process.submitted()
    for _ in range(3):
        await refused(process.service, 10)
        await process.tick(MINUTE)
    assert len(await process.lines("refused approve")) == 30
    assert await process.lines(AGAIN) == []


async def test_whoever_never_ends_is_told_of_every_hour(process: Process) -> None:
    await process.submitted()
    await refused(process.service, 10)
    for _ in range(119):
        await process.tick(timedelta(seconds=30))
        await refused(process.service, 1)
    assert await process.lines(AGAIN) == []
    await process.tick(timedelta(seconds=30))
    assert only(await process.lines(AGAIN)).startswith("and 119 more until 2026-11-23 10:40:30")


async def test_what_others_are_refused_is_recorded_all_the_same(process: Process) -> None:
    await process.submitted()
    await refused(process.service, 20)
    await refused(process.service, 1, who=LENA_WITHOUT)
    assert only([one.actor for one in await process.record() if one.actor.id == LENA.id]) == LENA.person


LENA_WITHOUT = member(3, "Lena")


async def test_what_is_refused_at_once_is_counted_to_the_last(process: Process) -> None:
    waiting = await process.submitted()
    works = [process.service.approve(MAYA, waiting.id, revision=1) for _ in range(40)]
    done = await asyncio.gather(*works, return_exceptions=True)
    assert all(isinstance(one, Refused) for one in done)
    await process.tick(MINUTE)
    assert len(await process.lines("refused approve")) == 10
    assert only(await process.lines(AGAIN)).startswith("and 30 more")


async def test_a_flood_of_refusals_grows_neither_the_database_nor_the_record(tmp_path: Path) -> None:
    async with Cluster.open(new_file(tmp_path), tmp_path) as cluster:
        process = await cluster.join(alone=True)
        waiting = await process.submitted()
        size, length = occupied(process), len(await process.record())

        said = NotAllowed(only(await refused(process.service, 100)))
        for _ in range(24):
            process.clock.advance(timedelta(seconds=25))
            with process.store.begin() as tx:
                for _ in range(100):
                    process.service.lifecycle.note_refusal(tx, STRANGER, Action.APPROVE, said, waiting)
        await process.tick(MINUTE)

        assert len(await process.record()) - length == 11
        assert only(await process.lines(AGAIN)).startswith("and 2,490 more")
        assert occupied(process) - size < 25_000


async def test_a_press_that_is_refused_leaves_no_other_row_than_its_event(process: Process) -> None:
    await process.submitted()
    await refused(process.service, 20)
    with process.store.begin(Access.READ) as tx:
        connection = tx._connection  # pyright: ignore[reportPrivateUsage]
        assert connection.scalar(select(func.count()).select_from(interactions)) == 0
        assert connection.scalars(select(members.c.user_id)).all() == [MAYA.id]


def occupied(process: Process) -> int:
    """Return how many bytes of the file are in use."""
    with process.store.begin(Access.READ) as tx:
        connection = tx._connection  # pyright: ignore[reportPrivateUsage]
        pages, free, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


async def test_a_refusal_that_lists_five_thousand_names_is_short_in_the_answer_and_in_the_record(
    cluster: Cluster,
) -> None:
    many = [audience(f"Audience {number}", "exp_gold") for number in range(5000)]
    process = await cluster.join(alone=True, policy=parsed(server(*many)))
    with pytest.raises(NotReady) as refusal:
        await process.service.compose(MAYA, audience="x" * 6000, notification=WORDS, channel_id=1)
    said = str(refusal.value)
    assert "“Audience 0”, “Audience 1”" in said
    assert "and 4,990 more" in said
    assert len(said) < 500
    assert await process.lines("refused compose") == [said]


async def test_a_refusal_that_names_many_roles_says_how_many_more(cluster: Cluster) -> None:
    held = ", ".join(str(104900000000000500 + number) for number in range(60))
    text = server(audience("One", "exp_gold")).replace(
        "approve = [104900000000000022]", f"approve = [{held}]"
    )
    process = await cluster.join(alone=True, policy=parsed(text))
    with pytest.raises(NotAllowed, match="and 50 more"):
        await process.service.ask(STRANGER, Action.APPROVE, 1)
