"""Large audiences: nobody approves a push to thousands with one absent-minded tap."""

import json
from pathlib import Path

import pytest

from bot.broadcast import Broadcast, Status
from bot.errors import NotReady
from bot.policy.audience import Audience
from bot.policy.loading import parse_policy
from bot.policy.model import Policy
from bot.sandbox.sandbox import Sandbox, answer, readable
from bot.service import Service
from bot.store import Access
from tests.conftest import OpenSandbox
from tests.database import new_file
from tests.harness.found import only
from tests.harness.people import LENA, OMAR
from tests.harness.policy import audience, parsed, rules, server
from tests.harness.process import Cluster

LARGE = "Everyone"


async def large(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose(audience=LARGE))


async def approvals(sandbox: Sandbox) -> tuple[Status, list[str]]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        broadcast = tx.broadcasts.get(1)
    return broadcast.status, [one.approver.name for one in broadcast.approvals]


async def test_approving_a_large_audience_asks_for_its_name(sandbox: Sandbox) -> None:
    await large(sandbox)
    shown = await sandbox.person("Omar").click(sandbox.review_card(), label="Approve")
    assert shown.modal is not None
    assert await approvals(sandbox) == (Status.REVIEW, [])

    said = answer(await sandbox.person("Omar").submit_modal(shown, {"audience": " Everyone "}))
    assert "Your approval of [#1](https://discord.com/channels/" in said
    assert await approvals(sandbox) == (Status.REVIEW, ["Omar"])
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    assert [one.detail for one in events if one.action == "approve"] == ["typed the audience's name"]
    assert "large" in readable(sandbox.review_card())
    assert "up to about 12,000 people" in readable(sandbox.review_card())


@pytest.mark.parametrize("typed", ["Gold members", "every one else", "!"])
async def test_another_name_approves_nothing_and_stands_in_the_record(v5: Sandbox, typed: str) -> None:
    await large(v5)
    refused = answer(await v5.press("Omar", "Approve", audience=typed))
    assert f"type its name, “{LARGE}”, and not “{typed}”" in refused
    assert await approvals(v5) == (Status.REVIEW, [])
    with v5.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(v5.world.guild.id)
    assert events[-1].action == "refused approve"


async def test_the_core_refuses_an_approval_that_comes_past_the_modal(sandbox: Sandbox) -> None:
    await large(sandbox)
    with pytest.raises(NotReady, match="type its name"):
        await sandbox.herald.service.approve(sandbox.actor("Omar"), 1, revision=1)


async def test_for_a_small_audience_discord_is_answered_before_the_database_is_asked(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_: object, **__: object) -> Broadcast:
        raise AssertionError("it was asked before Discord was answered")

    await v5.submit(await v5.compose())
    monkeypatch.setattr(Service, "ask", ask)
    assert "Approved." in answer(await v5.press("Omar", "Approve"))


