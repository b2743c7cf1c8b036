"""Choosing whom to reach: only what is open to a person, with size and rule before anything is typed."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from bot.audience import rule_in_short, size_in_short
from bot.broadcast import Broadcast, Status
from bot.characters import units
from bot.counted import Counted
from bot.errors import NotAllowed, NotReady
from bot.everyday import Typed
from bot.permissions import Action, Actor
from bot.policy.loading import parse_policy
from bot.preflight import check_discord
from bot.sandbox.sandbox import Sandbox, answer
from bot.schedule import Schedule
from bot.series import Ends, Every
from bot.service import Choosable, Service
from cogs.choices import LABEL_LIMIT, of_audience
from tests.conftest import ONCE, OpenSandbox
from tests.harness.clock import NOW
from tests.harness.people import CHANNEL, LENA, MAYA, NOOR, OMAR, WORDS
from tests.harness.policy import GUILD, ONE, audience, parsed, server
from tests.harness.process import UNDONE, Cluster, Process
from tests.harness.statements import counted

BOARD: Final = 104900000000000031
# It takes a role that only some of those hold who may compose.
CLOSED: Final = audience("Closed", "exp_silver", more=f"compose = [{BOARD}]\n")
TEMPLATE: Final = """
[[server.template]]
name = "Down"
audience = "Closed"
topic = "news"
subject = "We are down"
content = "Since {since}"
"""
INSIDER: Final = replace(MAYA, roles=MAYA.roles | {BOARD})
REFUSED: Final = f"“Closed” takes the role <@&{BOARD}> as well."
WEEKLY: Final = Typed("Weekly", "Closed", "news", WORDS.model_copy(update={"topic": ""}), "")


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def herald(cluster: Cluster) -> Process:
    cluster.members.roles[MAYA.id] = INSIDER.roles
    return await cluster.join(policy=parsed(server(ONE, CLOSED, TEMPLATE)))


async def drafted(service: Service, schedule: Schedule | None = None) -> Broadcast:
    return await service.compose(
        INSIDER, audience="Closed", notification=WORDS, channel_id=CHANNEL, schedule=schedule
    )


async def gone_out(herald: Process) -> Broadcast:
    one = await drafted(herald.service)
    await herald.service.submit(INSIDER, one.id, revision=1)
    await herald.service.approve(OMAR, one.id, revision=1)
    await herald.tick(UNDONE)
    return await herald.get(one.id)


Try = Callable[[Process, Actor], Awaitable[Any]]


async def _reuse(herald: Process, who: Actor) -> Broadcast:
    one = await gone_out(herald)
    return await herald.service.reuse(who, one.id, revision=1, channel_id=CHANNEL)


async def _correct(herald: Process, who: Actor) -> Broadcast:
    one = await gone_out(herald)
    return await herald.service.correct(who, one.id, revision=1, notification=WORDS, channel_id=CHANNEL)


async def _submit(herald: Process, who: Actor) -> Broadcast:
    one = await drafted(herald.service)
    return await herald.service.submit(who, one.id, revision=1)


async def _repeat(herald: Process, who: Actor) -> Broadcast:
    schedule = await herald.service.read_time(INSIDER, "in 20 hours")
    one = await drafted(herald.service, schedule)
    return await herald.service.repeat(who, one.id, revision=1, every=Every.WEEK, ends=Ends(times=3))


async def _from_template(herald: Process, who: Actor) -> object:
    (standing,) = await herald.service.templates(INSIDER)
    return await herald.service.compose_from(who, standing.number, {"since": "noon"}, channel_id=CHANNEL)


async def _ask_template(herald: Process, who: Actor) -> object:
    (standing,) = await herald.service.templates(INSIDER)
    return await herald.service.ask_template(who, Action.COMPOSE, standing.number)


async def _from_everyday(herald: Process, who: Actor) -> object:
    made = (await herald.service.create_template(INSIDER, WEEKLY._replace(name=f"For {who.name}"))).template
    assert (Action.COMPOSE in (await herald.service.look_at_template(who, made.id)).may) is (who is INSIDER)
    return await herald.service.use_template(who, made, {}, channel_id=CHANNEL)


TRIED: Final[dict[str, Try]] = {
    "compose": lambda herald, who: herald.service.compose(
        who, audience="Closed", notification=WORDS, channel_id=CHANNEL
    ),
    "open its form": lambda herald, who: herald.service.may_compose(who, audience="Closed", topic="news"),
    "use its words again": _reuse,
    "correct it": _correct,
    "ask for approval": _submit,
    "make a series of it": _repeat,
    "use a template for emergencies": _from_template,
    "open the form of a template for emergencies": _ask_template,
    "make a template": lambda herald, who: herald.service.create_template(who, WEEKLY),
    "use a template": _from_everyday,
}


@pytest.mark.parametrize("what", TRIED)
async def test_an_audience_with_roles_of_its_own_takes_one_of_them_as_well(
    herald: Process, what: str
) -> None:
    with pytest.raises(NotAllowed) as refused:
        await TRIED[what](herald, MAYA)
    assert str(refused.value).endswith(REFUSED)
    assert str(refused.value) in (await herald.record())[-1].detail
    # Of those who hold that role, only whoever may compose at all.
    with pytest.raises(NotAllowed, match=r"it takes the role|only its author"):
        await TRIED[what](herald, replace(LENA, roles=LENA.roles | {BOARD}))


@pytest.mark.parametrize("what", TRIED)
async def test_whoever_holds_both_roles_does_all_of_it(herald: Process, what: str) -> None:
    await TRIED[what](herald, INSIDER)


async def test_what_was_written_for_an_audience_by_somebody_who_may_no_longer_is_held_when_it_starts(
    cluster: Cluster, herald: Process
) -> None:
    one = await drafted(herald.service)
    await herald.service.submit(INSIDER, one.id, revision=1)
    await herald.service.approve(OMAR, one.id, revision=1)
    # She still may compose, but not for this audience.
    cluster.members.roles[MAYA.id] = MAYA.roles
    await herald.tick(UNDONE)
    held = await herald.get(one.id)
    assert (held.status, held.reason) == (
        Status.HELD,
        "Maya, who wrote it, has lost the role for that since",
    )
    assert cluster.whop.exchanges == []


async def test_a_draft_is_shared_only_with_those_who_may_compose_for_its_audience(herald: Process) -> None:
    one = await drafted(herald.service)
    with pytest.raises(NotReady, match=f"cannot compose for “Closed” now: that takes the role <@&{BOARD}>"):
        await herald.service.share(INSIDER, one.id, revision=1, chosen=[NOOR])
    insider = replace(NOOR, roles=NOOR.roles | {BOARD})
    shared = await herald.service.share(INSIDER, one.id, revision=1, chosen=[insider])
    assert [person.id for person in shared.shared] == [NOOR.id]


async def test_whoever_may_not_use_an_audience_is_neither_offered_it_nor_told_of_it(herald: Process) -> None:
    service = herald.service
    with counted() as statements:
        offered = service.audiences(MAYA, Action.COMPOSE), service.audiences(INSIDER, Action.COMPOSE)
    assert [[one.name for one in some] for some in offered] == [["One"], ["One", "Closed"]]
    assert service.audiences(LENA, Action.COMPOSE) == []
    assert len(statements) <= 1
    with pytest.raises(NotReady) as refused:
        await service.may_compose(MAYA, audience="Clsed", topic="news")
    assert "Closed" not in str(refused.value)


SEVEN: Final = Counted(people=7, at=NOW)
SIZES: Final = (
    ("Small", 420, "", "about 420 · 1 approval"),
    ("Large", 12000, "approvals = 2\n", "about 12,000 · 2 approvals, name typed"),
    ("Edge", 1000, "", "about 1,000 · 1 approval"),
    ("Past it", 1001, "", "about 1,001 · 1 approval, name typed"),
    ("Unknown", None, "", "size unknown · 1 approval, name typed"),
)


def test_an_audience_says_its_size_and_its_rule_and_invents_none() -> None:
    policy = parsed(
        server(*(audience(name, "exp_gold", size=size, more=more) for name, size, more, _ in SIZES))
    )
    home = policy.servers[0]
    told = [f"{size_in_short(one)} · {rule_in_short(home, one)}" for one in home.audiences]
    assert told == [said for *_, said in SIZES]
    # What was counted takes the place of what the policy says.
    assert [size_in_short(home.audiences[-1], SEVEN), rule_in_short(home, home.audiences[-1], SEVEN)] == [
        "about 7",
        "1 approval",
    ]


@pytest.mark.parametrize("name", ["Gold members", "x" * 100, "🌟" * 50])
def test_what_an_audience_takes_is_offered_whole_however_long_its_name_is(name: str) -> None:
    shown = of_audience(Choosable(name, "about 12,000 · 2 approvals, name typed")).shown
    assert shown.endswith(" · about 12,000 · 2 approvals, name typed")
    assert units(shown) <= LABEL_LIMIT


@ONCE
async def test_the_list_of_audiences_says_how_many_people_each_has_and_what_it_takes(
    sandbox: Sandbox,
) -> None:
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    for command in ("notify compose", "notify template create"):
        offered = list(await maya.autocomplete(channel, command, "audience", ""))
        assert [one["name"] for one in offered][:3] == [
            "Gold members · about 420 · 1 approval",
            "Everyone · about 12,000 · 2 approvals, name typed",
            "Testers · about 2 · 1 approval",
        ]
        assert [one["value"] for one in offered][:2] == ["Gold members", "Everyone"]
        # What is told of an audience is no part of its name.
        assert list(await maya.autocomplete(channel, command, "audience", "approval")) == []
    # Whoever types all of it means that audience.
    shown = await maya.slash(
        channel, "notify compose", audience="Gold members · about 420 · 1 approval", topic="outages"
    )
    assert shown.modal is not None, answer(shown)


async def test_a_check_names_an_audience_that_nobody_could_ever_compose_for(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox() as sandbox:
        text = sandbox.settings.herald_config.read_text(encoding="utf-8")
        roles = {key: role.id for key, role in sandbox.world.roles.items()}

        async def found(compose: int) -> list[str]:
            read = parse_policy(
                text.replace("size = 420\n", f"size = 420\ncompose = [{compose}]\n"), name="herald.toml"
            )
            return [one async for one in check_discord(read, sandbox.herald.client)]

        assert await found(roles["approve"]) == []
        (said,) = await found(roles["audit"])
        assert "audience “Gold members”: compose: nobody could ever compose for it" in said
        (said,) = await found(BOARD)
        assert f"audience “Gold members”: compose: there is no role {BOARD} in Sunrise Trading" in said
        with pytest.raises(Exception, match=r"compose: \d+ is the server itself"):
            await found(sandbox.world.guild.id)


def test_the_server_itself_is_no_role_of_an_audience() -> None:
    with pytest.raises(Exception, match=rf"audience “One”: compose: {GUILD} is the server itself"):
        parsed(server(audience("One", "exp_gold", more=f"compose = [{GUILD}]\n")))
