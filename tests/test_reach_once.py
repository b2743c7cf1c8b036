"""Everyone once: members are found, made distinct, frozen, and reached by name."""

import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.broadcast import Broadcast, Status
from bot.errors import ConfigurationError
from bot.notification import Text
from bot.policy.loading import parse_policy
from bot.policy.model import Policy
from bot.sandbox.whop import Fault, SimulatedWhop
from bot.sandbox.whop.people import Owners, People
from bot.sandbox.whop.record import ReadFault
from bot.whop import gateway_for
from bot.whop.gateway import check_policy
from tests.harness.cards import review_card, words
from tests.harness.found import only
from tests.harness.people import CHANNEL, LENA, MAYA, OMAR, WORDS
from tests.harness.policy import audience, parsed, server
from tests.harness.process import UNDONE, Cluster, Process

ONCE = 'reach = "once"\n'
MENDED = WORDS.model_copy(update={"all": Text(subject="Sorry", content="It is at six")})


@asynccontextmanager
async def reaching(
    url: str, folder: Path, *targets: str, more: str = ONCE
) -> AsyncGenerator[tuple[Cluster, Process]]:
    """Give a process whose audience overlaps: 600 own gold, 300 silver, and 100 of these both."""
    policy = parsed(server(audience("Everyone", *targets, size=None, more=more)))
    async with Cluster.open(url, folder) as cluster:
        cluster.whop.people = People(
            products={
                "prod_gold": Owners(crowd=range(600)),
                "prod_silver": Owners(crowd=range(500, 800)),
                "prod_bronze": Owners(crowd=range(790, 810)),
            },
            experiences={"exp_gold": ["prod_gold"], "exp_silver": ["prod_silver", "prod_bronze"]},
            team=["user_000001", "user_team"],
        )
        yield cluster, await cluster.join(policy=policy)


async def sent(process: Process) -> Broadcast:
    await process.submitted("Everyone")
    await process.tick()
    await process.service.approve(OMAR, 1, revision=1, typed="Everyone")
    await process.tick()
    await process.tick(UNDONE)
    await process.tick()
    return await process.get()


def times_reached(whop: SimulatedWhop) -> Counter[str]:
    return Counter(user for push in whop.pushes for user in push.reached)


def people(*spans: range) -> dict[str, int]:
    return {f"user_{number:06}": 1 for span in spans for number in span}


@pytest.mark.parametrize(
    ("targets", "expected", "repeats"),
    [
        (["exp_gold", "exp_silver"], people(range(810)), 110),
        (["exp_silver"], people(range(500, 810)), 10),
        (["prod_gold", "prod_silver"], people(range(800)), 100),
        (["biz_sunrise"], people(range(810)), 110),
    ],
)
async def test_whoever_is_in_several_gets_it_once(
    sqlite_url: str, tmp_path: Path, targets: list[str], expected: dict[str, int], repeats: int
) -> None:
    async with reaching(sqlite_url, tmp_path, *targets) as (cluster, process):
        broadcast = await sent(process)
        assert broadcast.status is Status.SENT
        assert times_reached(cluster.whop) == expected
        counted = broadcast.counted
        assert counted is not None
        assert (counted.people, counted.repeats, counted.nameless) == (len(expected), repeats, 0)
        bodies = [json.loads(one.body) for one in cluster.whop.exchanges]
        assert all(0 < len(one["user_ids"]) <= 500 for one in bodies)


async def test_on_both_databases_it_is_frozen_and_recorded_without_saying_who_they_are(
    database_url: str, tmp_path: Path
) -> None:
    async with reaching(database_url, tmp_path, "exp_gold", "exp_silver") as (cluster, process):
        await sent(process)
        assert times_reached(cluster.whop) == people(range(810))
        said = only(await process.lines("recipients"))
        assert said.startswith("up to 810 people, 110 repeats left out, each once and by name; digest ")
        assert len(said.rpartition(" ")[2]) == 64
        assert not any("user_" in one.detail for one in await process.record())
        card = words(await review_card(process))
        assert "up to 810 people, counted" in card
        assert "110 repeats" in card
        assert "as a mention, which people who mute the rest still see" in card


async def test_the_requests_name_people_in_an_experience_that_they_are_in(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold", "exp_silver") as (cluster, process):
        await sent(process)
        for one in cluster.whop.exchanges:
            body = json.loads(one.body)
            inside = body["experience_id"]
            assert all(cluster.whop.people.has_access(user, inside) for user in body["user_ids"])


async def test_who_joined_after_it_was_found_out_does_not_get_it_and_who_left_is_not_reached(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        await process.submitted("Everyone")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1, typed="Everyone")
        # Found now, just before it goes out.
        await process.tick()
        cluster.whop.people.products["prod_gold"].crowd = range(620)
        cluster.whop.people.leave("user_000007")
        await process.tick(UNDONE)
        reached = times_reached(cluster.whop)
        assert "user_000610" not in reached
        assert set(reached.values()) == {1}


@pytest.mark.parametrize(
    "fault", [ReadFault.FORBIDDEN, ReadFault.FIREWALL, ReadFault.ENDLESS, ReadFault.LOST_CURSOR]
)
async def test_who_cannot_be_found_to_the_last_is_held_and_nobody_gets_it(
    sqlite_url: str, tmp_path: Path, fault: ReadFault
) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        cluster.whop.read_fault = fault
        await process.submitted("Everyone")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1, typed="Everyone")
        for _ in range(8):
            await process.tick(timedelta(minutes=1))
        held = await process.get()
        assert held.status is Status.HELD
        assert held.reason.startswith("who is in “Everyone” cannot be read now (")
        assert cluster.whop.exchanges == []


