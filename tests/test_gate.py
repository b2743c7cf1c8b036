"""The gate: nobody sends alone, what was approved is what goes out, stop means stop."""

import asyncio
import dataclasses
from datetime import timedelta

import aiohttp
import discord
import pytest
from simcord.backend.models import Overwrite
from simcord.enums import OverwriteType

from bot.broadcast import Status
from bot.chat.custom_ids import Subject
from bot.errors import Conflict, NotAllowed
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, readable, response
from bot.store import Access
from cogs.buttons import ActionButton
from tests.conftest import OpenSandbox
from tests.harness.found import last, only
from tests.harness.links import link


async def submitted(sandbox: Sandbox, **words: str) -> None:
    await sandbox.submit(await sandbox.compose(**words))


async def last_refusal(sandbox: Sandbox) -> str:
    with sandbox.herald.store.begin(Access.READ) as tx:
        events = tx.audit.of_guild(sandbox.world.guild.id)
    return last([event.detail for event in events if event.action.startswith("refused")])


async def test_the_author_cannot_approve_even_with_the_role(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose("Omar"), "Omar")

    refused = answer(await sandbox.press("Omar", "Approve"))

    assert refused == "You wrote this broadcast, so somebody else has to approve this broadcast."
    assert await last_refusal(sandbox) == refused
    await sandbox.wait(timedelta(hours=1))
    assert sandbox.whop.exchanges == []


@pytest.mark.parametrize("button", ["Ask for changes", "Reject"])
async def test_the_author_cannot_decide_on_their_own_in_any_way(sandbox: Sandbox, button: str) -> None:
    await sandbox.submit(await sandbox.compose("Omar"), "Omar")
    assert "You wrote this broadcast" in answer(await sandbox.press("Omar", button))


@pytest.mark.parametrize("name", ["Sam", "Ada"])
@pytest.mark.parametrize("button", ["Approve", "Ask for changes", "Reject", "Withdraw"])
async def test_someone_without_the_role_is_refused_and_told_which_role_could(
    v5: Sandbox, name: str, button: str
) -> None:
    await submitted(v5)
    refused = answer(await v5.press(name, button))
    role = "compose" if button == "Withdraw" else "approve"
    assert f"<@&{v5.world.roles[role].id}>" in refused
    assert refused == await last_refusal(v5)
    assert "\n#1 · Waits" in readable(v5.review_card())


async def test_a_stranger_can_neither_compose_nor_see_what_could_be_chosen(v5: Sandbox) -> None:
    sam, channel = v5.person("Sam"), v5.channel("moderators")
    result = await v5.compose("Sam")
    assert result.modal is None
    assert f"it takes the role <@&{v5.world.roles['compose'].id}>" in answer(result)
    assert await sam.autocomplete(channel, "notify compose", "audience", "") == []
    assert await sam.autocomplete(channel, "notify compose", "topic", "") == []
    assert await sam.autocomplete(channel, "notify show", "broadcast", "") == []


async def test_a_role_taken_away_counts_at_the_next_press(v5: Sandbox) -> None:
    await submitted(v5)
    role = v5.world.roles["approve"].id
    v5.world.env.backend.remove_member_role(v5.world.guild.id, v5.person("Omar").id, role)
    assert "it takes the role" in answer(await v5.press("Omar", "Approve"))


async def test_an_audience_that_asks_for_two_approvals_waits_for_two_different_people(
    sandbox: Sandbox,
) -> None:
    await submitted(sandbox, audience="Everyone")
    assert "It needs 1 more" in answer(await sandbox.press("Omar", "Approve"))
    assert answer(await sandbox.press("Omar", "Approve")) == "You have approved this already."
    await sandbox.wait(timedelta(hours=1))
    assert sandbox.whop.exchanges == []

    assert "goes out" in answer(await sandbox.press("Lena", "Approve"))
    await sandbox.wait(UNDONE)
    assert sandbox.whop.pushes


async def test_of_two_who_approve_at_once_one_wins_and_the_other_is_told(sandbox: Sandbox) -> None:
    await submitted(sandbox)
    service = sandbox.herald.service
    both = await asyncio.gather(
        service.approve(sandbox.actor("Omar"), 1, revision=1),
        service.approve(sandbox.actor("Lena"), 1, revision=1),
        return_exceptions=True,
    )
    refusal = only([str(one) for one in both if isinstance(one, Exception)])
    assert "it is already approved by" in refusal
    await sandbox.wait(UNDONE)
    assert len(sandbox.whop.exchanges) == 1


