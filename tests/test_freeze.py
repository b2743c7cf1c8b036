"""Freezing: nothing new starts, a restart does not lift it, and it takes a second person."""

import asyncio
from datetime import timedelta

import pytest

from bot.delivery import Trouble, Unknown
from bot.errors import Conflict, NotAllowed
from bot.policy.model import ACCOUNT
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, readable, response
from bot.sandbox.whop import Fault
from bot.store import Access
from tests.harness.found import last, only


async def freeze(sandbox: Sandbox, name: str = "Lena") -> str:
    done = await sandbox.person(name).slash(
        sandbox.channel("moderators"), "notify freeze", reason="Wrong price in *all* of them"
    )
    await sandbox.settle()
    return answer(done)


async def lift(sandbox: Sandbox, name: str = "Omar") -> str:
    shown = await sandbox.person(name).slash(sandbox.channel("moderators"), "notify unfreeze")
    done = await sandbox.person(name).click(response(shown), label="Lift the freeze")
    await sandbox.settle()
    return answer(done)


async def test_while_frozen_nothing_is_sent_and_after_lifting_what_is_still_in_time_is(
    sandbox: Sandbox,
) -> None:
    await sandbox.approved()
    assert "Sending of this server is frozen by Lena" in await freeze(sandbox)
    await sandbox.wait(UNDONE)
    await sandbox.wait(timedelta(minutes=5))
    assert sandbox.whop.exchanges == []

    assert await lift(sandbox) == "The freeze is lifted."
    assert len(sandbox.whop.pushes) == 1


async def test_a_freeze_survives_a_restart(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await freeze(sandbox)
    await sandbox.restart()
    await sandbox.wait(UNDONE)
    assert sandbox.whop.exchanges == []


async def test_what_a_freeze_made_late_is_held_and_not_sent_when_it_is_lifted(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await freeze(sandbox)
    await sandbox.wait(timedelta(minutes=20))
    await lift(sandbox)
    assert sandbox.whop.exchanges == []
    assert readable(sandbox.review_card()).startswith("#1 · Held")


async def test_a_request_under_way_when_it_freezes_is_finished_and_the_next_does_not_start(
    v1: Sandbox,
) -> None:
    await v1.submit(await v1.compose(audience="Everyone"))
    await v1.press("Omar", "Approve")
    await v1.press("Lena", "Approve")
    await v1.world.env.advance_time(UNDONE.total_seconds())
    v1.whop.fail_next(Fault.RATE_LIMITED)
    v1.whop.fail_next(Fault.SLOW)
    ticking = asyncio.create_task(v1.herald.dispatcher.tick())
    await v1.whop.slow_held()
    await v1.herald.service.freeze(v1.actor("Lena"), "Stop")
    v1.whop.release_slow()
    await ticking
    await v1.wait(timedelta(minutes=5))

    assert [exchange.status for exchange in v1.whop.exchanges] == [429, 202]
    assert len(v1.whop.pushes) == 1


async def test_who_froze_it_cannot_lift_it_and_the_refusal_is_recorded(sandbox: Sandbox) -> None:
    await freeze(sandbox)
    assert await lift(sandbox, "Lena") == "You froze it, so somebody else has to lift the freeze."
    with sandbox.herald.store.begin(Access.READ) as tx:
        actions = [event.action for event in tx.audit.of_guild(sandbox.world.guild.id)]
    assert actions == ["freeze", "refused unfreeze"]


@pytest.mark.parametrize("name", ["Maya", "Sam", "Ada"])
async def test_freezing_and_lifting_take_a_role(v5: Sandbox, name: str) -> None:
    assert "it takes the role" in await freeze(v5, name)
    await freeze(v5)
    with pytest.raises(NotAllowed, match="it takes the role"):
        await v5.herald.service.unfreeze(v5.actor(name))


async def test_a_freeze_is_shown_on_every_open_card_in_the_queue_and_to_all_approvers(
    sandbox: Sandbox,
) -> None:
    await sandbox.submit(await sandbox.compose())
    await freeze(sandbox)

    card = only([m for m in sandbox.channel("review").history() if "#1 ·" in readable(m)])
    assert "❄️ Frozen: Sending of this server is frozen by Lena: Wrong price in \\*all\\* of them" in readable(
        card
    )
    assert "nothing new starts" in sandbox.newest("review")
    queue = await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify queue")
    assert "is frozen by Lena" in answer(queue)
    assert "froze sending" in sandbox.newest("audit")

    await lift(sandbox)
    card = only([m for m in sandbox.channel("review").history() if "#1 ·" in readable(m)])
    assert "❄️" not in readable(card)
    assert "lifted" in sandbox.newest("review")


async def test_lifting_shows_what_would_go_out_and_when(sandbox: Sandbox) -> None:
    await sandbox.approved(subject="Waiting behind it")
    await freeze(sandbox)
    shown = await sandbox.person("Omar").slash(sandbox.channel("moderators"), "notify unfreeze")
    assert "Waiting behind it" in answer(shown)
    assert "due <t:" in answer(shown)


async def test_freezing_twice_and_lifting_nothing_are_answered_with_how_it_stands(sandbox: Sandbox) -> None:
    nothing = await sandbox.person("Omar").slash(sandbox.channel("moderators"), "notify unfreeze")
    assert answer(nothing) == "Sending is not frozen."
    await freeze(sandbox)
    assert "is frozen by Lena" in await freeze(sandbox, "Omar")


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED])
async def test_a_refused_key_freezes_everything(sandbox: Sandbox, fault: Fault) -> None:
    sandbox.whop.fail_next(fault)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    assert "Sending of all servers is frozen by Herald: Whop refuses the API key" in sandbox.newest("review")

    await sandbox.submit(await sandbox.compose())
    await sandbox.herald.service.approve(sandbox.actor("Omar"), 2, revision=1)
    await sandbox.wait(UNDONE)
    assert len(sandbox.whop.exchanges) == 1
    assert await lift(sandbox, "Lena") == "The freeze is lifted."
    assert len(sandbox.whop.pushes) == 1


