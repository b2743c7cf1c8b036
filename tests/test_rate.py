"""The rate: never above what Whop takes, nearly all of it used, and nothing forgotten by a restart."""

from collections import Counter
from typing import Final

import pytest

from bot.key_trust import Credential, Verdict, keep
from bot.notification import Notification, Text
from bot.sandbox.sandbox import UNDONE, Sandbox
from bot.sandbox.whop import Fault

NARROW: Final = 4


async def approve_many(sandbox: Sandbox, count: int) -> None:
    service, maya, omar = sandbox.herald.service, sandbox.actor("Maya"), sandbox.actor("Omar")
    for number in range(1, count + 1):
        text = Text(subject=f"Number {number}", content="Words.")
        notification = Notification(topic="announcements", all=text)
        await service.compose(maya, audience="Gold members", notification=notification, channel_id=1)
        await service.submit(maya, number, revision=1)
        await service.approve(omar, number, revision=1)


async def send_for(sandbox: Sandbox, seconds: float) -> None:
    """Let the dispatcher work as fast as it may, in steps of a quarter of a second."""
    for _ in range(round(seconds * 4)):
        while await sandbox.herald.dispatcher.tick():
            pass
        await sandbox.world.env.advance_time(0.25)


async def test_v5_is_never_asked_more_than_it_takes_and_nearly_all_of_it_is_used(v5: Sandbox) -> None:
    await approve_many(v5, 50)
    await v5.world.env.advance_time(UNDONE.total_seconds())
    await send_for(v5, 20.5)

    # Whop allows 20 in 10 s, so that not one more could have gone out in two such spans.
    assert Counter(exchange.status for exchange in v5.whop.exchanges) == {201: 40}


async def test_a_restart_does_not_let_more_through(v5: Sandbox) -> None:
    await approve_many(v5, 30)
    await v5.world.env.advance_time(UNDONE.total_seconds())
    await send_for(v5, 1)
    await v5.restart()
    await send_for(v5, 8)
    assert Counter(exchange.status for exchange in v5.whop.exchanges) == {201: 20}


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fewer go out at once than are due."""
    monkeypatch.setattr("bot.sending.dispatcher.WIDTH", NARROW)


@pytest.mark.usefixtures("narrow")
async def test_after_a_429_all_wait_and_then_one_asks_whether_it_is_over(sandbox: Sandbox) -> None:
    await approve_many(sandbox, 6)
    await sandbox.world.env.advance_time(UNDONE.total_seconds())
    sandbox.whop.fault = Fault.RATE_LIMITED
    await sandbox.herald.dispatcher.tick()
    assert len(sandbox.whop.exchanges) == NARROW
    await send_for(sandbox, 1)
    assert len(sandbox.whop.exchanges) == NARROW

    await sandbox.world.env.advance_time(61)
    await sandbox.herald.dispatcher.tick()
    assert len(sandbox.whop.exchanges) == NARROW + 1

    sandbox.whop.fault = Fault.NONE
    await sandbox.world.env.advance_time(61)
    await sandbox.herald.dispatcher.tick()
    assert len(sandbox.whop.exchanges) == NARROW + 2
    await send_for(sandbox, 1)
    assert len(sandbox.whop.pushes) == 6


@pytest.mark.usefixtures("narrow")
async def test_an_error_of_whops_makes_the_next_ones_wait_though_others_were_accepted(
    sandbox: Sandbox,
) -> None:
    await approve_many(sandbox, 6)
    await sandbox.world.env.advance_time(UNDONE.total_seconds())
    sandbox.whop.fail_next(Fault.SERVER_ERROR)
    await send_for(sandbox, 1)
    assert len(sandbox.whop.exchanges) == NARROW
    await send_for(sandbox, 12)
    assert len(sandbox.whop.pushes) == 5


async def test_one_that_fails_again_and_again_does_not_keep_the_others_from_being_tried(v1: Sandbox) -> None:
    service = v1.herald.service
    credential = Credential.of(
        service.lifecycle.gateway, origin=v1.whop.origin, api_key=v1.settings.whop_api_key
    )
    with v1.herald.store.begin() as tx:
        keep(tx, credential, Verdict(honoured=True, words=""), at=v1.clock())
    await approve_many(v1, 2)
    await v1.world.env.advance_time(UNDONE.total_seconds())
    v1.whop.fault = Fault.SERVER_ERROR
    for _ in range(8):
        await v1.herald.dispatcher.tick()
        await v1.world.env.advance_time(121)
    tried = Counter(exchange.body for exchange in v1.whop.exchanges)
    assert min(tried.values()) >= 3, "each in turn, whichever is asked to see whether it is over"
