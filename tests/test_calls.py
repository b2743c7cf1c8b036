"""Whoever must act is mentioned, once for each turn of theirs, and is one press away from the card."""

from datetime import timedelta
from typing import Any

import pytest

from bot.delivery import Unknown
from bot.errors import ConfigurationError, Unreachable
from bot.policy.loading import parse_policy
from bot.policy.model import ACCOUNT, Notify
from bot.sandbox.sandbox import UNDONE, Edit, Sandbox, answer, readable
from tests.conftest import OpenSandbox
from tests.harness.found import last, only
from tests.harness.links import link

HOUR = timedelta(hours=1)
OTHER_ROLE = 104900000000000077


def with_notify(lines: str) -> Edit:
    return lambda policy: policy.replace(
        "[[server.topic]]", f"[server.notify]\n{lines}\n\n[[server.topic]]", 1
    )


def posted(sandbox: Sandbox, channel: str = "review") -> list[dict[str, Any]]:
    path = f"/channels/{sandbox.channel(channel).id}/messages"
    requests = sandbox.world.env.http_requests
    return [dict(one.json) for one in requests if (one.method, one.path) == ("POST", path) and one.json]


def pinged(post: dict[str, Any]) -> set[int]:
    """Return whom a post may ping, people and roles alike; the post says so too."""
    allowed = post["allowed_mentions"]
    assert allowed["parse"] == []
    found = {int(one) for one in (*allowed.get("users", []), *allowed.get("roles", []))}
    assert all(f"{one}>" in post["content"] for one in found)
    return found


def role(sandbox: Sandbox, key: str) -> int:
    return sandbox.world.roles[key].id


async def held(sandbox: Sandbox) -> None:
    """Get to where an approved broadcast was missed."""
    await sandbox.approved()
    await sandbox.wait(HOUR)


# --- a turn of theirs ------------------------------------------------------------------------------


