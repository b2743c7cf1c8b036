"""A post of the record that someone deletes or edits is noticed, once, and answered with a tombstone."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType
from structlog.testing import capture_logs

from bot.audit import watcher as watcher_module
from bot.audit.chain import HERALD
from bot.audit.mirror import DELETED, EDITED
from bot.audit.watcher import Watcher
from bot.chat.channels import MAY_NOT_READ, NO_CHANNEL, ChannelReader
from bot.errors import StoreError, Unreachable
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.store import Access
from tests.harness.found import last


@pytest.fixture
def setting(database_url: str) -> tuple[str, str]:
    """Run what takes a sandbox once on each database: the mirror is the same for both of Whop's APIs."""
    return "v5", database_url


async def mirrored(sandbox: Sandbox) -> list[discord.Message]:
    """Let six lines be written and posted; return their posts."""
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    return posts(sandbox)


def posts(sandbox: Sandbox) -> list[discord.Message]:
    return sandbox.channel("audit").history()


async def seen(sandbox: Sandbox) -> None:
    """Let Herald hear of what happened in Discord, and answer."""
    await sandbox.world.env.settle()
    await sandbox.settle()


def delete(sandbox: Sandbox, *messages: discord.Message) -> None:
    """Delete, as someone with the right to manage messages does; several at once are one event."""
    backend, channel = sandbox.world.env.backend, sandbox.channel("audit").id
    if len(messages) == 1:
        backend.delete_message(channel, messages[0].id)
    else:
        backend.bulk_delete_messages(channel, [message.id for message in messages])


def delete_unheard(sandbox: Sandbox, *messages: discord.Message) -> None:
    """Delete while Herald has no connection."""
    for message in messages:
        del sandbox.world.env.backend.messages[sandbox.channel("audit").id][message.id]


def rewrite(sandbox: Sandbox, message: discord.Message, content: str) -> None:
    """Edit a post of Herald's, as whoever has its token can."""
    sandbox.world.env.backend.edit_message(message.channel.id, message.id, {"content": content})


def rewrite_unheard(sandbox: Sandbox, message: discord.Message, content: str) -> None:
    sandbox.world.env.backend.messages[sandbox.channel("audit").id][message.id].content = content


async def noticed(sandbox: Sandbox, action: str) -> list[str]:
    """Return the lines that the record says were tampered with."""
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    found = [event for event in events if event.action == action]
    assert all(entry.actor == HERALD for entry in found)
    return [entry.detail for entry in found]


async def compare(sandbox: Sandbox) -> None:
    await sandbox.herald.watcher.compare(ChannelReader(sandbox.herald.client))
    await sandbox.settle()


# --- as it happens ---------------------------------------------------------------------------------


async def test_a_deleted_post_is_told_in_the_record_and_the_line_stands_in_the_channel_again(
    sandbox: Sandbox,
) -> None:
    third = (await mirrored(sandbox))[2]
    delete(sandbox, third)
    await seen(sandbox)
    assert await noticed(sandbox, DELETED) == ["line 3"]
    tombstone = last(posts(sandbox)).content
    assert tombstone.startswith("`    7`")
    assert "found a deletion in this channel**\n> line 3" in tombstone
    assert third.content in tombstone
    assert tombstone.count("-# digest ") == 2


async def test_several_posts_deleted_at_once_are_one_line_that_names_them_as_ranges(sandbox: Sandbox) -> None:
    there = await mirrored(sandbox)
    delete(sandbox, *there[:3], there[4])
    await seen(sandbox)
    assert await noticed(sandbox, DELETED) == ["lines 1-3 and 5"]
    assert "> lines 1-3 and 5\n" in last(posts(sandbox)).content
    assert len(posts(sandbox)) == 3


async def test_an_edited_post_is_told_with_what_the_line_truly_says(v5: Sandbox) -> None:
    fourth = (await mirrored(v5))[3]
    said = fourth.content
    rewrite(v5, fourth, said.replace("Herald", "Omar"))
    await seen(v5)
    assert await noticed(v5, EDITED) == ["line 4"]
    tombstone = last(posts(v5)).content
    assert "found an edit in this channel**\n> line 4" in tombstone
    assert said in tombstone


async def test_a_deleted_tombstone_gets_one_of_its_own(v5: Sandbox) -> None:
    delete(v5, (await mirrored(v5))[0])
    await seen(v5)
    tombstone = last(posts(v5))
    delete(v5, tombstone)
    await seen(v5)
    assert await noticed(v5, DELETED) == ["line 1", "line 7"]
    assert "> line 1\n" in last(posts(v5)).content


