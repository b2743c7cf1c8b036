"""A draft that two people write: both find it, both write it, and neither approves it."""

import json
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path

import discord
import pytest

from bot.audit.broadcast_export import to_line
from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, NotFound, NotReady
from bot.notification import Notification, Text
from bot.permissions import Actor
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.service.looking import read_courses
from bot.store import Access
from tests.harness.found import only
from tests.harness.people import CHANNEL, LENA, MAYA, NOOR, OMAR, WORDS
from tests.harness.process import Cluster

OTHER_WORDS = Notification(topic="announcements", all=Text(subject="Other words", content="Come in"))


def get(sandbox: Sandbox, number: int = 1) -> Broadcast:
    with sandbox.herald.store.begin(Access.READ) as tx:
        return tx.broadcasts.get(number)


def recorded(sandbox: Sandbox, *actions: str) -> list[tuple[str, str, str]]:
    with sandbox.herald.store.begin(Access.READ) as tx:
        lines = tx.audit.of_guild(sandbox.world.guild.id)
    return [(one.actor.name, one.action, one.detail) for one in lines if one.action in actions]


async def share(sandbox: Sandbox, shown: discord.Message, who: str, *names: str) -> str:
    """Press Share… on a draft that stands before somebody, and choose these; return the answer."""
    person = sandbox.person(who)
    form = await person.click(shown, label="Share…")
    assert form.modal is not None, answer(form)
    done = await person.submit_modal(form, {"people": [sandbox.person(one) for one in names]})
    await sandbox.settle()
    return answer(done)


# --- in Discord ------------------------------------------------------------------------------------


async def test_two_write_a_draft_and_only_a_third_can_approve_it(sandbox: Sandbox) -> None:
    moderators = sandbox.channel("moderators")
    omar = sandbox.person("Omar")
    draft = response(await sandbox.compose(content="from Maya"))
    assert "Shared with: Omar" in await share(sandbox, draft, "Maya", "Omar")

    told = moderators.history()[-1]
    assert told.content.startswith(f"<@{omar.id}> **#1** for **Gold members**, a draft of Maya's, is shared")
    assert [one.id for one in told.mentions] == [omar.id]
    opened = await omar.click(told, label="Open #1")
    assert "from Maya" in answer(opened)
    for who in ("Maya", "Omar"):
        listed = answer(await sandbox.person(who).slash(moderators, "notify drafts"))
        assert "**#1** Draft · We are live · Gold members · Maya with Omar" in listed

    form = await omar.click(response(opened), label="Edit")
    values = {"subject": "We are live", "content": "from Omar"}
    values |= {"where": "same"} if sandbox.generation == "v5" else {}
    edited = await omar.submit_modal(form, values)
    await sandbox.submit(edited, "Omar")
    card = readable(sandbox.review_card())
    assert "Author: Maya" in card
    assert "Shared with: Omar" in card
    assert "not from those who write it" in card
    assert "Could approve it now: Lena" in card
    assert "You wrote this broadcast" in answer(await sandbox.press("Maya", "Approve"))
    assert "You wrote this broadcast" in answer(await sandbox.press("Omar", "Approve"))
    await sandbox.press("Lena", "Approve")
    await sandbox.wait(UNDONE)
    assert get(sandbox).status is Status.SENT
    assert only(sandbox.whop.pushes).feed == ("We are live", "from Omar")
    shown = await sandbox.person("Lena").slash(moderators, "notify show", broadcast="1")
    assert "written by Maya and Omar" in answer(shown)
    assert recorded(sandbox, "share", "edit", "submit") == [
        ("Maya", "share", "with Omar"),
        ("Omar", "edit", ""),
        ("Omar", "submit", ""),
    ]


async def test_whoever_never_wrote_a_word_is_out_from_that_moment_and_in_again_when_it_is_taken_back(
    sandbox: Sandbox,
) -> None:
    maya, moderators = sandbox.person("Maya"), sandbox.channel("moderators")
    await share(sandbox, response(await sandbox.compose()), "Maya", "Omar")
    await sandbox.submit(await maya.slash(moderators, "notify show", broadcast="1"))
    refused = "This broadcast is shared with you, so somebody else has to approve this broadcast."
    assert answer(await sandbox.press("Omar", "Approve")) == refused
    assert get(sandbox).approvals == ()

    await sandbox.press("Maya", "Withdraw")
    draft = response(await maya.slash(moderators, "notify show", broadcast="1"))
    assert "Shared with" not in await share(sandbox, draft, "Maya")
    assert recorded(sandbox, "share", "unshare")[1:] == [("Maya", "unshare", "no longer with Omar")]
    shown = await sandbox.person("Omar").slash(moderators, "notify show", broadcast="1")
    assert answer(shown) == r"\#1 is a draft, and only its author can see it."
    await sandbox.submit(await maya.slash(moderators, "notify show", broadcast="1"))
    await sandbox.press("Omar", "Approve")
    assert get(sandbox).status is Status.APPROVED


