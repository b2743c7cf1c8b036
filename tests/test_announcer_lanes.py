"""Each channel has turns of its own, and what was lost in one stands there again: at once, and once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType
from structlog.testing import capture_logs

from bot.chat import messages
from bot.chat.announcer import GIVE_UP_AFTER, LONGEST_WAIT
from bot.notification import Notification, Text
from bot.sandbox.sandbox import UNDONE, Sandbox, button_labels, readable
from bot.store import Access
from bot.store.outbox import Outbox, PostKind
from tests.harness.found import last, only
from tests.harness.outbox import posts_to_make
from tests.waiting import until

WORDS = Notification(topic="announcements", all=Text(subject="We are live", content="Come in"))
Send = Callable[..., Awaitable[discord.Message]]


def numbers(sandbox: Sandbox) -> list[int]:
    return [int(line.split("`")[1]) for line in sandbox.texts("audit")]


def add_lines(sandbox: Sandbox, count: int) -> None:
    """Leave so many lines of the record to be posted."""
    with sandbox.herald.store.begin() as tx:
        for _ in range(count):
            sandbox.herald.service.lifecycle.note_in(tx, sandbox.world.guild.id, "a test", "")


def cards(sandbox: Sandbox) -> list[str]:
    """Return the words of all that stands in #review as a card."""
    shown = sandbox.channel("review").history()
    return [readable(one) for one in shown if one.embeds and (one.embeds[0].title or "").startswith("#")]


def nonces(sandbox: Sandbox, channel: str) -> list[str]:
    path = f"/channels/{sandbox.channel(channel).id}/messages"
    return [
        request.json["nonce"]
        for request in sandbox.world.env.http_requests
        if (request.method, request.path) == ("POST", path) and request.json
    ]


async def delete(sandbox: Sandbox, message: discord.Message) -> None:
    """Delete a message as a moderator or a bot that clears the channel would."""
    await sandbox.herald.client.http.delete_message(message.channel.id, message.id)
    await sandbox.world.env.settle()
    await sandbox.settle()


