"""A channel is compared with the chain: whatever differs is named, and nothing else is."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.mirror import (
    ADDED,
    BACK,
    CHANGED,
    DOUBLED,
    GONE,
    MISPLACED,
    NEVER,
    REWRITTEN,
    Expected,
    Posted,
    Seen,
    compare,
    hash_words,
    name_lines,
    read_post,
)

HERALD, SOMEONE, GUILD, CHANNEL = 9, 8, 1, 5


def digest(number: int) -> str:
    return hash_words(str(number))


def said(number: int, *, shown: str | None = None, words: str = "did it") -> str:
    return f"`{number:>5}` Maya: **{words}**\n-# digest {(shown or digest(number))[:16]}"


def posted(number: int, **changed: Any) -> Posted:
    post = Posted(GUILD, number, digest(number), CHANNEL, 100 + number, hash_words(said(number)))
    return post._replace(**changed)


def message(number: int, content: str | None = None, *, place: int | None = None) -> Seen:
    return Seen(place or 100 + number, HERALD, content or said(number))


def expected(numbers: Iterable[int], **changed: Any) -> Expected:
    known: Mapping[str, Any] = {
        "lines": {number: digest(number) for number in numbers},
        "posts": [posted(number) for number in numbers],
    }
    return Expected(**known | changed)


def differences(box: Expected, seen: Sequence[Seen], *, since: Iterable[int] | None = None) -> list[str]:
    before = {post.message_id for post in box.posts} if since is None else {*since}
    return [str(one) for one in compare(box, seen, own=HERALD, since=before)]


FIVE = range(1, 6)
ALL = [message(number) for number in FIVE]


def test_a_channel_that_shows_each_line_once_and_in_order_differs_in_nothing() -> None:
    assert differences(expected(FIVE), ALL) == []
    assert differences(expected(FIVE), ALL[::-1]) == []


def test_missing_lines_are_named_as_ranges() -> None:
    assert differences(expected(FIVE), [ALL[3]]) == [f"lines 1-3 and 5: {GONE}."]


def test_a_missing_line_of_which_the_record_tells_says_where() -> None:
    box = expected(FIVE, told={2: 5})
    assert differences(box, [ALL[0], ALL[3], ALL[4]]) == [
        f"line 2: {GONE}, which line 5 tells.",
        f"line 3: {GONE}.",
    ]


def test_another_digest_means_that_the_database_or_the_channel_was_rewritten() -> None:
    rewritten = expected(FIVE, posts=[posted(n, digest=digest(n + (n > 3))) for n in FIVE])
    assert differences(rewritten, ALL) == [f"lines 4-5: {REWRITTEN}."]
    forged = message(2, said(2, shown="0" * 16))
    assert differences(expected(FIVE), [ALL[0], forged, *ALL[2:]]) == [f"line 2: {REWRITTEN}."]


@pytest.mark.parametrize("content", [said(3, words="did not do it"), "", said(2), said(3) + " "])
def test_changed_words_are_named_whatever_stands_there_now(content: str) -> None:
    found = differences(expected(FIVE), [*ALL[:2], Seen(103, HERALD, content), *ALL[3:]])
    assert found in ([f"line 3: {CHANGED}."], [f"line 3: {REWRITTEN}."])


def test_a_post_whose_words_nobody_remembered_is_known_by_its_number_and_digest() -> None:
    old = expected(FIVE, posts=[posted(number, words=None) for number in FIVE])
    assert differences(old, [message(1, said(1, words="put otherwise")), *ALL[1:]]) == []
    assert differences(old, [message(1, said(2)), *ALL[1:]]) == [f"line 1: {REWRITTEN}."]
    assert differences(old, [message(1, "gone"), *ALL[1:]]) == [f"line 1: {CHANGED}."]


def test_posts_out_of_order_are_named() -> None:
    swapped = expected(FIVE, posts=[posted(n, message_id={2: 104, 4: 102}.get(n, 100 + n)) for n in FIVE])
    seen = [message(n, place={2: 104, 4: 102}.get(n, 100 + n)) for n in FIVE]
    assert differences(swapped, seen) == [f"lines 2-3: {MISPLACED}."]


def test_doubled_posts_and_strangers_of_heralds_own_account_are_named() -> None:
    seen = [*ALL, message(3, place=201), message(4, "hello", place=202), message(9, place=203)]
    assert differences(expected(FIVE), seen) == [
        f"line 3: {DOUBLED}.",
        "message 202 is by Herald, but is no line of this record.",
        "message 203 is by Herald, but is no line of this record.",
    ]


def test_a_forged_line_with_the_number_of_a_true_one_is_a_stranger() -> None:
    forged = message(3, said(3, shown="0" * 16), place=201)
    assert differences(expected(FIVE), [*ALL, forged]) == [
        "message 201 is by Herald, but is no line of this record."
    ]


def test_what_others_write_and_heralds_cards_are_no_concern() -> None:
    seen = [*ALL, Seen(201, SOMEONE, "Well done"), message(1, "a card", place=202)]
    assert differences(expected(FIVE, others=frozenset({202})), seen) == []


@pytest.mark.parametrize(
    "content", [said(3), said(99), said(3).rpartition("\n")[0], said(3).rpartition("\n")[2]]
)
def test_what_looks_like_a_line_and_is_somebody_elses_is_named(content: str) -> None:
    assert differences(expected(FIVE), [*ALL, Seen(201, SOMEONE, content)]) == [
        "message 201 looks like a line of this record, and is somebody else's."
    ]


@pytest.mark.parametrize(
    ("changes", "said_of_it"),
    [
        ({"beside": ("embeds",)}, ADDED),
        ({"beside": ("attachments", "components")}, ADDED),
        ({"was_edited": True}, BACK),
        ({"was_edited": True, "beside": ("embeds",)}, ADDED),
    ],
)
def test_whatever_stands_beside_the_words_of_a_post_or_was_there_is_named(
    changes: dict[str, Any], said_of_it: str
) -> None:
    seen = [*ALL[:2], ALL[2]._replace(**changes), *ALL[3:]]
    assert differences(expected(FIVE), seen) == [f"line 3: {said_of_it}."]


def test_what_herald_posted_with_another_account_of_former_times_still_counts() -> None:
    assert differences(expected(FIVE), [one._replace(author_id=SOMEONE) for one in ALL]) == []


def test_lines_that_wait_are_no_fault_and_a_line_that_was_never_posted_is() -> None:
    box = expected(FIVE, posts=[posted(number) for number in range(1, 4)], waiting={5})
    assert differences(box, ALL[:3]) == [f"line 4: {NEVER}."]


def test_what_herald_posted_and_could_not_note_is_the_line_and_no_double() -> None:
    box = expected(FIVE, posts=[posted(number) for number in range(1, 5)], waiting={5})
    assert differences(box, ALL) == []


def test_what_was_posted_while_the_channel_was_read_need_not_be_among_it() -> None:
    assert differences(expected(FIVE), ALL[:4], since=range(101, 105)) == []
    assert differences(expected(FIVE), ALL[:3], since=range(101, 105)) == [f"line 4: {GONE}."]


@given(st.sets(st.integers(1, 300), min_size=1))
def test_the_numbers_of_lines_in_words_name_each_of_them_and_no_other(numbers: set[int]) -> None:
    _, _, parts = name_lines(numbers).partition(" ")
    named: list[int] = []
    for part in parts.replace(" and ", ", ").split(", "):
        first, _, last = part.partition("-")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(numbers)


def test_a_tombstone_is_known_by_its_own_number_and_digest_not_by_those_it_repeats() -> None:
    assert read_post(f"`    7` Herald\n> line 3\n{said(3)}\n-# digest {digest(7)[:16]}") == (
        7,
        digest(7)[:16],
    )
    assert read_post("-# digest 0123456789abcdef") is None
    assert read_post(f"{said(3)}\nand more") is None


def test_posts_of_lines_that_were_lost_when_the_database_went_back_are_told_once_and_nobodys_fault() -> None:
    kept = [1, 2, 3, 1004, 1005]
    box = expected(kept, skipped=[(4, 1004)])
    seen = [*(message(number) for number in kept), message(4, place=201), message(6, place=203)]
    found = list(compare(box, seen, own=HERALD, since={post.message_id for post in box.posts}))
    assert [str(one) for one in found] == [
        "lines 4 and 6: they were lost when the database went back, which line 1004 tells."
    ]
    assert not any(one.is_fault for one in found)
    stranger = message(1006, place=204)
    assert differences(box, [*seen, stranger])[1:] == [
        "message 204 is by Herald, but is no line of this record."
    ]