async def test_more_people_than_approvers_saw_are_held_when_they_are_found(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        await process.submitted("Everyone")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1, typed="Everyone")
        cluster.whop.people.products["prod_gold"].crowd = range(900)
        await process.tick()
        await process.tick(UNDONE)
        assert (await process.get()).reason == "it reaches 900 people by now: approvers were shown 600 people"
        assert cluster.whop.exchanges == []


async def test_an_audience_in_which_nobody_is_left_is_held(sqlite_url: str, tmp_path: Path) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        cluster.whop.people.products["prod_gold"].crowd = range(0)
        await process.submitted("Everyone")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1)
        await process.tick()
        await process.tick(UNDONE)
        assert (await process.get()).reason == "nobody is in “Everyone” now"
        assert cluster.whop.exchanges == []


async def test_an_audience_of_people_who_cannot_be_named_is_held_and_waits_for_nothing(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        cluster.whop.people.products["prod_gold"] = Owners(crowd=range(7), nameless_every=1)
        held = await sent(process)
        assert held.status is Status.HELD
        assert held.reason == "nobody in “Everyone” can be named now"
        assert cluster.whop.exchanges == []


async def test_what_had_nobody_to_count_while_the_policy_lacked_it_is_counted_once_it_is_back(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        await process.submitted("Everyone")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1, typed="Everyone")
        # As a process with another policy left it, which stopped before it could hold it.
        await process.store.write(lambda tx: tx.sizes.wait_for({1: 0}))
        await process.tick(UNDONE)
        await process.tick()
        await process.tick()
        assert (await process.get()).status is Status.SENT
        assert times_reached(cluster.whop) == people(range(600))


async def test_what_is_released_later_finds_its_people_anew(sqlite_url: str, tmp_path: Path) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        await process.submitted("Everyone")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1, typed="Everyone")
        await process.tick()
        await process.service.stop(LENA, 1, revision=1)
        cluster.whop.people.products["prod_gold"].crowd = range(610)
        process.clock.advance(timedelta(minutes=10))
        draft = await process.get()
        await process.service.submit(MAYA, 1, revision=draft.revision)
        await process.tick()
        await process.service.approve(OMAR, 1, revision=draft.revision, typed="Everyone")
        await process.tick()
        await process.tick(UNDONE)
        assert times_reached(cluster.whop) == people(range(610))


async def test_a_correction_goes_to_those_who_got_what_was_wrong_and_to_nobody_else(
    database_url: str, tmp_path: Path
) -> None:
    async with reaching(database_url, tmp_path, "exp_gold") as (cluster, process):
        wrong = await sent(process)
        cluster.whop.people.products["prod_gold"].crowd = range(640)
        cluster.whop.pushes.clear()
        draft = await process.service.correct(
            MAYA, wrong.id, revision=1, notification=MENDED, channel_id=CHANNEL
        )
        asked = await process.service.submit(MAYA, draft.id, revision=draft.revision)
        assert asked.counted == wrong.counted
        await process.service.approve(OMAR, draft.id, revision=draft.revision, typed="Everyone")
        await process.tick()
        await process.tick(UNDONE)
        await process.tick()
        assert times_reached(cluster.whop) == people(range(600))


async def test_a_correction_of_which_some_are_no_longer_known_goes_to_nobody(
    database_url: str, tmp_path: Path
) -> None:
    async with reaching(database_url, tmp_path, "exp_gold") as (cluster, process):
        await sent(process)
        cluster.whop.pushes.clear()
        with process.store.begin() as tx:
            connection = tx._connection  # pyright: ignore[reportPrivateUsage]
            connection.exec_driver_sql("DELETE FROM recipients WHERE user_id < 'user_000060'")
        draft = await process.service.correct(MAYA, 1, revision=1, notification=MENDED, channel_id=CHANNEL)
        await process.service.submit(MAYA, draft.id, revision=draft.revision)
        await process.service.approve(OMAR, draft.id, revision=draft.revision, typed="Everyone")
        await process.tick()
        await process.tick(UNDONE)
        assert await process.status(draft.id) is Status.HELD
        assert cluster.whop.pushes == []


