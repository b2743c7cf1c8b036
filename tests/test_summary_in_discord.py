"""The answer in one sentence, asked in Discord after what people and Herald really did."""

import re
from datetime import timedelta

import pytest

from bot.sandbox.sandbox import UNDONE, Sandbox, response
from bot.sandbox.whop import Fault
from tests.harness.found import only
from tests.harness.links import unlinked


async def told(sandbox: Sandbox, *, name: str = "Maya", number: int = 1) -> str:
    """Return the sentence above a broadcast, with one time in place of all."""
    shown = await sandbox.person(name).slash(
        sandbox.channel("moderators"), "notify show", broadcast=str(number)
    )
    said = re.sub(r"<t:\d+:f>", "then", unlinked(response(shown).content))
    assert said.startswith(f"#{number}: written by Maya, ")
    return said.removeprefix(f"#{number}: written by Maya, ")


async def test_what_was_stopped_and_sent_again_says_both(v5: Sandbox) -> None:
    await v5.approved()
    service, lena = v5.herald.service, v5.actor("Lena")
    await service.stop(v5.actor("Omar"), 1, revision=1)
    await service.explain_stop(v5.actor("Omar"), 1, revision=1, reason="A typo.")
    assert await told(v5) == "stopped by Omar at then (A typo) and so a draft for Gold members again."
    await service.submit(v5.actor("Maya"), 1, revision=1)
    assert (await told(v5)).startswith(
        "stopped by Omar at then (A typo), waits for 1 approval before it can go to Gold members, until then"
    )
    await service.approve(lena, 1, revision=1)
    assert await told(v5) == (
        "stopped by Omar at then (A typo), approved by Lena, goes out to Gold members at then."
    )
    await v5.wait(UNDONE)
    assert await told(v5) == (
        "stopped by Omar at then (A typo), approved by Lena, sent once to Gold members, accepted by Whop at"
        " then."
    )


async def test_what_a_freeze_made_late_says_that_it_is_held_and_why(v5: Sandbox) -> None:
    await v5.approved()
    await v5.herald.service.freeze(v5.actor("Lena"), "Wait")
    assert await told(v5) == "approved by Omar, does not go out to Gold members while sending is frozen."
    await v5.wait(timedelta(minutes=20))
    await v5.herald.service.unfreeze(v5.actor("Omar"))
    await v5.wait(timedelta(seconds=2))
    assert await told(v5) == (
        "approved by Omar, held at then and not sent to Gold members: it was due 19 minutes ago and has been"
        " missed."
    )
    await v5.herald.service.cancel(v5.actor("Lena"), 1, reason="Too late.")
    assert await told(v5) == (
        "approved by Omar, cancelled by Lena at then and never sent to Gold members: Too late."
    )


@pytest.mark.parametrize("went_out", [True, False])
async def test_what_nobody_knew_says_so_and_then_who_said_what(v5: Sandbox, *, went_out: bool) -> None:
    v5.whop.fail_next(Fault.DROP_AFTER_ACCEPT)
    await v5.approved()
    await v5.wait(UNDONE)
    assert (await told(v5)).startswith(
        "approved by Omar, sent to Gold members at then, and nobody knows whether customers got it: "
    )
    decide = v5.herald.service.confirm if went_out else v5.herald.service.deny
    await decide(v5.actor("Lena"), 1, revision=1, reason="I looked.")
    assert await told(v5) == (
        "approved by Omar, sent once to Gold members, without a known answer from Whop, of which Lena said at"
        f" then that it {'went out' if went_out else 'did not go out'}: I looked."
    )


async def test_what_whop_refused_says_that_nobody_got_it_and_why(v5: Sandbox) -> None:
    v5.whop.fail_next(Fault.REJECT)
    await v5.approved()
    await v5.wait(UNDONE)
    assert (await told(v5)).startswith(
        "approved by Omar, not accepted by Whop at then, so that nobody of Gold members got it: "
    )


async def test_what_a_template_lent_says_who_approved_it_beforehand(v5: Sandbox) -> None:
    service = v5.herald.service
    standing = only(await service.templates(v5.actor("Omar")))
    await service.approve_template(v5.actor("Omar"), standing.number, typed=standing.template.audience)
    blanks = dict.fromkeys(standing.template.blanks(), "noon")
    draft = await service.compose_from(v5.actor("Maya"), standing.number, blanks, channel_id=1)
    sent = await service.submit(v5.actor("Maya"), draft.id, revision=1)
    audience = standing.template.audience
    beforehand = f"approved beforehand as the template “{standing.template.name}” by Omar"
    assert (await told(v5)).startswith(f"{beforehand}, ")
    if sent.due_at is None:
        await service.approve(v5.actor("Lena"), 1, revision=1, typed=audience)
        beforehand += ", approved by Lena"
    await v5.wait(UNDONE)
    assert await told(v5) == f"{beforehand}, sent once to {audience}, accepted by Whop at then."
