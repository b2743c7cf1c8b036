"""Composing: nothing typed is lost, and what a generation cannot express is refused by name."""

import re
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import pytest
import simcord

from bot.audit.search import Search
from bot.broadcast import Broadcast
from bot.notification import Notification, Text
from bot.permissions import Actor
from bot.sandbox.sandbox import UNDONE, Sandbox, answer, button_labels, readable, response
from bot.service import LISTED, PAGE
from bot.store import Access
from tests.conftest import OpenSandbox
from tests.harness.found import only

FAMILY = "👨‍👩‍👧‍👦"


def prefilled(shown: simcord.InteractionResult) -> dict[str, str]:
    """Return what stands in a modal's text inputs when it opens."""
    assert shown.modal is not None
    labels = [row["component"] for row in shown.modal["components"] if "component" in row]
    return {field["custom_id"]: field.get("value", "") for field in labels if field["type"] == 4}


async def edit(sandbox: Sandbox, card: simcord.InteractionResult, **words: str) -> simcord.InteractionResult:
    maya = sandbox.person("Maya")
    shown = await maya.click(response(card), label="Edit")
    where = {"where": "same"} if sandbox.settings.whop_api == "v5" else {}
    return await maya.submit_modal(shown, prefilled(shown) | where | words)


async def test_a_draft_is_seen_by_its_author_alone(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(subject="Secret plans")
    assert draft.ephemeral
    await sandbox.settle()
    everything = [line for name in ("moderators", "review", "audit") for line in sandbox.texts(name)]
    assert "Secret plans" not in "".join(everything)
    other = await sandbox.person("Omar").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    assert "is a draft, and only its author can see it." in answer(other)


async def test_a_draft_too_long_to_send_is_kept_and_comes_back_filled_in(sandbox: Sandbox) -> None:
    # The form takes no more than fits, but an older draft or the words of another field may be longer.
    long = "x" * 1600
    draft = await too_long(sandbox, long)

    assert "The content has 1600 characters; at most 1500 fit." in answer(draft)
    labels = [child["label"] for row in response_components(draft) for child in row["components"]]
    assert labels == [
        "Edit",
        "Test to me",
        "Change audience",
        "Change topic",
        "Share…",
        "Cancel",
        "Duplicate",
    ]
    shown = await sandbox.person("Maya").click(response(draft), label="Edit")
    assert prefilled(shown)["content"] == long


async def too_long(sandbox: Sandbox, content: str) -> simcord.InteractionResult:
    words = Notification(topic="announcements", all=Text(subject="We are live", content=content))
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    await sandbox.herald.service.compose(
        sandbox.actor("Maya"), audience="Gold members", notification=words, channel_id=channel.id
    )
    return await maya.slash(channel, "notify show", broadcast="1")


async def test_nothing_is_composed_in_the_records_channel_whose_news_would_stand_between_its_lines(
    v5: Sandbox,
) -> None:
    maya, channel = v5.person("Maya"), v5.channel("audit")
    options = {"audience": "Gold members", "topic": "announcements"}
    refused = await maya.slash(channel, "notify compose", **options)
    assert refused.modal is None
    assert "This channel is for the record alone" in answer(refused)
    assert await maya.autocomplete(channel, "notify compose", "audience", "") == []


def response_components(result: simcord.InteractionResult) -> list[dict[str, list[dict[str, str]]]]:
    assert result.response is not None
    return result.response.components


async def test_an_edited_draft_can_be_submitted_and_keeps_its_number(sandbox: Sandbox) -> None:
    draft = await too_long(sandbox, "x" * 1600)
    await edit(sandbox, draft, content="Short now.")
    await sandbox.submit(draft)
    card = readable(sandbox.review_card())
    assert "\n#1 · Waits" in card
    assert "Short now." in card


async def test_lengths_are_counted_as_the_form_counts_them(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(subject=f"{FAMILY} é", content="Words.")
    assert "subject 13 of 100, content 6 of 1500 characters; fits a lock screen" in answer(draft)


async def test_the_box_of_each_field_takes_what_the_field_says_and_no_more(sandbox: Sandbox) -> None:
    maya = sandbox.person("Maya")
    shown = await maya.slash(
        sandbox.channel("moderators"), "notify compose", audience="Gold members", topic="announcements"
    )
    assert shown.modal is not None
    boxes = {
        row["component"]["custom_id"]: (row["component"]["max_length"], row.get("description", ""))
        for row in shown.modal["components"]
        if row.get("component", {}).get("type") == 4
    }
    assert boxes["subject"][0] == 100
    assert "at most 100" in boxes["subject"][1]
    assert boxes["content"][0] == 1500
    assert "at most 1500" in boxes["content"][1]


async def test_a_draft_that_came_back_says_so_and_why_in_the_list(sandbox: Sandbox) -> None:
    await sandbox.compose(subject="Never sent")
    await sandbox.submit(await sandbox.compose(subject="Typo hree"))
    await sandbox.press("Omar", "Ask for changes", reason="Mend the typo")
    listed = answer(await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify drafts"))
    back, fresh = (line for line in listed.splitlines() if line.startswith(("**#", "**[#")))
    assert "Came back (Omar asked for changes: Mend the typo" in back
    assert "Came back" not in fresh


async def test_what_is_not_drawn_again_names_its_time_and_counts_nothing_down(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose())
    said = answer(await sandbox.press("Omar", "Approve"))
    assert re.search(r"goes out at <t:[0-9]+:T>;", said)
    assert ":R>" not in said
    shown = await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    assert re.search(r"Goes out at <t:[0-9]+:T>\.", answer(shown))
    # On the card it counts down: that one is drawn again.
    assert re.search(r"Goes out at <t:[0-9]+:T> \(<t:[0-9]+:R>\)\.", readable(sandbox.review_card()))


async def test_the_history_says_what_it_lists(sandbox: Sandbox) -> None:
    listed = answer(await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify history"))
    assert listed == "Nothing was sent yet, and nothing has ended."
    await sandbox.approved()
    await sandbox.wait(UNDONE)
    listed = answer(await sandbox.person("Maya").slash(sandbox.channel("moderators"), "notify history"))
    assert "The latest that were sent or have ended" in listed


async def test_the_button_says_whether_somebody_else_is_asked(v5: Sandbox) -> None:
    draft = await v5.compose()
    assert button_labels(response(draft)) == [
        "Edit",
        "Ask for approval",
        "Test to me",
        "Change audience",
        "Change topic",
        "Share…",
        "Cancel",
        "Duplicate",
    ]


async def test_a_text_that_a_lock_screen_cuts_is_said_to_be_cut(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(content="w" * 151)
    assert "a lock screen cuts the content after about 150" in answer(draft)


async def test_blank_words_are_refused_and_kept(sandbox: Sandbox) -> None:
    draft = await sandbox.compose(subject="   ")
    assert "The subject is empty." in answer(draft)


@pytest.mark.parametrize(("audience", "topic"), [("Goldmembers", "announcements"), ("Gold members", "news")])
async def test_a_choice_outside_the_list_is_refused_before_anything_is_typed(
    sandbox: Sandbox, audience: str, topic: str
) -> None:
    result = await sandbox.compose(audience=audience, topic=topic)
    assert result.modal is None
    assert "choose one from the list" in answer(result)


async def test_a_choice_of_any_length_and_content_gets_an_answer(sandbox: Sandbox) -> None:
    result = await sandbox.compose(audience="<@1> **x** " * 400)
    said = answer(result)
    assert said.startswith("There is no audience “\\<@1> \\*\\*x\\*\\*")
    assert len(said) <= 2000


async def test_autocomplete_offers_what_the_policy_names(sandbox: Sandbox) -> None:
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    offered = await maya.autocomplete(channel, "notify compose", "audience", "GOLD")
    assert "Gold members" in [choice["value"] for choice in offered]
    topics = await maya.autocomplete(channel, "notify compose", "topic", "out")
    assert topics == [{"name": "Outages", "value": "outages"}]


async def test_what_is_read_in_the_list_may_be_typed(v5: Sandbox) -> None:
    await v5.compose(audience=" Gold members ", topic="Announcements ")
    await v5.compose(topic="outages")
    with v5.herald.store.begin(Access.READ) as tx:
        drafts = [tx.broadcasts.get(number) for number in (1, 2)]
    assert [one.notification.topic for one in drafts] == ["announcements", "outages"]
    assert [one.audience for one in drafts] == ["Gold members", "Gold members"]
    maya, channel = v5.person("Maya"), v5.channel("moderators")
    for command, option in {"notify show": "broadcast", "notify template use": "name"}.items():
        (offered, *_) = await maya.autocomplete(channel, command, option, "")
        chosen, read = [
            readable(response(await maya.slash(channel, command, **{option: typed})))
            for typed in (offered["value"], offered["name"])
        ]
        assert read == chosen
        assert "There is no" not in read


async def test_v1_asks_for_no_split_and_v5_for_no_subtitle(open_sandbox: OpenSandbox) -> None:
    asked = {}
    for generation in ("v5", "v1"):
        async with open_sandbox(generation) as sandbox:
            shown = await sandbox.person("Maya").slash(
                sandbox.channel("moderators"), "notify compose", audience="Gold members", topic="outages"
            )
            assert shown.modal is not None
            asked[generation] = [row["component"]["custom_id"] for row in shown.modal["components"]]
        for left in ("herald.db", "herald.db-wal", "herald.db-shm"):
            (sandbox.settings.database_file.parent / left).unlink(missing_ok=True)
    assert asked == {
        "v5": ["subject", "content", "where", "link", "time"],
        "v1": ["subject", "content", "subtitle", "link", "time"],
    }


async def test_split_words_composed_for_v5_are_refused_by_name_on_v1(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await sandbox.compose(where="split")
        await sandbox.restart(generation="v1")
        opened = await sandbox.person("Maya").slash(
            sandbox.channel("moderators"), "notify show", broadcast="1"
        )
        assert "Different words for feed and phone: Whop's v1 has one text" in answer(opened)


async def test_a_path_without_its_slash_is_refused_by_name_on_v1(v1: Sandbox) -> None:
    draft = await v1.compose(link="posts/5")
    assert "Path in the app: begin it with a slash" in answer(draft)


async def test_drafts_lists_ones_own_and_opens_them_filled_in(sandbox: Sandbox) -> None:
    await sandbox.compose(subject="First")
    await sandbox.compose(subject="Second")
    maya = sandbox.person("Maya")
    listed = await maya.slash(sandbox.channel("moderators"), "notify drafts")
    assert answer(listed).index("Second") < answer(listed).index("First")

    opened = await maya.click(response(listed), label="Open #1")
    shown = await maya.click(response(opened), label="Edit")
    assert prefilled(shown)["subject"] == "First"


async def test_what_was_typed_into_a_form_that_a_restart_killed_is_given_back(sandbox: Sandbox) -> None:
    maya = sandbox.person("Maya")
    shown = await maya.slash(
        sandbox.channel("moderators"), "notify compose", audience="Gold members", topic="outages"
    )
    await sandbox.restart()
    where = {"where": "same"} if sandbox.settings.whop_api == "v5" else {}
    dead = await maya.submit_modal(shown, {"subject": "Hours of work", "content": "Here."} | where)

    assert "What you typed is attached" in answer(dead)
    attached = only(response(dead).attachments)
    assert (await attached.read()).decode() == "Hours of work\n\nHere."


async def test_what_was_typed_too_slowly_is_given_back(sandbox: Sandbox) -> None:
    maya = sandbox.person("Maya")
    shown = await maya.slash(
        sandbox.channel("moderators"), "notify compose", audience="Gold members", topic="outages"
    )
    await sandbox.wait(timedelta(minutes=20))
    where = {"where": "same"} if sandbox.settings.whop_api == "v5" else {}
    dead = await maya.submit_modal(shown, {"subject": "Slow", "content": "Here."} | where)
    assert "What you typed is attached" in answer(dead)


async def test_what_was_typed_while_the_database_is_locked_is_given_back(
    open_sandbox: OpenSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.1)
    async with open_sandbox("v5", tolerant=True) as sandbox:
        locker = sqlite3.connect(tmp_path / "herald.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        lost = await sandbox.compose(subject="Typed in vain?")
        locker.execute("ROLLBACK")
        locker.close()

        assert "database is in trouble, so nothing was changed or sent" in answer(lost)
        attached = only(response(lost).attachments)
        assert "Typed in vain?" in (await attached.read()).decode()


async def test_a_number_that_is_none_is_answered_with_what_to_type(sandbox: Sandbox) -> None:
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    wrong = await maya.slash(channel, "notify show", broadcast="twelve *bold*")
    assert "is not a broadcast's number" in answer(wrong)
    missing = await maya.slash(channel, "notify show", broadcast="99")
    assert answer(missing) == "There is no broadcast #99 here that you can see."


async def test_every_list_has_a_page_of_its_newest_and_one_more_if_there_is_another_page(
    v5: Sandbox,
) -> None:
    service, maya = v5.herald.service, v5.actor("Maya")
    words = Notification(topic="announcements", all=Text(subject="We are live", content="Come in"))

    async def numbers(wanted: Callable[[Actor], Awaitable[list[Broadcast]]]) -> list[int]:
        return [one.id for one in await wanted(maya)]

    for _ in range(PAGE + 2):
        await service.compose(maya, audience="Gold members", notification=words, channel_id=1)
    newest = [*range(PAGE + 2, 1, -1)]
    assert await numbers(service.drafts) == newest

    for list_of, step in ((service.queue, service.submit), (service.history, service.cancel)):
        for number in reversed(newest):
            await step(maya, number, revision=1)
        assert await numbers(list_of) == newest
        await step(maya, 1, revision=1)
        assert await numbers(list_of) == newest
        assert [one.id for one in await list_of(maya, before=3)] == [2, 1]

    record = [event.sequence for event in await service.audit(v5.actor("Ada"), Search())]
    lines = 3 * (PAGE + 2)
    assert record == [*range(lines, lines - LISTED - 1, -1)]


async def test_queue_and_history_show_where_things_stand(sandbox: Sandbox) -> None:
    maya, channel = sandbox.person("Maya"), sandbox.channel("moderators")
    assert "Nothing waits" in answer(await maya.slash(channel, "notify queue"))
    assert "Nothing was sent yet" in answer(await maya.slash(channel, "notify history"))
    await sandbox.submit(await sandbox.compose(subject="Queued"))
    assert "Waits for approval · Queued" in answer(await maya.slash(channel, "notify queue"))
    await sandbox.press("Omar", "Approve")
    await sandbox.wait(timedelta(seconds=11))
    assert "Accepted by Whop · Queued" in answer(await maya.slash(channel, "notify history"))


async def test_a_cancelled_draft_leaves_no_buttons_behind(sandbox: Sandbox) -> None:
    draft = await sandbox.compose()
    maya = sandbox.person("Maya")
    await maya.submit_modal(await maya.click(response(draft), label="Cancel"), {})
    assert response(draft).content == "#1 is cancelled. It will not go out."
    assert not response(draft).components


# --- where its author is told ----------------------------------------------------------------------


async def composed_in(sandbox: Sandbox, channel: simcord.ChannelHandle) -> simcord.InteractionResult:
    maya = sandbox.person("Maya")
    shown = await maya.slash(channel, "notify compose", audience="Gold members", topic="announcements")
    where = {"where": "same"} if sandbox.settings.whop_api == "v5" else {}
    return await maya.submit_modal(shown, {"subject": "We are live", "content": "Come in"} | where)


async def test_composed_where_herald_may_not_post_it_says_where_the_news_will_be(sandbox: Sandbox) -> None:
    me = sandbox.world.guild.me
    assert me is not None
    closed: dict[Any, discord.PermissionOverwrite] = {me: discord.PermissionOverwrite(send_messages=False)}
    quiet = sandbox.world.guild.create_text_channel("quiet", overwrites=closed)
    review = sandbox.channel("review")
    draft = await composed_in(sandbox, quiet)
    assert f"Herald may not post here: you will read it in <#{review.id}>." in answer(draft)
    receipt = await sandbox.submit(draft)
    assert f"You will read in <#{review.id}> what becomes of it" in answer(receipt)

    await sandbox.press("Omar", "Ask for changes", reason="Mend it")
    assert "needs changes" in sandbox.newest("review")
    assert f"<@{sandbox.person('Maya').id}>" in sandbox.newest("review")


async def test_composed_where_herald_may_post_the_news_come_there(sandbox: Sandbox) -> None:
    draft = await sandbox.compose()
    assert "Herald may not post here" not in answer(draft)
    assert "You will read here what becomes of it" in answer(await sandbox.submit(draft))
