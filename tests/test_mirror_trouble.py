"""A mirror in trouble blocks neither the record nor a send, and says what to mend until it is well again."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import discord
import pytest
from pydantic import SecretStr
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.audit.mirror import Condition
from bot.chat.channels import NO_CHANNEL
from bot.chat.messages import MAY_NOT_WRITE
from bot.cli.commands import main
from bot.preflight import Answer, look_at_mirror
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from bot.store import Access, Store
from bot.store.outbox import PostKind
from tests.harness.found import only
from tests.harness.policy import audience, server
from tests.test_audit import make_entry

GUILD = 104900000000000001

MINUTE = timedelta(minutes=1)


@pytest.fixture
def setting(database_url: str) -> tuple[str, str]:
    """Run what takes a sandbox once on each database: the mirror is the same for both of Whop's APIs."""
    return "v5", database_url


def numbers(sandbox: Sandbox, channel: str = "audit") -> list[int]:
    return [int(line.split("`")[1]) for line in sandbox.texts(channel)]


def card(sandbox: Sandbox) -> str:
    """Return the words of the newest card as people see them."""
    return readable(sandbox.review_card()).replace("\\", "")


async def condition(sandbox: Sandbox) -> Condition:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.mirror.condition(sandbox.world.guild.id)


async def look(sandbox: Sandbox, *, after: timedelta = timedelta()) -> Sequence[str]:
    return look_at_mirror(sandbox.settings, sandbox.policy, now=sandbox.clock() + after)


def forbid(sandbox: Sandbox, **rights: bool) -> None:
    """Give or take Herald's rights in the audit channel."""
    backend, (allow, deny) = sandbox.world.env.backend, discord.PermissionOverwrite(**rights).pair()
    overwrite = Overwrite(backend.bot_user.id, OverwriteType.MEMBER, allow=allow.value, deny=deny.value)
    backend.set_overwrite(sandbox.channel("audit").id, overwrite)


def drawn(sandbox: Sandbox) -> int:
    """Return how often a card was edited."""
    requests = sandbox.world.env.http_requests
    return sum(one.method == "PATCH" and one.path.startswith("/channels/") for one in requests)


async def test_a_missing_permission_stands_on_open_cards_and_in_check_until_it_is_mended(
    v5: Sandbox,
) -> None:
    forbid(v5, send_messages=False)
    await v5.submit(await v5.compose())
    await v5.wait(timedelta(seconds=5))
    await v5.settle()
    assert "The audit channel lags" in card(v5)
    assert MAY_NOT_WRITE in card(v5)
    assert "The record itself goes on" in card(v5)
    sentence = only(await look(v5))
    assert sentence.startswith(
        "herald.toml: server “Sunrise Trading”: channels.audit: 2 line(s) of the record"
    )
    assert f"since 2026-01-01 00:00 UTC: {MAY_NOT_WRITE}." in sentence

    await v5.restart()
    assert (await condition(v5)).lags
    forbid(v5, send_messages=True)
    await v5.wait(MINUTE)
    await v5.settle()
    assert "lags" not in card(v5)
    assert await look(v5) == []
    assert numbers(v5) == [1, 2]


async def test_a_mirror_in_trouble_delays_no_send_and_no_line_of_the_record(v5: Sandbox) -> None:
    forbid(v5, send_messages=False)
    await v5.approved()
    await v5.wait(UNDONE)
    assert len(v5.whop.pushes) == 1
    assert numbers(v5) == []
    assert (await condition(v5)).waiting == 6