async def test_a_card_mentions_those_who_may_approve_it_and_again_only_on_a_new_revision(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def of(*_: object, **__: object) -> list[Any]:
        raise Unreachable("Discord does not tell who they are.")

    monkeypatch.setattr(v5.herald.client.members, "of", of)
    await v5.submit(await v5.compose())
    card = only(posted(v5))
    assert pinged(card) == {role(v5, "approve")}
    assert "**#1** for **Gold members** waits for your approval" in card["content"]
    await v5.press("Omar", "Ask for changes", reason="Shorter")
    assert len(posted(v5)) == 1
    await v5.herald.service.submit(v5.actor("Maya"), 1, revision=1)
    await v5.settle()
    assert [pinged(post) for post in posted(v5)] == [{role(v5, "approve")}] * 2


async def test_where_few_could_approve_these_people_are_mentioned(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [v5.actor(name) for name in ("Maya", "Omar", "Lena", "Sam")]

    async def of(*_: object, **__: object) -> list[Any]:
        return members

    monkeypatch.setattr(v5.herald.client.members, "of", of)
    await v5.submit(await v5.compose())
    assert pinged(only(posted(v5))) == {v5.actor("Omar").id, v5.actor("Lena").id}


async def test_what_is_held_calls_operators_to_its_card_and_not_its_author(v5: Sandbox) -> None:
    await held(v5)
    call = last(posted(v5))
    assert pinged(call) == {role(v5, "operate")}
    assert link(v5) in call["content"]
    assert "is held and does **not** go out by itself" in call["content"]


async def test_what_nobody_knows_the_end_of_calls_operators(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> Unknown:
        return Unknown("the connection broke")

    monkeypatch.setattr(v5.herald.service.lifecycle.accounts[ACCOUNT].gateway, "read", read)
    await v5.approved()
    await v5.wait(UNDONE)
    call = last(posted(v5))
    assert pinged(call) == {role(v5, "operate")}
    assert "Nobody knows whether customers got" in call["content"]


async def test_a_freeze_calls_operators_and_its_end_nobody(v5: Sandbox) -> None:
    await v5.herald.service.freeze(v5.actor("Lena"), "Wrong price")
    await v5.settle()
    assert pinged(last(posted(v5))) == {role(v5, "operate")}
    await v5.herald.service.unfreeze(v5.actor("Omar"))
    await v5.settle()
    assert pinged(last(posted(v5))) == set()


# --- reminders -------------------------------------------------------------------------------------


async def test_who_could_still_approve_is_reminded_at_half_time_and_an_hour_before_the_end(
    sandbox: Sandbox,
) -> None:
    await sandbox.submit(await sandbox.compose())
    reminded: list[int] = []
    for hour in range(1, 25):
        before = len(posted(sandbox))
        await sandbox.wait(HOUR)
        reminded += [hour] * (len(posted(sandbox)) - before)
    assert reminded == [12, 23]
    reminder = last(posted(sandbox))
    assert pinged(reminder) == {sandbox.actor("Omar").id, sandbox.actor("Lena").id}
    assert "still waits for your approval" in reminder["content"]
    assert "was not decided in time" in sandbox.newest("moderators")


async def test_a_reminder_of_what_has_a_time_tells_that_and_not_when_its_review_began(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(time="2026-01-01 18:00"))
    for _ in range(10):
        await v5.wait(HOUR)
    reminder = last(posted(v5))
    assert "it is to go out <t:" in reminder["content"]
    assert "submitted" not in reminder["content"]


async def test_a_short_review_has_one_reminder(open_sandbox: OpenSandbox) -> None:
    def short(policy: str) -> str:
        return policy.replace('review_expires = "24h"', 'review_expires = "1h"')

    async with open_sandbox("v5", edit_policy=short) as sandbox:
        await sandbox.submit(await sandbox.compose())
        for _ in range(59):
            await sandbox.wait(timedelta(minutes=1))
        assert len(posted(sandbox)) == 2


async def test_operators_are_reminded_each_day_until_it_is_decided(v5: Sandbox) -> None:
    await held(v5)
    before = len(posted(v5))
    for _ in range(3):
        await v5.wait(timedelta(days=1))
    assert len(posted(v5)) == before + 3
    await v5.press("Lena", "Cancel")
    for _ in range(3):
        await v5.wait(timedelta(days=1))
    assert len(posted(v5)) == before + 3


async def test_what_was_decided_before_its_reminder_could_be_posted_is_left_unsaid(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    review = v5.channel("review").id
    v5.world.env.inject_error("POST", f"/channels/{review}/messages", status=503, times=None)
    await v5.wait(timedelta(hours=13))
    await v5.herald.service.reject(v5.actor("Omar"), 1, revision=1, reason="Too late")
    v5.world.env.backend.faults.clear()
    await v5.wait(timedelta(minutes=1))
    assert [text for text in v5.texts("review") if "<@" in text] == []


async def test_a_restart_reminds_nobody_twice(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    await v5.wait(timedelta(hours=13))
    before = len(posted(v5))
    await v5.restart()
    await v5.wait(HOUR)
    assert len(posted(v5)) == before


# --- as the policy says ----------------------------------------------------------------------------


async def test_each_mention_can_be_switched_off(open_sandbox: OpenSandbox) -> None:
    off = with_notify("review = false\ntrouble = false\nauthor = false\nreminders = false")
    async with open_sandbox("v5", edit_policy=off) as sandbox:
        await held(sandbox)
        await sandbox.wait(timedelta(days=2))
        assert [pinged(post) for post in posted(sandbox)] == [set(), set()]
        assert [pinged(post) for post in posted(sandbox, "moderators")] == [set()]


async def test_mentions_can_be_of_other_roles(open_sandbox: OpenSandbox) -> None:
    others = with_notify(f"review = [{OTHER_ROLE}]\ntrouble = [{OTHER_ROLE}]")
    async with open_sandbox("v5", edit_policy=others) as sandbox:
        await held(sandbox)
        assert [pinged(post) for post in posted(sandbox)] == [{OTHER_ROLE}, {OTHER_ROLE}]


async def test_a_wrong_entry_is_one_sentence(v5: Sandbox) -> None:
    guild = v5.world.guild.id
    for line, said in (
        ('review = "yes"', "write true, false or a list of role ids"),
        ("trouble = []", "write true, false or a list of role ids"),
        ("trouble = [7]", "write a Discord id"),
        (f"review = [{guild}]", "is the server itself, which as a role is @everyone"),
        ('reminders = "daily"', "reminders"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            parse_policy(with_notify(line)(v5.world.policy("v5")), name="herald.toml")
    assert Notify() == Notify(review=True, trouble=True, author=True, reminders=True)


# --- links -----------------------------------------------------------------------------------------


async def test_numbers_link_to_the_card_in_lists_answers_and_echoes(v5: Sandbox) -> None:
    await v5.submit(await v5.compose())
    listed = await v5.person("Omar").slash(v5.channel("moderators"), "notify queue")
    assert link(v5) in answer(listed)
    rejected = await v5.press("Omar", "Reject", reason="Not today")
    assert answer(rejected) == f"{link(v5)} is rejected. Maya is told why."
    assert link(v5) in v5.newest("moderators")
    assert "waits for your approval" not in readable(v5.review_card())


async def test_numbers_link_to_the_card_in_the_record_wherever_it_is_read(v5: Sandbox) -> None:
    draft = await v5.compose()
    await v5.settle()
    await v5.submit(draft)
    await v5.press("Omar", "Approve")
    lines = v5.texts("audit")
    assert "**composed** · #1 · proof" in lines[0]
    assert f"**approved** · {link(v5)} · proof" in lines[2]
    found = await v5.person("Ada").slash(v5.channel("moderators"), "notify audit", person=v5.person("Omar"))
    assert f"**approved** · {link(v5)} · proof" in answer(found)
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify show", broadcast="1")
    assert answer(shown).startswith(f"{link(v5)}: written by Maya, approved by Omar")


async def test_a_receipt_whose_card_does_not_stand_yet_leads_to_where_it_will(v5: Sandbox) -> None:
    review = f"<#{v5.channel('review').id}>"
    assert f"#1 is under review in {review}" in answer(await v5.submit(await v5.compose()))
    await v5.press("Omar", "Approve")
    await v5.wait(HOUR)
    released = answer(await v5.press("Lena", "Release"))
    assert released == f"#1 is before the approvers again: see its new card in {review}."
