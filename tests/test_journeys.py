"""Journeys through the whole bot: from a slash command to Whop, and back to the channels."""

from datetime import timedelta

import pytest

from bot.audit.chain import first_broken
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, readable, response
from bot.sandbox.whop import Fault
from bot.store import Access
from tests.harness.found import only


async def actions(sandbox: Sandbox) -> list[str]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    assert first_broken(events) is None
    return [event.action for event in events]


async def test_what_is_composed_and_approved_goes_out_once_exactly_as_typed(sandbox: Sandbox) -> None:
    await sandbox.approved(subject="Wir sind live 🎉", content='Zeile "eins"\nZeile <zwei> @everyone')
    assert sandbox.whop.exchanges == []

    await sandbox.wait(UNDONE)
    await sandbox.wait(timedelta(minutes=10))

    [exchange], [push] = sandbox.whop.exchanges, sandbox.whop.pushes
    assert exchange.status in {201, 202}
    assert push.phone == ("Wir sind live 🎉", 'Zeile "eins"\nZeile <zwei> @everyone')
    assert "Accepted by Whop" in readable(sandbox.review_card())


async def test_the_result_is_echoed_where_it_was_composed_and_mentions_only_its_author(
    sandbox: Sandbox,
) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)

    echo = only([m for m in sandbox.channel("moderators").history() if not m.flags.ephemeral])
    assert "was accepted by Whop" in echo.content
    assert [user.id for user in echo.mentions] == [sandbox.person("Maya").id]
    assert not echo.mention_everyone
    assert not echo.role_mentions


async def test_every_step_stands_in_the_audit_channel_in_order_with_one_proof_code(sandbox: Sandbox) -> None:
    await sandbox.approved()
    await sandbox.wait(UNDONE)

    done = ["composed", "submit", "approve", "quorum", "start", "accepted"]
    assert await actions(sandbox) == done
    lines = sandbox.texts("audit")
    assert [int(line.split("`")[1]) for line in lines] == list(range(1, len(done) + 1))
    proofs = {line.split("proof ")[1].split()[0] for line in lines}
    assert len(proofs) == 1
    assert f"proof {proofs.pop()}" in readable(sandbox.review_card())


async def test_what_whop_rejects_is_said_in_its_own_words_and_not_tried_again(sandbox: Sandbox) -> None:
    sandbox.whop.fail_next(Fault.REJECT)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    await sandbox.wait(timedelta(hours=1))

    assert len(sandbox.whop.exchanges) == 1
    assert "was not accepted by Whop" in sandbox.newest("moderators")
    card = readable(sandbox.review_card())
    assert "Not accepted by Whop" in card
    assert "Whop answered 400" in card


async def test_an_answer_that_never_comes_is_unknown_and_never_sent_again(sandbox: Sandbox) -> None:
    sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    await sandbox.wait(timedelta(hours=1))
    await sandbox.restart()
    await sandbox.wait(timedelta(hours=1))

    assert len(sandbox.whop.pushes) == 1
    card = readable(sandbox.review_card())
    assert "Answer unknown" in card
    assert "Nobody knows whether customers got it" in card
    assert "unknown" in sandbox.newest("moderators")


@pytest.mark.parametrize(
    ("button", "headline"), [("It went out", "Accepted"), ("It did not", "Not accepted")]
)
async def test_a_person_who_may_operate_settles_an_unknown_with_a_reason(
    sandbox: Sandbox, button: str, headline: str
) -> None:
    sandbox.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await sandbox.approved()
    await sandbox.wait(UNDONE)

    refused = answer(await sandbox.press("Omar", button))
    assert "it takes the role" in refused
    await sandbox.press("Lena", button, reason="I looked at my phone.")

    card = readable(sandbox.review_card())
    assert card.startswith(f"#1 · {headline}")
    assert "Lena: I looked at my phone." in card
    assert len(sandbox.whop.exchanges) == 1


