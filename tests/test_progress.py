"""How far a send has come: shown while it runs, without haste; its end is shown at once, with honest sums."""

from collections.abc import AsyncGenerator

import pytest

from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.sandbox.whop import Fault
from tests.conftest import OpenSandbox

EXPERIENCES = ", ".join(f'"exp_{number}"' for number in range(6))
ACCEPTED = "accepted (queued; Whop does not say how many people it reaches)"


@pytest.fixture
async def one_by_one(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Sandbox, None]:
    """Have a broadcast of six requests due, of which one goes out in each round."""
    monkeypatch.setattr("bot.sending.claiming.WIDTH", 1)

    def six(policy: str) -> str:
        return policy.replace('experiences = ["exp_gold"] }', f"experiences = [{EXPERIENCES}] }}")

    async with open_sandbox("v1", edit_policy=six) as sandbox:
        await sandbox.approved()
        await sandbox.world.env.advance_time(UNDONE.total_seconds())
        yield sandbox


async def a_round(sandbox: Sandbox, *, after: float) -> None:
    await sandbox.world.env.advance_time(after)
    await sandbox.herald.dispatcher.tick()
    await sandbox.herald.announcer.drain()


def edits(sandbox: Sandbox) -> int:
    """Return how often Discord was asked to edit the card."""
    place = f"/channels/{sandbox.channel('review').id}/messages/"
    return sum(one.method == "PATCH" and place in one.path for one in sandbox.world.env.http_requests)


async def test_a_send_of_several_requests_shows_a_bar(one_by_one: Sandbox) -> None:
    await a_round(one_by_one, after=0)
    card = readable(one_by_one.review_card())
    assert "▰▰▱▱▱▱▱▱▱▱▱▱ 1 of 6" in card
    assert f"6 requests to Whop: 1 {ACCEPTED}; 5 still to be sent." in card
    for _ in range(2):
        await a_round(one_by_one, after=3)
    assert "▰▰▰▰▰▰▱▱▱▱▱▱ 3 of 6" in readable(one_by_one.review_card())


async def test_while_it_runs_the_card_is_edited_once_in_two_seconds_at_most_and_its_end_is_shown_at_once(
    one_by_one: Sandbox,
) -> None:
    await a_round(one_by_one, after=0)
    begun = edits(one_by_one)
    for _ in range(3):
        await a_round(one_by_one, after=0.6)
    assert edits(one_by_one) == begun
    assert "1 of 6" in readable(one_by_one.review_card())

    await a_round(one_by_one, after=0.3)
    assert edits(one_by_one) == begun + 1
    assert "5 of 6" in readable(one_by_one.review_card())

    await a_round(one_by_one, after=0.1)
    assert edits(one_by_one) == begun + 2
    card = readable(one_by_one.review_card())
    assert card.startswith("#1 · Accepted by Whop")
    assert f"6 requests to Whop: 6 {ACCEPTED}." in card
    assert "▰" not in card


async def test_a_card_that_shows_all_is_left_alone(one_by_one: Sandbox) -> None:
    for _ in range(7):
        await a_round(one_by_one, after=1)
    done = edits(one_by_one)
    for _ in range(5):
        await a_round(one_by_one, after=5)
    assert edits(one_by_one) == done


async def test_the_sum_of_a_mixture_says_of_each_what_is_known_and_no_more(one_by_one: Sandbox) -> None:
    for fault in (Fault.NONE, Fault.REJECT, Fault.DROP_AFTER_ACCEPT, Fault.REJECT):
        one_by_one.whop.fail_next(fault)
    for _ in range(4):
        await a_round(one_by_one, after=3)
    card = readable(one_by_one.review_card())
    assert "▰▰▰▰▰▰▰▰▱▱▱▱ 4 of 6" in card
    assert f"6 requests to Whop: 1 {ACCEPTED}; 2 not accepted; 1 no known answer; 2 still to be sent." in card
    for _ in range(2):
        await a_round(one_by_one, after=3)
    card = readable(one_by_one.review_card())
    assert card.startswith("#1 · Answer unknown")
    assert f"6 requests to Whop: 3 {ACCEPTED}; 2 not accepted; 1 no known answer." in card


async def test_accepted_and_refused_ones_together_are_a_part(one_by_one: Sandbox) -> None:
    one_by_one.whop.fail_next(Fault.REJECT)
    for _ in range(6):
        await a_round(one_by_one, after=3)
    card = readable(one_by_one.review_card())
    assert card.startswith("#1 · Partly accepted by Whop")
    assert f"6 requests to Whop: 5 {ACCEPTED}; 1 not accepted." in card
    assert "was accepted by Whop only in part" in one_by_one.newest("moderators")
