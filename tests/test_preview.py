"""The picture of what customers read: what stands in it, and that no card, and nobody else, depends on it."""

import asyncio
import io
import sys
from pathlib import Path
from typing import Any

import discord
import pytest
import regex
from PIL import Image

from bot.broadcast import Status
from bot.chat.rendering import TOO_LARGE
from bot.notification import PHONE_CONTENT, PHONE_SUBJECT, Notification, Text
from bot.preview import drawing
from bot.preview.drawing import ALT_LIMIT, MISSING, NOT_DRAWN, NOT_YET, Picture, Previews
from bot.preview.fonts import BOX, Fonts, folders
from bot.preview.lines import ELLIPSIS, Block, Measure, set_text
from bot.preview.order import Order, Words
from bot.preview.picture import PIXELS, Card, arrange
from bot.sandbox.sandbox import answer, button_labels, readable, response
from bot.store import Access
from tests.conftest import OpenSandbox
from tests.harness.discord.herald import PEOPLE, connected
from tests.harness.discord.person import card, submitted
from tests.harness.discord.server import LoopbackDiscord
from tests.harness.found import only
from tests.harness.policy import ONE, REVIEW_CHANNEL, parsed, rules, server

LONG = "Come by tonight: the first fifty who join get a badge, and all the others were there. " * 20
SCRIPTS = {
    "Latin": "Größe, naïve, Łódź, Việt Nam, İstanbul: 50 % off — “now”!",
    "Greek": "Η παράσταση αρχίζει απόψε",
    "Cyrillic": "Сегодня вечером в эфире, ґанок",
    "Arabic": "العرض يبدأ الليلة في تمام الساعة",
    "Hebrew": "המופע מתחיל הערב, שַׁבָּת",
    "Hindi": "क्षत्रिय श्रीमान् आज रात",
    "Bengali": "আজ রাতে অনুষ্ঠান শুরু",
    "Tamil": "இன்று இரவு நிகழ்ச்சி",
    "Thai": "คืนนี้มีการแสดงใหม่",
    "Georgian": "დღეს საღამოს",
    "Armenian": "Այսօր երեկոյան",
    "Amharic": "ዛሬ ማታ ይጀምራል",
    "Burmese": "ဒီည စတင်မည်",
    "Khmer": "យប់នេះចាប់ផ្តើម",
    "Japanese": "今夜のショーは「始まり」ます。ﾊﾝｶｸ",
    "Chinese": "今晚的节目马上开始，骨头。開始",
    "Korean": "오늘 밤 방송이 시작됩니다",
    "Emoji": "🎉 👨‍👩‍👧‍👦 🇩🇪 ❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏽",
    "As typed": "**BIG** :tada: [here](https://whop.com) @everyone <b>&amp;</b>",
}


def arranged(phone: Words | None, feed: Words | None = None) -> tuple[list[Card], Fonts]:
    order = Order(phone, feed, PHONE_SUBJECT, PHONE_CONTENT)
    fonts = Fonts(order.written(), folders())
    return arrange(order, fonts), fonts


def said(block: Block) -> str:
    return "".join(line.text for line in block.lines)


def test_each_script_has_its_letters_and_stands_there_as_it_was_typed() -> None:
    for name, typed in SCRIPTS.items():
        (*_, feed), fonts = arranged(None, Words("s", typed))
        assert (name, fonts.missing) == (name, 0)
        assert said(feed.content).replace(" ", "") == typed.replace(" ", "")


def test_what_no_font_has_is_a_box_and_is_told() -> None:
    (narrow, _), fonts = arranged(Words("𐎀 old", "new"))
    assert said(narrow.subject) == f"{BOX} old"
    assert fonts.missing


