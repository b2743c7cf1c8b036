"""Who somebody is at Whop: asked there once, shown by a code that arrives, kept and removable."""

import json
import re
from datetime import timedelta
from typing import Final

import pytest
from sqlalchemy import text

from bot.audit.chain import Event
from bot.sandbox.customers import customers
from bot.sandbox.sandbox import Sandbox, answer, button_labels
from bot.sandbox.whop import Fault, Owners, Push, ReadFault
from bot.store import Access
from bot.store.tables import metadata
from bot.testing import CODE_LIVES, MOST_TESTS, MOST_TRIES, Link
from tests.harness.found import only

# Every private name in here belongs to the product.
# pyright: reportPrivateUsage=false

CODE: Final = re.compile(r"Your code is ([0-9A-Z]{4}-[0-9A-Z]{4}):")
NO_CODE: Final = "AAAA-AAAA"


@pytest.fixture
def peopled(sandbox: Sandbox) -> Sandbox:
    """Run the test where the sandbox's moderators are somebody at Whop, too."""
    sandbox.whop.people = customers()
    return sandbox


async def link(sandbox: Sandbox, name: str = "Maya", **options: object) -> str:
    done = await sandbox.person(name).slash(sandbox.channel("moderators"), "notify link", **options)
    await sandbox.settle()
    return plain(answer(done))


def plain(said: str) -> str:
    return re.sub(r"[\u2066-\u2069]|\\(?=[^\w\s])|\\(?=_)", "", said)


def code_of(sandbox: Sandbox) -> str:
    """Return the code in the newest notification that anybody got."""
    match = CODE.search(read(sandbox.whop.pushes[-1])[1])
    assert match is not None, sandbox.whop.pushes[-1]
    return match[1]


def read(push: Push) -> tuple[str, str]:
    """Return the subject and content that a phone shows."""
    assert push.phone is not None
    return push.phone


def lines(sandbox: Sandbox) -> list[Event]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.audit.of_guild(sandbox.world.guild.id)


def kept(sandbox: Sandbox, name: str = "Maya") -> Link | None:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.links.of(sandbox.world.guild.id, "whop", sandbox.person(name).id)


def everything(sandbox: Sandbox) -> str:
    """Return all that stands in the database."""
    with sandbox.herald.store.begin(Access.READ) as tx:
        rows = [row for table in metadata.sorted_tables for row in tx._connection.execute(table.select())]
    return json.dumps([[str(one) for one in row] for row in rows])


async def test_a_code_that_arrives_at_whop_ties_somebody_to_their_user_there(peopled: Sandbox) -> None:
    assert "You are tied to nobody at Whop." in await link(peopled)
    said = await link(peopled, user="@maya")
    assert "A code is on its way to **@maya (user_maya)** at Whop. You will read here whether" in said

    push = only(peopled.whop.pushes)
    assert [*push.reached] == ["user_maya"]
    assert read(push)[0] == "[TEST] Code from Herald"
    code = code_of(peopled)
    told = peopled.channel("moderators").history()[-1]
    maya = peopled.person("Maya")
    assert (
        f"<@{maya.id}> Whop has queued your code for your link to Whop, and never says more." in told.content
    )
    assert [one.id for one in told.mentions] == [maya.id]
    assert button_labels(told) == ["Type the code"]
    assert kept(peopled) is None
    # Neither the code nor what it is made of stands anywhere, once Whop has it.
    assert code not in everything(peopled)
    assert code.replace("-", "") not in everything(peopled)

    form = await maya.click(told, label="Type the code")
    done = await maya.submit_modal(form, {"code": f" {code.lower().replace('-', ' ')} "})
    inside = ", in the experience exp_gold" if peopled.generation == "v1" else ""
    assert f"Tests go to you alone{inside}." in plain(answer(done))
    assert plain(await link(peopled)).startswith("You are **@maya (user_maya)** at Whop, as you showed")
    found = kept(peopled)
    assert found is not None
    assert (found.whop_id, found.whop_name) == ("user_maya", "maya")
    assert found.experience == ("exp_gold" if peopled.generation == "v1" else None)

    told_of = [(one.actor.name, one.action, one.detail) for one in lines(peopled)]
    assert told_of == [
        ("Herald", "start", "a code for Maya, to @maya (user_maya) alone"),
        ("Maya", "link", "to @maya (user_maya) alone"),
        ("Herald", "accepted", ""),
        ("Maya", "linked", "to @maya (user_maya) at Whop"),
    ]
    assert code not in str(lines(peopled))

    await peopled.restart()
    assert kept(peopled) == found
    assert "no test goes there" in await link(peopled, remove=True)
    assert kept(peopled) is None
    assert "You are tied to nobody at Whop." in await link(peopled, remove=True)
    assert [one.action for one in lines(peopled)][-2:] == ["unlinked", "refused link"]


async def test_a_wrong_code_takes_a_try_and_after_five_the_right_one_counts_no_more(
    peopled: Sandbox,
) -> None:
    await link(peopled, user="user_maya")
    code = code_of(peopled)
    left = ["4 more tries", "3 more tries", "2 more tries", "one more try", "it counts no more"]
    for tried, words in enumerate(left, start=1):
        assert f"That is not the code that was sent: {words}" in await link(peopled, code=NO_CODE), tried
    assert len(left) == MOST_TRIES
    assert "No code counts now" in await link(peopled, code=code)
    assert kept(peopled) is None
    refused = [one for one in lines(peopled) if one.action == "refused link"]
    assert len(refused) >= MOST_TRIES
    assert code not in str(refused)

    # Another person's try is not one at this code, and an older code is worth nothing.
    await link(peopled, user="user_maya")
    second = code_of(peopled)
    assert "No code counts now" in await link(peopled, "Omar", code=second)
    assert "That is not the code" in await link(peopled, code=code)
    assert "**@maya (user_maya)**" in await link(peopled, code=second)
    assert "No code counts now" in await link(peopled, code=second)