async def test_a_single_hiccup_is_no_trouble_and_draws_no_card(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await v5.settle()
    before = drawn(v5)
    path = f"/channels/{v5.channel('audit').id}/messages"
    v5.world.env.inject_error("POST", path, status=503, times=1)
    await v5.compose()
    for _ in range(3):
        await v5.settle()
        assert not (await condition(v5)).lags
    await v5.wait(timedelta(seconds=30))
    assert numbers(v5) == [1, 2, 3]
    assert drawn(v5) == before
    assert "lags" not in card(v5)


async def test_cards_are_drawn_when_the_trouble_begins_and_ends_and_not_at_each_retry(v5: Sandbox) -> None:
    forbid(v5, send_messages=False)
    await v5.submit(await v5.compose())
    await v5.settle()
    before = drawn(v5)
    for _ in range(6):
        await v5.wait(timedelta(minutes=6))
    assert (await condition(v5)).failures >= 6
    assert drawn(v5) == before + 1
    forbid(v5, send_messages=True)
    await v5.wait(timedelta(minutes=6))
    await v5.settle()
    assert drawn(v5) == before + 2


async def test_a_deleted_channel_is_named_and_what_waits_goes_to_the_one_that_replaces_it(
    v5: Sandbox,
) -> None:
    await v5.submit(await v5.compose())
    old = v5.channel("audit")
    v5.world.env.backend.delete_channel(old.id)
    await v5.press("Omar", "Approve")
    await v5.wait(UNDONE)
    await v5.wait(MINUTE)
    assert len(v5.whop.pushes) == 1
    assert (await condition(v5)).why == NO_CHANNEL
    sentence = only(await look(v5))
    assert sentence.endswith(f"{NO_CHANNEL}.")

    fresh = v5.world.guild.create_text_channel("record")
    await v5.restart(edit_policy=lambda text: text.replace(str(old.id), str(fresh.id)))
    await v5.wait(timedelta(minutes=6))
    assert [int(message.content.split("`")[1]) for message in fresh.history()] == [3, 4, 5, 6]
    assert not (await condition(v5)).waiting


async def test_check_says_when_nothing_posts_what_waits(v5: Sandbox) -> None:
    # Composed and recorded; but nobody announces.
    await v5.compose()
    assert await look(v5) == []
    sentence = only(await look(v5, after=2 * MINUTE))
    assert "1 line(s) of the record wait to be posted" in sentence
    assert "no `herald run` is connected to Discord: start one." in sentence


async def test_check_makes_no_database_to_look_into(v5: Sandbox) -> None:
    elsewhere = v5.settings.model_copy(update={"database_url": SecretStr("sqlite:///no/herald.db")})
    assert look_at_mirror(elsewhere, v5.policy, now=v5.clock()) == []


def test_herald_check_says_what_waits_and_leaves_its_status_to_what_has_to_be_mended_before_a_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fill() -> None:
        async with Store.open(f"sqlite:///{tmp_path}/data/herald.db") as store:
            with store.begin() as tx:
                event = tx.audit.append(make_entry(1, guild_id=GUILD))
                tx.outbox.add_post(
                    PostKind.AUDIT, guild_id=GUILD, channel_id=5, sequence=event.sequence, at=event.at
                )

    def no_log(**_: object) -> None:
        """Leave the log of the other tests as it is."""

    async def agree(*_: object) -> tuple[Answer, Answer]:
        return Answer([], []), Answer([], [])

    monkeypatch.chdir(tmp_path)
    Path("herald.toml").write_text(server(audience("Gold", "prod_gold"), name="Sunrise"), encoding="utf-8")
    Path(".env").write_text("DISCORD_TOKEN=fake-token\nWHOP_API_KEY=fake-whop-key\nWHOP_API=v5\n")
    monkeypatch.setattr(sys, "argv", ["herald", "check"])
    monkeypatch.setattr("bot.log.configure", no_log)
    monkeypatch.setattr("bot.cli.checks._ask", agree)
    asyncio.run(fill())
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "! herald.toml: server “Sunrise”: channels.audit: 1 line(s) of the record wait" in said
    assert "✓ Discord and Whop agree." in said


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, 50013, MAY_NOT_WRITE),
        (404, 10003, NO_CHANNEL),
        (500, 0, "Discord answered 500; it is tried again by itself"),
        (400, 50035, "Discord answered 400; it is tried again by itself"),
    ],
)
async def test_why_the_mirror_lags_is_remembered_in_words_that_say_what_to_mend(
    v5: Sandbox, status: int, code: int, words: str
) -> None:
    path = f"/channels/{v5.channel('audit').id}/messages"
    v5.world.env.inject_error("POST", path, status=status, code=code, times=None)
    await v5.submit(await v5.compose())
    assert (await condition(v5)).why == words