async def test_who_got_it_by_name_stands_nowhere_once_the_time_is_over_for_which_that_is_kept(
    database_url: str, tmp_path: Path
) -> None:
    async with reaching(database_url, tmp_path, "exp_gold") as (_, process):
        broadcast = await sent(process)
        process.clock.advance(timedelta(days=29))
        await process.count()
        assert all(b"user_" in one.request.body for one in await process.deliveries())
        process.clock.advance(timedelta(days=2))
        await process.count()
        assert [one.request.body for one in await process.deliveries()] == [b"", b""]
        kept = await process.store.read(lambda tx: [*tx.counts.pieces(broadcast.count_id or 0)])
        assert kept == []
        assert "up to 600 people" in words(await review_card(process))


async def test_what_waits_to_be_sent_keeps_its_words_whatever_was_counted_for_it_before(
    database_url: str, tmp_path: Path
) -> None:
    async with reaching(database_url, tmp_path, "exp_gold") as (cluster, process):
        await process.submitted("Everyone")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1, typed="Everyone")
        await process.tick()
        before = (await process.get()).count_id
        await process.service.stop(LENA, 1, revision=1)
        process.clock.advance(timedelta(days=30) - UNDONE)
        again = await process.service.submit(MAYA, 1, revision=1)
        await process.tick()
        await process.service.approve(OMAR, 1, revision=again.revision, typed="Everyone")
        await process.tick()
        cluster.whop.fail_next(Fault.RATE_LIMITED)
        await process.tick(UNDONE)
        sending = await process.get()
        assert sending.status is Status.SENDING
        assert sending.count_id != before
        # As the rest of what is kept is looked over, a minute after the last time.
        process.clock.advance(timedelta(minutes=2))
        await process.count()
        assert all(b"user_" in one.request.body for one in await process.deliveries())


async def test_a_count_for_what_it_was_before_says_nothing_of_whom_it_is_for_now(
    sqlite_url: str, tmp_path: Path
) -> None:
    gold, silver = (
        audience(name, f"exp_{name.lower()}", size=None, more=ONCE) for name in ("Gold", "Silver")
    )
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, before):
        await before.leave()
        process = await cluster.join(policy=parsed(server(gold, silver)))
        await process.submitted("Gold")
        await process.tick()
        await process.service.approve(OMAR, 1, revision=1, typed="Gold")
        # Its recipients are looked for when somebody stops it.
        await process.dispatcher._count_soon()  # pyright: ignore[reportPrivateUsage]
        await process.service.stop(LENA, 1, revision=1)
        draft = await process.service.change_audience(MAYA, 1, revision=1, audience="Silver")
        await process.service.submit(MAYA, 1, revision=draft.revision)
        await process.service.approve(OMAR, 1, revision=draft.revision, typed="Silver")
        await process.tick()
        await process.tick(UNDONE)
        await process.tick()
        now = await process.get()
        assert (now.status, now.reason) == (Status.SENT, "")
        assert times_reached(cluster.whop) == people(range(500, 810))


async def test_whom_a_correction_goes_to_says_nothing_of_how_many_its_audience_has(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with reaching(sqlite_url, tmp_path, "exp_gold") as (cluster, process):
        await sent(process)
        cluster.whop.people.products["prod_gold"].crowd = range(2000)
        process.clock.advance(timedelta(hours=1))
        draft = await process.service.correct(MAYA, 1, revision=1, notification=MENDED, channel_id=CHANNEL)
        await process.service.submit(MAYA, draft.id, revision=draft.revision)
        await process.service.approve(OMAR, draft.id, revision=draft.revision, typed="Everyone")
        await process.tick()
        other = await process.service.compose(
            MAYA,
            audience="Everyone",
            notification=WORDS.model_copy(update={"all": Text(subject="Else", content="Come at ten")}),
            channel_id=CHANNEL,
        )
        asked = await process.service.submit(MAYA, other.id, revision=1)
        assert asked.counted is not None
        assert asked.counted.people is None
        await process.tick()
        counted = (await process.get(other.id)).counted
        assert counted is not None
        assert counted.people == 2000


def policy_of(more: str, *targets: str) -> Policy:
    return parse_policy(server(audience("Everyone", *targets, more=more)), name="herald.toml")


@pytest.mark.parametrize(
    ("generation", "more", "targets", "sentence"),
    [
        ("v5", ONCE, ["exp_gold"], "reach: v5 does not tell who is in an audience"),
        ("v1", "", ["prod_gold"], "products: v1 cannot reach that; use experiences, team, users_in_"),
        ("v1", 'reach = "everyone"\n', ["biz_sunrise"], 'or write reach = "once"'),
    ],
)
def test_what_a_generation_cannot_do_is_refused_at_the_start(
    generation: str, more: str, targets: list[str], sentence: str
) -> None:
    gateway = gateway_for(generation, origin="http://127.0.0.1:1")
    with pytest.raises(ConfigurationError) as refused:
        check_policy(policy_of(more, *targets), {"whop": gateway}, file="herald.toml")
    assert sentence in str(refused.value)


def test_any_other_reach_gets_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r'write "everyone" \(a request for each target'):
        policy_of('reach = "twice"\n', "exp_gold")
