"""`/notify audience` shows whom a name stands for: Whop's own names, people, rule, and what they got."""

import asyncio
from datetime import timedelta

import discord

from bot.delivery import NoAnswer, Request
from bot.permissions import Action
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, response
from bot.sandbox.whop.people import Owners, People
from bot.service import audiences
from bot.store import Access
from tests.conftest import ONCE, OpenSandbox
from tests.harness.links import unlinked


def fields(message: discord.Message) -> dict[str, str]:
    shown = [one for embed in message.embeds for one in embed.fields]
    return {one.name or "": unlinked(one.value or "") for one in shown}


async def shown(sandbox: Sandbox, name: str = "Gold members", who: str = "Lena") -> discord.Message:
    asked = await sandbox.person(who).slash(sandbox.channel("moderators"), "notify audience", name=name)
    assert asked.ephemeral
    return response(asked)


async def test_an_audience_shows_its_people_its_rule_and_what_it_got(sandbox: Sandbox) -> None:
    gold = {"prod_gold": Owners(crowd=range(40))}
    sandbox.whop.people = People(products=gold, experiences={"exp_gold": ["prod_gold"]})
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    await sandbox.wait(timedelta(minutes=20))
    card = fields(await shown(sandbox))
    kind, identifier = ("product", "prod_gold") if sandbox.generation == "v5" else ("experience", "exp_gold")
    # By the name that Whop gives it.
    assert f"({kind} {identifier})" in card["Whom it reaches"], card
    assert "Not all names" not in card["Whom it reaches"]
    assert card["What it takes"].startswith("**1** approval\nComposed by <@&")
    assert card["When"] == "By the clocks of UTC"
    began = int((sandbox.clock() - timedelta(minutes=20)).timestamp())
    assert card["Lately"].startswith(f"#1 <t:{began}"[:-2])
    assert card["Lately"].endswith(":R> · Accepted by Whop")
    everyone = fields(await shown(sandbox, "Everyone"))
    assert everyone["What it takes"].startswith("**2** approvals\nLarge: approving it asks for its name")
    # What it shares with others is told as theirs.
    if sandbox.generation == "v1":
        assert everyone["Lately"].endswith("Accepted by Whop, for **Gold members**")


async def test_what_whop_does_not_say_is_said_to_be_so_and_all_else_is_there(sandbox: Sandbox) -> None:
    await sandbox.whop.close()
    card = fields(await shown(sandbox))
    assert "⚠️ Not all names are Whop's own: no answer from Whop:" in card["Whom it reaches"]
    assert "_gold" in card["Whom it reaches"]
    assert card["Lately"] == "Nothing in the last 7 days"


@ONCE
async def test_a_whop_that_is_slow_keeps_nobody_waiting(sandbox: Sandbox) -> None:
    never = asyncio.Event()

    async def ask(account: str, question: Request) -> NoAnswer:
        _ = account, question
        await never.wait()
        return NoAnswer(reason="never", bytes_left=False)

    service = sandbox.herald.service
    with sandbox.herald.store.begin(Access.READ) as tx:
        known = audiences.look(tx, service.gate, sandbox.actor("Ada"), "Everyone")
    account = service.lifecycle.account_of(known.server)
    at_once = timedelta(milliseconds=1)
    named = await audiences.names_of(ask, account, known, service.gate, patience=at_once)
    assert named == audiences.Named({}, audiences.SLOW)


async def test_the_rule_says_who_may_write_when_and_how_often(open_sandbox: OpenSandbox) -> None:
    def ruled(text: str) -> str:
        more = 'quiet_hours = "22:00 to 08:00"\nin_quiet_hours = "shift"\ncool_down = "2h"\ndaily_cap = 3\n'
        own = f'compose = [104900000000000031]\ntime_zone = "Europe/Berlin"\nbeyond = "approval"\n{more}'
        return text.replace("size = 420\n", f"size = 420\n{own}")

    async with open_sandbox("v1", edit_policy=ruled) as sandbox:
        card = fields(await shown(sandbox))
        assert "who are <@&104900000000000031> as well" in card["What it takes"]
        assert card["When"] == (
            "By the clocks of Europe/Berlin\nQuiet hours 22:00 to 08:00: it waits for their end\n"
            "At most 2 hours between two and 3 a day; one approval more beyond that"
        )
        # Whoever may see broadcasts sees it, whether or not they may write to it.
        assert sandbox.herald.service.audiences(sandbox.actor("Ada"), Action.COMPOSE) == []
        offered = list(
            await sandbox.person("Ada").autocomplete(
                sandbox.channel("moderators"), "notify audience", "name", "gold"
            )
        )
        assert [one["value"] for one in offered] == ["Gold members"]


@ONCE
async def test_an_audience_that_there_is_not_is_one_sentence(sandbox: Sandbox) -> None:
    asked = await sandbox.person("Lena").slash(
        sandbox.channel("moderators"), "notify audience", name="Nobody"
    )
    assert answer(asked).startswith(
        "There is no audience “Nobody”: choose one from the list (“Gold members”, "
    )