@pytest.mark.parametrize(
    "typed", [LONG, "👨‍👩‍👧‍👦" * 400, "नि" * 400, SCRIPTS["Chinese"] * 20, "x" * 1500, f"é\u0301 {LONG}"]
)
def test_a_lock_screen_cuts_between_characters_and_never_later_than_phones_do(typed: str) -> None:
    clusters: list[str] = regex.findall(r"\X", typed.strip())
    cards, _ = arranged(Words(typed, typed))
    for one in cards:
        for block, most, lines in ((one.subject, PHONE_SUBJECT, 1), (one.content, PHONE_CONTENT, 4)):
            assert block.is_cut
            assert block.shown <= most
            assert len(block.lines) <= lines
            assert block.length == len(clusters)
            shown = said(block).removesuffix(ELLIPSIS).replace(" ", "")
            assert shown == "".join(clusters[: block.shown]).replace(" ", "")
    narrow, wide = cards
    assert narrow.content.shown <= wide.content.shown
    assert f"content after {wide.content.shown} of {len(clusters):,}" in wide.note


def test_what_fits_is_not_cut_and_a_long_feed_entry_says_how_much_it_shows() -> None:
    (narrow, wide, feed), _ = arranged(Words("We are live", "The stream starts now."), Words("All", LONG))
    assert [one.note for one in (narrow, wide)] == ["all of it fits"] * 2
    assert feed.note == f"the first {feed.content.shown} of {len(LONG.strip()):,} characters"
    assert said(feed.content).startswith("Come by tonight")


@pytest.mark.parametrize(
    "typed", [SCRIPTS["Japanese"] * 5, LONG, "wide " * 90, "a/b-c" * 90, SCRIPTS["Arabic"] * 9, "ไทยะ" * 90]
)
def test_no_line_is_wider_than_its_column_or_begins_with_what_ends_a_sentence(typed: str) -> None:
    fonts = Fonts(typed, folders())
    measure = Measure(width=200, size=15, weight=400, most_lines=50, most_characters=2000)
    block = set_text(typed, measure, fonts)
    assert max(sum(each.width for each in line.clusters) for line in block.lines) * 15 <= 200
    assert [line.text for line in block.lines if line.text[:1] in set("。」、,.!ะ")] == []
    assert [line.text for line in block.lines[:-1] if line.text[-1:] in set("「(ไ")] == []


def test_a_line_from_the_right_is_drawn_from_the_right_and_its_numbers_from_the_left() -> None:
    typed = "يبدأ 18:30 (abc) غدا!"
    block = set_text(typed, Measure(400, 15, 400, 1, 100), Fonts(typed, folders()))
    line = only(block.lines)
    assert line.is_from_right
    seen = [run.text[::-1] if run.is_from_right else run.text for run in line.runs()]
    assert "".join(seen) == "!ادغ )abc( 18:30 أدبي"


def picture(*texts: tuple[str, str]) -> Notification:
    all_, *others = (Text(subject=subject, content=content) for subject, content in texts)
    if others:
        return Notification(topic="news", in_app=all_, mobile=only(others))
    return Notification(topic="news", all=all_)


async def drawn(notification: Notification) -> Picture:
    async with Previews() as previews:
        shown = await previews.of(notification)
    assert shown is not None
    assert shown.picture is not None
    return shown.picture


async def test_a_picture_is_small_and_says_its_words_to_who_cannot_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    longest = picture(("We are live", LONG[:700]), ("Live now", LONG[:700]))
    shown = await drawn(longest)
    with Image.open(io.BytesIO(shown.data)) as image:
        assert image.format == "WEBP"
        assert image.width == PIXELS
        assert image.height < 3 * PIXELS
    assert len(shown.data) < 100_000
    assert len(shown.described) <= ALT_LIMIT
    phone, feed = shown.described.splitlines()
    assert phone.startswith("On the phone: Live now. Come by tonight")
    assert feed.startswith("In the feed: We are live. Come by tonight")
    other = await drawn(picture(("We are live", LONG[:699]), ("Live now", LONG[:700])))
    assert (other.data, other.name) != (shown.data, shown.name)


