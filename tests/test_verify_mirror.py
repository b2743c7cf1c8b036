"""`herald audit verify --mirror` reads what stands in Discord and names each line that differs."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.audit.mirror import ADDED, CHANGED, DOUBLED, GONE, REWRITTEN
from bot.audit.verify_mirror import Comparison, MirrorReader
from bot.chat.channels import ChannelReader
from bot.cli.commands import main
from bot.errors import Unreachable, Unreadable
from bot.policy.loading import load_policy
from bot.sandbox.sandbox import UNDONE, Sandbox
from bot.store import Store
from tests.harness.backup import back_up
from tests.harness.discord.server import TOKEN, LoopbackDiscord
from tests.harness.found import only
from tests.harness.policy import audience, server
from tests.test_audit import make_entry


@pytest.fixture
def setting(database_url: str) -> tuple[str, str]:
    """Run what takes a sandbox once on each database: the mirror is the same for both of Whop's APIs."""
    return "v5", database_url


async def mirrored(sandbox: Sandbox) -> list[discord.Message]:
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    return sandbox.channel("audit").history()


async def compare(sandbox: Sandbox) -> Comparison:
    channels = ChannelReader(sandbox.herald.client)
    reader = MirrorReader(store=sandbox.herald.store, channels=channels, policy=sandbox.policy)
    read: list[int] = []
    compared = await reader.compare(sandbox.world.guild.id, read.append)
    assert sum(read) <= await reader.count([sandbox.world.guild.id])
    return compared


async def found(sandbox: Sandbox) -> list[str]:
    return [str(difference) for difference in (await compare(sandbox)).differences]


def stored(sandbox: Sandbox) -> dict[int, Any]:
    """Return the channel as Discord has it, in which nothing that is changed is told to Herald."""
    return sandbox.world.env.backend.messages[sandbox.channel("audit").id]


async def test_a_mirror_that_nobody_touched_agrees_with_the_record(sandbox: Sandbox) -> None:
    await mirrored(sandbox)
    assert await compare(sandbox) == Comparison(6, 0, [])


async def test_an_embed_that_is_put_on_a_post_is_told_in_the_record_and_named(sandbox: Sandbox) -> None:
    there = await mirrored(sandbox)
    channel = sandbox.herald.client.get_partial_messageable(sandbox.channel("audit").id)
    await channel.get_partial_message(there[1].id).edit(embed=discord.Embed(title="Approved by nobody"))
    assert [one for one in await found(sandbox) if one.startswith(f"line 2: {ADDED}")]
    # As the event tells of it, which may have come by now.
    await sandbox.herald.watcher.edited(there[1].id, there[1].content, beside=("embeds",))
    assert f"line 2: {ADDED}, which line 7 tells." in await found(sandbox)


async def test_what_was_deleted_changed_forged_or_doubled_in_discord_is_named(sandbox: Sandbox) -> None:
    there = await mirrored(sandbox)
    client = sandbox.herald.client
    assert client.user is not None
    del stored(sandbox)[there[1].id]
    stored(sandbox)[there[2].id].content = there[2].content.replace("Herald", "Omar").replace("Omar", "Lena")
    stored(sandbox)[there[3].id].content = there[3].content[:-16] + "0" * 16
    channel = client.get_partial_messageable(sandbox.channel("audit").id)
    await channel.send(there[0].content)
    stranger = await channel.send("All is well.")
    assert await found(sandbox) == [
        f"line 2: {GONE}.",
        f"line 4: {REWRITTEN}.",
        f"line 3: {CHANGED}.",
        f"line 1: {DOUBLED}.",
        f"message {stranger.id} is by Herald, but is no line of this record.",
    ]


async def test_a_deletion_that_was_told_stays_named_with_the_line_that_tells_it(v5: Sandbox) -> None:
    there = await mirrored(v5)
    v5.world.env.backend.delete_message(there[2].channel.id, there[2].id)
    await v5.world.env.settle()
    await v5.settle()
    assert await found(v5) == [f"line 3: {GONE}, which line 7 tells."]


async def test_lines_that_wait_are_counted_and_no_fault(v5: Sandbox) -> None:
    path = f"/channels/{v5.channel('audit').id}/messages"
    v5.world.env.inject_error("POST", path, status=500, times=None)
    await v5.submit(await v5.compose())
    assert await compare(v5) == Comparison(0, 2, [])


async def test_posts_in_a_former_channel_are_compared_there(v5: Sandbox) -> None:
    there = await mirrored(v5)
    old, fresh = v5.channel("audit").id, v5.world.guild.create_text_channel("record").id
    await v5.restart(edit_policy=lambda text: text.replace(str(old), str(fresh)))
    await v5.submit(await v5.compose())
    assert await compare(v5) == Comparison(8, 0, [])
    del stored(v5)[there[4].id]
    assert await found(v5) == [f"line 5: {GONE}."]
    v5.world.env.backend.delete_channel(old)
    assert await found(v5) == [f"lines 1-6: {GONE}."]


async def test_what_waited_for_a_deleted_channel_is_watched_where_it_was_posted(
    v5: Sandbox,
) -> None:
    old, fresh = v5.channel("audit").id, v5.world.guild.create_text_channel("record").id
    v5.world.env.backend.delete_channel(old)
    await v5.submit(await v5.compose())
    await v5.restart(edit_policy=lambda text: text.replace(str(old), str(fresh)))
    await v5.wait(timedelta(minutes=6))
    assert await compare(v5) == Comparison(2, 0, [])
    v5.world.env.backend.messages[fresh].clear()
    await v5.herald.watcher.compare(ChannelReader(v5.herald.client))
    assert await found(v5) == [f"lines 1-2: {GONE}, which line 3 tells."]