async def test_whoever_wrote_stays_out_when_it_is_no_longer_shared_with_them(v5: Sandbox) -> None:
    service, maya, omar = v5.herald.service, v5.actor("Maya"), v5.actor("Omar")
    await v5.compose()
    await service.share(maya, 1, revision=1, chosen=[omar])
    await service.edit(omar, 1, revision=1, notification=OTHER_WORDS)
    await service.share(maya, 1, revision=2, chosen=[], shown=[omar.id])
    with pytest.raises(NotFound, match="only its author can see it"):
        await service.look(omar, 1)
    with pytest.raises(NotAllowed, match="only its author, Maya, can"):
        await service.edit(omar, 1, revision=2, notification=OTHER_WORDS)
    await service.submit(maya, 1, revision=2)
    with pytest.raises(NotAllowed, match="You wrote this broadcast"):
        await service.approve(omar, 1, revision=2)


async def test_with_whom_it_cannot_be_shared_is_said_and_nothing_is_shared(v5: Sandbox) -> None:
    draft = response(await v5.compose())
    compose = v5.world.roles["compose"].id
    cases = {
        "Lena": "It cannot be shared with Lena, who cannot compose here now: that takes the role"
        f" <@&{compose}>.",
        "Maya": "Maya is its author already: choose somebody else.",
    }
    for name, said in cases.items():
        assert await share(v5, draft, "Maya", "Omar", name) == said, name
    robot = Actor(id=9, name="Robot", guild_id=v5.world.guild.id, roles=frozenset({compose}), bot=True)
    elsewhere = Actor(id=9, name="Elsa", guild_id=1, roles=frozenset({compose}))
    crowd = [
        Actor(id=10**17 + one, name=f"N{one}", guild_id=v5.world.guild.id, roles=frozenset({compose}))
        for one in range(6)
    ]
    refused: Sequence[tuple[Sequence[Actor], str]] = [
        ([robot], "cannot be shared with Robot"),
        ([elsewhere], "cannot be shared with Elsa"),
        (crowd, "with at most 5 people"),
    ]
    for chosen, said in refused:
        with pytest.raises(NotReady, match=said):
            await v5.herald.service.share(v5.actor("Maya"), 1, revision=1, chosen=chosen)
    assert get(v5).shared == ()
    assert len(recorded(v5, "refused share")) == 5
    assert recorded(v5, "share") == []


async def test_what_has_moved_on_is_shared_with_nobody(v5: Sandbox) -> None:
    service, maya, omar = v5.herald.service, v5.actor("Maya"), v5.actor("Omar")
    await v5.submit(await v5.compose(audience="Everyone"))
    await v5.press("Omar", "Approve")
    with pytest.raises(Conflict, match="it is under review"):
        await service.share(maya, 1, revision=1, chosen=[omar])
    assert [one.approver.name for one in get(v5).approvals] == ["Omar"]
    await v5.press("Maya", "Withdraw")
    # Their approval went with the review, and no other can come.
    await service.share(maya, 1, revision=1, chosen=[omar])
    await service.submit(maya, 1, revision=1)
    assert get(v5).approvals == ()
    with pytest.raises(NotAllowed, match="is shared with you"):
        await service.approve(omar, 1, revision=1)


async def test_two_forms_at_once_each_change_only_what_they_showed(v5: Sandbox) -> None:
    service, maya, omar = v5.herald.service, v5.actor("Maya"), v5.actor("Omar")
    sara = Actor(id=10**17, name="Sara", guild_id=omar.guild_id, roles=omar.roles)
    await v5.compose()
    await service.share(maya, 1, revision=1, chosen=[omar])
    await service.share(omar, 1, revision=1, chosen=[omar, sara], shown=[omar.id])
    # This form was opened before the one above was submitted.
    await service.share(maya, 1, revision=1, chosen=[omar], shown=[omar.id])
    assert {one.name for one in get(v5).shared} == {"Omar", "Sara"}
    await service.share(sara, 1, revision=1, chosen=[omar], shown=[omar.id, sara.id])
    assert {one.name for one in get(v5).shared} == {"Omar"}


