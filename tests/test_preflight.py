"""`herald check` asks Discord and Whop, and says in one sentence for each thing what to mend."""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import discord
import pytest
from pydantic import SecretStr
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.chat.commands import payload, wanted_commands
from bot.errors import ConfigurationError
from bot.policy.loading import parse_policy
from bot.policy.model import Policy
from bot.preflight import check_discord, check_whop, find_uncounted, name_other_writers
from bot.sandbox.customers import customers
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.whop import SimulatedWhop
from bot.whop import Account, gateway_for
from bot.whop.transport import Transport
from tests.harness.discord.server import TOKEN, LoopbackDiscord
from tests.harness.found import only

KEY = "fake-whop-key"
APPROVE, OPERATE, AUDIT = 104900000000000022, 104900000000000023, 104900000000000024
GENERATIONS = pytest.mark.parametrize("generation", ["v1", "v5"])
TARGETS = {
    "v1": 'experiences = ["exp_gold"]\ntargets.team = "biz_sunrise"',
    "v5": 'products = ["prod_gold"]',
}


def policy_text(generation: str) -> str:
    return f"""\
[[server]]
name = "Sunrise"
guild = 104900000000000001
channels = {{ review = 104900000000000011, audit = 104900000000000012 }}
[server.roles]
compose = [104900000000000021]
approve = [104900000000000022]
operate = [104900000000000023]
audit = [104900000000000024]
[[server.topic]]
id = "announcements"
name = "Announcements"
[[server.audience]]
name = "Gold"
targets.{TARGETS[generation]}
"""


def policy_for(generation: str) -> Policy:
    return parse_policy(policy_text(generation), name="herald.toml")


@pytest.fixture
async def whop() -> AsyncGenerator[SimulatedWhop]:
    simulated = SimulatedWhop(
        api_keys=[KEY],
        clock=lambda: datetime(2026, 11, 23, tzinfo=UTC),
        topics=[("announcements", "Announcements")],
    )
    await simulated.start()
    yield simulated
    await simulated.close()


async def whop_problems(generation: str, origin: str, *, key: str = KEY) -> list[str]:
    account = Account.of(gateway_for(generation, origin=origin), origin=origin, api_key=SecretStr(key))
    async with Transport(api_key=SecretStr(key)) as transport:
        return [sentence async for sentence in check_whop(policy_for(generation), account, transport)]


@GENERATIONS
async def test_a_right_key_gives_nothing_to_mend(whop: SimulatedWhop, generation: str) -> None:
    assert await whop_problems(generation, whop.origin) == []


@GENERATIONS
async def test_the_questions_reach_nobody(whop: SimulatedWhop, generation: str) -> None:
    await whop_problems(generation, whop.origin)
    assert whop.reads
    assert (whop.exchanges, whop.pushes) == ([], [])


@GENERATIONS
async def test_a_wrong_key_is_named_and_not_repeated(whop: SimulatedWhop, generation: str) -> None:
    problems = await whop_problems(generation, whop.origin, key="another-fake-key")
    assert problems
    assert all(sentence.startswith(f"WHOP_API_KEY: Whop {generation} answered 401") for sentence in problems)
    assert "another-fake-key" not in " ".join(problems)


async def test_a_topic_that_whop_does_not_know_is_named(whop: SimulatedWhop) -> None:
    whop.topics[:] = [("outages", "Outages")]
    sentence = only(await whop_problems("v5", whop.origin))
    assert "herald.toml: topic announcements is not registered with Whop" in sentence


async def test_a_v1_key_without_the_permission_is_told_for_each_place_it_would_send_to(
    whop: SimulatedWhop,
) -> None:
    whop.permissions.clear()
    problems = await whop_problems("v1", whop.origin)
    for resource, sentence in zip(("exp_gold", "biz_sunrise"), problems, strict=True):
        assert sentence.startswith(f"WHOP_API_KEY: this key may not send notifications to {resource}")
        assert "notification:create" in sentence


async def test_an_experience_that_the_key_cannot_see_is_named_with_its_audience(whop: SimulatedWhop) -> None:
    whop.experiences["exp_silver"] = "Silver"
    sentence = only(await whop_problems("v1", whop.origin))
    assert "may not send notifications to exp_gold (audience “Gold”)" in sentence


@GENERATIONS
async def test_audiences_that_cannot_be_counted_are_named_once_for_each_reason_and_are_no_mistake(
    whop: SimulatedWhop, generation: str
) -> None:
    account = Account.of(
        gateway_for(generation, origin=whop.origin), origin=whop.origin, api_key=SecretStr(KEY)
    )
    whop.people = customers()

    async def hints() -> list[str]:
        async with Transport(api_key=SecretStr(KEY)) as transport:
            return await find_uncounted(policy_for(generation), account, transport, now=whop.clock())

    assert await hints() == []
    whop.permissions.discard("member:basic:read")
    sentence = only(await hints())
    assert sentence.startswith("herald.toml: “Gold”")
    assert "it needs" in sentence
    assert "member:basic:read" in sentence
    assert "what its `size` says, or unknown" in sentence
    assert await whop_problems(generation, whop.origin) == []