async def test_a_refusal_with_a_wait_is_repeated_only_after_the_wait(sandbox: Sandbox) -> None:
    sandbox.whop.fail_next(Fault.RATE_LIMITED)
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    assert [exchange.status for exchange in sandbox.whop.exchanges] == [429]
    await sandbox.wait(timedelta(seconds=5))
    assert len(sandbox.whop.exchanges) == 1

    await sandbox.wait(timedelta(seconds=60))

    assert len(sandbox.whop.exchanges) == 2
    assert len(sandbox.whop.pushes) == 1
    assert sandbox.whop.exchanges[0].body == sandbox.whop.exchanges[1].body
    keys = [exchange.headers.get("Idempotency-Key") for exchange in sandbox.whop.exchanges]
    assert keys[0] == keys[1]
    assert "Accepted by Whop" in readable(sandbox.review_card())


async def test_repeating_ends_when_it_would_be_late_and_customers_got_nothing(sandbox: Sandbox) -> None:
    sandbox.whop.fault = Fault.RATE_LIMITED
    await sandbox.approved()
    for _ in range(30):
        await sandbox.wait(timedelta(minutes=1))

    assert sandbox.whop.pushes == []
    card = readable(sandbox.review_card())
    assert card.startswith("#1 · Not accepted")
    assert "not sent in time" in card


async def test_an_audience_of_two_experiences_is_two_requests_and_their_honest_sum(v1: Sandbox) -> None:
    await v1.submit(await v1.compose(audience="Everyone"))
    await v1.press("Omar", "Approve")
    await v1.press("Lena", "Approve")
    v1.whop.fail_next(Fault.REJECT)
    await v1.wait(UNDONE)

    assert len(v1.whop.exchanges) == 2
    card = readable(v1.review_card())
    assert card.startswith("#1 · Partly accepted")
    assert "2 requests to Whop: 1 accepted" in card
    assert "1 not accepted" in card
    assert "Whop answered 400" in card


@pytest.mark.parametrize("button", ["It went out", "It did not"])
async def test_what_a_person_says_of_one_request_does_not_undo_what_whop_said_of_another(
    v1: Sandbox, button: str
) -> None:
    await v1.submit(await v1.compose(audience="Everyone"))
    await v1.press("Omar", "Approve")
    await v1.press("Lena", "Approve")
    v1.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    v1.whop.fail_next(Fault.REJECT if button == "It went out" else Fault.NONE)
    await v1.wait(UNDONE)
    assert readable(v1.review_card()).startswith("#1 · Answer unknown")

    await v1.press("Lena", button, reason="I looked.")
    assert readable(v1.review_card()).startswith("#1 · Partly accepted")


async def test_different_words_for_feed_and_phone_reach_each_their_place(v5: Sandbox) -> None:
    draft = await v5.compose(subject="In the feed", content="Long.", where="split")
    assert "The words for the phone are missing" in answer(draft)
    maya = v5.person("Maya")
    shown = await maya.click(response(draft), label="Phone words")
    await maya.submit_modal(shown, {"subject": "On the phone", "content": "Short."})
    await v5.submit(draft)
    await v5.press("Omar", "Approve")
    await v5.wait(UNDONE)

    push = only(v5.whop.pushes)
    assert (push.feed, push.phone) == (("In the feed", "Long."), ("On the phone", "Short."))


async def test_targets_of_several_kinds_go_out_in_one_v5_request(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(audience="Testers and Gold"))
    await v5.press("Omar", "Approve")
    await v5.wait(UNDONE)

    exchange = only(v5.whop.exchanges)
    assert exchange.body.endswith(
        '"targets":[{"users":["user_maya","user_omar"]},{"products":["prod_gold"]}]}'
    )


@pytest.mark.parametrize("audience", ["Testers", "Our team"])
async def test_named_users_and_the_team_are_reached_on_v1(v1: Sandbox, audience: str) -> None:
    await v1.submit(await v1.compose(audience=audience, subtitle="Sub", link="/posts/5"))
    await v1.press("Omar", "Approve")
    await v1.wait(UNDONE)

    push = only(v1.whop.pushes)
    assert (push.subtitle, push.link) == ("Sub", "/posts/5")
    assert ("2 named users" in push.audience) == (audience == "Testers")
    assert ("team" in push.audience) == (audience == "Our team")