async def one_more(sandbox: Sandbox, number: int, fault: Fault) -> None:
    """Let one more broadcast go out, and Whop answer so."""
    sandbox.whop.fail_next(fault)
    await sandbox.submit(await sandbox.compose())
    await sandbox.herald.service.approve(sandbox.actor("Omar"), number, revision=1)
    await sandbox.wait(UNDONE)


async def test_a_refusal_of_one_audience_rejects_that_request_and_freezes_nothing(sandbox: Sandbox) -> None:
    for number in range(1, 5):
        await one_more(sandbox, number, Fault.NOT_INSTALLED)
    card = readable(sandbox.review_card())
    assert card.startswith("#4 · Not accepted by Whop")
    assert "Whop answered 403: The app is not installed on this account" in card
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert tx.freezes.standing() == []


async def test_a_firewall_on_the_way_is_no_refusal_of_the_key(sandbox: Sandbox) -> None:
    for number in range(1, 4):
        with sandbox.herald.store.begin(Access.READ) as tx:
            assert tx.freezes.standing() == []
        await one_more(sandbox, number, Fault.FIREWALL)
    card = readable(sandbox.review_card())
    assert card.startswith("#3 · Answer unknown")
    assert "what answered is a web page and not Whop (403: Sorry, you have been blocked)" in card
    with sandbox.herald.store.begin(Access.READ) as tx:
        standing = only(tx.freezes.standing())
    assert standing.reason == (
        "3 sends in a row got no known answer from Whop:"
        " what answered is a web page and not Whop (a firewall or a proxy)"
    )


async def test_three_unknown_answers_in_a_row_freeze_everything_two_do_not(sandbox: Sandbox) -> None:
    faults = [Fault.DROP_AFTER_ACCEPT] * 2 + [Fault.NONE] + [Fault.DROP_AFTER_ACCEPT] * 3
    for number, fault in enumerate(faults, start=1):
        with sandbox.herald.store.begin(Access.READ) as tx:
            assert tx.freezes.standing() == []
        await one_more(sandbox, number, fault)
    with sandbox.herald.store.begin(Access.READ) as tx:
        standing = only(tx.freezes.standing())
    assert standing.reason == "3 sends in a row got no known answer from Whop"


async def test_a_fault_of_heralds_own_that_whop_points_out_freezes_everything(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mismatch(*_: object, **__: object) -> Unknown:
        return Unknown("the key was used for other bytes", Trouble.OURS)

    monkeypatch.setattr(sandbox.herald.service.lifecycle.accounts[ACCOUNT].gateway, "read", mismatch)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    told = "Herald is at fault: the key was used for other bytes"
    assert last(
        [text for text in sandbox.texts("review") if told in text and text.startswith("<")]
    ).startswith("<@&")


async def test_an_approved_card_does_not_promise_a_time_while_sending_is_frozen(sandbox: Sandbox) -> None:
    await sandbox.approved()
    assert "Goes out" in readable(sandbox.review_card())
    await freeze(sandbox)
    assert "It does **not** go out while sending is frozen" in readable(sandbox.review_card())
    assert "Goes out" not in readable(sandbox.review_card())
    await lift(sandbox)
    assert "Goes out" in readable(sandbox.review_card())


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("x" * 501, "x" * 499 + "…"),
        ("Wrong price" + " and more" * 700, ("Wrong price" + " and more" * 700)[:499] + "…"),
        ("  ", "no reason was given"),
        ("half \ud83d of one", "half \ufffd of one"),
    ],
    ids=["long", "very long", "blank", "half a character"],
)
async def test_it_freezes_whatever_the_reason_and_cuts_the_words(
    sandbox: Sandbox, reason: str, kept: str
) -> None:
    done = await sandbox.herald.service.freeze(sandbox.actor("Lena"), reason)
    assert done.reason == kept
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert only(tx.freezes.standing()).reason == kept
        assert only(tx.audit.of_guild(sandbox.world.guild.id)).detail == kept
    await sandbox.settle()
    assert kept[:200] in sandbox.newest("review")


async def test_a_freeze_that_is_refused_stands_in_the_record_too(sandbox: Sandbox) -> None:
    await sandbox.herald.service.freeze(sandbox.actor("Lena"), "Look into it")
    with pytest.raises(Conflict, match="is frozen by Lena: Look into it"):
        await sandbox.herald.service.freeze(sandbox.actor("Omar"), "Me too")
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    assert [event.action for event in events] == ["freeze", "refused freeze"]