async def test_hostile_words_are_drawn_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    piled = "Z" + "\u0300\u0321" * 5000
    turned = "\u202e\u2067 evil \u2066\x00\x07\ufdd0\U000e0001\ud800" * 100
    async with Previews() as previews:
        shown = await previews.of(
            picture((piled, turned + "x" * 4000 + "\ufdfd" * 500), (turned, piled * 3 + "𐎀"))
        )
    assert shown is not None
    assert shown.picture is not None
    assert shown.says == MISSING
    (narrow, _), _ = arranged(Words(piled, f"{piled} " * 5))
    # As far as anybody could tell the marks apart: shaping all would take the memory of a machine.
    assert max(len(one.text) for line in narrow.content.lines for one in line.clusters) <= 16
    assert len(shown.picture.described.encode("utf-16-le", "surrogatepass")) <= 2 * ALT_LIMIT


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


@pytest.mark.parametrize(
    ("why", "command"),
    [
        ("it ends", script("raise SystemExit(3)")),
        ("there is none", ("/nowhere/python",)),
        ("it says nothing", script("pass")),
        ("it says too much", script(f"print('{{}}'); print('x' * {drawing.LARGEST + 1})")),
        ("it says nonsense", script("print('?'); print('x')")),
        ("it hangs", script("import time; time.sleep(600)")),
    ],
)
async def test_a_drawing_that_fails_is_a_sentence(
    why: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "it hangs":
        monkeypatch.setattr(drawing, "DRAW_SECONDS", 0.05)
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    async with Previews(command) as previews:
        shown = await previews.of(picture(("a", "b")))
    assert shown is not None
    assert shown.picture is None
    assert shown.says == NOT_DRAWN


async def test_the_same_words_are_drawn_once_without_any_secret_and_only_so_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHOP_API_KEY", "apik_secret")
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    monkeypatch.setattr(drawing, "KEPT", 2)
    log = tmp_path / "log"
    command = script(
        f"import os; open({str(log)!r}, 'a').write(repr(dict(os.environ)) + chr(10));"
        """ print('{"missing": 0}'); print('x')"""
    )
    one, two, three = (picture((word, "b")) for word in "abc")
    async with Previews(command) as previews:
        await asyncio.gather(*(previews.of(one) for _ in range(5)))
        for each in (one, two, three, three, two):
            await previews.of(each)
        assert len(log.read_text().splitlines()) == 3
        await previews.of(one)
    assert len(log.read_text().splitlines()) == 4
    assert "apik_secret" not in log.read_text()


async def test_a_picture_that_is_late_keeps_nobody_waiting_and_is_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 0)
    told = asyncio.Event()

    async def tell() -> None:
        told.set()

    async with Previews(script("""print('{"missing": 0}'); print('x')""")) as previews:
        before = await previews.of(picture(("a", "b")), late=tell)
        await told.wait()
        after = await previews.of(picture(("a", "b")), late=tell)
    assert before is not None
    assert before == (None, NOT_YET)
    assert after is not None
    assert after.picture is not None


PICTURED = parsed(server(ONE, rules=rules().replace("preview = false", "preview = true")))


def labels(shown: dict[str, Any]) -> list[str]:
    return [one["label"] for row in shown["components"] for one in row["components"]]


def pictures(message: discord.Message) -> list[discord.Attachment]:
    return [one for one in message.attachments if one.filename.startswith("preview-")]


