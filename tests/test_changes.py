"""What changed since approvers read a broadcast last: words struck and added on its card."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.characters import reveal
from bot.notification import Notification, Text
from bot.sandbox.sandbox import Sandbox, readable, response
from bot.store import Access
from cogs.changes import as_it_was, marked_changes
from cogs.layout import CHANGED
from tests.harness.found import only

LONG = " ".join(f"word{number}" for number in range(100))


def saying(content: str, *, subject: str = "We are live", topic: str = "news") -> Notification:
    return Notification(topic=topic, all=Text(subject=subject, content=content))


def changed(sandbox: Sandbox) -> str:
    """Return what the newest review card says of changes, or nothing."""
    fields = sandbox.review_card().embeds[0].fields
    found = [one.value or "" for one in fields if one.name == CHANGED]
    return only(found) if found else ""


async def edit(sandbox: Sandbox, content: str) -> None:
    """Let the author write something else, and ask for approval again."""
    maya, moderators = sandbox.person("Maya"), sandbox.channel("moderators")
    draft = await maya.slash(moderators, "notify show", broadcast="1")
    form = await maya.click(response(draft), label="Edit")
    values = {"subject": "We are live", "content": content}
    values |= {"where": "same"} if sandbox.generation == "v5" else {}
    await sandbox.submit(await maya.submit_modal(form, values))


# --- in words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("Come at noon today", "Come at nine today", "Come at ~~noon~~ **nine** today"),
        ("Come in", "Come in now", "Come ~~in~~ **in now**"),
        ("Come in now please", "Come now please", "Come ~~in~~ now please"),
        ("one\ntwo\nthree", "one\n2\nthree", "one\n~~two~~\n**2**\nthree"),
        ("今日は九時", "今日は十時", "今日は~~九~~ **十** 時"),
        ("a *b* c", "a __c__ c", r"a ~~\*b\*~~ **\_\_c\_\_** c"),
        ("\u202eevil", "good", "~~⟨U+202E⟩evil~~ **good**"),
        (f"{LONG} old {LONG}", f"{LONG} new {LONG}",
         "… word96 word97 word98 word99 ~~old~~ **new** word0 word1 word2 word3 …"),
    ],
)  # fmt: skip
def test_words_are_struck_and_added_and_what_stays_is_shortened(before: str, now: str, said: str) -> None:
    assert marked_changes(saying(before), saying(now)) == f"__Feed and phone, content__: {said}"


def test_every_text_that_changed_is_named_and_no_other() -> None:
    before = Notification(topic="news", in_app=Text(subject="a", content="b"), link="/old")
    now = Notification(topic="outages", all=Text(subject="a", content="b"), link="/old")
    assert marked_changes(before, now).splitlines() == [
        "__Topic__: ~~news~~ **outages**",
        "__Feed, subject__: ~~a~~",
        "__Feed, content__: ~~b~~",
        "__Feed and phone, subject__: **a**",
        "__Feed and phone, content__: **b**",
    ]
    assert marked_changes(now, now) == ""
    assert as_it_was(before, now).startswith("Topic, as it was:\nnews\nFeed, subject, as it was:\na\n")


_WORDS = st.lists(
    st.sampled_from(["a", "b", "live", "*", "**", "~~", "__", "`x`", "\\", ":tada:", "<@1>", "字", "#", "1.", "\n"]),
    max_size=40,
).map(" ".join)  # fmt: skip


@given(_WORDS, _WORDS)
def test_every_word_that_was_added_stands_there_and_every_one_that_was_struck(before: str, now: str) -> None:
    shown = marked_changes(saying(before), saying(now)).partition("content__: ")[2]
    # Only what Herald marked is not escaped.
    marks = re.findall(r"(?<!\\)(?:\\\\)*(~~|\*\*)", shown)
    assert len(marks) % 2 == 0
    plain = re.sub(r"\\(.)", r"\1", shown)
    old, new = before.split(), now.split()
    assert [word for word in new if word not in old and word not in plain] == []
    assert [word for word in old if word not in new and word not in plain] == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_typed_shows_all_of_what_is_new(before: str, now: str) -> None:
    shown = marked_changes(saying("Come in", subject=before), saying("Come in", subject=now))
    assert bool(shown) is (before != now)
    letters = {one for one in now if one.isalpha() and one not in before and reveal(one) == one}
    assert [one for one in letters if one not in shown] == []


# --- on the card -----------------------------------------------------------------------------------


async def test_approvers_see_what_changed_since_they_asked_for_it(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose(content="Come at noon and bring a *friend*."))
    assert CHANGED not in readable(sandbox.review_card())
    await sandbox.press("Omar", "Ask for changes", reason="Say nine")
    await edit(sandbox, "Come at nine and bring a *friend*.")
    assert changed(sandbox) == (
        r"__Feed and phone, content__: Come at ~~noon~~ **nine** and bring a \*friend\*."
    )
    await sandbox.press("Omar", "Approve")
    assert "**nine**" in changed(sandbox)
    shown = await sandbox.person("Lena").slash(sandbox.channel("moderators"), "notify show", broadcast="1")
    assert "**nine**" in readable(response(shown))


async def test_it_is_what_they_read_last_however_often_it_was_edited_since(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(content="one"))
    await v5.press("Omar", "Approve")
    await v5.press("Lena", "Stop", reason="Wait")
    service, maya = v5.herald.service, v5.actor("Maya")
    for revision, content in ((1, "two"), (2, "three")):
        words = saying(content, topic="announcements", subject="We are live")
        await service.edit(maya, 1, revision=revision, notification=words)
    await edit(v5, "four")
    assert changed(v5).endswith("~~one~~ **four**")
    await v5.press("Omar", "Ask for changes", reason="Say five")
    await edit(v5, "five")
    assert changed(v5).endswith("~~four~~ **five**")


async def test_what_nobody_was_asked_about_before_or_is_as_it_was_has_no_changes(v5: Sandbox) -> None:
    await v5.compose(content="one")
    await edit(v5, "two")
    assert changed(v5) == ""
    await v5.press("Omar", "Ask for changes", reason="Say three")
    await edit(v5, "three")
    await v5.press("Omar", "Ask for changes", reason="Say four")
    await edit(v5, "three")
    with v5.herald.store.begin(Access.READ) as tx:
        assert tx.broadcasts.get(1).revision == 4
    assert changed(v5) == ""


async def test_a_long_change_gives_way_to_the_words_and_what_was_there_is_in_the_file(v5: Sandbox) -> None:
    before, now = " ".join(["*old*"] * 200), " ".join(["*new*"] * 200)
    await v5.submit(await v5.compose(content=before))
    await v5.press("Omar", "Ask for changes", reason="Say it anew")
    await edit(v5, now)
    card = v5.review_card()
    assert "✂️ Cut here: the attached broadcast-1.txt has all of it." in changed(v5)
    assert (card.embeds[1].description or "").endswith(r"\*new\*")
    whole = (await card.attachments[0].read()).decode()
    assert f"Feed and phone, content, as it was:\n| {before}\n" in whole