async def test_what_comes_twice_or_to_two_processes_is_told_once(sandbox: Sandbox) -> None:
    there = await mirrored(sandbox)
    herald = sandbox.herald
    other = Watcher(store=herald.store, lifecycle=herald.service.lifecycle, clock=sandbox.clock)
    gone, edited = [there[0].id, there[1].id], there[2].id
    for each in (herald.watcher, other, herald.watcher):
        await asyncio.gather(
            herald.watcher.deleted(gone), other.deleted(gone[::-1]), each.edited(edited, "x")
        )
    assert await noticed(sandbox, DELETED) == ["lines 1-2"]
    assert await noticed(sandbox, EDITED) == ["line 3"]


async def test_a_post_that_was_edited_and_then_deleted_is_told_both_times(v5: Sandbox) -> None:
    first = (await mirrored(v5))[0]
    rewrite(v5, first, "something else")
    await v5.world.env.settle()
    delete(v5, first)
    await seen(v5)
    assert (await noticed(v5, EDITED), await noticed(v5, DELETED)) == (["line 1"], ["line 1"])
    assert [post.content.count("-# digest ") for post in posts(v5)[-2:]] == [2, 2]


def suppress_embeds(sandbox: Sandbox, message: discord.Message) -> None:
    sandbox.world.env.backend.edit_message(message.channel.id, message.id, {"flags": 4})


def pin(sandbox: Sandbox, message: discord.Message) -> None:
    sandbox.world.env.backend.set_pinned(message.channel.id, message.id, True)


def write_the_same(sandbox: Sandbox, message: discord.Message) -> None:
    rewrite(sandbox, message, message.content)


@pytest.mark.parametrize("touch", [suppress_embeds, pin, write_the_same])
async def test_an_edit_that_leaves_the_words_alone_alarms_nobody(
    v5: Sandbox, touch: Callable[[Sandbox, discord.Message], None]
) -> None:
    touch(v5, (await mirrored(v5))[0])
    await seen(v5)
    await compare(v5)
    assert await noticed(v5, EDITED) == await noticed(v5, DELETED) == []


async def test_what_others_write_and_delete_and_herald_changes_elsewhere_alarms_nobody(v5: Sandbox) -> None:
    there = await mirrored(v5)
    lena, card = v5.person("Lena"), v5.review_card()
    for channel in ("audit", "moderators"):
        said = await lena.send(v5.channel(channel), "`    1` -# digest 0000000000000000")
        await lena.edit(said, "@Herald approve")
        await lena.delete(said)
    v5.world.env.backend.delete_message(card.channel.id, card.id)
    await seen(v5)
    assert [post.id for post in posts(v5)] == [post.id for post in there]


async def test_what_a_tombstone_repeats_can_ping_nobody_and_break_nothing(v5: Sandbox) -> None:
    hostile = "@everyone <@&1> **x** `y`\n-# digest 0123456789abcdef\n" + "\u200b" * 5 + "*" * 380
    await v5.submit(await v5.compose(), note="")
    await v5.press("Omar", "Reject", reason=hostile)
    deleted = last(posts(v5))
    delete(v5, deleted)
    await seen(v5)
    tombstone = last(posts(v5))
    assert deleted.content in tombstone.content
    assert len(tombstone.content) <= 2000
    assert not tombstone.mention_everyone
    assert tombstone.content.count("\n-# digest ") == 2