async def test_a_small_audience_is_approved_with_one_press(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    shown = await v5.person("Omar").click(v5.review_card(), label="Approve")
    assert shown.modal is None
    assert await approvals(v5) == (Status.APPROVED, ["Omar"])


async def test_an_audience_of_unknown_size_counts_as_large(open_sandbox: OpenSandbox) -> None:
    def forget(text: str) -> str:
        return text.replace("size = 420\n", "")

    async with open_sandbox("v1", edit_policy=forget) as sandbox:
        await sandbox.submit(await sandbox.compose())
        assert "of unknown size" in readable(sandbox.review_card())
        shown = await sandbox.person("Omar").click(sandbox.review_card(), label="Approve")
        assert shown.modal is not None


def sizes(size: str, targets: str, rule: str = "") -> Policy:
    return parse_policy(
        f"""\
[[server]]
name = "S"
guild = 104900000000000001
channels = {{ review = 104900000000000011, audit = 104900000000000012 }}
[server.roles]
compose = [104900000000000021]
approve = [104900000000000021]
operate = [104900000000000021]
audit = [104900000000000021]
[server.rules]
{rule}
[[server.topic]]
id = "t"
name = "T"
[[server.audience]]
name = "A"
targets = {{ {targets} }}
{size}
""",
        name="herald.toml",
    )


@pytest.mark.parametrize(
    ("size", "targets", "rule", "large"),
    [
        ("", 'products = ["prod_a"]', "", True),
        ("size = 1000", 'products = ["prod_a"]', "", False),
        ("size = 1001", 'products = ["prod_a"]', "", True),
        ("size = 11", 'products = ["prod_a"]', "large_above = 10", True),
        ("size = 0", 'products = ["prod_a"]', "large_above = 0", False),
        # Named people are counted; beside any other kind they are not.
        ("", 'users = ["user_a", "user_b"]', "large_above = 2", False),
        ("", 'users = ["user_a", "user_b"]', "large_above = 1", True),
        ("", 'users_in_experience = { experience = "exp_a", users = ["user_a"] }', "large_above = 1", False),
        ("", 'users = ["user_a"], products = ["prod_a"]', "large_above = 5", True),
        # Whatever size it claims, it is no smaller than those it names.
        ("size = 1", f"users = {json.dumps([f'user_{number}' for number in range(1001)])}", "", True),
        ("size = 1", 'users = ["user_a", "user_b"], products = ["prod_a"]', "large_above = 1", True),
        (
            "size = 1",
            'users = ["user_a"], users_in_experience = { experience = "exp_a", users = ["user_b"] }',
            "large_above = 1",
            True,
        ),
        (
            "",
            'users = ["user_a"], users_in_experience = { experience = "exp_a", users = ["user_a"] }',
            "large_above = 1",
            False,
        ),
        ("size = 3", 'users = ["user_a"], products = ["prod_a"]', "large_above = 2", True),
    ],
)
def test_what_is_large_is_for_the_policy_to_say(size: str, targets: str, rule: str, large: bool) -> None:
    server = only(sizes(size, targets, rule).servers)
    assert server.is_large("A") is large


def test_an_audience_that_is_gone_from_the_policy_counts_as_large() -> None:
    server = only(sizes("size = 1", 'products = ["prod_a"]').servers)
    assert server.is_large("B")


@pytest.mark.parametrize(
    ("name", "typed", "same"),
    [
        ("Gold members", " Gold members ", True),
        ("Gold members", "gold MEMBERS", False),
        ("🥇 Gold (2026)", "Gold 2026", False),
        ("Café", "Cafe\u0301", True),
        ("Café", "Cafe", False),
        # A keyboard decides how an emoji is drawn.
        ("☀ Sun", "☀️ Sun", True),
        # One sign, and it is another audience.
        ("VIP+", "VIP", False),
        ("C#", "C++", False),
        ("Gold 🥇", "Gold 🥈", False),
        ("हिन्दी", "हन्द", False),
        ("กำ", "กา", False),
        ("Gold members", "gold", False),
        ("Gold members", "", False),
        ("🥇", "🥇", True),
        ("🥇", "", False),
        ("🥇", "🥈", False),
    ],
)
def test_exactly_the_name_is_asked_for(name: str, typed: str, same: bool) -> None:
    audience = Audience.model_validate({"name": name, "targets": {"products": ("prod_a",)}})
    assert audience.is_named(typed) is same


async def test_a_typed_name_confirms_no_repeat_that_its_form_did_not_warn_of(tmp_path: Path) -> None:
    async with Cluster.open(new_file(tmp_path), tmp_path) as cluster:
        large = server(audience("One", "exp_gold", size=5000), rules=rules(1, repeats="24h"))
        process = await cluster.join(policy=parsed(large))
        for _ in range(2):
            await process.submitted()
        await process.service.approve(OMAR, 1, revision=1, typed="One")
        with pytest.raises(NotReady, match="The same goes out as #1"):
            await process.service.approve(LENA, 2, revision=1, typed="One")
        known = await process.service.approve(LENA, 2, revision=1, typed="One", warned=[1])
        assert known.confirmed == (1,)
