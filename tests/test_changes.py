"""What changed since approvers read a broadcast last: words struck and added on its card."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.characters import reveal
from bot.notification import Notification, Text
from bot.sandbox.sandbox import Sandbox, readable, response
from bot.schedule import Schedule
from bot.store import Access
from cogs.changes import as_it_was, marked_changes
from cogs.layout import APPROVED_BEFORE, CHANGED
from cogs.text import closed, head_of

LONG = " ".join(f"word{number}" for number in range(100))


def saying(content: str, *, subject: str = "We are live", topic: str = "news") -> Notification:
    return Notification(topic=topic, all=Text(subject=subject, content=content))


def changed(sandbox: Sandbox) -> dict[str, str]:
    """Return what the newest review card says of changes, by the names of its fields."""
    fields = sandbox.review_card().embeds[0].fields
    return {one.name or "": one.value or "" for one in fields if one.name in {CHANGED, APPROVED_BEFORE}}


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
    st.sampled_from(["a", "*", "**", "~~", "__", "`x`", "\\", ":tada:", "<@1>", "字", "#", "1.", "\n"]),
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


@given(st.integers(0, 120))
def test_what_is_cut_leaves_no_mark_open(at: int) -> None:
    whole = marked_changes(saying("a ~~old~~ *one* b", topic="x"), saying("a __new__ *two* b", topic="y"))
    kept = re.sub(r"\\.", "x", closed(head_of(whole, at)), flags=re.DOTALL)
    assert [kept.count(mark) % 2 for mark in ("**", "~~", "__")] == [0, 0, 0]
    assert re.findall(r"(\*\*|~~|__)\1|(?<!\*)\*(?!\*)|(?<!~)~(?!~)|(?<!_)_(?!_)", kept) == []
    assert closed(whole) == whole


# --- on the card -----------------------------------------------------------------------------------


async def test_approvers_see_what_changed_since_they_asked_for_it(sandbox: Sandbox) -> None:
    await sandbox.submit(await sandbox.compose(content="Come at noon and bring a *friend*."))
    assert CHANGED not in readable(sandbox.review_card())
    await sandbox.press("Omar", "Ask for changes", reason="Say nine")
    await edit(sandbox, "Come at nine and bring a *friend*.")
    words = r"__Feed and phone, content__: Come at ~~noon~~ **nine** and bring a \*friend\*."
    assert changed(sandbox) == {CHANGED: f"Since revision 1:\n{words}"}
    await sandbox.press("Omar", "Approve")
    assert changed(sandbox) == {CHANGED: f"Since revision 1:\n{words}"}
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
    since = "Since revision 1, which Omar had approved:\n__Feed and phone, content__: ~~one~~"
    assert changed(v5) == {APPROVED_BEFORE: f"{since} **four**"}
    await v5.press("Omar", "Ask for changes", reason="Say five")
    await edit(v5, "five")
    assert changed(v5) == {
        CHANGED: "Since revision 4:\n__Feed and phone, content__: ~~four~~ **five**",
        APPROVED_BEFORE: f"{since} **five**",
    }
    await v5.press("Omar", "Ask for changes", reason="Say one")
    await edit(v5, "one")
    # What stands there again as it was approved has not changed since.
    assert changed(v5) == {CHANGED: "Since revision 5:\n__Feed and phone, content__: ~~five~~ **one**"}


async def test_a_yes_that_was_taken_back_is_none(v5: Sandbox) -> None:
    await v5.submit(await v5.compose(audience="Everyone", content="one"))
    await v5.press("Omar", "Approve")
    await v5.press("Omar", "Withdraw my approval")
    await v5.press("Lena", "Ask for changes", reason="Say two")
    await edit(v5, "two")
    assert changed(v5) == {CHANGED: "Since revision 1:\n__Feed and phone, content__: ~~one~~ **two**"}


async def test_what_nobody_was_asked_about_before_or_is_as_it_was_has_no_changes(v5: Sandbox) -> None:
    await v5.compose(content="one")
    await edit(v5, "two")
    assert changed(v5) == {}
    await v5.press("Omar", "Ask for changes", reason="Say three")
    await edit(v5, "three")
    await v5.press("Omar", "Ask for changes", reason="Say four")
    await edit(v5, "three")
    with v5.herald.store.begin(Access.READ) as tx:
        assert tx.broadcasts.get(1).revision == 4
    assert changed(v5) == {}


async def test_a_long_change_gives_way_to_the_words_and_what_was_there_is_in_the_file(v5: Sandbox) -> None:
    before, now = " ".join(["*old*"] * 200), " ".join(["*new*"] * 200)
    await v5.submit(await v5.compose(content=before))
    await v5.press("Omar", "Ask for changes", reason="Say it anew")
    await edit(v5, now)
    card = v5.review_card()
    assert "✂️ Cut here: the attached broadcast-1.txt has all of it." in changed(v5)[CHANGED]
    assert (card.embeds[1].description or "").endswith(r"\*new\*")
    whole = (await card.attachments[0].read()).decode()
    assert f"Feed and phone, content, as it was:\n| {before}\n" in whole


async def test_another_time_is_a_change_that_approvers_see(v5: Sandbox) -> None:
    service, maya = v5.herald.service, v5.actor("Maya")
    await v5.submit(await v5.compose(content="one"))
    await v5.press("Omar", "Approve")
    tomorrow = v5.clock().replace(hour=11, minute=0, second=0, microsecond=0) + timedelta(days=1)
    noon = Schedule(typed="tomorrow noon", zone="Europe/Berlin").settled(tomorrow)
    await service.reschedule(maya, 1, revision=1, schedule=noon)
    await service.submit(maya, 1, revision=2)
    await v5.settle()
    shown = changed(v5)[APPROVED_BEFORE]
    assert shown.startswith(
        "Since revision 1, which Omar had approved:\n__Time__: ~~once it is approved~~ **"
    )
    assert "12:00" in shown
