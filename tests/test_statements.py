"""What each use case and each turn of a loop asks of the database, counted: none may grow unseen."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import count

import pytest

from bot.broadcast import Broadcast
from bot.errors import Refused
from bot.filter import Filter
from bot.notification import Notification, Text
from bot.permissions import Actor
from bot.sandbox.sandbox import UNDONE, Sandbox
from bot.service import PAGE
from tests.conftest import OpenSandbox, as_it_is
from tests.harness.statements import counted

WORDS = Notification(topic="announcements", all=Text(subject="We are live", content="Come in"))
REQUESTS = 40
PRESSES = count(1)


@pytest.fixture
async def sandbox(setting: tuple[str, str], open_sandbox: OpenSandbox) -> AsyncGenerator[Sandbox]:
    """Count all that is asked by the policy's own rules: whether the same goes out is a question, too."""
    generation, url = setting
    async with open_sandbox(generation, database_url=url, rules=as_it_is) as opened:
        yield opened


def assert_at_most(most: int, statements: list[str]) -> None:
    assert len(statements) <= most, "\n".join([f"{len(statements)} statements, at most {most}:", *statements])


async def draft(sandbox: Sandbox, *, audience: str = "Gold members") -> Broadcast:
    return await sandbox.herald.service.compose(
        pressing(sandbox, "Maya"), audience=audience, notification=WORDS, channel_id=13
    )


async def under_review(sandbox: Sandbox, *, audience: str = "Gold members") -> Broadcast:
    one = await draft(sandbox, audience=audience)
    return await sandbox.herald.service.submit(pressing(sandbox, "Maya"), one.id, revision=1)


def pressing(sandbox: Sandbox, name: str) -> Actor:
    """Return someone whose press is an interaction of its own, as Discord's are."""
    return replace(sandbox.actor(name), interaction=next(PRESSES))


async def test_composing_asks_at_most_fourteen_times(sandbox: Sandbox) -> None:
    with counted() as statements:
        await draft(sandbox)
    assert_at_most(14, statements)


async def test_submitting_asks_at_most_fourteen_times(sandbox: Sandbox) -> None:
    one = await draft(sandbox)
    with counted() as statements:
        await sandbox.herald.service.submit(pressing(sandbox, "Maya"), one.id, revision=1)
    assert_at_most(14, statements)


async def test_the_last_approval_asks_at_most_twelve_times(sandbox: Sandbox) -> None:
    waiting = await under_review(sandbox)
    with counted() as statements:
        await sandbox.herald.service.approve(pressing(sandbox, "Omar"), waiting.id, revision=1)
    assert_at_most(12, statements)


async def test_a_refused_press_asks_at_most_eight_times(sandbox: Sandbox) -> None:
    waiting = await under_review(sandbox)
    for name in ("Maya", "Sam"):
        with counted() as statements, suppress(Refused):
            await sandbox.herald.service.approve(pressing(sandbox, name), waiting.id, revision=1)
        assert_at_most(8, statements)


async def test_from_due_to_sent_one_request_asks_at_most_forty_one_times(sandbox: Sandbox) -> None:
    waiting = await under_review(sandbox)
    await sandbox.herald.service.approve(pressing(sandbox, "Omar"), waiting.id, revision=1)
    # Neither what a process asks when it begins is counted, nor for how many people it is, which it finds out
    # before.
    await sandbox.herald.dispatcher.tick()
    await sandbox.world.env.advance_time(UNDONE.total_seconds())
    with counted() as statements:
        await sandbox.herald.dispatcher.tick()
    assert len(sandbox.whop.pushes) == 1
    # One of them is whether the same has gone out meanwhile, for all that start together.
    assert_at_most(41, statements)


async def test_an_idle_second_asks_at_most_twice(sandbox: Sandbox) -> None:
    await sandbox.settle()
    with counted() as statements:
        await sandbox.herald.dispatcher.tick()
        await sandbox.herald.announcer.drain()
    assert_at_most(2, statements)