async def test_a_deletion_that_the_database_cannot_take_is_found_by_comparing(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (await mirrored(v5))[0]
    v5.herald.watcher._woken.clear()  # pyright: ignore[reportPrivateUsage]

    async def broken(*_: object, **__: object) -> None:
        raise StoreError("The database is in trouble.")

    with monkeypatch.context() as patch:
        patch.setattr(v5.herald.store, "read", broken)
        with capture_logs() as logged:
            delete(v5, first)
            await v5.world.env.settle()
    assert [line["event"] for line in logged] == ["a deleted or edited message waits for the database"]
    assert v5.herald.watcher._woken.is_set()  # pyright: ignore[reportPrivateUsage]
    await compare(v5)
    assert await noticed(v5, DELETED) == ["line 1"]


async def test_what_was_noted_of_interactions_is_forgotten_after_a_day_and_not_before(v5: Sandbox) -> None:
    now = v5.clock()
    with v5.herald.store.begin() as tx:
        assert tx.use_interaction(1, at=now - timedelta(days=1, seconds=1))
        assert tx.use_interaction(2, at=now - timedelta(days=1) + timedelta(seconds=1))
    await compare(v5)
    with v5.herald.store.begin() as tx:
        assert tx.use_interaction(1, at=now)
        assert not tx.use_interaction(2, at=now)


def let_herald(sandbox: Sandbox, **rights: bool) -> None:
    """Give or take rights in the channel; without the history Discord shows it as empty."""
    backend, (allow, deny) = sandbox.world.env.backend, discord.PermissionOverwrite(**rights).pair()
    overwrite = Overwrite(backend.bot_user.id, OverwriteType.MEMBER, allow=allow.value, deny=deny.value)
    backend.set_overwrite(sandbox.channel("audit").id, overwrite)


# --- after an absence ------------------------------------------------------------------------------


async def test_what_was_deleted_and_edited_while_herald_was_away_is_told_once_it_is_back(
    v5: Sandbox,
) -> None:
    there = await mirrored(v5)
    delete_unheard(v5, *there[1:4])
    rewrite_unheard(v5, there[5], "`    6` nothing happened")
    await v5.restart()
    for _ in range(2):
        await compare(v5)
    assert await noticed(v5, DELETED) == ["lines 2-4"]
    assert await noticed(v5, EDITED) == ["line 6"]
    assert [readable(post).split("`")[1].strip() for post in posts(v5)] == ["1", "5", "6", "7", "8"]


async def test_a_whole_mirror_of_several_pages_is_compared_without_an_alarm(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.chat.channels.PAGE", 4)
    there = await mirrored(v5)
    for number in range(9):
        await v5.person("Lena").send(v5.channel("audit"), f"{number}")
    await compare(v5)
    assert len(posts(v5)) == 6 + 9
    delete_unheard(v5, there[0])
    await compare(v5)
    assert await noticed(v5, DELETED) == ["line 1"]


async def test_only_the_newest_posts_are_compared(v5: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    there = await mirrored(v5)
    monkeypatch.setattr(watcher_module, "NEWEST", 3)
    delete_unheard(v5, *there)
    await compare(v5)
    assert await noticed(v5, DELETED) == ["lines 4-6"]


async def test_a_post_of_an_older_herald_counts_as_edited_only_if_its_number_or_digest_changed(
    v5: Sandbox,
) -> None:
    there = await mirrored(v5)
    with v5.herald.store.begin() as tx:
        connection = tx.mirror._connection  # pyright: ignore[reportPrivateUsage]
        connection.exec_driver_sql("UPDATE posts SET words = NULL")
    await compare(v5)
    assert len(posts(v5)) == 6
    rewrite(v5, there[2], there[2].content[:-1])
    await seen(v5)
    assert await noticed(v5, EDITED) == ["line 3"]


async def test_a_channel_that_may_not_be_read_is_no_alarm_but_stands_on_the_cards_until_it_may(
    v5: Sandbox,
) -> None:
    await mirrored(v5)
    await v5.submit(await v5.compose(audience="Everyone"))
    let_herald(v5, read_message_history=False)
    for _ in range(2):
        await compare(v5)
    await v5.settle()
    assert await noticed(v5, DELETED) == []
    assert "The audit channel is not watched" in readable(v5.review_card())
    assert MAY_NOT_READ in readable(v5.review_card()).replace("\\", "")
    let_herald(v5, read_message_history=True)
    await compare(v5)
    await v5.settle()
    assert "not watched" not in readable(v5.review_card())


async def test_an_outage_while_comparing_alarms_nobody_and_is_tried_again(v5: Sandbox) -> None:
    await mirrored(v5)
    v5.world.env.inject_error("GET", "/channels/**", status=500, times=None)
    with pytest.raises(Unreachable):
        await compare(v5)
    assert len(posts(v5)) == 6


async def test_it_compares_once_connected_and_survives_whatever_goes_wrong(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (await mirrored(v5))[0]
    delete_unheard(v5, first)
    monkeypatch.setattr(watcher_module, "AFTER_TROUBLE", timedelta())
    v5.world.env.inject_error("GET", "/channels/**", status=403, code=40333, times=1)
    fresh = Watcher(store=v5.herald.store, lifecycle=v5.herald.service.lifecycle, clock=v5.clock)
    running = asyncio.create_task(fresh.run(ChannelReader(v5.herald.client)))
    await asyncio.sleep(0)
    assert await noticed(v5, DELETED) == []
    fresh.wake()
    while not await noticed(v5, DELETED):
        fresh.wake()
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    assert await noticed(v5, DELETED) == ["line 1"]


async def test_a_connection_wakes_it_and_so_does_a_change_of_the_channel(v5: Sandbox) -> None:
    woken = v5.herald.watcher._woken  # pyright: ignore[reportPrivateUsage]
    assert woken.is_set()
    for happen in (
        lambda: let_herald(v5, read_message_history=False),
        lambda: v5.world.env.backend.delete_channel(v5.channel("audit").id),
    ):
        woken.clear()
        happen()
        await v5.world.env.settle()
        assert woken.is_set()
    woken.clear()
    v5.world.env.backend.delete_channel(v5.channel("moderators").id)
    await v5.world.env.settle()
    assert not woken.is_set()


async def test_a_deleted_channel_is_no_alarm_but_stands_on_the_cards(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    v5.world.env.backend.delete_channel(v5.channel("audit").id)
    await compare(v5)
    await v5.settle()
    assert NO_CHANNEL in readable(v5.review_card()).replace("\\", "")
    assert await noticed(v5, DELETED) == []
