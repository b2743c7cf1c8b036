"""When a send starts, those who wrote and approved it still have to be allowed to."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from bot.broadcast import Status
from bot.permissions import Actor
from bot.policy.loading import parse_policy
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.store import Access
from bot.store.tables import members
from tests.desk import APPROVE, COMPOSE, LENA, MAYA, OMAR, POLICY, Desk, Office, labels, words

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def office(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Office, None]:
    async with Office.open(sqlite_url, tmp_path) as opened:
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
    office: Office, who: Actor, roles: frozenset[int] | None, reason: str
) -> None:
    desk = await office.join()
    await desk.due()
    office.members.roles[who.id] = roles
    await desk.tick()

    assert await desk.status() is Status.HELD
    assert office.whop.exchanges == []
    assert (await desk.get()).reason == reason
    assert await desk.lines("hold") == [reason]
    card = await desk.card()
    assert f"It will **not** go out by itself: {reason}." in words(card)
    assert labels(card) == ["Release", "Back to draft", "Cancel"]


@pytest.mark.parametrize("who", [OMAR, LENA], ids=["first", "second"])
async def test_one_of_two_approvers_who_lost_the_role_is_enough_to_hold_it(
    office: Office, who: Actor
) -> None:
    policy = parse_policy(POLICY.replace("approvals = 1", "approvals = 2"), name="herald.toml")
    desk = await office.join(policy=policy)
    waiting = await desk.submitted()
    for actor in (OMAR, LENA):
        await desk.service.approve(actor, waiting.id, revision=1)
    office.members.roles[who.id] = frozenset()
    await desk.tick(timedelta(seconds=11))
    assert (await desk.get()).reason == f"{who.name}, who approved it, has lost the role for that since"
    assert office.whop.exchanges == []


async def test_a_role_that_was_regained_before_the_send_starts_counts(office: Office) -> None:
    desk = await office.join()
    await desk.due()
    with desk.store.begin() as tx:
        tx.members.saw(OMAR.guild_id or 0, OMAR.id, None, at=office.time())
    await desk.tick()
    assert await desk.status() is Status.SENT


async def test_what_is_held_for_a_lost_role_goes_out_only_after_release_and_fresh_approval(
    office: Office,
) -> None:
    desk = await office.join()
    await desk.due()
    office.members.roles[OMAR.id] = frozenset()
    await desk.tick()
    office.members.roles[OMAR.id] = OMAR.roles
    await desk.tick(MINUTE)
    assert await desk.status() is Status.HELD

    await desk.service.release(LENA, 1, revision=1)
    assert (await desk.get()).approvals == ()
    await desk.service.approve(LENA, 1, revision=1)
    await desk.tick(timedelta(seconds=11))
    assert await desk.status() is Status.SENT


async def test_in_discord_the_card_says_who_lost_the_role_and_gives_it_back(v5: Sandbox) -> None:
    await v5.approved()
    role = v5.world.roles["approve"].id
    v5.world.env.backend.remove_member_role(v5.world.guild.id, v5.person("Omar").id, role)
    await v5.wait(UNDONE)
    assert v5.whop.exchanges == []
    card = readable(v5.review_card())
    assert card.startswith("#1 · Held")
    assert "Omar, who approved it, has lost the role for that since" in card
    assert "is held and will not go out by itself" in v5.texts("moderators")[-1]
    await v5.press("Lena", "Back to draft")
    assert "It is a draft again" in readable(v5.review_card())


# --- while Discord cannot be asked -----------------------------------------------------------------


async def due_after(office: Office, span: timedelta) -> Desk:
    """Let it fall due that long after everybody was last seen, with Discord out of reach since."""
    minutes = int(span / MINUTE)
    policy = parse_policy(POLICY.replace('"10s"', f'"{minutes}m"'), name="herald.toml")
    desk = await office.join(policy=policy)
    await desk.approved()
    office.members.away = True
    office.time.go_on(span)
    return desk


async def test_an_answer_of_59_minutes_ago_counts_while_discord_cannot_be_asked(office: Office) -> None:
    desk = await due_after(office, 59 * MINUTE)
    await desk.tick()
    assert await desk.status() is Status.SENT
    assert set(office.members.asked) == {MAYA.id, OMAR.id}


async def test_an_answer_of_61_minutes_ago_does_not_count_and_it_is_held(office: Office) -> None:
    desk = await due_after(office, 59 * MINUTE)
    await desk.tick(2 * MINUTE)
    assert await desk.status() is Status.HELD
    said = "Discord could not be asked which roles Maya, who wrote it, holds now"
    assert said in words(await desk.card())
    assert office.whop.exchanges == []


async def test_an_answer_from_the_time_before_the_clock_was_set_back_does_not_count(office: Office) -> None:
    desk = await due_after(office, 59 * MINUTE)
    with desk.store.begin() as tx:
        tx.members.saw(MAYA.guild_id or 0, MAYA.id, MAYA.roles, at=office.time() + 61 * MINUTE)
    await desk.tick()
    assert await desk.status() is Status.HELD


async def test_of_whom_nothing_was_ever_known_nothing_is_assumed(office: Office) -> None:
    desk = await office.join()
    await desk.due()
    with desk.store.begin() as tx:
        tx._connection.execute(delete(members))  # pyright: ignore[reportPrivateUsage]
    office.members.away = True
    await desk.tick()
    assert await desk.status() is Status.HELD


async def test_what_discord_said_last_counts_though_it_is_away_now(office: Office) -> None:
    desk = await office.join()
    await desk.due()
    with desk.store.begin() as tx:
        tx.members.saw(OMAR.guild_id or 0, OMAR.id, {COMPOSE}, at=office.time())
    office.members.away = True
    await desk.tick()
    assert (await desk.get()).reason == "Omar, who approved it, has lost the role for that since"


# --- who is asked, and when ------------------------------------------------------------------------


async def test_discord_is_asked_outside_any_transaction(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await office.join()
    await desk.due()
    pool = desk.store._engines[Access.WRITE].pool  # pyright: ignore[reportPrivateUsage]
    open_meanwhile: list[str] = []
    roles_of = office.members.roles_of

    async def observed(guild_id: int, user_id: int) -> frozenset[int] | None:
        open_meanwhile.append(pool.status().rpartition("connections: ")[2])
        return await roles_of(guild_id, user_id)

    monkeypatch.setattr(office.members, "roles_of", observed)
    office.members.away = True
    await desk.tick()
    assert open_meanwhile == ["0", "0"]
    assert await desk.status() is Status.SENT


async def test_everybody_is_asked_about_once_for_all_that_is_due(office: Office) -> None:
    desk = await office.join()
    await desk.approved()
    await desk.due()
    await desk.tick()
    assert sorted(office.members.asked) == [MAYA.id, OMAR.id]
    assert len(office.whop.pushes) == 2


async def test_nobody_is_asked_about_what_is_not_due(office: Office) -> None:
    desk = await office.join()
    await desk.approved()
    await desk.tick()
    assert office.members.asked == []


async def test_nobody_is_asked_about_what_is_frozen_and_it_is_not_held_for_it(office: Office) -> None:
    desk = await office.join()
    await desk.due()
    await desk.service.freeze(LENA, "Wait")
    office.members.roles[OMAR.id] = None
    await desk.tick()
    assert office.members.asked == []
    assert await desk.status() is Status.APPROVED
    await desk.service.unfreeze(OMAR)
    await desk.tick()
    assert await desk.status() is Status.HELD


async def test_nobody_is_asked_about_what_is_overdue(office: Office) -> None:
    desk = await office.join()
    await desk.approved()
    await desk.tick(20 * MINUTE)
    assert office.members.asked == []
    assert "has been missed" in (await desk.get()).reason