async def test_a_press_that_comes_too_late_says_who_approved(sandbox: Sandbox) -> None:
    await submitted(sandbox)
    card = sandbox.review_card()
    await sandbox.person("Omar").click(card, label="Approve")
    late = await sandbox.person("Lena").click(card, label="Approve")
    assert "it is already approved by Omar" in answer(late)


@pytest.mark.parametrize("name", ["Maya", "Omar", "Lena"])
async def test_author_and_approvers_can_stop_inside_the_undo_window(sandbox: Sandbox, name: str) -> None:
    await submitted(sandbox)
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(timedelta(seconds=9))
    await sandbox.press(name, "Stop")
    await sandbox.wait(timedelta(hours=1))

    assert sandbox.whop.exchanges == []
    assert "It is a draft again" in readable(sandbox.review_card())


async def test_stop_stops_at_once_and_asks_why_afterwards(sandbox: Sandbox) -> None:
    await sandbox.approved()
    asked = await sandbox.person("Omar").click(sandbox.review_card(), label="Stop")
    assert asked.modal is not None
    assert asked.modal["title"] == "#1 is stopped. Why?"
    # Nobody has answered yet, and it is stopped all the same.
    await sandbox.wait(timedelta(minutes=5))
    assert sandbox.whop.exchanges == []
    assert "was stopped before it went out" in sandbox.newest("moderators")
    assert "stopped by Omar" in sandbox.newest("moderators")

    done = await sandbox.person("Omar").submit_modal(asked, {"reason": "Wrong *price*"})
    await sandbox.settle()
    assert "They are told who stopped it" in answer(done)
    told = sandbox.newest("moderators")
    assert told.startswith(f"<@{sandbox.person('Maya').id}> Why **{link(sandbox)}** was stopped:")
    assert told.endswith("\n> stopped by Omar: Wrong \\*price\\*")
    assert len([text for text in sandbox.texts("moderators") if "was stopped before" in text]) == 1
    assert "stopped by Omar: Wrong" in readable(sandbox.review_card())
    assert "said why" in sandbox.newest("audit")


async def test_a_stop_is_explained_by_whoever_stopped_it_and_only_while_nothing_has_followed(
    v5: Sandbox,
) -> None:
    await v5.approved()
    service, omar = v5.herald.service, v5.actor("Omar")
    await service.stop(omar, 1, revision=1)
    with pytest.raises(Conflict, match="it is a draft again"):
        await service.explain_stop(v5.actor("Lena"), 1, revision=1, reason="It was me")
    await service.submit(v5.actor("Maya"), 1, revision=1)
    with pytest.raises(Conflict, match="it is under review"):
        await service.explain_stop(omar, 1, revision=1, reason="Too late")


async def test_an_author_who_stops_is_not_asked_why(v5: Sandbox) -> None:
    await v5.approved()
    stopped = await v5.press("Maya", "Stop")
    assert "is a draft again" in answer(stopped)


async def test_a_stranger_cannot_stop(v5: Sandbox) -> None:
    await submitted(v5)
    await v5.press("Omar", "Approve")
    assert "its author or the role" in answer(await v5.press("Sam", "Stop"))
    await v5.wait(UNDONE)
    assert v5.whop.pushes


