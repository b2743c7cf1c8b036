"""Freezing: nothing new starts, a restart does not lift it, and it takes a second person."""

import asyncio
from datetime import timedelta

import pytest

from bot.delivery import Unknown
from bot.errors import Refused
from bot.sandbox.stage import UNDONE, Stage, answer, readable, response
from bot.sandbox.whop import Fault


async def freeze(stage: Stage, name: str = "Lena") -> str:
    done = await stage.person(name).slash(
        stage.channel("moderators"), "notify freeze", reason="Wrong price in *all* of them"
    )
    await stage.settle()
    return answer(done)


async def lift(stage: Stage, name: str = "Omar") -> str:
    shown = await stage.person(name).slash(stage.channel("moderators"), "notify unfreeze")
    done = await stage.person(name).click(response(shown), label="Lift the freeze")
    await stage.settle()
    return answer(done)


async def test_while_frozen_nothing_is_sent_and_after_lifting_what_is_still_in_time_is(stage: Stage) -> None:
    await stage.approved()
    assert "Sending of this server is frozen by Lena" in await freeze(stage)
    await stage.wait(UNDONE)
    await stage.wait(timedelta(minutes=5))
    assert stage.whop.exchanges == []

    assert await lift(stage) == "The freeze is lifted."
    assert len(stage.whop.pushes) == 1


async def test_a_freeze_survives_a_restart(stage: Stage) -> None:
    await stage.approved()
    await freeze(stage)
    await stage.restart()
    await stage.wait(UNDONE)
    assert stage.whop.exchanges == []


async def test_what_a_freeze_made_late_is_held_and_not_sent_when_it_is_lifted(stage: Stage) -> None:
    await stage.approved()
    await freeze(stage)
    await stage.wait(timedelta(minutes=20))
    await lift(stage)
    assert stage.whop.exchanges == []
    assert readable(stage.review_card()).startswith("#1 · Held")


async def test_a_request_under_way_when_it_freezes_is_finished_and_the_next_does_not_start(v1: Stage) -> None:
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


async def test_who_froze_it_cannot_lift_it_and_the_refusal_is_recorded(stage: Stage) -> None:
    await freeze(stage)
    assert await lift(stage, "Lena") == "You froze it, so somebody else has to lift the freeze."
    async with stage.herald.store.reading() as tx:
        actions = [event.entry.action for event in await tx.record.of_guild(stage.world.guild.id)]
    assert actions == ["freeze", "refused unfreeze"]


@pytest.mark.parametrize("name", ["Maya", "Sam", "Ada"])
async def test_freezing_and_lifting_take_a_role(v5: Stage, name: str) -> None:
    assert "it takes the role" in await freeze(v5, name)
    await freeze(v5)
    with pytest.raises(Exception, match="it takes the role"):
        await v5.herald.service.unfreeze(v5.actor(name))


async def test_a_freeze_is_shown_on_every_open_card_in_the_queue_and_to_all_approvers(stage: Stage) -> None:
    await stage.submit(await stage.compose())
    await freeze(stage)

    [card] = [m for m in stage.channel("review").history() if readable(m).startswith("#1")]
    assert "❄️ Frozen: Sending of this server is frozen by Lena: Wrong price in \\*all\\* of them" in readable(
        card
    )
    assert "nothing new starts" in stage.texts("review")[-1]
    queue = await stage.person("Maya").slash(stage.channel("moderators"), "notify queue")
    assert "is frozen by Lena" in answer(queue)
    assert "froze sending" in stage.texts("audit")[-1]

    await lift(stage)
    [card] = [m for m in stage.channel("review").history() if readable(m).startswith("#1")]
    assert "❄️" not in readable(card)
    assert "lifted" in stage.texts("review")[-1]


async def test_lifting_shows_what_would_go_out_and_when(stage: Stage) -> None:
    await stage.approved(subject="Waiting behind it")
    await freeze(stage)
    shown = await stage.person("Omar").slash(stage.channel("moderators"), "notify unfreeze")
    assert "Waiting behind it" in answer(shown)
    assert "due <t:" in answer(shown)


async def test_freezing_twice_and_lifting_nothing_are_answered_with_how_it_stands(stage: Stage) -> None:
    nothing = await stage.person("Omar").slash(stage.channel("moderators"), "notify unfreeze")
    assert answer(nothing) == "Sending is not frozen."
    await freeze(stage)
    assert "is frozen by Lena" in await freeze(stage, "Omar")


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED])
async def test_a_refused_key_freezes_everything(stage: Stage, fault: Fault) -> None:
    stage.whop.fail_next(fault)
    await stage.approved()
    await stage.wait(UNDONE)
    assert "Sending of all servers is frozen by Herald: Whop refuses the API key" in stage.texts("review")[-1]

    await stage.submit(await stage.compose())
    await stage.herald.service.approve(stage.actor("Omar"), 2, revision=1)
    await stage.wait(UNDONE)
    assert len(stage.whop.exchanges) == 1
    assert await lift(stage, "Lena") == "The freeze is lifted."
    assert len(stage.whop.pushes) == 1


async def test_three_unknown_answers_in_a_row_freeze_everything_two_do_not(stage: Stage) -> None:
    async def one_more(number: int, fault: Fault) -> None:
        stage.whop.fail_next(fault)
        await stage.submit(await stage.compose())
        await stage.herald.service.approve(stage.actor("Omar"), number, revision=1)
        await stage.wait(UNDONE)

    faults = [Fault.DROP_AFTER_ACCEPT] * 2 + [Fault.NONE] + [Fault.DROP_AFTER_ACCEPT] * 3
    for number, fault in enumerate(faults, start=1):
        async with stage.herald.store.reading() as tx:
            assert await tx.freezes.standing() == []
        await one_more(number, fault)
    async with stage.herald.store.reading() as tx:
        [standing] = await tx.freezes.standing()
    assert standing.reason == "3 sends in a row got no known answer from Whop"


async def test_a_fault_of_heralds_own_that_whop_points_out_freezes_everything(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mismatch(*_: object, **__: object) -> Unknown:
        return Unknown("the key was used for other bytes", alarm=True)

    monkeypatch.setattr(stage.herald.service.lifecycle.gateway, "read", mismatch)
    await stage.approved()
    await stage.wait(UNDONE)
    assert "Herald is at fault: the key was used for other bytes" in stage.texts("review")[-1]


async def test_an_approved_card_does_not_promise_a_time_while_sending_is_frozen(stage: Stage) -> None:
    await stage.approved()
    assert "Goes out" in readable(stage.review_card())
    await freeze(stage)
    assert "It does **not** go out while sending is frozen" in readable(stage.review_card())
    assert "Goes out" not in readable(stage.review_card())
    await lift(stage)
    assert "Goes out" in readable(stage.review_card())


async def test_a_reason_too_long_for_the_record_freezes_nothing_and_says_so(v5: Stage) -> None:
    with pytest.raises(Exception, match="At most 500 characters fit; yours has 501"):
        await v5.herald.service.freeze(v5.actor("Lena"), "x" * 501)
    async with v5.herald.store.reading() as tx:
        assert await tx.freezes.standing() == []


async def test_a_freeze_that_is_refused_stands_in_the_record_too(stage: Stage) -> None:
    await stage.herald.service.freeze(stage.actor("Lena"), "Look into it")
    with pytest.raises(Refused):
        await stage.herald.service.freeze(stage.actor("Omar"), "Me too")
    async with stage.herald.store.reading() as tx:
        events = await tx.record.of_guild(stage.world.guild.id)
    assert [event.entry.action for event in events] == ["freeze", "refused freeze"]
