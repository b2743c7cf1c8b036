"""What does not fit on a card is attached to it; where it cannot be attached, nobody can approve it."""

import json
from pathlib import Path

import discord
import pytest

from bot.broadcast import Status
from bot.characters import reveal
from bot.notification import CONTENT_LIMIT, EXTRA_LIMIT, HIDDEN_LIMIT, SUBJECT_LIMIT, Notification, Text
from bot.sandbox.sandbox import Sandbox, answer, button_labels, readable, response
from bot.service import REASON_LIMIT
from bot.store import Access
from cogs import layout
from cogs.cards import Cards
from cogs.template import draw_template
from tests.database import new_file
from tests.harness.cards import labels, words
from tests.harness.discord.herald import PEOPLE, connected, the_policy
from tests.harness.discord.person import Person, card
from tests.harness.discord.server import LoopbackDiscord
from tests.harness.found import only
from tests.harness.people import MAYA, OMAR
from tests.harness.policy import REVIEW_CHANNEL, audience, parsed, server
from tests.harness.process import Cluster

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
            assert labels == ["Ask for changes", "Reject", "Withdraw", "Test to me"]


def a_template(*choices: str) -> str:
    return f"""
[[server.template]]
name = "We are down"
audience = "One"
topic = "news"
subject = "We are down"
content = "{{what}} is down"
[[server.template.blank]]
name = "what"
choices = {json.dumps(choices)}
"""


@pytest.mark.parametrize("targets", [2, 120])
async def test_what_stands_in_the_file_alone_can_be_approved_only_where_there_is_one(
    tmp_path: Path, targets: int
) -> None:
    many = audience("One", *(f"exp_number{number:04}" for number in range(targets)))
    async with Cluster.open(new_file(tmp_path), tmp_path) as cluster:
        process = await cluster.join(policy=parsed(server(many)))
        waiting = await process.submitted()
        cards = Cards(process.service.lifecycle, role_name=lambda _, role: f"@{role}")
        whole, without = (cards.review(waiting, [], attaches=attaches) for attaches in (True, False))
    shown = words(whole) + "".join(one.text for one in whole.attached)
    assert f"exp_number{targets - 1:04}" in shown
    assert "Approve" in labels(whole)
    assert without.attached == ()
    assert ("Approve" in labels(without)) is (targets == 2)


@pytest.mark.parametrize("choices", [[f"{number:02}" for number in range(25)], ["The whole " * 9, "A part"]])
async def test_each_choice_of_a_template_stands_on_its_card_or_in_its_file(
    tmp_path: Path, choices: list[str]
) -> None:
    policy = server(audience("One", "exp_gold"), a_template(*choices))
    async with Cluster.open(new_file(tmp_path), tmp_path) as cluster:
        process = await cluster.join(policy=parsed(policy))
        standing = only(await process.service.templates(OMAR))
    whole, without = (draw_template(standing, attaches=attaches) for attaches in (True, False))
    shown = words(whole) + "".join(one.text for one in whole.attached)
    assert [one for one in choices if one.strip() not in shown] == []
    assert "Approve the template" in labels(whole)
    is_here = all(one.strip() in words(without) for one in choices)
    assert ("Approve the template" in labels(without)) is is_here


def test_a_note_that_gives_way_keeps_nobody_from_approving_and_changes_nothing_of_whoever_draws_it() -> None:
    head = discord.Embed(title="#1").add_field(name=layout.NOTE, value="n" * 1000)
    decides = discord.Embed()
    for number in range(4):
        decides.add_field(name=str(number), value="d" * 1000)
    notification = Notification(topic="news", all=Text(subject="s", content="c" * 1000))
    sheet = layout.Sheet(name="broadcast-1", title="#1", notification=notification)
    laid = layout.lay_out(head, decides, sheet)
    assert laid.is_whole
    assert [one.value for one in laid.embeds[-1].fields] == ["d" * 1000] * 4
    assert "Cut here" in (laid.embeds[0].fields[0].value or "")
    assert head.fields[0].value == "n" * 1000
