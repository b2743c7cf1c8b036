"""Everyday templates: what they say, what may stand in their blanks, and what is made of them."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from bot.errors import NotReady, Refused
from bot.everyday import Blank, Kind, Outline, Typed, fill, outlined
from bot.notification import Notification, Text


def typed(content: str, declared: str = "", **changed: Any) -> Typed:
    """Return what is typed for a template with the audience and the topic set."""
    words = Notification(topic="", all=Text(subject="We are live", content=content))
    return Typed("Weekly", "Gold members", "news", words, declared)._replace(**changed)


def noon(text: str) -> str:
    if text != "noon":
        raise NotReady("Write a time such as 18:30.")
    return "Friday, 12:00 CET"


def filled(outline: Outline, values: Mapping[str, str]) -> str:
    text = fill(outline, values, topic="news", written=noon).all
    assert text is not None
    return text.content


def test_a_line_for_each_blank_says_what_it_takes_and_the_rest_take_a_line() -> None:
    declared = "when: time\n\n {Room} = One of: Gold, Silver or so ,Bronze\nseats：NUMBER.\nhost: word"
    outline = outlined(typed("{host} at {when} in the {room}, {seats} seats. ｛Last words｝", declared))
    assert outline.blanks == (
        Blank(name="host", kind=Kind.WORD),
        Blank(name="when", kind=Kind.TIME),
        Blank(name="room", kind=Kind.CHOICE, choices=("Gold", "Silver or so", "Bronze")),
        Blank(name="seats", kind=Kind.NUMBER),
        Blank(name="Last words", kind=Kind.LINE),
    )
    # What an edit shows is what was meant.
    assert outlined(typed(outline.words.all.content, outline.declared)) == outline  # type: ignore[union-attr]
    either = outlined(typed("{a} {b}", "a: one of yes or no\nb: one of Gold, or Silver"))
    assert [one.choices for one in either.blanks] == [("yes", "no"), ("Gold", "Silver")]


def test_blanks_may_stand_anywhere_in_any_script_and_are_asked_for_once() -> None:
    words = Notification(
        topic="",
        in_app=Text(subject="{начало}", content="{何時} and {Начало}"),
        mobile=Text(subject="{何時}", content="x"),
        subtitle="{Sub 1}",
        link="https://whop.com/{slug}",
    )
    outline = outlined(typed("", words=words))
    assert [one.name for one in outline.blanks] == ["начало", "何時", "Sub 1", "slug"]
    values = {"начало": "A", "何時": "B", "sub 1": "C", "SLUG": "D"}
    made = fill(outline, values, topic="news", written=noon)
    assert made == Notification(
        topic="news",
        in_app=Text(subject="A", content="B and A"),
        mobile=Text(subject="B", content="x"),
        subtitle="C",
        link="https://whop.com/D",
    )


NOT_TAKEN: Final[Mapping[str, Typed]] = {
    "The content is empty.": typed("  "),
    "The name has to be 1 to 100 characters": typed("x", name="a\nb"),
    "brace of what is no blank: write a blank as {room}": typed("{1st}"),
    "which is no kind: write word, line, number, time, or one of": typed("{a}", "a: colour"),
    "“a” takes “one of”, which is no kind": typed("{a}", "a: one of"),
    "does not say what a blank takes: write one blank a line, such as “when: time”": typed("{a}", "a word"),
    "The blank “b” stands in no text: write {b} where it belongs, or": typed("{a}", "b: word"),
    "The blank “A” has two lines: keep one.": typed("{a}", "a: word\nA: line"),
    "Blank “а” looks like “a”: rename or remove one.": typed("{a} {а}"),
    "Choice of the blank “a”: “gold” is there already, as “Gold”": typed("{a}", "a: one of Gold, gold"),
    "has 26 choices; a list takes 1 to 25": typed("{a}", f"a: one of {', '.join(map(str, range(26)))}"),
    "has to be at most 100 characters, all of which can be seen": typed("{a}", f"a: one of b, {'c' * 101}"),
    "It has 6 blanks, and a form has room for 5 things: have fewer blanks.": typed("{a}{b}{c}{d}{e}{f}"),
    "It has 4 blanks and asks for the audience and the topic, and a form has room for 5 things: have fewer"
    " blanks, or set the audience and the topic.": typed("{a}{b}{c}{d}", audience=None, topic=None),
}


@pytest.mark.parametrize("sentence", NOT_TAKEN)
def test_what_is_wrong_with_a_template_is_one_sentence_that_says_what_to_mend(sentence: str) -> None:
    with pytest.raises(NotReady) as refused:
        outlined(NOT_TAKEN[sentence])
    assert sentence in str(refused.value)


KINDS: Final = outlined(
    typed(
        "{line} {word} {number} {time} {room}",
        "word: word\nnumber: number\ntime: time\nroom: one of Gold, Silver",
    )
)
FITS: Final = {"line": "the big show", "word": "Gold", "number": "12", "time": "noon", "room": "gold"}
DOES_NOT: Final = {
    ("line", " \u2800"): "The blank “line” is empty.",
    ("line", "x" * 201): "The blank “line” has 201 characters; at most 200 fit.",
    ("line", "a\nb"): "The blank “line” takes one line: remove the line break.",
    ("line", "a\u202eb"): "The blank “line” has a character that nobody would see: type it anew.",
    ("word", "two words"): "The blank “word” takes one word, without spaces.",
    ("number", "many"): "The blank “number” takes a number, such as 12 or 3.50.",
    ("number", "12 seats"): "The blank “number” takes a number, such as 12 or 3.50.",
    ("time", "soon"): "The blank “time” takes a time. Write a time such as 18:30.",
    ("room", "Bronze"): "The blank “room” takes one of “Gold”, “Silver”.",
}


@pytest.mark.parametrize(("blank", "value"), DOES_NOT)
def test_what_does_not_fit_a_blank_is_one_sentence(blank: str, value: str) -> None:
    with pytest.raises(NotReady) as refused:
        filled(KINDS, FITS | {blank: value})
    assert str(refused.value) == DOES_NOT[blank, value]


def test_all_that_does_not_fit_is_said_at_once_and_nothing_that_is_typed_makes_a_blank() -> None:
    with pytest.raises(Refused) as refused:
        filled(KINDS, {"word": "x", "room": "Gold", "number": "3,50", "line": "-"})
    assert str(refused.value) == "The blank “time” is empty."
    said = filled(KINDS, FITS | {"line": " {word} "})
    assert said == "{word} Gold 12 Friday, 12:00 CET Gold"
    for number in ("0", "-3", "1,000", "3.50", "٣", "1 000", "15%", "10:30"):
        assert number in filled(KINDS, FITS | {"number": number})
