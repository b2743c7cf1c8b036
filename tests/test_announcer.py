"""What people see afterwards survives Discord's trouble: once, in order, and never in the way of a send."""

from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.chat import messages
from bot.chat.rendering import Rendered
from bot.errors import StoreError
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.store import Access
from bot.store.outbox import Outbox


def add_lines(sandbox: Sandbox, count: int) -> None:
    """Leave so many lines of the record to be posted."""
    with sandbox.herald.store.begin() as tx:
        for _ in range(count):
            sandbox.herald.service.lifecycle.note_in(tx, sandbox.world.guild.id, "a test", "")


def numbers(sandbox: Sandbox) -> list[int]:
    return [int(line.split("`")[1]) for line in sandbox.texts("audit")]


async def test_the_audit_mirror_catches_up_in_order_after_its_channel_was_unavailable(
    sandbox: Sandbox,
) -> None:
    audit = sandbox.channel("audit").id
    sandbox.world.env.inject_error("POST", f"/channels/{audit}/messages", status=503, times=None)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    assert numbers(sandbox) == []
    assert len(sandbox.whop.pushes) == 1
    assert "was accepted by Whop" in sandbox.newest("moderators")

    sandbox.world.env.backend.faults.clear()
    await sandbox.wait(timedelta(minutes=6))
    await sandbox.settle()
    assert numbers(sandbox) == [1, 2, 3, 4, 5, 6]


async def test_an_outage_of_all_channels_delays_no_send_and_loses_no_word(sandbox: Sandbox) -> None:
    await sandbox.approved()
    sandbox.world.env.inject_error("*", "/channels/**", status=500, times=None)
    await sandbox.wait(UNDONE)
    assert len(sandbox.whop.pushes) == 1
    assert "Accepted" not in readable(sandbox.review_card())

    sandbox.world.env.backend.faults.clear()
    await sandbox.wait(timedelta(minutes=6))
    await sandbox.settle()
    assert "Accepted by Whop" in readable(sandbox.review_card())
    assert "was accepted by Whop" in sandbox.newest("moderators")
    assert numbers(sandbox) == [1, 2, 3, 4, 5, 6]


async def test_a_deleted_card_is_posted_anew_and_works(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose(audience="Everyone"))
    card = sandbox.review_card()
    await sandbox.herald.client.get_partial_messageable(card.channel.id).get_partial_message(card.id).delete()
    assert sandbox.channel("review").last_message is None

    await sandbox.herald.service.approve(sandbox.actor("Omar"), 1, revision=1, typed="Everyone")
    await sandbox.settle()
    await sandbox.settle()
    assert sandbox.review_card().id != card.id
    await sandbox.press("Lena", "Approve")
    assert readable(sandbox.review_card()).startswith("#1 · Approved")