async def test_whoever_it_is_shared_with_is_told_directly_where_the_channel_is_gone(v5: Sandbox) -> None:
    await v5.compose()
    v5.world.env.backend.delete_channel(v5.channel("moderators").id)
    await v5.herald.service.share(v5.actor("Maya"), 1, revision=1, chosen=[v5.actor("Omar")])
    await v5.settle()
    await v5.wait(timedelta(seconds=1))
    told = only(v5.person("Omar").user.dm_channel.history())
    assert "is shared with you" in told.content
    # No button of Herald's does anything there.
    assert button_labels(told) == []


async def test_all_who_write_it_are_told_what_becomes_of_it(v5: Sandbox) -> None:
    service, maya, omar = v5.herald.service, v5.actor("Maya"), v5.actor("Omar")
    await v5.compose()
    await service.share(maya, 1, revision=1, chosen=[omar])
    await service.submit(omar, 1, revision=1)
    await v5.settle()
    await v5.press("Lena", "Ask for changes", reason="Say when")
    told = v5.channel("moderators").history()[-1]
    assert told.content.startswith(f"<@{maya.id}> <@{omar.id}> ")
    assert {one.id for one in told.mentions} == {maya.id, omar.id}
    # What one of them does is news to the other.
    await service.cancel(maya, 1)
    await v5.settle()
    assert "was cancelled" in v5.newest("moderators")


async def test_names_that_are_markup_break_no_card(v5: Sandbox) -> None:
    omar = v5.actor("Omar")
    bold = Actor(id=omar.id, name="**O** <@1>", guild_id=omar.guild_id, roles=omar.roles)
    await v5.compose()
    await v5.herald.service.share(v5.actor("Maya"), 1, revision=1, chosen=[bold])
    shown = await v5.person("Maya").slash(v5.channel("moderators"), "notify show", broadcast="1")
    assert r"Shared with: \*\*O\*\* \<\@1>" in answer(shown)


# --- when it is to go out --------------------------------------------------------------------------


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


async def test_what_somebody_approved_with_whom_it_is_shared_never_goes_out(cluster: Cluster) -> None:
    process = await cluster.join()
    await process.due()
    with process.store.begin() as tx:
        # As only whoever changes the database past Herald can.
        tx.shares.add(tx.broadcasts.get(1), OMAR.person, at=process.clock())
    with process.store.begin(Access.READ) as tx:
        assert [one.what for one in tx.testimony.against(None)] == [
            "no line tells that #1 is shared with Omar"
        ]
    await process.tick()
    held = await process.get()
    assert (held.status, held.reason) == (Status.HELD, "it was approved by someone who wrote it")


async def test_what_a_colleague_wrote_who_lost_the_role_since_is_held(cluster: Cluster) -> None:
    process = await cluster.join()
    service = process.service
    draft = await service.compose(MAYA, audience="One", notification=WORDS, channel_id=CHANNEL)
    await service.share(MAYA, draft.id, revision=1, chosen=[NOOR])
    await service.share(NOOR, draft.id, revision=1, chosen=[NOOR, OMAR], shown=[NOOR.id])
    await service.edit(
        NOOR, draft.id, revision=1, notification=OTHER_WORDS.model_copy(update={"topic": "news"})
    )
    await service.submit(MAYA, draft.id, revision=2)
    await service.approve(LENA, draft.id, revision=2)
    # Whoever wrote nothing has lost nothing that counts here.
    cluster.members.roles[OMAR.id] = None
    cluster.members.roles[NOOR.id] = frozenset()
    await process.tick(UNDONE)
    held = await process.get()
    assert (held.status, held.reason) == (Status.HELD, "Noor, who wrote it, has lost the role for that since")
    with process.store.begin(Access.READ) as tx:
        assert tx.testimony.against(None) == []
        line = json.loads(
            to_line(only(read_courses(tx, process.service.policy, [held])), [], server="Sunrise", parts=None)
        )
    assert [one["name"] for one in line["shared_with"]] == ["Omar", "Noor"]


async def test_a_template_lends_nothing_of_whom_its_broadcast_is_shared_with(v5: Sandbox) -> None:
    service, maya, omar = v5.herald.service, v5.actor("Maya"), v5.actor("Omar")
    standing = only(await service.templates(omar))
    await service.approve_template(omar, standing.number)
    values = {"service": "Streaming", "since": "noon"}
    channel = v5.channel("moderators").id
    draft = await service.compose_from(maya, standing.number, values, channel_id=channel)
    assert [one.approver.name for one in (await service.offer_of(draft)).approvals] == ["Omar"]
    shared = await service.share(maya, draft.id, revision=1, chosen=[omar])
    offer = await service.offer_of(shared)
    assert (offer.approvals, "nobody has approved it beforehand but who wrote this" in offer.why_not) == (
        (),
        True,
    )