class Held:
    """Lets nothing into one channel until it is told to, as a rate limit does."""

    def __init__(self, sandbox: Sandbox, channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._channel = sandbox.channel(channel).id
        self._go_on = asyncio.Event()
        self.sent = 0
        self.waits = asyncio.Event()
        self._send: Send = messages._send  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(messages, "_send", self._send_later)

    def release(self) -> None:
        self._go_on.set()

    async def _send_later(self, channel: discord.PartialMessageable, *values: Any, **named: Any) -> Any:
        if channel.id == self._channel:
            self.waits.set()
            await self._go_on.wait()
            self.sent += 1
        return await self._send(channel, *values, **named)


# --- nobody waits for another channel --------------------------------------------------------------


async def test_a_channel_that_has_to_wait_keeps_no_card_from_being_drawn(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Held(v5, "audit", monkeypatch)
    add_lines(v5, 60)
    announcing = asyncio.create_task(v5.herald.announcer.run())
    await audit.waits.wait()
    # All of this happens while the channel of the record takes not a single line.
    service = v5.herald.service
    draft = await service.compose(
        v5.actor("Maya"), audience="Gold members", notification=WORDS, channel_id=13
    )
    await service.submit(v5.actor("Maya"), draft.id, revision=1)
    await until(lambda: cards(v5))
    await service.approve(v5.actor("Omar"), draft.id, revision=1)
    await until(lambda: "Stop" in button_labels(v5.review_card()))
    await service.freeze(v5.actor("Lena"), "Wrong price")
    await until(lambda: "Wrong price" in v5.newest("review"))
    assert numbers(v5) == []
    audit.release()
    v5.herald.announcer.stop()
    await announcing
    assert numbers(v5) == list(range(1, 66))


async def test_what_people_need_overtakes_the_record_in_the_same_channel(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, store = Held(v5, "audit", monkeypatch), v5.herald.store
    add_lines(v5, 30)
    announcing = asyncio.create_task(v5.herald.announcer.run())
    await audit.waits.wait()
    with store.begin() as tx:
        tx.outbox.add_post(
            PostKind.FREEZE,
            guild_id=v5.world.guild.id,
            channel_id=v5.channel("audit").id,
            step="unfreeze",
            at=v5.clock(),
        )
    # Until the announcer has looked for what is new.
    lanes = v5.herald.announcer._lanes  # pyright: ignore[reportPrivateUsage]
    await until(lambda: lanes[v5.channel("audit").id].news)
    audit.release()
    v5.herald.announcer.stop()
    await announcing
    # Only the line that was under way went before it.
    assert "The freeze is lifted" in v5.texts("audit")[1]


async def test_in_a_channel_notices_to_all_go_first_and_the_record_last(v5: Sandbox) -> None:
    at = v5.clock()
    with v5.herald.store.begin() as tx:
        for kind in (PostKind.AUDIT, PostKind.ECHO, PostKind.TEMPLATE, PostKind.FREEZE):
            tx.outbox.add_post(kind, guild_id=1, channel_id=2, at=at)
        tx.outbox.finish()
        kinds = [post.kind for post in tx.outbox.posts_to_make(2, at, limit=9)]
    assert kinds == [PostKind.TEMPLATE, PostKind.FREEZE, PostKind.ECHO, PostKind.AUDIT]


# --- an outage -------------------------------------------------------------------------------------


async def test_all_stands_there_within_five_seconds_of_the_end_of_a_long_outage(v5: Sandbox) -> None:
    await v5.approved()
    v5.world.env.inject_error("*", "/channels/**", status=503, times=None)
    for _ in range(31):
        await v5.wait(timedelta(seconds=10))
    assert len(v5.whop.pushes) == 1
    v5.world.env.backend.faults.clear()
    for _ in range(5):
        await v5.wait(timedelta(seconds=1))
    assert "Accepted by Whop" in readable(v5.review_card())
    assert "was accepted by Whop" in v5.newest("moderators")
    assert numbers(v5) == [1, 2, 3, 4, 5, 6]


async def test_an_outage_is_told_once_and_so_is_its_end(
    v5: Sandbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await v5.approved()
    audit = v5.channel("audit").id
    v5.world.env.inject_error("POST", f"/channels/{audit}/messages", status=503, times=None)
    for _ in range(20):
        await v5.wait(timedelta(seconds=3))
    v5.world.env.backend.faults.clear()
    await v5.wait(timedelta(seconds=3))
    said = capsys.readouterr().out + capsys.readouterr().err + caplog.text
    assert said.count("a message could not be shown in Discord") == 1
    assert numbers(v5) == [1, 2, 3, 4, 5, 6]


async def test_a_fault_of_ours_in_a_channels_turns_is_logged_and_they_go_on(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a test")

    with monkeypatch.context() as patch, capture_logs() as logged:
        patch.setattr(Outbox, "posts_to_make", broken)
        await v5.compose()
        await v5.settle()
    assert [line["kind"] for line in logged if line["event"] == "a channel's turns broke off"] == ["KeyError"]
    await v5.wait(timedelta(seconds=3))
    assert numbers(v5) == [1]


# --- once ------------------------------------------------------------------------------------------


async def test_a_card_whose_answer_was_lost_is_the_one_that_is_drawn_on(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    send: Send = messages._send  # pyright: ignore[reportPrivateUsage]

    async def send_unanswered(*values: Any, **named: Any) -> discord.Message:
        await send(*values, **named)
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(messages, "_send", send_unanswered)
        await v5.submit(await v5.compose())
    await v5.wait(timedelta(seconds=5))
    await v5.press("Omar", "Approve")
    assert only(cards(v5)).startswith("#1 · Approved")


async def test_a_card_that_a_killed_herald_left_unnoted_is_the_one_that_is_drawn_on(
    v5: Sandbox,
) -> None:
    await v5.submit(await v5.compose())
    with v5.herald.store.begin() as tx:
        (card,), _ = tx.outbox.lost([v5.review_card().id])
        tx.outbox.card_lost(card, at=v5.clock())
    await v5.restart()
    await v5.settle()
    await v5.press("Omar", "Approve")
    assert only(cards(v5)).startswith("#1 · Approved")


async def test_words_that_stood_there_before_anybody_asked_for_them_are_said_again(v5: Sandbox) -> None:
    lifted = "☀️ The freeze is lifted: what is approved goes out again."
    review = v5.herald.client.get_partial_messageable(v5.channel("review").id)
    # As a Herald with another database left it.
    await review.send(lifted)
    await v5.wait(timedelta(hours=1))
    await v5.restart()
    await v5.herald.service.freeze(v5.actor("Lena"), "Wrong price")
    await v5.settle()
    await v5.herald.service.unfreeze(v5.actor("Omar"))
    await v5.settle()
    assert v5.texts("review")[-1] == lifted
    assert v5.texts("review").count(lifted) == 2


async def test_a_try_keeps_its_nonce_and_what_was_deleted_gets_another(v5: Sandbox) -> None:
    review = v5.channel("review").id
    v5.world.env.inject_error("POST", f"/channels/{review}/messages", status=503, times=3)
    await v5.submit(await v5.compose())
    for _ in range(6):
        await v5.wait(timedelta(seconds=2))
    tries = nonces(v5, "review")
    assert len(tries) == 4
    assert len(set(tries)) == 1
    await delete(v5, v5.review_card())
    assert len(set(nonces(v5, "review"))) == 2


# --- what was deleted, or never appeared -----------------------------------------------------------


async def test_a_card_that_is_deleted_stands_there_again_at_once(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())
    old = sandbox.review_card()
    await delete(sandbox, old)
    assert sandbox.review_card().id != old.id
    await sandbox.press("Omar", "Approve")
    assert only(cards(sandbox)).startswith("#1 · Approved")


async def test_what_is_deleted_all_at_once_stands_there_again(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await v5.herald.service.freeze(v5.actor("Lena"), "Wrong price")
    await v5.settle()
    old: list[str | int] = [message.id for message in v5.channel("review").history()]
    await v5.herald.client.http.delete_messages(v5.channel("review").id, old)
    await v5.world.env.settle()
    await v5.settle()
    assert not {message.id for message in v5.channel("review").history()} & set(old)
    assert len(cards(v5)) == 1
    assert [text for text in v5.texts("review") if "Wrong price" in text and not text.startswith("#")]


async def test_a_freeze_that_is_deleted_is_told_again_while_it_stands(v5: Sandbox) -> None:
    await v5.herald.service.freeze(v5.actor("Lena"), "Wrong price")
    await v5.settle()
    await delete(v5, last(v5.channel("review").history()))
    assert "Wrong price" in v5.newest("review")
    await v5.herald.service.unfreeze(v5.actor("Omar"))
    await v5.settle()
    before = v5.texts("review")
    for message in v5.channel("review").history()[-2:]:
        await delete(v5, message)
    assert v5.texts("review") == before[:-2]


async def test_a_card_of_what_has_ended_may_be_deleted(v5: Sandbox) -> None:
    await v5.approved()
    await v5.wait(UNDONE)
    await delete(v5, v5.review_card())
    await v5.wait(timedelta(hours=1))
    assert cards(v5) == []


async def test_a_channel_that_is_emptied_again_and_again_is_no_race(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await delete(v5, v5.review_card())
    for wait in (2, 4, 8):
        await delete(v5, v5.review_card())
        assert cards(v5) == []
        await v5.wait(timedelta(seconds=wait * 2))
    assert len(cards(v5)) == 1


async def test_a_card_comes_as_soon_as_its_channel_lets_herald_in(v5: Sandbox) -> None:
    def forbid(*, send: bool) -> None:
        backend = v5.world.env.backend
        allow, deny = discord.PermissionOverwrite(send_messages=send).pair()
        backend.set_overwrite(
            v5.channel("review").id,
            Overwrite(backend.bot_user.id, OverwriteType.MEMBER, allow=allow.value, deny=deny.value),
        )

    await v5.submit(await v5.compose())
    forbid(send=False)
    await delete(v5, v5.review_card())
    for _ in range(8):
        await v5.wait(LONGEST_WAIT)
    assert cards(v5) == []
    forbid(send=True)
    await v5.world.env.settle()
    await v5.settle()
    assert len(cards(v5)) == 1


def direct(sandbox: Sandbox) -> list[str]:
    """Return what Herald wrote to Maya alone."""
    return [message.content for message in sandbox.person("Maya").user.dm_channel.history()]


def refuse_direct(sandbox: Sandbox) -> None:
    """Let Maya take no direct messages."""
    channel = sandbox.person("Maya").user.dm_channel.id
    path = f"/channels/{channel}/messages"
    sandbox.world.env.inject_error("POST", path, status=403, code=50007, times=None)


async def rejected_unseen(sandbox: Sandbox) -> None:
    """Let what Maya wrote in a channel that is gone be rejected."""
    await sandbox.submit(await sandbox.compose())
    sandbox.world.env.backend.delete_channel(sandbox.channel("moderators").id)
    await sandbox.press("Omar", "Reject", reason="Not today")
    await sandbox.wait(timedelta(seconds=1))


async def test_news_for_an_author_whose_channel_is_gone_come_directly_to_them(v5: Sandbox) -> None:
    await rejected_unseen(v5)
    assert "was rejected" in only(direct(v5))
    assert not [text for text in v5.texts("review") if "was rejected" in text]


async def test_news_for_an_author_who_takes_no_direct_messages_come_in_the_review_channel(
    v5: Sandbox,
) -> None:
    refuse_direct(v5)
    await rejected_unseen(v5)
    await v5.wait(timedelta(seconds=1))
    assert "was rejected" in v5.newest("review")
    assert not direct(v5)


async def test_nobody_who_has_left_the_server_is_written_to_directly(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    v5.world.env.backend.delete_channel(v5.channel("moderators").id)
    v5.world.env.backend.remove_member(v5.world.guild.id, v5.person("Maya").id)
    await v5.herald.service.reject(v5.actor("Omar"), 1, revision=1, reason="Not today")
    await v5.wait(timedelta(seconds=1))
    await v5.wait(timedelta(seconds=1))
    assert not direct(v5)
    assert "was rejected" in v5.newest("review")


async def test_while_discord_does_not_say_where_to_write_news_wait(v5: Sandbox) -> None:
    path = "/users/@me/channels"
    v5.world.env.inject_error("POST", path, status=500, times=None)
    await rejected_unseen(v5)
    assert not [text for text in v5.texts("review") if "was rejected" in text]
    v5.world.env.backend.faults.clear()
    await v5.wait(timedelta(minutes=1))
    await v5.wait(timedelta(seconds=1))
    assert len(direct(v5)) == 1


async def test_news_are_never_given_up_because_discord_is_away(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    v5.world.env.inject_error("*", "/channels/**", status=503, times=None)
    await v5.herald.service.reject(v5.actor("Omar"), 1, revision=1, reason="Not today")
    for _ in range(GIVE_UP_AFTER // LONGEST_WAIT + 10):
        await v5.world.env.advance_time(LONGEST_WAIT.total_seconds())
        await v5.herald.announcer.drain()
    v5.world.env.backend.faults.clear()
    await v5.wait(LONGEST_WAIT)
    assert "was rejected" in v5.newest("moderators")


async def test_news_that_can_be_told_nowhere_are_given_up_after_a_day(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    refuse_direct(v5)
    for name in ("moderators", "review"):
        v5.world.env.backend.delete_channel(v5.channel(name).id)
    await v5.herald.service.reject(v5.actor("Omar"), 1, revision=1, reason="Not today")
    for _ in range(GIVE_UP_AFTER // LONGEST_WAIT + 10):
        await v5.world.env.advance_time(LONGEST_WAIT.total_seconds())
        await v5.herald.announcer.drain()
    with v5.herald.store.begin(Access.READ) as tx:
        assert [
            one for one in posts_to_make(tx, v5.clock() + LONGEST_WAIT) if one.kind is PostKind.ECHO
        ] == []
        assert last(tx.audit.of_guild(v5.world.guild.id)).action == "news given up"
