"""What does not fit on a card is attached to it; where it cannot be attached, nobody can approve it."""

from pathlib import Path

import discord
import pytest

from bot.broadcast import Status
from bot.characters import reveal
from bot.notification import CONTENT_LIMIT, EXTRA_LIMIT, HIDDEN_LIMIT, SUBJECT_LIMIT, Text
from bot.sandbox.sandbox import Sandbox, answer, button_labels, readable, response
from bot.service import REASON_LIMIT
from bot.store import Access
from cogs import layout
from tests.harness.discord.herald import PEOPLE, connected, the_policy
from tests.harness.discord.person import Person, card
from tests.harness.discord.server import LoopbackDiscord
from tests.harness.found import only
from tests.harness.people import MAYA
from tests.harness.policy import REVIEW_CHANNEL

# The longest that is legal: each character has to be escaped, or named.
HIDDEN = "\u200b" * HIDDEN_LIMIT
SUBJECT = "*" * (SUBJECT_LIMIT - HIDDEN_LIMIT) + HIDDEN
CONTENT = "*" * (CONTENT_LIMIT - HIDDEN_LIMIT) + HIDDEN
EXTRA = "*" * (EXTRA_LIMIT - HIDDEN_LIMIT) + HIDDEN
ADDRESS = "https://whop.com/" + "*" * 180
NOTE = "~" * REASON_LIMIT
ATTACH_FILES = 32768


async def submitted(sandbox: Sandbox) -> discord.Message:
    """Let Maya submit as much as is legal, while sending is frozen with a long reason."""
    link = f"/{'*' * 180}" if sandbox.generation == "v1" else ADDRESS
    words = {"subject": SUBJECT, "content": CONTENT, "link": link}
    if sandbox.generation == "v1":
        words["subtitle"] = EXTRA
    draft = await sandbox.compose(**words)
    await sandbox.herald.service.freeze(sandbox.actor("Lena"), NOTE)
    await sandbox.submit(draft, note=NOTE)
    return sandbox.review_card()


async def attached_to(message: discord.Message) -> str:
    return (await only(message.attachments).read()).decode()


async def test_what_does_not_fit_is_in_the_file_that_the_card_names_and_can_be_approved(
    sandbox: Sandbox,
) -> None:
    shown = await submitted(sandbox)
    assert only(shown.attachments).filename == "broadcast-1.txt"
    assert "Cut here: the attached broadcast-1.txt has all of it." in readable(shown)
    filed = await attached_to(shown)
    assert f"\nFeed and phone, content:\n| {reveal(CONTENT)}\n" in filed
    assert f"\nAuthor's note:\n| {NOTE}\n" in filed

    opened = await sandbox.person("Omar").slash(sandbox.channel("review"), "notify show", broadcast="1")
    assert await attached_to(response(opened)) == filed
    assert "Approve" in button_labels(response(opened))

    assert "Approved" in answer(await sandbox.press("Omar", "Approve"))
    with sandbox.herald.store.begin(Access.READ) as tx:
        assert tx.broadcasts.get(1).status is Status.APPROVED


async def test_a_card_that_is_drawn_anew_has_one_file_or_none(v5: Sandbox) -> None:
    await submitted(v5)
    await v5.press("Omar", "Approve")
    assert "Approved" in readable(v5.review_card())
    assert len(v5.review_card().attachments) <= 1
    stopped = await v5.herald.service.stop(v5.actor("Maya"), 1, revision=1)
    short = stopped.notification.model_copy(update={"all": Text(subject="a", content="b"), "link": None})
    await v5.herald.service.edit(v5.actor("Maya"), 1, revision=1, notification=short)
    await v5.settle()
    assert v5.review_card().attachments == []


async def test_a_receipt_keeps_no_file_of_the_draft(v5: Sandbox) -> None:
    draft = await v5.compose(subject=SUBJECT, content=CONTENT, link=ADDRESS)
    receipt = await v5.submit(draft, note="x")
    assert response(receipt).attachments == []


async def test_where_herald_may_attach_nothing_it_says_so_and_nobody_can_approve(
    discord_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with more warnings than can be brought about here.
    monkeypatch.setattr(layout, "EMBED_LIMIT", 4000)
    async with LoopbackDiscord.open(the_policy(), PEOPLE, port=discord_port) as opened:
        channel = opened.channel(REVIEW_CHANNEL)
        assert channel is not None
        channel.allowed &= ~ATTACH_FILES
        async with connected(tmp_path, opened, the_policy()):
            await opened.gateway.connected.wait()
            maya = Person(opened, MAYA)
            form = await maya.command("notify compose", audience="One", topic="news")
            draft = await maya.submit(
                form, subject=SUBJECT, content=CONTENT, subtitle=EXTRA, link=f"/{'*' * 180}"
            )
            await maya.submit(await maya.press(draft.message, "Ask for approval"), note=NOTE)
            shown = await card(opened, 1, "Allow it **Attach Files**")
            assert shown["attachments"] == []
            labels = [one["label"] for row in shown["components"] for one in row["components"]]
            assert labels == ["Ask for changes", "Reject", "Withdraw"]