@pytest.mark.parametrize("generation", ["v5", "v1"])
async def test_a_draft_and_its_card_show_what_customers_read_until_it_is_sent(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch, generation: str
) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    async with open_sandbox(generation, pictures=True) as sandbox:
        draft = await sandbox.compose(subject="**BIG** news")
        shown = only(pictures(response(draft)))
        assert shown.description == "On the phone and in the feed: **BIG** news. The stream starts now."
        await sandbox.submit(draft)
        there = only(pictures(sandbox.review_card()))
        assert (there.filename, there.description) == (shown.filename, shown.description)
        assert await there.read() == await shown.read()
        opened = await sandbox.person("Omar").slash(sandbox.channel("review"), "notify show", broadcast="1")
        assert [one.filename for one in pictures(response(opened))] == [shown.filename]
        assert "Approved" in answer(await sandbox.press("Omar", "Approve"))
        # What stands there is not sent again.
        assert [one.id for one in pictures(sandbox.review_card())] == [there.id]
        await sandbox.herald.service.stop(sandbox.actor("Maya"), 1, revision=1)
        edited = Text(subject="Small news", content="b")
        with sandbox.herald.store.begin(Access.READ) as tx:
            words = tx.broadcasts.get(1).notification.model_copy(update={"all": edited})
        await sandbox.herald.service.edit(sandbox.actor("Maya"), 1, revision=1, notification=words)
        await sandbox.settle()
        assert only(pictures(sandbox.review_card())).filename != there.filename
        await sandbox.herald.service.cancel(sandbox.actor("Maya"), 1, revision=2)
        await sandbox.settle()
        assert "Cancelled" in readable(sandbox.review_card())
        assert pictures(sandbox.review_card()) == []


async def test_a_picture_that_discord_takes_for_too_large_costs_the_card_nothing_else(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    async with open_sandbox("v5", pictures=True) as sandbox:
        draft = await sandbox.compose()
        path = f"/channels/{sandbox.channel('review').id}/messages"
        sandbox.world.env.inject_error("POST", path, status=413, times=1)
        await sandbox.submit(draft)
        assert pictures(sandbox.review_card()) == []
        assert TOO_LARGE in sandbox.review_card().content
        assert "Approved" in answer(await sandbox.press("Omar", "Approve"))


async def test_a_card_whose_picture_is_late_stands_there_before_it_and_gets_it_by_itself(
    discord_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 0)
    go = tmp_path / "go"
    command = script(
        f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        """print('{"missing": 0}'); print('x')"""
    )
    async with (
        LoopbackDiscord.open(PICTURED, PEOPLE, port=discord_port) as opened,
        connected(tmp_path, opened, PICTURED) as running,
    ):
        running.herald.client.previews.command = command
        await opened.gateway.connected.wait()
        await submitted(opened)
        shown = await card(opened, 1, NOT_YET)
        assert "Approve" in labels(shown)
        go.touch()
        await opened.until(lambda: shown["attachments"])
        assert only(shown["attachments"])["filename"].startswith("preview-")
        assert NOT_YET not in shown["content"]


async def test_without_a_picture_the_card_says_so_and_can_be_approved(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    async with open_sandbox(pictures=True) as sandbox:
        sandbox.herald.client.previews.command = script("raise SystemExit(3)")
        draft = await sandbox.compose()
        assert NOT_DRAWN in readable(response(draft))
        await sandbox.submit(draft)
        assert NOT_DRAWN in readable(sandbox.review_card())
        assert sandbox.review_card().attachments == []
        assert "Approve" in button_labels(sandbox.review_card())
        assert "Approved" in answer(await sandbox.press("Omar", "Approve"))
        with sandbox.herald.store.begin(Access.READ) as tx:
            assert tx.broadcasts.get(1).status is Status.APPROVED


async def test_where_nothing_may_be_attached_the_card_says_so_and_can_be_approved(
    discord_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "WAIT_SECONDS", 60)
    async with LoopbackDiscord.open(PICTURED, PEOPLE, port=discord_port) as opened:
        channel = opened.channel(REVIEW_CHANNEL)
        assert channel is not None
        channel.allowed &= ~32768
        async with connected(tmp_path, opened, PICTURED):
            await opened.gateway.connected.wait()
            await submitted(opened)
            shown = await card(opened, 1, "Allow it **Attach Files**")
            assert shown["attachments"] == []
            assert "Approve" in labels(shown)
