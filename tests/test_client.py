"""The Discord client: it waits for a Discord that is away, knows roles, and cuts nobody off at the end."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, cast

import discord
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.broadcast import Status
from bot.chat.client import RESTARTING, HeraldBot
from bot.chat.members import ASK_SECONDS, REFUSED_SECONDS, RestRoles, ask_members
from bot.errors import ConfigurationError, Unreachable
from bot.permissions import Membership
from bot.sandbox.sandbox import Sandbox, answer, response
from bot.store import Access
from tests.conftest import OpenSandbox
from tests.harness.discord.guild import USER
from tests.harness.discord.server import TOKEN, LoopbackDiscord
from tests.harness.found import only
from tests.waiting import until

OUT_OF_REACH = "Discord is out of reach; what is approved is sent all the same"
GUILD, MAYA, MODERATORS = 104900000000000001, 104900000000000002, 104900000000000003


@pytest.fixture
def somewhere(discord_port: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Point discord.py at a port of this machine where nobody listens yet."""
    monkeypatch.setattr("bot.chat.connection.FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr("bot.chat.connection.LONGEST_WAIT_SECONDS", 0.05)
    return discord_port


@pytest.fixture
async def fake(somewhere: int) -> AsyncGenerator[LoopbackDiscord]:
    async with LoopbackDiscord.open(port=somewhere) as opened:
        yield opened


def fresh(sandbox: Sandbox) -> HeraldBot:
    """Return a client beside the sandbox's own, that reaches the network."""
    herald = sandbox.herald
    return HeraldBot(service=herald.service, watcher=herald.watcher)


# --- connecting ------------------------------------------------------------------------------------


async def test_a_discord_out_of_reach_is_waited_for_and_a_refused_token_ends_the_start(
    v5: Sandbox, somewhere: int
) -> None:
    with capture_logs() as logged:
        connecting = asyncio.ensure_future(fresh(v5).keep_connected("not-a-token"))
        await until(lambda: logged or connecting.done())
        assert not connecting.done()
        async with LoopbackDiscord.open(port=somewhere):
            with pytest.raises(ConfigurationError, match="DISCORD_TOKEN: Discord does not accept it"):
                await connecting
    # Once, however often it is tried.
    assert [line["event"] for line in logged] == [OUT_OF_REACH]


async def test_a_first_connection_that_fails_is_tried_again_until_it_stands(
    v5: Sandbox, fake: LoopbackDiscord
) -> None:
    fake.gateway.closed_at_first = 3
    client = fresh(v5)
    with capture_logs() as logged:
        connecting = asyncio.ensure_future(client.keep_connected(TOKEN))
        await until(lambda: client.connection.is_up)
    assert fake.gateway.token == TOKEN
    assert fake.gateway.knocks == 4
    told = [line["event"] for line in logged if "reach" in line["event"]]
    assert told == [OUT_OF_REACH, "Discord is within reach again"]
    assert fake.asked.count("GET /users/@me") == 1
    await client.close()
    connecting.cancel()
    await asyncio.wait({connecting})


# --- ending ----------------------------------------------------------------------------------------


class Door:
    """Holds what people asked for in the service, until it is opened."""

    def __init__(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, use_case: str) -> None:
        self._stage = sandbox
        self._original = getattr(sandbox.herald.service, use_case)
        self._opened = asyncio.Event()
        monkeypatch.setattr(sandbox.herald.service, use_case, self._pass)
        self.open = self._opened.set

    async def _pass(self, *arguments: Any, **options: Any) -> Any:
        await self._stage.world.env.external_wait(self._opened.wait(), reason="the test holds it")
        return await self._original(*arguments, **options)


async def status_of(sandbox: Sandbox, number: int) -> Status:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return (tx.broadcasts.get(number)).status


async def draining(sandbox: Sandbox) -> "asyncio.Task[None]":
    """Begin to drain, as far as it goes by itself."""
    task = asyncio.create_task(sandbox.herald.client.drain(30))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_a_press_under_way_is_finished_before_the_end(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await v5.submit(await v5.compose())
    door = Door(v5, monkeypatch, "approve")
    await v5.person("Omar").click(v5.review_card(), label="Approve")
    drained = await draining(v5)
    assert not drained.done()
    assert await status_of(v5, 1) is Status.REVIEW
    door.open()
    await drained
    assert await status_of(v5, 1) is Status.APPROVED


async def test_a_command_under_way_is_answered_before_the_end(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(v5, monkeypatch, "queue")
    asked = await v5.person("Maya").slash(v5.channel("moderators"), "notify queue")
    drained = await draining(v5)
    assert not drained.done()
    door.open()
    await drained
    assert answer(asked) == "Nothing waits for anybody."


async def test_a_form_under_way_is_stored_before_the_end(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(v5, monkeypatch, "compose")
    await v5.compose()
    drained = await draining(v5)
    assert not drained.done()
    door.open()
    await drained
    assert await status_of(v5, 1) is Status.DRAFT


async def test_at_the_end_a_new_press_changes_nothing_and_is_told_so(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await v5.herald.client.drain(30)
    pressed = await v5.person("Omar").click(v5.review_card(), label="Approve")
    assert answer(pressed) == RESTARTING
    assert response(pressed).flags.ephemeral
    assert await status_of(v5, 1) is Status.REVIEW


async def test_at_the_end_a_new_command_is_turned_away_while_an_earlier_one_still_runs(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(v5, monkeypatch, "queue")
    await v5.person("Maya").slash(v5.channel("moderators"), "notify queue")
    drained = await draining(v5)
    refused = await v5.person("Lena").slash(v5.channel("moderators"), "notify freeze", reason="Wait")
    assert answer(refused) == RESTARTING
    assert await v5.herald.service.frozen(v5.actor("Lena")) == (None, [])
    assert not drained.done()
    door.open()
    await drained


async def test_at_the_end_what_was_typed_is_given_back(v5: Sandbox) -> None:
    maya = v5.person("Maya")
    form = await maya.slash(
        v5.channel("moderators"), "notify compose", audience="Gold members", topic="announcements"
    )
    await v5.herald.client.drain(30)
    values = {"subject": "We are live", "content": "The stream starts now.", "where": "same"}
    refused = response(await maya.submit_modal(form, values))
    assert refused.content.startswith(RESTARTING)
    attached = only(refused.attachments)
    assert await attached.read() == b"We are live\n\nThe stream starts now."
    with v5.herald.store.begin(Access.READ) as tx:
        assert tx.audit.of_guild(v5.world.guild.id) == []


async def test_at_the_end_nobody_is_offered_choices(v5: Sandbox) -> None:
    await v5.herald.client.drain(30)
    channel = v5.channel("moderators")
    assert await v5.person("Maya").autocomplete(channel, "notify compose", "audience", "") == []


async def test_a_handler_that_hangs_does_not_hold_the_end_up(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(v5, monkeypatch, "queue")
    await v5.person("Maya").slash(v5.channel("moderators"), "notify queue")
    with capture_logs() as logged:
        await v5.herald.client.drain(0.01)
    assert logged[-1]["left"] == 1
    door.open()
    await v5.herald.client.drain(30)


async def test_where_nothing_is_under_way_the_end_is_at_once(v5: Sandbox) -> None:
    # More than any test may take.
    await v5.herald.client.drain(3600)
    await fresh(v5).drain(3600)


# --- roles -----------------------------------------------------------------------------------------


async def test_it_tells_the_roles_that_someone_holds_now_and_who_has_left(v5: Sandbox) -> None:
    client, guild, omar = v5.herald.client, v5.world.guild, v5.person("Omar")
    held = {v5.world.roles["compose"].id, v5.world.roles["approve"].id}
    assert await client.members.membership_of(guild.id, omar.id) == Membership(frozenset(held))
    guild.remove_member(omar)
    assert await client.members.membership_of(guild.id, omar.id) is None


async def test_a_server_that_herald_is_not_in_says_nothing_about_its_members(v5: Sandbox) -> None:
    with pytest.raises(Unreachable):
        await v5.herald.client.members.membership_of(GUILD, v5.person("Omar").id)


async def test_a_discord_that_does_not_answer_says_nothing_about_roles(v5: Sandbox) -> None:
    v5.world.env.inject_error("GET", "/guilds/*/members/*", status=403)
    with pytest.raises(Unreachable, match="Forbidden"):
        await v5.herald.client.members.membership_of(v5.world.guild.id, v5.person("Omar").id)


async def test_before_the_login_nobody_can_be_asked(v5: Sandbox) -> None:
    with pytest.raises(Unreachable, match="not logged in"):
        await fresh(v5).members.membership_of(GUILD, MAYA)


def client_at(sandbox: Sandbox, now: list[float]) -> HeraldBot:
    """Return the sandbox's client as it is once its time is what stands in `now`."""
    client = sandbox.herald.client
    client.members._steady = lambda: now[0]  # pyright: ignore[reportPrivateUsage]
    return client


async def test_a_list_of_members_that_discord_refused_is_asked_for_again_only_after_a_while(
    v5: Sandbox,
) -> None:
    now = [1000.0]
    client, guild = client_at(v5, now), v5.world.guild
    v5.world.env.inject_error("GET", "/guilds/*/members", status=403)
    for later in (0.0, REFUSED_SECONDS):
        now[0] = 1000.0 + later
        with pytest.raises(Unreachable, match="Forbidden"):
            await client.members.of(guild.id, max_age=10)
    now[0] += 0.1
    assert v5.person("Omar").id in {one.id for one in await client.members.of(guild.id, max_age=10)}


async def test_a_list_of_members_that_only_failed_is_asked_for_again_at_once(v5: Sandbox) -> None:
    client, guild = client_at(v5, [1000.0]), v5.world.guild
    v5.world.env.inject_error("GET", "/guilds/*/members", status=404)
    with pytest.raises(Unreachable):
        await client.members.of(guild.id)
    assert await client.members.of(guild.id)


class SlowDiscord:
    """Discord with 2,500 members, where each page of them takes most of the time that an answer may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.http = self
        self._passed = 0.0
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + self._passed)

    async def get_members(self, _guild_id: int, limit: int, after: int | None) -> list[dict[str, Any]]:
        self._passed += ASK_SECONDS * 0.6
        # So that a time-out which is over by now comes.
        for _ in range(3):
            await asyncio.sleep(0)
        first = (after or 0) + 1
        numbers = range(first, min(first + limit, 2501))
        return [{"user": {"id": str(one), "username": "Omar"}, "roles": []} for one in numbers]


async def test_each_page_of_a_large_servers_members_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await ask_members(cast("discord.Client", SlowDiscord(monkeypatch)), GUILD)
    assert [one.id for one in found] == list(range(1, 2501))


MEMBER = f"GET /guilds/{GUILD}/members/{MAYA}"


@pytest.fixture
async def role_source() -> AsyncGenerator[RestRoles]:
    async with RestRoles(SecretStr(TOKEN)) as opened:
        yield opened


async def test_without_a_gateway_roles_are_asked_for_and_the_login_is_made_once(
    fake: LoopbackDiscord, role_source: RestRoles
) -> None:
    until = "2026-11-23T10:41:00.250000+00:00"
    told = {"user": USER, "roles": [str(MODERATORS)], "communication_disabled_until": until}
    fake.faults.answer(MEMBER, 200, told)
    asked = role_source.membership_of
    both = await asyncio.gather(asked(GUILD, MAYA), asked(GUILD, MAYA))
    assert both == [Membership(frozenset({MODERATORS}), datetime.fromisoformat(until))] * 2
    assert fake.asked.count("GET /users/@me") == 1
    assert fake.gateway.knocks == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, 10004), (403, 50001), (404, 0), (400, 0)],
    ids=["unknown server", "no access", "unknown page", "bad request"],
)
async def test_without_a_gateway_only_an_unknown_member_is_no_member(
    fake: LoopbackDiscord, role_source: RestRoles, status: int, code: int
) -> None:
    fake.faults.answer(MEMBER, 404, {"message": "Unknown Member", "code": 10007})
    assert await role_source.membership_of(GUILD, MAYA) is None
    fake.faults.answer(MEMBER, status, {"message": "No", "code": code})
    with pytest.raises(Unreachable):
        await role_source.membership_of(GUILD, MAYA)


async def test_without_a_gateway_a_login_that_failed_is_made_at_the_next_question(
    somewhere: int, role_source: RestRoles
) -> None:
    with pytest.raises(Unreachable, match="Connect"):
        await role_source.membership_of(GUILD, MAYA)
    async with LoopbackDiscord.open(port=somewhere) as discord:
        discord.faults.answer(MEMBER, 200, {"user": USER, "roles": []})
        discord.faults.answer("GET /oauth2/applications/@me", 400, times=1)
        with pytest.raises(Unreachable, match="HTTPException"):
            await role_source.membership_of(GUILD, MAYA)
        assert await role_source.membership_of(GUILD, MAYA) == Membership(frozenset())


async def test_without_a_gateway_a_refused_token_is_named_and_not_shown(fake: LoopbackDiscord) -> None:
    async with RestRoles(SecretStr("another-fake-token")) as role_source:
        with pytest.raises(Unreachable, match="DISCORD_TOKEN: Discord does not accept it") as raised:
            await role_source.membership_of(GUILD, MAYA)
        assert "another-fake-token" not in f"{raised.value!r} {role_source!r}"


async def test_without_a_gateway_a_silent_discord_is_waited_for_only_so_long(
    fake: LoopbackDiscord, role_source: RestRoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.chat.members.ASK_SECONDS", 0.05)
    fake.faults.silence()
    with pytest.raises(Unreachable, match="TimeoutError"):
        await role_source.membership_of(GUILD, MAYA)


async def test_a_question_given_up_in_a_global_rate_limit_shuts_nobody_out(
    fake: LoopbackDiscord, role_source: RestRoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.faults.answer(MEMBER, 200, {"user": USER, "roles": []})
    assert await role_source.membership_of(GUILD, MAYA) == Membership(frozenset())
    fake.faults.limit(MEMBER, 0.3, everywhere=True)
    with monkeypatch.context() as patch:
        patch.setattr("bot.chat.members.ASK_SECONDS", 0.05)
        with pytest.raises(Unreachable, match="TimeoutError"):
            await role_source.membership_of(GUILD, MAYA)
    assert await role_source.membership_of(GUILD, MAYA) == Membership(frozenset())


# --- what it is ------------------------------------------------------------------------------------


async def test_the_client_asks_for_no_privileged_intent(v5: Sandbox) -> None:
    asked = {name for name, wanted in v5.herald.client.intents if wanted}
    assert asked == {"guilds", "guild_messages"}


async def test_a_fault_inside_a_command_is_answered_with_a_reference_and_nothing_more(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    async with open_sandbox("v5", tolerant=True) as sandbox:
        monkeypatch.setattr(sandbox.herald.service, "queue", broken)
        result = await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify queue")
        assert "tell whoever runs Herald the reference" in answer(result)
        assert "secret detail" not in answer(result)