async def test_a_list_ends_at_twenty_five_and_asks_at_most_four_times(sandbox: Sandbox) -> None:
    for _ in range(26):
        await under_review(sandbox)
    with counted() as statements:
        assert len(await sandbox.herald.service.queue(sandbox.actor("Omar"))) == PAGE + 1
    assert_at_most(4, statements)


async def test_a_page_of_each_list_and_a_search_ask_no_more_for_many_than_for_one(sandbox: Sandbox) -> None:
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    only = Filter(words="live", person=maya.id, since=date(2000, 1, 1))
    for _ in range(2):
        one = await draft(sandbox)
        await service.cancel(pressing(sandbox, "Maya"), one.id, revision=1)
        await under_review(sandbox)
    for most, ask in (
        (5, service.history(maya, only)),
        (4, service.queue(maya, before=4)),
        (1, service.drafts(maya, only)),
        (3, service.searchable(maya)),
    ):
        with counted() as statements:
            await ask
        assert_at_most(most, statements)


async def test_a_keystroke_of_autocomplete_asks_at_most_three_times(sandbox: Sandbox) -> None:
    for _ in range(3):
        await under_review(sandbox)
    await draft(sandbox)
    person, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    with counted() as statements:
        offered = await person.autocomplete(channel, "notify show", "broadcast", "")
    assert len(list(offered)) == 4
    assert_at_most(3, statements)


async def test_a_card_drawn_asks_at_most_nine_times(sandbox: Sandbox) -> None:
    await sandbox.settle()
    waiting = await under_review(sandbox)
    await sandbox.settle()
    with sandbox.herald.store.begin() as tx:
        tx.outbox.redraw_card(waiting.id, at=sandbox.clock() - timedelta(seconds=1))
    with counted() as statements:
        await sandbox.herald.announcer.drain()
    assert any("UPDATE cards" in statement for statement in statements)
    # The watcher hears of the edit as of anybody's, and looks whether it is one of the mirror's posts.
    own = [one for one in statements if not one.startswith("SELECT posts.guild_id, posts.sequence")]
    # Three of them are whether the same goes out, or nearly so, and what these people got lately, which
    # approvers have to know.
    assert_at_most(9, own)


async def test_a_card_of_what_was_sent_back_and_changed_asks_twice_more(sandbox: Sandbox) -> None:
    service, maya = sandbox.herald.service, sandbox.actor("Maya")
    await sandbox.settle()
    waiting = await under_review(sandbox)
    await service.request_changes(sandbox.actor("Omar"), waiting.id, revision=1, reason="Say when")
    when = WORDS.model_copy(update={"all": Text(subject="We are live", content="Come in at noon")})
    await service.edit(maya, waiting.id, revision=1, notification=when)
    await service.submit(maya, waiting.id, revision=2)
    await sandbox.settle()
    with sandbox.herald.store.begin() as tx:
        tx.outbox.redraw_card(waiting.id, at=sandbox.clock() - timedelta(seconds=1))
    with counted() as statements:
        await sandbox.herald.announcer.drain()
    own = [one for one in statements if "FROM audit_events" in one or "anon_1.notification" in one]
    assert len(own) == 2, own


async def test_each_further_request_asks_at_most_seven_times_however_many_there_are(
    open_sandbox: OpenSandbox, database_url: str
) -> None:
    def many(policy: str) -> str:
        ids = ", ".join(f'"exp_{number}"' for number in range(REQUESTS))
        return policy.replace('experiences = ["exp_gold"] }', f"experiences = [{ids}] }}")

    async with open_sandbox("v1", edit_policy=many, database_url=database_url) as sandbox:
        waiting = await under_review(sandbox)
        await sandbox.herald.service.approve(pressing(sandbox, "Omar"), waiting.id, revision=1)
        await sandbox.world.env.advance_time(UNDONE.total_seconds())
        with counted() as statements:
            while len(sandbox.whop.exchanges) < REQUESTS:
                await sandbox.herald.dispatcher.tick()
    assert_at_most(40 + 7 * (REQUESTS - 1), statements)