async def test_what_was_stopped_needs_new_approvals(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(audience="Everyone")
    await sandbox.submit(draft)
    await sandbox.press("Omar", "Approve")
    await sandbox.press("Maya", "Withdraw")
    opened = await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    await sandbox.submit(opened)

    assert "Approvals 0 of 2" in readable(sandbox.review_card())
    assert "It needs 1 more" in answer(await sandbox.press("Lena", "Approve"))


async def test_changes_asked_bring_it_back_with_the_reason_and_the_words(sandbox: Sandbox) -> None:
    await submitted(sandbox, subject="Typo hree")
    await sandbox.press("Omar", "Ask for changes", reason="Mend the typo, *please*.")

    assert "needs changes" in sandbox.newest("moderators")
    opened = await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    assert "Mend the typo" in answer(opened)
    shown = await sandbox.person("Maya").click(response(opened), label="Edit")
    assert shown.modal is not None
    assert "Typo hree" in str(shown.modal)


async def test_an_edit_makes_old_cards_powerless_and_voids_approvals(sandbox: Sandbox) -> None:
    await submitted(sandbox, audience="Everyone")
    old_card = sandbox.review_card()
    await sandbox.press("Omar", "Approve")
    await sandbox.press("Maya", "Withdraw")
    maya = sandbox.person("Maya")
    opened = await maya.slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    shown = await maya.click(response(opened), label="Edit")
    where = {"where": "same"} if sandbox.settings.whop_api == "v5" else {}
    edited = await maya.submit_modal(shown, {"subject": "New", "content": "Words."} | where)
    await sandbox.submit(edited if edited.response else opened)

    stale = await sandbox.herald.service.look(sandbox.actor("Lena"), 1)
    assert stale[0].revision == 2
    assert stale[0].approvals == ()
    with pytest.raises(Conflict, match="out of date"):
        await sandbox.herald.service.approve(sandbox.actor("Lena"), 1, revision=1)
    await sandbox.settle()
    redrawn = only([m for m in sandbox.channel("review").history() if m.id == old_card.id])
    assert "out of date" in readable(redrawn)
    assert not redrawn.components


async def test_a_rejected_broadcast_ends_with_its_reason(sandbox: Sandbox) -> None:
    await submitted(sandbox)
    await sandbox.press("Lena", "Reject", reason="Not now.")
    await sandbox.wait(timedelta(hours=1))
    assert sandbox.whop.exchanges == []
    assert "Cancelled" in readable(sandbox.review_card())
    assert "was rejected" in sandbox.newest("moderators")
    assert "Not now." in sandbox.newest("moderators")


async def test_a_review_that_nobody_decides_expires_and_its_author_is_told(sandbox: Sandbox) -> None:
    await submitted(sandbox)
    await sandbox.wait(timedelta(hours=25))
    assert "was not decided in time" in sandbox.newest("moderators")
    assert "It is a draft again" in readable(sandbox.review_card())


async def test_a_changed_audience_definition_stops_an_approved_broadcast(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await submitted(sandbox)
        await sandbox.press("Omar", "Approve")
        await sandbox.restart(edit_policy=lambda text: text.replace('"prod_gold"', '"prod_other"'))
        await sandbox.wait(UNDONE)

        assert sandbox.whop.exchanges == []
        card = readable(sandbox.review_card())
        assert card.startswith("#1 · Held")
        assert "no longer what was approved" in card


async def test_a_changed_audience_definition_cannot_be_approved(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await submitted(sandbox)
        await sandbox.restart(edit_policy=lambda text: text.replace('"prod_gold"', '"prod_other"'))
        await sandbox.herald.startup.begin()
        assert "This card is out of date" in answer(await sandbox.press("Omar", "Approve"))
        assert "has changed in the policy" in answer(await sandbox.press("Omar", "Approve"))


async def test_a_held_broadcast_goes_out_only_after_release_and_fresh_approval(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox("v5") as sandbox:
        await submitted(sandbox)
        await sandbox.press("Omar", "Approve")
        await sandbox.restart(edit_policy=lambda text: text.replace('"prod_gold"', '"prod_other"'))
        await sandbox.wait(UNDONE)
        await sandbox.press("Lena", "Release")
        await sandbox.wait(timedelta(hours=1))
        assert sandbox.whop.exchanges == []

        await sandbox.press("Lena", "Approve")
        await sandbox.wait(UNDONE)
        exchange = only(sandbox.whop.exchanges)
        assert "prod_other" in exchange.body


async def test_another_whop_address_than_the_approved_one_stops_the_send(v5: Sandbox) -> None:
    await submitted(v5)
    await v5.press("Omar", "Approve")
    moved = v5.whop.origin.replace("127.0.0.1", "localhost")
    v5.settings = v5.settings.model_copy(update={"whop_base_url": moved})
    await v5.restart()
    await v5.wait(UNDONE)
    assert v5.whop.exchanges == []
    assert readable(v5.review_card()).startswith("#1 · Held")


async def test_an_operator_cancels_what_others_wrote_and_its_author_is_told(sandbox: Sandbox) -> None:
    await submitted(sandbox)
    lena = sandbox.person("Lena")
    done = await lena.slash(
        sandbox.channel("moderators"), "notify cancel", broadcast="#1", reason="Wrong day"
    )
    assert "is cancelled" in answer(done)
    await sandbox.settle()
    assert "was cancelled" in sandbox.newest("moderators")


async def test_a_reason_too_long_for_the_record_is_refused_and_nothing_happens(sandbox: Sandbox) -> None:
    await submitted(sandbox)
    lena, channel = sandbox.person("Lena"), sandbox.channel("moderators")
    refused = await lena.slash(channel, "notify cancel", broadcast="1", reason="x" * 501)
    assert answer(refused) == "At most 500 characters fit; yours has 501: shorten it."
    assert "\n#1 · Waits" in readable(sandbox.review_card())


async def test_a_sent_broadcast_cannot_be_cancelled(sandbox: Sandbox) -> None:
    await submitted(sandbox)
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(UNDONE)
    late = await sandbox.person("Lena").slash(sandbox.channel("moderators"), "notify cancel", broadcast="1")
    assert "Whop has already accepted it" in answer(late)


@pytest.mark.parametrize(
    ("action", "number", "said"),
    [
        ("approve", 1, "it is a draft"),
        ("stop", 1, "it is a draft"),
        ("submit", 1, "only its author, Maya, can"),
        ("edit", 1, "only its author, Maya, can"),
        ("approve", 999, "There is no broadcast #999"),
        ("confirm", 1, "it takes the role"),
        ("explode", 1, "no longer does anything"),
    ],
)
async def test_a_forged_button_has_no_authority(v5: Sandbox, action: str, number: int, said: str) -> None:
    await v5.compose(subject="Maya's own")
    view = discord.ui.View(timeout=None)
    view.add_item(ActionButton(action, Subject(number, 1, "")))
    channel = v5.herald.client.get_partial_messageable(v5.channel("review").id)
    forged = await channel.send("forged", view=view)

    result = await v5.person("Omar").click(forged, custom_id=f"herald:{action}:{number}:1")

    assert said in answer(result)
    assert (await v5.herald.service.look(v5.actor("Maya"), 1))[0].status == "draft"


async def test_members_of_another_server_cannot_reach_its_broadcasts(v5: Sandbox) -> None:
    await submitted(v5)
    foreign = dataclasses.replace(v5.actor("Omar"), guild_id=v5.world.guild.id + 1)
    with pytest.raises(NotAllowed, match="only for members of a server that its policy names"):
        await v5.herald.service.approve(foreign, 1, revision=1)


async def test_bots_and_members_outside_any_server_can_do_nothing(v5: Sandbox) -> None:
    for odd in ({"bot": True}, {"guild_id": None}):
        someone = dataclasses.replace(v5.actor("Omar"), **odd)
        with pytest.raises(NotAllowed, match="only for members of a server"):
            await v5.herald.service.may_compose(someone, audience="Gold members", topic="outages")


async def test_an_approver_takes_back_their_own_approval_while_others_are_still_asked(
    sandbox: Sandbox,
) -> None:
    await sandbox.submit(await sandbox.compose(audience="Everyone"))
    await sandbox.press("Omar", "Approve")
    assert "Approvals 1 of 2" in readable(sandbox.review_card())
    assert "You have not approved this" in answer(await sandbox.press("Lena", "Withdraw my approval"))
    await sandbox.press("Omar", "Withdraw my approval")
    assert "Approvals 0 of 2" in readable(sandbox.review_card())
    await sandbox.press("Lena", "Approve")
    await sandbox.wait(UNDONE)
    assert sandbox.whop.exchanges == []
    assert any("withdrew the approval" in line for line in sandbox.texts("audit"))


async def test_whoever_asked_for_changes_is_named_on_the_card(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())
    await sandbox.press("Lena", "Ask for changes", reason="Too long.")
    assert "It is a draft again; Lena asked for changes: Too long." in readable(sandbox.review_card())


async def test_a_changed_audience_voids_approvals_and_holds_what_was_approved(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose(audience="Everyone"))
    await sandbox.press("Omar", "Approve")
    await sandbox.submit(await sandbox.compose(subject="Second"))
    await sandbox.press("Lena", "Approve")
    # v1 reaches experiences, v5 companies and products.
    await sandbox.restart(
        edit_policy=lambda text: text.replace("_gold", "_other").replace("_sunrise", "_other")
    )
    await sandbox.herald.startup.begin()
    await sandbox.settle()
    with sandbox.herald.store.begin(Access.READ) as tx:
        first, second = tx.broadcasts.get(1), tx.broadcasts.get(2)
    assert (first.status, first.approvals) == (Status.REVIEW, ())
    assert second.status is Status.HELD
    assert "no approval counts" in "\n".join(sandbox.texts("review"))
    await sandbox.wait(UNDONE)
    assert sandbox.whop.exchanges == []


async def test_what_nobody_could_approve_is_refused_at_once_and_the_draft_stays(sandbox: Sandbox) -> None:
    await sandbox.restart(edit_policy=lambda text: text.replace("approvals = 2", "approvals = 3"))
    told = answer(await sandbox.submit(await sandbox.compose(audience="Everyone")))
    assert "Nobody could ever approve this: it needs 3 approval(s), and 2 member(s)" in told
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert (tx.broadcasts.get(1)).status is Status.DRAFT


async def test_the_card_and_who_name_those_who_could_approve_it_now(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose(audience="Everyone"))
    assert "Could approve it now: Omar, Lena" in readable(sandbox.review_card())
    await sandbox.press("Omar", "Approve")
    assert "Could approve it now: Lena" in readable(sandbox.review_card())
    told = answer(
        await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify who", broadcast="1")
    )
    assert f"{link(sandbox)} needs 1 more. Lena could approve it now" in told


async def test_where_discord_does_not_tell_who_the_members_are_nothing_is_refused_for_that(
    sandbox: Sandbox,
) -> None:
    sandbox.world.env.inject_error("GET", "/guilds/*/members", status=403, times=None)
    await sandbox.submit(await sandbox.compose())
    assert "Could approve it now" not in readable(sandbox.review_card())
    told = answer(
        await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify who", broadcast="1")
    )
    assert "Discord does not tell Herald who holds" in told


# --- somebody has to see it ------------------------------------------------------------------------


def forbid(sandbox: Sandbox, channel: str, **rights: bool) -> None:
    """Take rights of Herald's in a channel, or give them."""
    backend, (allow, deny) = sandbox.world.env.backend, discord.PermissionOverwrite(**rights).pair()
    overwrite = Overwrite(backend.bot_user.id, OverwriteType.MEMBER, allow=allow.value, deny=deny.value)
    backend.set_overwrite(sandbox.channel(channel).id, overwrite)


@pytest.mark.parametrize("right", ["view_channel", "send_messages", "embed_links"])
async def test_what_nobody_could_see_is_refused_with_the_mend_and_stays_a_draft(
    v5: Sandbox, right: str
) -> None:
    draft = await v5.compose()
    forbid(v5, "review", **{right: False})
    refused = answer(await v5.submit(draft))
    assert refused.startswith("Nobody could see its card: Herald may not post in the review channel.")
    assert "Allow it View Channel, Send Messages, Embed Links" in refused
    assert await last_refusal(v5) == refused
    assert (await v5.herald.service.look(v5.actor("Maya"), 1))[0].status is Status.DRAFT

    forbid(v5, "review", **{right: True})
    assert "is under review" in answer(await v5.submit(draft))
    assert "\n#1 · Waits" in readable(v5.review_card())


async def test_what_would_go_into_a_deleted_channel_is_refused(v5: Sandbox) -> None:
    draft = await v5.compose()
    v5.world.env.backend.delete_channel(v5.channel("review").id)
    refused = answer(await v5.submit(draft))
    assert refused.startswith("Nobody could see its card: the review channel was deleted.")
    assert (await v5.herald.service.look(v5.actor("Maya"), 1))[0].status is Status.DRAFT


async def test_what_is_held_is_not_released_to_where_nobody_could_see_it(v5: Sandbox) -> None:
    await v5.approved()
    await v5.herald.service.freeze(v5.actor("Lena"), "Look into it")
    await v5.wait(timedelta(minutes=20))
    await v5.herald.service.unfreeze(v5.actor("Omar"))
    await v5.settle()
    held = v5.review_card()
    assert readable(held).startswith("#1 · Held")
    forbid(v5, "review", send_messages=False)
    assert "Nobody could see its card" in answer(await v5.person("Omar").click(held, label="Release"))
    assert (await v5.herald.service.look(v5.actor("Maya"), 1))[0].status is Status.HELD


async def test_while_discord_cannot_be_asked_nothing_is_refused_for_it(
    v5: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: object) -> None:
        raise aiohttp.ClientConnectionError

    draft = await v5.compose()
    monkeypatch.setattr(v5.herald.client.http, "get_channel", unreachable)
    assert "is under review" in answer(await v5.submit(draft))