async def test_a_channel_that_may_not_be_read_is_a_sentence_and_no_fault_of_the_record(v5: Sandbox) -> None:
    await mirrored(v5)
    backend, channel = v5.world.env.backend, v5.channel("audit").id
    for right, words in (("read_message_history", "Read Message History"), ("view_channel", "View Channel")):
        denied = discord.Permissions(**{right: True}).value
        backend.set_overwrite(channel, Overwrite(backend.bot_user.id, OverwriteType.MEMBER, deny=denied))
        with pytest.raises(Unreadable, match=f"The channel {channel} could not be compared: .*{words}"):
            await compare(v5)


async def test_an_outage_is_no_fault_of_the_record(v5: Sandbox) -> None:
    await mirrored(v5)
    v5.world.env.inject_error("GET", "/channels/**", status=500, times=None)
    with pytest.raises(Unreachable, match="Discord cannot be asked now"):
        await compare(v5)


async def test_a_list_that_lacks_a_message_which_is_there_accuses_nobody(v5: Sandbox) -> None:
    await mirrored(v5)

    class Partial(ChannelReader):
        async def read(self, channel_id: int, *, since: int = 0) -> AsyncGenerator[Any, None]:
            async for page in super().read(channel_id, since=since):
                yield page[1:]

    channels = Partial(v5.herald.client)
    reader = MirrorReader(store=v5.herald.store, channels=channels, policy=v5.policy)
    with pytest.raises(Unreachable, match="does not show all of the channel"):
        await reader.compare(v5.world.guild.id, lambda _: None)
    with pytest.raises(Unreachable):
        await v5.herald.watcher.compare(channels)
    assert await compare(v5) == Comparison(6, 0, [])


async def test_what_a_running_herald_posts_meanwhile_is_no_difference(v5: Sandbox) -> None:
    await mirrored(v5)

    class Busy(ChannelReader):
        async def read(self, channel_id: int, *, since: int = 0) -> AsyncGenerator[Any, None]:
            async for page in super().read(channel_id, since=since):
                await v5.compose()
                await v5.settle()
                yield page
            async for page in super().read(channel_id, since=since):
                yield page[:1]
                return

    reader = MirrorReader(store=v5.herald.store, channels=Busy(v5.herald.client), policy=v5.policy)
    compared = await reader.compare(v5.world.guild.id, lambda _: None)
    assert compared.differences == []


async def test_lines_that_a_restore_lost_are_told_once_and_the_record_goes_on_in_the_channel(
    sandbox: Sandbox, setting: tuple[str, str]
) -> None:
    await sandbox.submit(await sandbox.compose())
    await sandbox.herald.restore_watch.look()
    put_back = back_up(setting[1], sandbox.herald.settings.witness_file.parent)
    await mirrored(sandbox)
    await sandbox.herald.restore_watch.look()
    put_back()
    await sandbox.herald.restore_watch.look()
    await sandbox.settle()
    lost = only((await compare(sandbox)).differences)
    assert str(lost).startswith("lines 3-8: they were lost when the database went back, which line ")
    assert not lost.is_fault
    assert len(sandbox.channel("audit").history()) > 9


# --- the command -----------------------------------------------------------------------------------

GUILD, AUDIT = 104900000000000001, 104900000000000012


def verify() -> int:
    """Run the command and return its status."""
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


async def test_the_command_ends_with_0_1_or_2_and_says_which_line_differs(
    tmp_path: Path,
    discord_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["herald", "audit", "verify", "--mirror"])
    (tmp_path / ".env").write_text(f"DISCORD_TOKEN={TOKEN}\nWHOP_API_KEY=fake-whop-key\nWHOP_API=v5\n")
    policy = server(audience("Gold", "prod_gold"), name="Sunrise")
    (tmp_path / "herald.toml").write_text(policy, encoding="utf-8")
    async with Store.open(f"sqlite:///{tmp_path}/data/herald.db") as store:
        with store.begin() as tx:
            event = tx.audit.append(make_entry(1, guild_id=GUILD))
            tx.audit.append(make_entry(2, guild_id=GUILD))
    assert await asyncio.to_thread(verify) == 2
    written = capsys.readouterr()
    assert "✓ Sunrise: 2 line(s), none changed" in written.out
    assert written.err.startswith("Discord cannot be asked now (")
    assert written.err.count("\n") == 1

    async with LoopbackDiscord.open(load_policy(tmp_path / "herald.toml"), port=discord_port) as discord:
        channel = discord.guilds[GUILD].channels[AUDIT]
        posted = discord.new_message(AUDIT, {"content": f"`    1` done\n-# digest {event.digest[:16]}"})
        channel.messages[int(posted["id"])] = posted
        assert await asyncio.to_thread(verify) == 1
        said = capsys.readouterr().out
        assert "✗ Sunrise, the audit channel: line 2: nothing shows that it was ever posted." in said

        channel.allowed = 0
        assert await asyncio.to_thread(verify) == 2
        assert f"The channel {AUDIT} could not be compared: Herald may not read it" in capsys.readouterr().err
