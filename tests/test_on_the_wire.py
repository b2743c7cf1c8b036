"""Herald on a Discord behind a network: whatever happens there, a broadcast goes through after it."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientConnectorError, ClientSession
from discord import Client, Intents
from structlog.testing import capture_logs
from yarl import URL

from bot.chat import announcer
from bot.chat.connection import Connection
from bot.errors import REFUSED_BY_DISCORD, ConfigurationError
from bot.sandbox.whop import Fault
from bot.sending import dispatcher
from bot.store import Access
from tests.harness.clock import ManualClock
from tests.harness.discord.herald import (
    PEOPLE,
    Connected,
    connected,
    herald_process,
    simulated_whop,
    the_policy,
)
from tests.harness.discord.person import AUDIT_CHANNEL, Person, approved, card, whole_broadcast
from tests.harness.discord.server import MODERATORS, TOKEN, LoopbackDiscord
from tests.harness.found import only
from tests.harness.people import MAYA, OMAR, WORDS
from tests.harness.policy import GUILD, REVIEW_CHANNEL
from tests.waiting import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll often: the loops' own pauses are no part of what they promise."""
    monkeypatch.setattr(dispatcher, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(announcer, "POLL_SECONDS", 0.01)


@pytest.fixture
async def discord(discord_port: int) -> AsyncGenerator[LoopbackDiscord]:
    async with LoopbackDiscord.open(the_policy(), PEOPLE, port=discord_port) as opened:
        yield opened


@pytest.fixture
async def online(discord: LoopbackDiscord, tmp_path: Path) -> AsyncGenerator[Connected]:
    async with connected(tmp_path, discord, the_policy()) as opened:
        await discord.gateway.connected.wait()
        yield opened


async def test_a_whole_broadcast_goes_through(online: Connected) -> None:
    assert await whole_broadcast(online.discord) == 1
    assert len(online.whop.pushes) == 1


# --- roles -----------------------------------------------------------------------------------------


async def test_people_have_their_roles_while_their_server_is_unavailable(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    await discord.set_available(GUILD, available=False)
    async with connected(tmp_path, discord, the_policy()):
        await discord.gateway.connected.wait()
        await whole_broadcast(discord)


async def test_nobody_else_is_given_a_role_by_that(discord: LoopbackDiscord, tmp_path: Path) -> None:
    stranger = replace(MAYA, id=MAYA.id + 900, roles=frozenset())
    discord.guilds[GUILD].members[stranger.id] = stranger
    await discord.set_available(GUILD, available=False)
    async with connected(tmp_path, discord, the_policy()):
        await discord.gateway.connected.wait()
        refused = await Person(discord, stranger).command("notify compose", audience="One", topic="news")
        assert refused.modal is None
        assert "role" in refused.said


# --- the connection --------------------------------------------------------------------------------

OUT_OF_REACH = "Discord is out of reach; what is approved is sent all the same"
FEW_SESSIONS = "Discord lets Herald begin few new sessions today: it waits"
BACK = "Discord is within reach again"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.chat.connection.FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("bot.chat.connection.LONGEST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr("bot.chat.connection.BRIEF_SECONDS", 0)
    monkeypatch.setattr("bot.chat.commands.FIRST_WAIT_SECONDS", 0.02)


async def connected_anew(online: Connected, knocks: int) -> None:
    """Wait until a connection stands that is not among the first so many."""
    gateway = online.discord.gateway
    await until(lambda: gateway.knocks > knocks and online.herald.client.connection.is_up)


# All but those that only a person can mend.
CODES = (1000, 1001, 4000, 4001, 4002, 4003, 4005, 4006, 4007, 4008, 4009, 4010, 4011, 4012)


async def test_after_each_code_that_it_is_closed_with_it_connects_again(online: Connected) -> None:
    await whole_broadcast(online.discord)
    for code in CODES:
        knocks = online.discord.gateway.knocks
        await online.discord.gateway.close(code)
        await connected_anew(online, knocks)
        asked = await Person(online.discord, MAYA).command("notify queue")
        assert asked.said == "Nothing waits for anybody.", code
    assert await whole_broadcast(online.discord) == 2
    assert len(online.whop.pushes) == 2


async def test_after_op_7_it_resumes_and_after_op_9_it_does_as_told(online: Connected) -> None:
    gateway = online.discord.gateway
    await whole_broadcast(online.discord)
    await gateway.ask_to_reconnect()
    await connected_anew(online, 1)
    assert (gateway.identified, gateway.resumed) == (1, 1)
    await whole_broadcast(online.discord)
    await gateway.invalidate(resumable=True)
    await connected_anew(online, 2)
    assert (gateway.identified, gateway.resumed) == (1, 2)
    await whole_broadcast(online.discord)
    await gateway.invalidate(resumable=False)
    await connected_anew(online, 3)
    assert (gateway.identified, gateway.resumed) == (2, 2)
    await whole_broadcast(online.discord)


async def test_what_people_did_while_it_was_cut_off_is_answered_once_it_has_resumed(
    online: Connected,
) -> None:
    await whole_broadcast(online.discord)
    online.discord.gateway.cut()
    asked = await Person(online.discord, MAYA).type("notify queue")
    await online.discord.until(lambda: asked.is_done)
    assert asked.said == "Nothing waits for anybody."
    assert (online.discord.gateway.identified, online.discord.gateway.resumed) == (1, 1)


@pytest.mark.parametrize("code", [4003, 4006, 4007, 4009])
async def test_a_session_that_is_refused_is_not_resumed_for_ever(online: Connected, code: int) -> None:
    await whole_broadcast(online.discord)
    online.discord.gateway.unknown_session = code
    online.discord.gateway.forget()
    await online.discord.vanish()
    await online.discord.appear()
    await connected_anew(online, 1)
    assert (online.discord.gateway.identified, online.discord.gateway.resumed) == (2, 0)
    await whole_broadcast(online.discord)


async def test_a_session_is_resumed_elsewhere_if_the_place_to_resume_it_at_is_gone(online: Connected) -> None:
    await whole_broadcast(online.discord)
    online.herald.client.ws.gateway = URL("ws://127.0.0.1:1/gateway")
    online.discord.gateway.cut()
    await connected_anew(online, 1)
    assert (online.discord.gateway.identified, online.discord.gateway.resumed) == (1, 1)
    await whole_broadcast(online.discord)


async def test_a_connection_over_which_no_heartbeat_is_answered_is_given_up(
    discord: LoopbackDiscord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.chat.connection.ANSWER_SECONDS", 0.05)
    discord.gateway.heartbeat_seconds = 0.1
    async with connected(tmp_path, discord, the_policy()) as online:
        await until(lambda: online.herald.client.connection.is_up)
        discord.gateway.acknowledges = False
        # Long before it is given up.
        await until(lambda: not online.herald.client.connection.is_up)
        assert discord.gateway.knocks == 1
        socket: Any = online.herald.client.ws
        socket._keep_alive.heartbeat_timeout = 0.05
        await until(lambda: discord.gateway.knocks > 1)
        discord.gateway.acknowledges = True
        await until(lambda: online.herald.client.connection.is_up)
        await whole_broadcast(discord)


async def test_an_outage_is_told_once_and_its_end_too_and_all_is_right_after_it(
    online: Connected, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[float]()
    pause = Connection._pause  # pyright: ignore[reportPrivateUsage]

    async def counted(connection: Connection, seconds: float) -> None:
        waits.append(seconds)
        await pause(connection, seconds)

    await whole_broadcast(online.discord)
    monkeypatch.setattr(Connection, "_pause", counted)
    with capture_logs() as logged:
        await online.discord.vanish()
        await until(lambda: len(waits) > 9)
        assert not online.herald.client.connection.is_up
        await online.discord.appear()
        await until(lambda: online.herald.client.connection.is_up)
        assert await whole_broadcast(online.discord) == 2
    assert [line["event"] for line in logged if line["event"] in {OUT_OF_REACH, BACK}] == [OUT_OF_REACH, BACK]
    assert [record for record in caplog.records if record.exc_info] == []


async def test_what_was_approved_goes_out_in_an_outage_and_its_card_says_so_after_it(
    online: Connected,
) -> None:
    discord = online.discord
    await whole_broadcast(discord)
    discord.faults.silence("PATCH /channels/*")
    draft = await online.herald.service.compose(
        MAYA, audience="One", notification=WORDS, channel_id=MODERATORS
    )
    await online.herald.service.submit(MAYA, draft.id, revision=1)
    await discord.vanish()
    await online.herald.service.approve(OMAR, draft.id, revision=1)
    await until(lambda: len(online.whop.pushes) == 2)
    discord.faults.clear()
    await discord.appear()
    await card(discord, draft.id, "Accepted by Whop")


async def test_tries_are_at_most_half_a_minute_apart_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    clock, waits = ManualClock(), list[float]()

    async def pause(seconds: float) -> None:
        clock.seconds += 0.01
        waits.append(seconds)
        if len(waits) > 40:
            await client.close()

    async def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("discord.gateway.DiscordWebSocket.from_client", refuse)
    monkeypatch.setattr("discord.http.HTTPClient.get_bot_gateway", refuse)
    async with Client(intents=Intents.none()) as client:
        connection = Connection(client, steady=clock.steady)
        monkeypatch.setattr(connection, "_pause", pause)
        await connection.keep()
    assert waits[:6] == [1, 2, 4, 8, 16, 30]
    assert set(waits[5:]) == {30}


async def test_of_few_sessions_that_are_left_for_today_each_waits_for_its_share_of_the_time(
    online: Connected,
) -> None:
    gateway = online.discord.gateway
    await whole_broadcast(online.discord)
    online.discord.sessions_left = {"remaining": 400, "reset_after": 4000}
    with capture_logs() as logged:
        await gateway.ask_to_reconnect()
        await connected_anew(online, 1)
        # It was resumed, which takes none of them.
        assert [line for line in logged if "few new sessions" in line["event"]] == []
        await gateway.invalidate(resumable=False)
        await connected_anew(online, 2)
    assert [line["event"] for line in logged if "few new sessions" in line["event"]] == [FEW_SESSIONS]
    await whole_broadcast(online.discord)


async def test_where_no_session_is_left_none_is_begun_and_the_page_says_so_while_sending_goes_on(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    discord.sessions_left = {"remaining": 0, "reset_after": 3_600_000}
    async with connected(tmp_path, discord, the_policy()) as online:
        connection = online.herald.client.connection
        await until(lambda: "next_session_in_seconds" in connection.condition)
        await until(lambda: online.herald.dispatcher.last_good_round is not None)
        status, page = await health(online)
        assert status == 503
        assert 3500 < page["discord"]["next_session_in_seconds"] <= 3600
        assert page["dispatcher"]["ok"]
    assert discord.gateway.knocks == 0


async def test_it_tries_at_once_when_a_request_is_answered_again(loopback: LoopbackDiscord) -> None:
    async with Client(intents=Intents.none()) as client:
        connection = Connection(client, steady=monotonic)
        await client.login(TOKEN)
        await loopback.vanish()
        with pytest.raises(ClientConnectorError):
            await client.application_info()
        # Longer than any test may take.
        pausing = asyncio.create_task(connection._pause(3600))  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0)
        await loopback.appear()
        await client.application_info()
        await pausing


async def close_while_sending(discord: LoopbackDiscord, folder: Path, code: int) -> None:
    """Let the gateway close with a code while a request to Whop is under way, and wait for Herald's end."""
    async with connected(folder, discord, the_policy()) as online:
        online.whop.fail_next(Fault.SLOW)
        await approved(discord)
        await online.whop.slow_held()
        await discord.gateway.close(code)
        online.whop.release_slow()
        await asyncio.wait({online.running})


@pytest.mark.parametrize("code", [4004, 4013, 4014])
async def test_what_a_person_must_mend_ends_it_with_a_sentence_after_what_is_in_flight(
    discord: LoopbackDiscord, tmp_path: Path, code: int
) -> None:
    with pytest.raises(ConfigurationError, match="DISCORD_TOKEN" if code == 4004 else "intents"):
        await close_while_sending(discord, tmp_path, code)
    await card(discord, 1, "Accepted by Whop")


async def test_an_event_that_cannot_be_read_ends_nothing(online: Connected) -> None:
    await whole_broadcast(online.discord)
    with capture_logs() as logged:
        await online.discord.gateway.dispatch("MESSAGE_DELETE", {"nothing": "that is known"})
        await connected_anew(online, 1)
    assert [line["kind"] for line in logged if line["log_level"] == "error"] == ["KeyError"]
    # The session goes on behind that event.
    assert (online.discord.gateway.identified, online.discord.gateway.resumed) == (1, 1)
    await whole_broadcast(online.discord)


async def test_a_rate_limit_of_a_channel_or_of_all_only_delays(online: Connected) -> None:
    for everywhere in (False, True):
        online.discord.faults.limit(f"POST /channels/{REVIEW_CHANNEL}/*", 0.1, everywhere=everywhere)
        online.discord.faults.limit(f"PATCH /channels/{REVIEW_CHANNEL}/*", 0.1, everywhere=everywhere)
        await whole_broadcast(online.discord)


async def test_while_discord_answers_5xx_what_is_to_be_shown_is_tried_again_by_herald_and_not_after_a_nap(
    online: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps, sleep = list[float](), asyncio.sleep

    async def seen(seconds: float, result: Any = None) -> Any:
        if seconds and sys._getframe(1).f_globals["__name__"] == "discord.http":  # pyright: ignore[reportPrivateUsage]
            naps.append(seconds)
        return await sleep(seconds, result)

    monkeypatch.setattr(asyncio, "sleep", seen)
    monkeypatch.setattr(announcer, "LONGEST_PAUSE_SECONDS", 0.01)
    online.discord.faults.answer(f"POST /channels/{REVIEW_CHANNEL}/messages", 500, times=3)
    online.discord.faults.answer(f"PATCH /channels/{REVIEW_CHANNEL}/*", 502, times=3)
    await whole_broadcast(online.discord)
    assert naps == []
    review = online.discord.channel(REVIEW_CHANNEL)
    assert review is not None
    assert len([one for one in review.messages.values() if one["embeds"]]) == 1


async def test_a_flood_of_refused_presses_holds_up_no_card_and_no_send(
    online: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    discord = online.discord
    stranger = replace(MAYA, id=MAYA.id + 900, roles=frozenset())
    discord.guilds[GUILD].members[stranger.id] = stranger
    monkeypatch.setattr("bot.app.ANNOUNCE_SECONDS", 0.1)
    # The channel of the record takes nothing for as long as the flood lasts.
    discord.faults.limit(f"POST /channels/{AUDIT_CHANNEL}/*", 600)
    asked = [await Person(discord, stranger).type("notify queue") for _ in range(300)]
    await whole_broadcast(discord)
    await discord.until(lambda: all(one.is_done for one in asked))
    assert all("role" in one.said for one in asked)
    audit = discord.channel(AUDIT_CHANNEL)
    assert audit is not None
    assert not audit.messages
    with online.herald.store.begin(Access.READ) as tx:
        refusals = [one for one in tx.audit.of_guild(GUILD) if one.action == "refused list"]
    assert len(refusals) == 10


async def test_a_card_whose_post_was_applied_and_never_answered_stands_there_once(online: Connected) -> None:
    online.discord.faults.reset(f"POST /channels/{REVIEW_CHANNEL}/messages", applied=True)
    await whole_broadcast(online.discord)
    review = online.discord.channel(REVIEW_CHANNEL)
    assert review is not None
    assert len([one for one in review.messages.values() if one["embeds"]]) == 1


async def test_fifty_interactions_at_once_are_answered_across_a_reconnect(online: Connected) -> None:
    maya = Person(online.discord, MAYA)
    asked = [await maya.type("notify queue") for _ in range(25)]
    await online.discord.gateway.ask_to_reconnect()
    asked += [await maya.type("notify queue") for _ in range(25)]
    await online.discord.until(lambda: all(one.is_done for one in asked))
    assert {one.said for one in asked} == {"Nothing waits for anybody."}


async def test_a_start_says_who_connected_as_whom_to_which_servers(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    with capture_logs() as logged:
        async with connected(tmp_path, discord, the_policy()):
            await until(lambda: any(line["event"] == "connected to Discord" for line in logged))
    told = only(line for line in logged if line["event"] == "connected to Discord")
    assert (told["account"], told["servers"]) == ("Herald", ["Sunrise Trading"])


async def test_an_interaction_that_came_too_late_is_weather_and_no_fault(online: Connected) -> None:
    await whole_broadcast(online.discord)
    late = {"message": "Unknown interaction", "code": 10062}
    online.discord.faults.answer("POST /interactions/*", 404, late, times=1)
    with capture_logs() as logged:
        await Person(online.discord, MAYA).type("notify queue")
        await until(lambda: logged)
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("Discord no longer waits for this answer", "warning")
    ]
    assert "exc_info" not in logged[0]
    await whole_broadcast(online.discord)


async def test_choices_that_came_too_late_are_no_fault_either(
    online: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    late = {"message": "Unknown interaction", "code": 10062}
    online.discord.faults.answer("POST /interactions/*", 404, late, times=1)
    offering = asyncio.create_task(Person(online.discord, MAYA).offered("notify compose", "audience"))
    await until(lambda: caplog.records)
    offering.cancel()
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]


# --- commands --------------------------------------------------------------------------------------

INSTALL = f"PUT /applications/*/guilds/{GUILD}/commands"


async def test_commands_that_could_not_be_installed_are_tried_again(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    discord.faults.answer(INSTALL, 503, times=3)
    async with connected(tmp_path, discord, the_policy()) as online:
        await until(lambda: online.herald.client.connection.is_up)
        await whole_broadcast(discord)
        assert online.herald.client.commands_of_servers.missing == []


async def test_a_rate_limit_of_commands_delays_no_connection(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    discord.faults.limit(INSTALL, 3600)
    async with connected(tmp_path, discord, the_policy()) as online:
        await until(lambda: online.herald.client.connection.is_up)
        assert online.herald.client.commands_of_servers.missing == ["Sunrise Trading"]


async def test_a_server_that_herald_is_invited_to_has_its_commands_at_once_each_time(
    discord: LoopbackDiscord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.chat.commands.FIRST_WAIT_SECONDS", 3600)
    guild = discord.guilds.pop(GUILD)
    async with connected(tmp_path, discord, the_policy()) as online:
        await until(online.herald.client.is_ready)
        discord.guilds[GUILD] = guild
        joined = {name: value for name, value in guild.created().items() if name != "unavailable"}
        for _ in range(2):
            guild.commands.clear()
            await discord.gateway.dispatch("GUILD_CREATE", joined)
            await discord.until(lambda: guild.commands)
            await discord.gateway.dispatch("GUILD_DELETE", {"id": str(GUILD)})
        await discord.gateway.dispatch("GUILD_CREATE", joined)
        await whole_broadcast(discord)


async def test_commands_that_are_right_are_not_installed_again(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    for _ in range(2):
        async with connected(tmp_path, discord, the_policy()) as online:
            await until(lambda client=online.herald.client: client.commands_of_servers.missing == [])
    assert sum(question.startswith("PUT") for question in discord.asked) == 1


# --- health ----------------------------------------------------------------------------------------


async def health(online: Connected) -> tuple[int, dict[str, Any]]:
    async with ClientSession() as session, session.get(online.health_address) as answer:
        return answer.status, await answer.json()


async def test_health_is_well_only_while_discord_is_connected_and_has_the_commands(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    discord.faults.answer(INSTALL, 503)
    async with connected(tmp_path, discord, the_policy()) as online:
        await until(lambda: online.herald.client.connection.is_up)
        status, page = await health(online)
        assert (status, page["discord"], page["commands"]) == (
            503,
            {"ok": True},
            {"ok": False, "missing_in": ["Sunrise Trading"]},
        )
        discord.faults.clear()
        await whole_broadcast(discord)
        status, page = await health(online)
        assert status == 200, page
        assert page["dispatcher"]["seconds_ago"] < 30
        await discord.vanish()
        await until(lambda: not online.herald.client.connection.is_up)
        status, page = await health(online)
        assert (status, page["discord"], page["dispatcher"]["ok"]) == (503, {"ok": False}, True)


async def test_health_is_red_while_the_database_takes_nothing(
    discord: LoopbackDiscord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.1)
    async with connected(tmp_path, discord, the_policy()) as online:
        await whole_broadcast(discord)
        assert (await health(online))[0] == 200
        monkeypatch.setattr("bot.health.PROBE_EVERY", timedelta())
        # Less than it takes to see that the database is busy.
        monkeypatch.setattr("bot.health.OLD", timedelta(seconds=0.05))
        with sqlite3.connect(online.herald.settings.database_file) as other:
            other.execute("BEGIN IMMEDIATE")
            status, page = await health(online)
            other.rollback()
        other.close()
        assert (status, page["database"]["ok"]) == (503, False)
        assert page["database"]["last_write"]
        monkeypatch.setattr("bot.health.OLD", timedelta(seconds=30))
        assert (await health(online))[1]["database"]["ok"]


# --- in a process of its own -----------------------------------------------------------------------


async def test_a_run_sends_answers_and_ends_in_order(discord: LoopbackDiscord, tmp_path: Path) -> None:
    async with simulated_whop() as whop, herald_process(tmp_path, discord, whop, "run") as process:
        await whole_broadcast(discord)
        process.terminate()
        said, _ = await process.communicate()
    assert process.returncode == 0, said
    assert len(whop.pushes) == 1


async def test_a_run_whose_token_is_taken_away_ends_with_one_sentence_and_status_2(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    async with simulated_whop() as whop, herald_process(tmp_path, discord, whop, "run") as process:
        await whole_broadcast(discord)
        await discord.gateway.close(4004)
        said, _ = await process.communicate()
    assert process.returncode == 2, said
    assert said.decode().splitlines()[-1] == REFUSED_BY_DISCORD
    assert b"Traceback" not in said


async def test_a_run_comes_through_an_outage_without_a_traceback(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    shorter: dict[str, Any] = {
        "bot.chat.connection.FIRST_WAIT_SECONDS": 0.05,
        "bot.chat.connection.LONGEST_WAIT_SECONDS": 0.1,
    }
    async with simulated_whop() as whop, herald_process(tmp_path, discord, whop, "run", **shorter) as process:
        await whole_broadcast(discord)
        await discord.vanish()
        assert process.stdout is not None
        async for line in process.stdout:
            assert b"Traceback" not in line
            if OUT_OF_REACH.encode() in line:
                break
        await discord.appear()
        await whole_broadcast(discord)
        process.terminate()
        said, _ = await process.communicate()
    assert (process.returncode, said.count(BACK.encode())) == (0, 1), said
    assert b"Traceback" not in said


async def test_a_run_that_is_told_to_stop_in_an_outage_ends_in_order(
    discord: LoopbackDiscord, tmp_path: Path
) -> None:
    async with simulated_whop() as whop, herald_process(tmp_path, discord, whop, "run") as process:
        await whole_broadcast(discord)
        await discord.vanish()
        process.terminate()
        said, _ = await process.communicate()
    assert process.returncode == 0, said
    assert b"Traceback" not in said