async def test_nothing_is_posted_twice_by_another_round_or_a_restart(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    seen = [sandbox.texts(name) for name in ("moderators", "review", "audit")]
    await sandbox.restart()
    await sandbox.wait(timedelta(hours=1))
    assert [sandbox.texts(name) for name in ("moderators", "review", "audit")] == seen


async def test_each_message_carries_its_own_nonce(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    posts = [
        request.json
        for request in sandbox.world.env.http_requests
        if request.method == "POST" and request.path.endswith("/messages")
    ]
    nonces = [post["nonce"] for post in posts if post is not None]
    assert len(nonces) == len(set(nonces)) == len(posts)
    assert all(len(nonce) <= 25 for nonce in nonces)


async def test_no_message_may_ping_anybody_but_its_author_and_who_may_approve(
    sandbox: Sandbox,
) -> None:
    hostile = "@everyone <@&1> <@1> <#1>"
    await sandbox.submit(await sandbox.compose(subject=hostile, content=hostile), note=hostile)
    await sandbox.press("Omar", "Ask for changes", reason=hostile)
    posts = [
        request.json
        for request in sandbox.world.env.http_requests
        if request.method == "POST" and request.path.endswith("/messages") and request.json
    ]
    assert posts
    for post in posts:
        allowed = post["allowed_mentions"]
        assert allowed["parse"] == []
        told = ("Maya",) if "needs changes" in post["content"] else ("Omar", "Lena")
        assert set(map(int, allowed.get("users", []))) <= {sandbox.person(name).id for name in told}
        assert set(map(int, allowed.get("roles", []))) <= set(sandbox.policy.servers[0].roles.approve)


async def test_a_record_that_has_to_wait_holds_nothing_else_up(sandbox: Sandbox) -> None:
    audit = sandbox.channel("audit").id
    sandbox.world.env.inject_error("POST", f"/channels/{audit}/messages", status=403, times=None)
    # More lines than one round takes, all behind a channel that refuses them.
    add_lines(sandbox, 60)
    await sandbox.settle()
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    assert "was accepted by Whop" in sandbox.newest("moderators")


async def test_a_line_that_fails_once_is_not_overtaken_by_the_lines_behind_it(sandbox: Sandbox) -> None:
    audit = sandbox.channel("audit").id
    sandbox.world.env.inject_error("POST", f"/channels/{audit}/messages", status=503, times=1)
    await sandbox.approved()
    await sandbox.wait(timedelta(minutes=1))
    await sandbox.settle()
    assert numbers(sandbox) == [1, 2, 3, 4, 5, 6]


async def test_a_line_whose_post_was_not_noted_before_a_crash_is_not_posted_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise StoreError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "post_made", killed)
        await sandbox.compose()
        await sandbox.herald.announcer.drain()
    assert numbers(sandbox) == [1]
    await sandbox.restart()
    await sandbox.wait(timedelta(hours=1))
    await sandbox.submit(await sandbox.compose())
    assert numbers(sandbox) == [1, 2, 3]


async def test_a_line_whose_post_was_answered_by_an_error_is_not_posted_again(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await v5.compose()
    await v5.settle()
    send = messages._send  # pyright: ignore[reportPrivateUsage]

    async def send_unanswered(*arguments: Any, **options: Any) -> discord.Message:
        await send(*arguments, **options)
        raise OSError("the connection broke")

    with monkeypatch.context() as patch:
        patch.setattr(messages, "_send", send_unanswered)
        await v5.compose()
        await v5.settle()
    await v5.wait(timedelta(hours=1))
    assert numbers(v5) == [1, 2]


async def test_a_line_is_found_though_the_card_that_it_links_to_has_moved_in_the_meantime(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = messages._send  # pyright: ignore[reportPrivateUsage]

    async def send_unanswered(channel: Any, shown: Rendered, *, nonce: str) -> discord.Message:
        sent = await send(channel, shown, nonce=nonce)
        if "**approved**" in shown.content:
            raise OSError("the connection broke")
        return sent

    await v5.submit(await v5.compose())
    with monkeypatch.context() as patch:
        patch.setattr(messages, "_send", send_unanswered)
        await v5.press("Omar", "Approve")
        await v5.settle()
    card = v5.review_card()
    await v5.herald.client.get_partial_messageable(card.channel.id).get_partial_message(card.id).delete()
    await v5.wait(timedelta(minutes=10))
    assert v5.review_card().id != card.id
    assert numbers(v5)[:4] == [1, 2, 3, 4]


async def test_nobody_can_pass_off_a_message_of_their_own_as_a_line_of_the_record(v5: Sandbox) -> None:
    audit = v5.channel("audit")
    v5.world.env.inject_error("POST", f"/channels/{audit.id}/messages", status=500, times=1)
    await v5.compose()
    await v5.settle()
    with v5.herald.store.begin(Access.READ) as tx:
        event = tx.audit.get(v5.world.guild.id, 1)
    await v5.person("Lena").send(audit, v5.herald.client.cards.audit(event).content)
    await v5.wait(timedelta(minutes=1))
    assert numbers(v5) == [1, 1]