async def test_a_code_counts_for_ten_minutes(peopled: Sandbox) -> None:
    await link(peopled, user="maya")
    await peopled.wait(CODE_LIVES - timedelta(seconds=5))
    assert "That is not the code" in await link(peopled, code=NO_CODE)
    await peopled.wait(timedelta(seconds=6))
    assert "No code counts now" in await link(peopled, code=code_of(peopled))


async def test_one_whop_user_is_one_person_in_a_server_and_the_other_way_round(peopled: Sandbox) -> None:
    await link(peopled, user="maya")
    await link(peopled, code=code_of(peopled))
    assert "You are tied to @maya (user_maya) already" in await link(peopled, user="omar")
    said = await link(peopled, "Omar", user="user_maya")
    assert "@maya (user_maya) is tied to Maya in this server: they have to remove that first" in said
    assert len(peopled.whop.pushes) == 1

    # Nor does a code do that was sent before another was faster.
    await link(peopled, remove=True)
    await link(peopled, user="maya")
    first = code_of(peopled)
    await link(peopled, "Omar", user="maya")
    second = code_of(peopled)
    assert "**@maya (user_maya)**" in await link(peopled, code=first)
    assert "is tied to Maya in this server" in await link(peopled, "Omar", code=second)
    assert kept(peopled, "Omar") is None


async def test_whom_whop_does_not_know_gets_no_code(peopled: Sandbox) -> None:
    sentences = {
        "nobody-of-that-name": "Whop knows nobody by “nobody-of-that-name”",
        "exp_gold": "exp_gold is the id of an experience; the id of a user begins with user_",
        " ": "Type your Whop user id",
        "x" * 101: "Type your Whop user id",
        "*@everyone*": "Whop knows nobody by “*@everyone*”",
    }
    for typed, sentence in sentences.items():
        assert sentence in await link(peopled, user=typed), typed
    for fault in (ReadFault.SERVER_ERROR, ReadFault.FORBIDDEN, ReadFault.FIREWALL):
        peopled.whop.fail_reads(fault)
        assert "Whop does not say who “maya” is: " in await link(peopled, user="maya"), fault
    assert peopled.whop.pushes == []
    refused = [one.detail for one in lines(peopled) if one.action == "refused link"]
    assert len(refused) == len(lines(peopled))
    assert any("Whop knows nobody by" in one for one in refused)


async def test_who_is_in_no_experience_of_the_policy_cannot_be_named_on_v1(peopled: Sandbox) -> None:
    peopled.whop.people.products["prod_other"] = Owners(named=["user_nora"])
    said = await link(peopled, user="user_nora")
    if peopled.generation == "v1":
        assert "has access to none of the experiences that this server's audiences name" in said
        assert peopled.whop.pushes == []
    else:
        assert "A code is on its way" in said


async def test_no_code_leaves_while_sending_is_frozen_and_no_more_than_ten_an_hour(peopled: Sandbox) -> None:
    for _ in range(MOST_TESTS):
        assert "A code is on its way" in await link(peopled, user="maya")
        # As Whop's rate has it.
        await peopled.wait(timedelta(seconds=2))
    said = f"You had {MOST_TESTS} tests sent to yourself within an hour"
    assert said in await link(peopled, user="maya")
    assert "A code is on its way" in await link(peopled, "Omar", user="omar")
    await peopled.wait(timedelta(hours=1))
    assert "A code is on its way" in await link(peopled, user="maya")
    sent = len(peopled.whop.pushes)
    await peopled.herald.service.freeze(peopled.actor("Lena"), "Wrong price")
    assert "is frozen by Lena" in await link(peopled, user="maya")
    await peopled.settle()
    assert len(peopled.whop.pushes) == sent


async def test_a_code_that_whop_did_not_take_says_so_and_one_without_an_answer_may_still_come(
    peopled: Sandbox,
) -> None:
    peopled.whop.fail_next(Fault.REJECT)
    await link(peopled, user="maya")
    told = peopled.channel("moderators").history()[-1]
    assert "Whop did not take your code for your link to Whop: Whop answered 400" in told.content
    assert button_labels(told) == []

    peopled.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await link(peopled, user="maya")
    told = peopled.channel("moderators").history()[-1]
    assert "Nobody knows what became of your code for your link to Whop" in told.content
    form = await peopled.person("Maya").click(told, label="Type the code")
    assert form.modal is not None
    await link(peopled, user="maya")
    # Of the one before, the form is out of date; and it took no try.
    late = await peopled.person("Maya").submit_modal(form, {"code": code_of(peopled)})
    assert "This card is out of date" in answer(late)
    assert "4 more tries" in await link(peopled, code=NO_CODE)


async def test_whoever_could_send_nothing_is_tied_to_nobody(peopled: Sandbox) -> None:
    for options in ({"user": "ada"}, {"code": NO_CODE}, {"remove": True}, {}):
        assert "You cannot be tied to Whop: it takes the role" in await link(peopled, "Ada", **options)
    assert "Give one of user, code and remove at a time." in await link(peopled, user="maya", remove=True)
    assert peopled.whop.pushes == []
    with peopled.herald.store.begin(Access.READ) as tx:
        assert tx._connection.scalar(text("SELECT count(*) FROM broadcasts")) == 0