@GENERATIONS
async def test_an_unreachable_whop_is_one_sentence_however_many_questions(generation: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        sentence = only(await whop_problems(generation, f"http://127.0.0.1:{closed.getsockname()[1]}"))
    assert sentence == ("WHOP_BASE_URL: Whop could not be reached (no connection): mend it or the network.")


# --- Discord ---------------------------------------------------------------------------------------


async def problems_at(v5: Sandbox, change: Callable[[str], str] = lambda text: text) -> list[str]:
    text = v5.settings.herald_config.read_text(encoding="utf-8")
    policy = parse_policy(change(text), name="herald.toml")
    return [sentence async for sentence in check_discord(policy, v5.herald.client)]


def put(key: str, value: int) -> Callable[[str], str]:
    """Return an edit that gives a key of the channels another id."""
    return lambda text: "\n".join(
        f"{key} = {value}" if line.startswith(f"{key} = ") and "[" not in line else line
        for line in text.splitlines()
    )


def hidden_from_herald(v5: Sandbox, **rights: bool) -> int:
    me = v5.world.guild.me
    assert me is not None
    overwrites: dict[Any, discord.PermissionOverwrite] = {me: discord.PermissionOverwrite(**rights)}
    return v5.world.guild.create_text_channel("closed", overwrites=overwrites).id


async def test_where_everything_fits_there_is_nothing_to_mend(v5: Sandbox) -> None:
    assert await problems_at(v5) == []


async def test_whoever_else_can_write_in_the_records_channel_or_take_out_of_it_is_named(v5: Sandbox) -> None:
    backend, channel = v5.world.env.backend, v5.channel("audit").id
    everyone, approve, sam = v5.world.guild.id, v5.world.roles["approve"].id, v5.person("Sam").id

    def let(target: int, kind: OverwriteType, **rights: bool) -> None:
        allow, deny = discord.PermissionOverwrite(**rights).pair()
        backend.set_overwrite(channel, Overwrite(target, kind, allow=allow.value, deny=deny.value))

    async def named() -> list[str]:
        said = await name_other_writers(v5.herald.service.policy, v5.herald.client)
        return [one.partition("channels.audit: ")[2].partition(" can write")[0] for one in said]

    closed = {"send_messages": False, "manage_messages": False, "manage_webhooks": False}
    let(everyone, OverwriteType.ROLE, **closed)
    assert await named() == []
    let(everyone, OverwriteType.ROLE, **closed | {"send_messages": True})
    assert "@everyone" in (await named())[0]
    let(everyone, OverwriteType.ROLE, **closed)
    let(approve, OverwriteType.ROLE, manage_webhooks=True)
    let(sam, OverwriteType.MEMBER, manage_messages=True)
    said = (await named())[0]
    assert f"the member {sam}" in said
    assert said.startswith("@")


async def test_a_server_that_herald_is_not_in_is_one_sentence(v5: Sandbox) -> None:
    assert await problems_at(v5, put("guild", 104900000000000001)) == [
        "herald.toml: server “Sunrise Trading”: guild: Herald is not in 104900000000000001:"
        " correct the id, or invite Herald there."
    ]


async def test_a_role_that_does_not_exist_is_named(v5: Sandbox) -> None:
    old = v5.world.roles["approve"].id
    assert await problems_at(v5, lambda text: text.replace(str(old), "104900000000000022")) == [
        "herald.toml: server “Sunrise Trading”: roles.approve: there is no role 104900000000000022"
        " in Sunrise Trading: correct the id."
    ]


async def test_a_role_of_another_server_is_no_role_here(v5: Sandbox) -> None:
    foreign = v5.world.env.create_guild("Elsewhere").create_role("Approvers").id
    old = v5.world.roles["approve"].id
    sentence = only(await problems_at(v5, lambda text: text.replace(str(old), str(foreign))))
    assert f"there is no role {foreign} in Sunrise Trading" in sentence


async def test_everyone_as_a_role_ends_even_a_start_that_asks_nobody(v5: Sandbox) -> None:
    old, everyone = v5.world.roles["approve"].id, v5.world.guild.default_role.id
    with pytest.raises(
        ConfigurationError, match=rf"roles\.approve: {everyone} is the server itself.* @everyone"
    ):
        await problems_at(v5, lambda text: text.replace(str(old), str(everyone)))


@pytest.mark.parametrize("key", ["review", "audit"])
async def test_a_channel_that_does_not_exist_is_named(v5: Sandbox, key: str) -> None:
    assert await problems_at(v5, put(key, 104900000000000011)) == [
        f"herald.toml: server “Sunrise Trading”: channels.{key}: 104900000000000011:"
        " there is no such channel in Sunrise Trading: correct the id."
    ]


async def test_a_channel_that_holds_no_messages_is_refused(v5: Sandbox) -> None:
    category = v5.world.guild.create_category("Staff").id
    sentence = only(await problems_at(v5, put("review", category)))
    assert sentence.endswith(f"channels.review: {category}: #Staff is no text channel: name one that is.")


@pytest.mark.parametrize(
    ("right", "words"),
    [
        # Without the right to send, Discord takes away all that belongs to sending.
        ("send_messages", "Send Messages, Embed Links, Attach Files"),
        ("embed_links", "Embed Links"),
        ("attach_files", "Attach Files"),
    ],
)
async def test_a_right_that_herald_lacks_in_a_channel_is_named(v5: Sandbox, right: str, words: str) -> None:
    channel = hidden_from_herald(v5, **{right: False})
    assert await problems_at(v5, put("review", channel)) == [
        f"herald.toml: server “Sunrise Trading”: channels.review: {channel}:"
        f" Herald lacks {words} in #closed: allow it in the channel's settings."
    ]


async def test_the_record_needs_its_history_to_be_read_and_reviews_do_not(v5: Sandbox) -> None:
    channel = hidden_from_herald(v5, read_message_history=False)
    assert await problems_at(v5, put("review", channel)) == []
    sentence = only(await problems_at(v5, put("audit", channel)))
    assert "Herald lacks Read Message History in #closed" in sentence


async def test_a_channel_that_herald_cannot_see_is_one_sentence(v5: Sandbox) -> None:
    sentence = only(await problems_at(v5, put("audit", hidden_from_herald(v5, view_channel=False))))
    assert "channels.audit: " in sentence
    assert "Herald lacks View Channel" in sentence


async def test_an_outage_of_discord_is_a_sentence_and_no_crash(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(_guild_id: int) -> discord.Guild:
        answer: Any = type("Answer", (), {"status": 503, "reason": "Service Unavailable"})()
        raise discord.DiscordServerError(answer, "down")

    monkeypatch.setattr(v5.herald.client, "fetch_guild", down)
    assert await problems_at(v5) == [
        "herald.toml: server “Sunrise Trading”: guild: Discord answered 503 when asked about it:"
        " try again later."
    ]


async def test_every_mistake_at_discord_is_told_at_once(v5: Sandbox) -> None:
    def change(text: str) -> str:
        return put("review", 104900000000000011)(text).replace(
            str(v5.world.roles["audit"].id), "104900000000000024"
        )

    assert len(await problems_at(v5, change)) == 2


# --- the command -----------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
GUILD = 104900000000000001
MINE = ("--prove", "user_maya", "exp_gold")


@pytest.fixture
async def at_discord() -> AsyncGenerator[LoopbackDiscord]:
    """Serve a Discord with which the policy agrees."""
    async with LoopbackDiscord.open(policy_for("v1")) as opened:
        yield opened


Check = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def check(whop: SimulatedWhop, tmp_path: Path, at_discord: LoopbackDiscord) -> Check:
    async def run(*arguments: str, generation: str = "v1", more: str = "") -> tuple[int, str]:
        (tmp_path / "herald.toml").write_text(policy_text(generation) + more, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.harness.discord.run", at_discord.origin, "{}", "check", *arguments,
            cwd=tmp_path,
            env={
                "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "COLUMNS": "200",
                "DISCORD_TOKEN": TOKEN, "WHOP_API_KEY": KEY, "WHOP_API": generation,
                "WHOP_BASE_URL": whop.origin,
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate(b"n\n")
        return process.returncode or 0, said.decode()

    return run


async def test_check_says_that_the_key_is_unproven_then_proves_it_and_says_since_when(
    whop: SimulatedWhop, check: Check
) -> None:
    status, said = await check()
    assert (status, whop.exchanges) == (0, []), said
    assert "not proven for this API key" in said
    assert "herald check --prove USER_ID EXPERIENCE_ID" in said

    status, said = await check(*MINE, "--yes")
    assert (status, len(whop.exchanges), len(whop.pushes)) == (0, 2, 1), said
    assert "Discord and Whop agree" in said
    assert "Idempotency keys are proven for this API key" in said

    status, said = await check()
    assert status == 0
    assert "are proven for this API key, since 20" in said


async def test_check_sends_nothing_to_prove_the_key_without_a_yes(whop: SimulatedWhop, check: Check) -> None:
    status, said = await check(*MINE)
    assert (status, whop.exchanges) == (1, [])
    assert "to user_maya in exp_gold, at simulated Whop" in said


async def test_check_sends_nothing_to_prove_a_key_that_does_not_fit(
    whop: SimulatedWhop, check: Check
) -> None:
    whop.permissions.clear()
    status, said = await check(*MINE, "--yes")
    assert (status, whop.exchanges) == (1, [])
    assert "Nothing was sent to prove the key: mend this first." in said


async def test_check_fails_where_whop_ignores_keys(whop: SimulatedWhop, check: Check) -> None:
    whop.honours_keys = False
    status, said = await check(*MINE, "--yes")
    assert status == 1
    assert "Nothing is proven by this" in said


async def test_check_says_that_v5_has_nothing_to_prove(whop: SimulatedWhop, check: Check) -> None:
    status, said = await check(*MINE, "--yes", generation="v5")
    assert (status, whop.exchanges) == (0, []), said
    assert said.count("Whop's v5 has no idempotency keys, so there is nothing to prove.") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--prove", "maya", "exp_gold"), "USER_ID: write a Whop id that begins with user_."),
        (("--prove", "user_maya", "gold"), "EXPERIENCE_ID: write a Whop id that begins with exp_."),
        ((*MINE, "--offline"), "--prove asks Whop and --offline asks nobody: leave one of them out."),
    ],
)
async def test_check_refuses_to_prove_in_one_sentence(
    whop: SimulatedWhop, check: Check, arguments: tuple[str, ...], sentence: str
) -> None:
    assert await check(*arguments, "--yes") == (2, f"{sentence}\n")
    assert whop.exchanges == []


async def test_check_says_which_commands_are_not_there_as_they_should_be_and_that_a_run_mends_it(
    check: Check, at_discord: LoopbackDiscord
) -> None:
    note = "! herald.toml: server “Sunrise”: commands: /notify is not there as it should be: `herald run`"
    status, said = await check()
    assert (status, note in said) == (0, True), said

    guild = at_discord.guilds[GUILD]
    guild.commands = await wanted_commands()
    # As Discord gives them back: with more than was asked for, and without what is as usual.
    guild.commands[0] |= {"id": "1", "version": "2", "contexts": None, "nsfw": False}
    guild.commands[0]["options"][0].pop("required", None)
    status, said = await check()
    assert (status, "/notify" in said) == (0, False), said

    guild.commands[0]["options"][0]["description"] = "Something else"
    _, said = await check()
    assert note in said


async def test_check_names_likely_slips_in_the_words_of_templates(check: Check) -> None:
    words = 'subject = "{what} is down"\ncontent = "We are **on it**."\n'
    template = f'[[server.template]]\nname = "Down"\naudience = "Gold"\ntopic = "announcements"\n{words}'
    status, said = await check(more=template)
    assert (status, "! herald.toml: server “Sunrise”, template “Down”: Discord's markup" in said) == (
        0,
        True,
    ), said


async def test_check_names_the_roles_whose_mention_would_ping_nobody(
    check: Check, at_discord: LoopbackDiscord
) -> None:
    status, said = await check()
    assert status == 0
    assert [
        said.count(f"the mention of @Role {role} pings nobody") for role in (APPROVE, OPERATE, AUDIT)
    ] == [
        1,
        1,
        0,
    ]
    at_discord.guilds[GUILD].mentionable = True
    status, said = await check()
    assert (status, "pings nobody" in said) == (0, False), said


async def test_check_tells_where_herald_may_not_install_commands(
    check: Check, at_discord: LoopbackDiscord
) -> None:
    at_discord.faults.answer(
        "GET /applications/*/commands", 403, {"message": "Missing Access", "code": 50001}
    )
    status, said = await check()
    assert status == 1
    assert "✗ herald.toml: server “Sunrise”: commands: Herald may not install any: invite it again" in said


@pytest.mark.parametrize(
    "question", ["GET /guilds/*/channels", "GET /applications/*/commands", "GET /users/@me"]
)
async def test_check_ends_with_a_sentence_when_the_connection_breaks_in_mid_question(
    check: Check, at_discord: LoopbackDiscord, question: str
) -> None:
    at_discord.faults.reset(question, times=9)
    status, said = await check()
    assert status == 1
    assert "Discord could not be asked (ServerDisconnectedError): try again later." in said
    assert "Traceback" not in said


async def test_the_commands_that_check_looks_for_are_those_that_a_run_installs(v5: Sandbox) -> None:
    client = v5.herald.client
    assert payload(client.tree, discord.Object(v5.world.guild.id)) == await wanted_commands()
