"""When a send starts, those who wrote and approved it still have to be allowed to."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from bot.broadcast import Approval, Status
from bot.permissions import Actor, Membership
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, readable
from bot.sending.roles import RoleCheck
from bot.store import Access
from bot.store.members import Answer
from bot.store.tables import members
from tests.harness.cards import labels, review_card, words
from tests.harness.clock import NOW
from tests.harness.people import LENA, MAYA, NOOR, OMAR
from tests.harness.policy import APPROVE, COMPOSE, GUILD, OTHER_GUILD, POLICY, parsed
from tests.harness.process import Cluster, Process

MINUTE = timedelta(minutes=1)
A_BIT = timedelta(microseconds=1)


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


# --- roles that were lost --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "roles", "reason"),
    [
        (MAYA, frozenset({APPROVE}), "Maya, who wrote it, has lost the role for that since"),
        (MAYA, None, "Maya, who wrote it, has left the server since"),
        (OMAR, frozenset({COMPOSE}), "Omar, who approved it, has lost the role for that since"),
        (OMAR, None, "Omar, who approved it, has left the server since"),
    ],
    ids=["author-lost", "author-left", "approver-lost", "approver-left"],
)
async def test_what_was_written_or_approved_by_someone_who_no_longer_may_is_held_and_says_who(
    cluster: Cluster, who: Actor, roles: frozenset[int] | None, reason: str
) -> None:
    process = await cluster.join()
    await process.due()
    cluster.members.roles[who.id] = roles
    await process.tick()

    assert await process.status() is Status.HELD
    assert cluster.whop.exchanges == []
    assert (await process.get()).reason == reason
    assert await process.lines("hold") == [reason]
    card = await review_card(process)
    assert f"It will **not** go out by itself: {reason}." in words(card)
    assert labels(card) == ["Release", "Back to draft", "Cancel"]


@pytest.mark.parametrize("who", [OMAR, LENA], ids=["first", "second"])
async def test_one_of_two_approvers_who_lost_the_role_is_enough_to_hold_it(
    cluster: Cluster, who: Actor
) -> None:
    policy = parsed(POLICY.replace("approvals = 1", "approvals = 2"))
    process = await cluster.join(policy=policy)
    waiting = await process.submitted()
    for actor in (OMAR, LENA):
        await process.service.approve(actor, waiting.id, revision=1)
    cluster.members.roles[who.id] = frozenset()
    await process.tick(timedelta(seconds=11))
    assert (await process.get()).reason == f"{who.name}, who approved it, has lost the role for that since"
    assert cluster.whop.exchanges == []


async def test_a_role_that_was_regained_before_the_send_starts_counts(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    with process.store.begin() as tx:
        tx.members.saw(OMAR.guild_id or 0, OMAR.id, None, at=cluster.clock())
    await process.tick()
    assert await process.status() is Status.SENT


async def test_what_is_held_for_a_lost_role_goes_out_only_after_release_and_fresh_approval(
    cluster: Cluster,
) -> None:
    process = await cluster.join()
    await process.due()
    cluster.members.roles[OMAR.id] = frozenset()
    await process.tick()
    cluster.members.roles[OMAR.id] = OMAR.roles
    await process.tick(MINUTE)
    assert await process.status() is Status.HELD

    await process.service.release(LENA, 1, revision=1)
    assert (await process.get()).approvals == ()
    await process.service.approve(LENA, 1, revision=1)
    await process.tick(timedelta(seconds=11))
    assert await process.status() is Status.SENT


@pytest.mark.parametrize("who", [MAYA, OMAR], ids=["author", "approver"])
@pytest.mark.parametrize("away", [False, True], ids=["asked", "remembered"])
async def test_what_was_written_or_approved_by_someone_in_time_out_is_held_and_says_who(
    cluster: Cluster, who: Actor, *, away: bool
) -> None:
    process = await cluster.join()
    await process.due()
    until = cluster.clock() + A_BIT
    cluster.members.timed_out_until[who.id] = until
    if away:
        cluster.members.away = True
        with process.store.begin() as tx:
            tx.members.saw(GUILD, who.id, who.roles, timed_out_until=until, at=cluster.clock())
    await process.tick()
    did = "wrote it" if who is MAYA else "approved it"
    held = await process.get()
    assert (held.status, held.reason) == (Status.HELD, f"{who.name}, who {did}, is in Discord's time-out")
    assert cluster.whop.exchanges == []


async def test_a_time_out_that_has_ended_by_the_moment_of_the_start_holds_nothing(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    for who in (MAYA, OMAR):
        cluster.members.timed_out_until[who.id] = cluster.clock()
    await process.tick()
    assert await process.status() is Status.SENT


async def test_until_when_somebody_is_in_time_out_is_remembered_and_forgotten(cluster: Cluster) -> None:
    process = await cluster.join()

    def remembered() -> datetime | None:
        with process.store.begin(Access.READ) as tx:
            return tx.members.of(GUILD, [OMAR.id])[OMAR.id].timed_out_until

    for until in (cluster.clock() + MINUTE, None):
        cluster.members.timed_out_until = {OMAR.id: until} if until else {}
        await process.due()
        await process.tick()
        assert remembered() == until


async def test_whoever_is_put_in_time_out_in_discord_neither_acts_nor_counts(v5: Sandbox) -> None:
    await v5.approved()
    until = v5.clock() + timedelta(hours=1)
    v5.world.env.backend.edit_member(
        v5.world.guild.id, v5.person("Omar").id, {"timed_out_until": until.isoformat()}
    )
    said = answer(await v5.press("Omar", "Stop"))
    assert said.startswith("You are in Discord's time-out until ")
    await v5.wait(UNDONE)
    assert v5.whop.exchanges == []
    assert "Omar, who approved it, is in Discord's time-out" in readable(v5.review_card())


async def test_in_discord_the_card_says_who_lost_the_role_and_gives_it_back(v5: Sandbox) -> None:
    await v5.approved()
    role = v5.world.roles["approve"].id
    v5.world.env.backend.remove_member_role(v5.world.guild.id, v5.person("Omar").id, role)
    await v5.wait(UNDONE)
    assert v5.whop.exchanges == []
    card = readable(v5.review_card())
    assert card.startswith("#1 · Held")
    assert "Omar, who approved it, has lost the role for that since" in card
    assert "is held and will not go out by itself" in v5.newest("moderators")
    await v5.press("Lena", "Back to draft")
    assert "It is a draft again" in readable(v5.review_card())


# --- while Discord cannot be asked -----------------------------------------------------------------


async def due_after(cluster: Cluster, span: timedelta) -> Process:
    """Let it fall due that long after everybody was last seen, with Discord out of reach since."""
    minutes = int(span / MINUTE)
    policy = parsed(POLICY.replace('"10s"', f'"{minutes}m"'))
    process = await cluster.join(policy=policy)
    await process.approved()
    cluster.members.away = True
    cluster.clock.advance(span)
    return process


async def test_an_answer_of_59_minutes_ago_counts_while_discord_cannot_be_asked(
    cluster: Cluster,
) -> None:
    process = await due_after(cluster, 59 * MINUTE)
    await process.tick()
    assert await process.status() is Status.SENT
    assert set(cluster.members.asked) == {MAYA.id, OMAR.id}


@pytest.mark.parametrize(("older", "ends"), [(timedelta(), Status.SENT), (A_BIT, Status.HELD)])
async def test_an_answer_counts_for_an_hour_to_the_moment(
    cluster: Cluster, older: timedelta, ends: Status
) -> None:
    process = await due_after(cluster, 60 * MINUTE)
    await process.tick(older)
    assert await process.status() is ends


async def test_an_answer_of_61_minutes_ago_does_not_count_and_it_is_held(cluster: Cluster) -> None:
    process = await due_after(cluster, 59 * MINUTE)
    await process.tick(2 * MINUTE)
    assert await process.status() is Status.HELD
    said = "Discord could not be asked which roles Maya, who wrote it, holds now"
    assert said in words(await review_card(process))
    assert cluster.whop.exchanges == []


async def test_an_answer_from_the_time_before_the_clock_was_set_back_does_not_count(
    cluster: Cluster,
) -> None:
    process = await due_after(cluster, 59 * MINUTE)
    with process.store.begin() as tx:
        tx.members.saw(MAYA.guild_id or 0, MAYA.id, MAYA.roles, at=cluster.clock() + 61 * MINUTE)
    await process.tick()
    assert await process.status() is Status.HELD


async def test_of_whom_nothing_was_ever_known_nothing_is_assumed(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    with process.store.begin() as tx:
        tx._connection.execute(delete(members))  # pyright: ignore[reportPrivateUsage]
    cluster.members.away = True
    await process.tick()
    assert await process.status() is Status.HELD


async def test_what_discord_said_last_counts_though_it_is_away_now(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    with process.store.begin() as tx:
        tx.members.saw(OMAR.guild_id or 0, OMAR.id, {COMPOSE}, at=cluster.clock())
    cluster.members.away = True
    await process.tick()
    assert (await process.get()).reason == "Omar, who approved it, has lost the role for that since"


# --- who is asked, and when ------------------------------------------------------------------------


async def test_discord_is_asked_outside_any_transaction(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await cluster.join()
    await process.due()
    pool = process.store._engines[Access.WRITE].pool  # pyright: ignore[reportPrivateUsage]
    open_meanwhile: list[str] = []
    membership_of = cluster.members.membership_of

    async def observed(guild_id: int, user_id: int) -> Membership | None:
        open_meanwhile.append(pool.status().rpartition("connections: ")[2])
        return await membership_of(guild_id, user_id)

    monkeypatch.setattr(cluster.members, "membership_of", observed)
    cluster.members.away = True
    await process.tick()
    assert open_meanwhile == ["0", "0"]
    assert await process.status() is Status.SENT


async def test_everybody_is_asked_about_once_for_all_that_is_due(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.approved()
    await process.due()
    await process.tick()
    assert sorted(cluster.members.asked) == [MAYA.id, OMAR.id]
    assert len(cluster.whop.pushes) == 2


async def test_nobody_is_asked_about_what_is_not_due(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.approved()
    await process.tick()
    assert cluster.members.asked == []


async def test_nobody_is_asked_about_what_is_frozen_and_it_is_not_held_for_it(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    await process.service.freeze(LENA, "Wait")
    cluster.members.roles[OMAR.id] = None
    await process.tick()
    assert cluster.members.asked == []
    assert await process.status() is Status.APPROVED
    await process.unfreeze(OMAR)
    await process.tick()
    assert await process.status() is Status.HELD


async def test_nobody_is_asked_about_what_is_overdue(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.approved()
    await process.tick(20 * MINUTE)
    assert cluster.members.asked == []
    assert "has been missed" in (await process.get()).reason


# --- each clause -----------------------------------------------------------------------------------

LOST = frozenset({COMPOSE})


def said_of(actor: Actor, roles: frozenset[int] | None, *, guild: int = GUILD) -> Answer:
    return Answer(guild, actor.id, roles, None, NOW)


def by(actor: Actor, template: str | None = None) -> Approval:
    return Approval(approver=actor.person, at=NOW, template=template)


LENT_BY_BOTH: dict[str, Any] = {"approvals": (), "lent": (by(OMAR, "t"), by(LENA, "t"))}
LOST_IT = "Omar, who approved it, has lost the role for that since"
DOUBTS: dict[str, tuple[dict[str, Any], list[Answer], str]] = {
    "all may still": ({}, [], ""),
    "nobody approved, which is no doubt about roles": ({"approvals": ()}, [], ""),
    "lost here": ({}, [said_of(OMAR, LOST)], LOST_IT),
    "lost in another server": ({}, [said_of(OMAR, LOST, guild=OTHER_GUILD)], ""),
    "one of those who lend lost it": (LENT_BY_BOTH, [said_of(OMAR, LOST)], ""),
    "the other of those who lend lost it": (LENT_BY_BOTH, [said_of(LENA, LOST)], ""),
    "all of those who lend lost it": (LENT_BY_BOTH, [said_of(OMAR, LOST), said_of(LENA, LOST)], LOST_IT),
    "who lends left, and another approved": ({"lent": (by(LENA, "t"),)}, [said_of(LENA, None)], ""),
    "who lends left, and nobody approved": (
        {"approvals": (), "lent": (by(LENA, "t"),)},
        [said_of(LENA, None)],
        "Lena, who approved it, has left the server since",
    ),
    "who approved lost it, and another lends": ({"lent": (by(LENA, "t"),)}, [said_of(OMAR, LOST)], LOST_IT),
    "approved by who was never seen": (
        {"approvals": (by(NOOR),)},
        [],
        "Discord could not be asked which roles Noor, who approved it, holds now",
    ),
}


@pytest.mark.parametrize("case", DOUBTS)
async def test_each_doubt_about_roles_holds_it_and_no_other_does(cluster: Cluster, case: str) -> None:
    changes, answers, said = DOUBTS[case]
    process = await cluster.join()
    broadcast = (await process.approved()).model_copy(update=changes)
    with process.store.begin() as tx:
        tx.members.saw(GUILD, LENA.id, LENA.roles, at=NOW)
    check = RoleCheck(role_source=cluster.members, policy=parsed(POLICY), clock=cluster.clock)
    assert await process.store.read(check.doubt, broadcast, answers) == said


async def test_everybody_who_wrote_approved_or_lends_is_asked_about(cluster: Cluster) -> None:
    process = await cluster.join()
    broadcast = (await process.approved()).model_copy(update={"lent": (by(LENA, "t"),)})
    check = RoleCheck(role_source=cluster.members, policy=parsed(POLICY), clock=cluster.clock)
    assert {one.user_id for one in await check.ask([broadcast])} == {MAYA.id, OMAR.id, LENA.id}


async def test_what_discord_says_at_the_start_is_kept_for_when_it_cannot_be_asked(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    await process.tick()
    with process.store.begin(Access.READ) as tx:
        kept = tx.members.of(GUILD, [MAYA.id, OMAR.id])
    assert {one.at for one in kept.values()} == {cluster.clock()}
