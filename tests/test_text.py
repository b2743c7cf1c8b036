"""What nobody would see is made visible in review, and nothing else is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lint import leftovers
from bot.notification import HIDDEN_LIMIT, Notification, Text, problems
from bot.sandbox.sandbox import UNDONE, Sandbox, readable, response
from cogs.text import plain, reveal
from tests.harness.found import only

# What Unicode says is not shown (Default_Ignorable_Code_Point, Cf), as its tables list it, and what is blank.
UNSEEN = [
    "\u00ad", "\u034f", "\u061c", "\u115f\u1160", "\u17b4\u17b5", "\u180b-\u180f", "\u200b-\u200f",
    "\u202a-\u202e", "\u2060-\u206f", "\u2800", "\u3164", "\ufe00-\ufe0f", "\ufeff", "\uffa0",
    "\ufff0-\ufffb", "\U00013430-\U0001343f", "\U0001bca0-\U0001bca3", "\U0001d159",
    "\U0001d173-\U0001d17a", "\U000e0000-\U000e0fff", "\x00-\x08", "\x7f-\x84", "\ufffe\uffff", "\ud800",
]  # fmt: skip
# Letters of scripts that join or not, digits and marks: what is between two of them belongs to no emoji.
LETTERS = ["a", "é", "я", "ا", "日", "1", "한", "\u0301"]
ORDINARY = {
    "family": "👨‍👩‍👧", "heart on fire": "❤️‍🔥", "skin": "👩🏽‍💻", "hair": "🧑‍🦰", "pride": "🏳️‍🌈",
    "key": "1️⃣ #️⃣",
    "England": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "country": "🇩🇪",
    "as text": "☀︎ ✔️",
    "Persian": "می‌خواهم", "Persian, with a vowel": "مِ‌خ", "Persian abbreviation": "۱۴۰۲ ه‍.ش",
    "Hindi": "क्‍ष क्‌ष", "Bengali": "র‍্যাব", "Sinhala": "ක්‍ෂ", "Khmer": "ប៊‌ី ភាសា\u200bខ្មែរ", "Mongolian": "ᠠ᠋ ᠨ᠎ᠠ",
    "Hebrew and Arabic": "שָׁלוֹם, مُحَمَّدٌ",
    "Arabic number sign": "\u0600١٢", "Vietnamese": "Việt ệ", "lines": "Größe\nZeile\tTab",
}  # fmt: skip
MISPLACED = {
    "a word in tags behind a flag": "🏴\U000e0068\U000e0065\U000e006c\U000e006c\U000e006f\U000e007f",
    "a flag without its end": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067",
    "two in a row": "❤\ufe0f\ufe0f", "a digit that is no key": "1\ufe0f", "a letter for a picture": "H\ufe0f",
    "a variant of a letter": "H\U000e0101", "nothing to join to": "👍\u200d", "nothing to join": "\u200d👍",
    "letters that do not join": "د\u200cد", "letters that join anyway": "ب\u200dب",
    "before a mark": "ب\u200d\u064eب",
    "an unseen mark between": "ب\ufe00\u200cب", "Latin": "pay\u200bpal", "Thai and Latin": "ก\u200ba",
}  # fmt: skip


def unseen() -> list[str]:
    found: list[str] = []
    for part in UNSEEN:
        first, last = (part[0], part[2]) if part[1:2] == "-" else (part, "")
        found += map(chr, range(ord(first), ord(last) + 1)) if last else first
    return found


def test_what_nobody_would_see_is_named_wherever_it_stands_between_letters() -> None:
    for letter in LETTERS:
        for ch in unseen():
            # A register shifter, a virama and the like are none of these letters: nothing needs it here.
            assert plain(f"{letter}{ch}{letter}") == f"{letter}⟨U+{ord(ch):04X}⟩{letter}"


@pytest.mark.parametrize("where", MISPLACED)
def test_what_a_script_or_an_emoji_needs_elsewhere_is_named_where_it_means_nothing(where: str) -> None:
    assert "⟨U+" in plain(MISPLACED[where])


@pytest.mark.parametrize("script", ORDINARY)
def test_what_people_write_in_their_own_script_stays_as_it_is(script: str) -> None:
    assert reveal(ORDINARY[script]) == ORDINARY[script]
    words = Text(subject=ORDINARY[script], content=ORDINARY[script])
    assert problems(Notification(topic="t", all=words)) == []


def test_what_shows_nothing_counts_as_empty() -> None:
    for ch in [*unseen(), " ", "\u00a0", "\u3000", "\t", "\n", "\u0301", " \ufe0f\u2800 "]:
        blank = Notification(topic="t", all=Text(subject=ch, content="Words."), subtitle=ch)
        assert problems(blank) == ["The subject is empty.", "The subtitle is empty."], ascii(ch)


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u20dd", "\u200d\u0301", "\u034f"])
def test_a_letter_under_a_pile_of_marks_is_refused_and_what_is_too_much_is_named(mark: str) -> None:
    most, pile = f"e{mark[-1] * 4}x", f"e{mark * 119}x"
    if mark != "\u034f":
        assert problems(Notification(topic="t", all=Text(subject=most[:60], content="Words."))) == []
        assert reveal(most) == most
    sentence = only(problems(Notification(topic="t", all=Text(subject="Hi", content=pile))))
    assert sentence.startswith(
        ("The content has a letter with more than 4 marks", "The content has more than 10 inv")
    )
    assert reveal(pile).count(f"⟨U+{ord(mark[-1]):04X}⟩") >= 115


def test_an_accent_that_is_one_with_its_letter_counts_too() -> None:
    assert problems(Notification(topic="t", all=Text(subject="\u1ec7\u0301\u0301", content="Words."))) == []
    piled = Notification(topic="t", all=Text(subject="\u1ec7\u0301\u0301\u0301", content="Words."))
    assert "marks piled on it" in only(problems(piled))


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


LEFT = {
    "Since {since}, sorry": ["{since}"], "Hi {{name}}!": ["{{name}}"],
    "See [LINK] or [your link]": ["[LINK]", "[your link]"],
    "Dear <name>": ["<name>"], "Dear <<Name>>": ["<<Name>>"],
    "{since": ["{since"], "since}": ["}"], "%name% is up": ["%name%"],
    "｛name｝ ＜name＞": ["{name}", "<name>"], "{} ${x} {Since when}": ["{}", "{x}", "{Since when}"],
    "I <3 you, 5 < 6 > 2, [1], [12:30], 50 % off, a & b": [], "Grüße 🎉 (now)": [],
}  # fmt: skip


@pytest.mark.parametrize("words", LEFT)
def test_a_blank_that_nobody_filled_is_found(words: str) -> None:
    assert leftovers(Notification(topic="t", all=Text(subject="Hi", content=words))) == LEFT[words]


@given(st.text(), st.sampled_from(["{a}", "{{a}}", "[LINK]", "<name>"]))
def test_a_blank_is_found_whatever_stands_before_it(words: str, blank: str) -> None:
    found = leftovers(Notification(topic="t", in_app=Text(subject="Hi", content=f"{words}\n{blank}")))
    assert blank in found


async def test_a_blank_that_nobody_filled_is_named_on_draft_and_card(v5: Sandbox) -> None:
    draft = await v5.compose(subject="Since {since}", content="Look at [LINK], <name>!")
    said = "Looks like a blank that nobody filled: {since}, [LINK], <name>: customers would read it as it is."
    assert said in readable(response(draft)).replace("\\", "")
    await v5.submit(draft)
    assert said in readable(v5.review_card()).replace("\\", "")
