"""What nobody would see is made visible in review, and nothing else is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.notification import HIDDEN_LIMIT, Notification, Text, problems
from bot.sandbox.sandbox import UNDONE, Sandbox, readable
from cogs.text import plain, reveal
from tests.harness.found import only

TRICKS = {
    "right-to-left override": "50\u202e%\u202c off",
    "isolate": "\u2066pay\u2069",
    "zero-width space": "pay\u200bpal",
    "joiner between Latin letters": "pay\u200dpal",
    "joiner at the end": "end\u200c",
    "byte order mark": "\ufeffhello",
    "soft hyphen": "pay\u00adpal",
    "filler that looks like nothing": "a\u3164b",
    "tags that spell hidden words": "hi\U000e0061\U000e0062",
    "control character": "a\x1bb",
}
ORDINARY = [
    "👨‍👩‍👧 family, 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f flag, ❤️",
    "می‌خواهم",
    "क्‍ष",
    "שלום, مرحبا",
    "Größe\nzweite Zeile\tTab",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_what_nobody_would_see_is_named_in_its_place(trick: str) -> None:
    assert "⟨U+" in plain(TRICKS[trick])


@pytest.mark.parametrize("text", ORDINARY)
def test_what_people_write_in_their_own_script_stays_as_it_is(text: str) -> None:
    assert reveal(text) == text


@given(st.text().filter(lambda text: "⟨" not in text))
def test_nothing_hidden_is_left_after_it_was_revealed_and_nothing_else_is_touched(text: str) -> None:
    shown = reveal(text)
    assert reveal(shown) == shown
    assert re.sub(r"⟨U\+([0-9A-F]+)⟩", lambda match: chr(int(match[1], 16)), shown) == text


def test_more_hidden_characters_than_a_card_can_show_are_refused_in_one_sentence() -> None:
    hidden = Text(subject="Hi", content="a" + "\u200b" * (HIDDEN_LIMIT + 1))
    sentence = only(problems(Notification(topic="t", all=hidden)))
    assert sentence.startswith("The content has more than 10 invisible characters")


async def test_whop_gets_exactly_what_was_typed_though_the_card_names_it(sandbox: Sandbox) -> None:
    await sandbox.approved(content="50\u202e% off\u202c now")
    card = readable(sandbox.review_card())
    assert "50⟨U+202E⟩% off⟨U+202C⟩ now" in card
    assert "Invisible characters" in card
    await sandbox.wait(UNDONE)
    assert "50\u202e% off\u202c now" in only(sandbox.whop.exchanges).body
