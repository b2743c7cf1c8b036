"""What customers read: its limits, and the fingerprint that people approve. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bot.characters import HIDDEN, MARKS_LIMIT, is_blank, is_piled, is_storable, units, visible_length
from bot.value import Value

# Whop states no limits. These keep a card inside Discord's 6,000 characters even when every
# character has to be escaped, and are far beyond what a phone shows.
SUBJECT_LIMIT: Final = 100
CONTENT_LIMIT: Final = 1500
SPLIT_CONTENT_LIMIT: Final = 700
EXTRA_LIMIT: Final = 200
# More of them would make a card longer than it may be, and nobody needs as many.
HIDDEN_LIMIT: Final = 10
# About what a lock screen shows before it cuts; told to the author, never enforced.
PHONE_SUBJECT: Final = 40
PHONE_CONTENT: Final = 150


class Text(Value):
    """One subject and content, exactly as typed."""

    subject: str
    content: str


class Notification(Value):
    """What customers read: one text for feed and phone (`all`), or `in_app` and `mobile`."""

    topic: str
    all: Text | None = None
    in_app: Text | None = None
    mobile: Text | None = None
    subtitle: str | None = None
    link: str | None = None

    def texts(self) -> tuple[tuple[str, Text], ...]:
        """Return the texts that are there, each with its Whop field name."""
        named = (("all", self.all), ("in_app", self.in_app), ("mobile", self.mobile))
        return tuple((field, text) for field, text in named if text is not None)

    def words(self) -> Iterator[str]:
        """Yield everything that was typed."""
        for _, text in self.texts():
            yield from (text.subject, text.content)
        yield from filter(None, (self.subtitle, self.link))


def proof_code(fingerprint: str) -> str:
    """Return the eight characters that stand for a fingerprint on cards."""
    return fingerprint[:8].upper()


def fingerprint(
    notification: Notification, *, audience: Mapping[str, object], generation: str, destination: str
) -> str:
    """Return the SHA-256 over everything that would reach customers.

    The destination is part of it, so that what was approved for Whop's sandbox can never go to
    production after a change of address.
    """
    scope = {"audience": audience, "generation": generation, "destination": destination}
    return fingerprint_of(printed(notification, scope))


def printed(
    notification: Notification, scope: Mapping[str, object], *, time: Mapping[str, object] | None = None
) -> Mapping[str, object]:
    """Return what is fingerprinted: the words, whom they reach by which way, and the time."""
    return {"notification": notification.model_dump(), **scope, **({"time": time} if time else {})}


def fingerprint_of(parts: Mapping[str, object]) -> str:
    """Return the SHA-256 over what is fingerprinted, as text that is the same wherever it is written."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def canonical(parts: Mapping[str, object]) -> str:
    """Return compact ASCII JSON with its keys in order."""
    return json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def content_limit(field: str) -> int:
    """Return how many characters, in UTF-16, fit the content of `all`, `in_app` or `mobile`."""
    return CONTENT_LIMIT if field == "all" else SPLIT_CONTENT_LIMIT


def problems(notification: Notification) -> list[str]:
    """Return a sentence for each thing that keeps the notification from being sent."""
    found = [sentence for field, text in notification.texts() for sentence in _text_problems(field, text)]
    for name, value in (("subtitle", notification.subtitle), ("link", notification.link)):
        if value is not None and (sentence := _length_problem(name, value, EXTRA_LIMIT)):
            found.append(sentence)
    if notification.all is None:
        if notification.in_app is None:
            found.append("The words for the feed are missing.")
        if notification.mobile is None:
            found.append("The words for the phone are missing: press “Phone words” to write them.")
    elif notification.in_app is not None or notification.mobile is not None:
        found.append("It has one text for feed and phone and another beside it: choose one of the two.")
    return found


def _text_problems(field: str, text: Text) -> Sequence[str]:
    where = {"all": "", "in_app": " for the feed", "mobile": " for the phone"}[field]
    parts = (("subject", text.subject, SUBJECT_LIMIT), ("content", text.content, content_limit(field)))
    return [
        sentence
        for name, value, limit in parts
        if (sentence := _length_problem(f"{name}{where}", value, limit))
    ]


def _length_problem(name: str, value: str, limit: int) -> str | None:
    if is_blank(value):
        return f"The {name} is empty."
    if (length := units(value)) > limit:
        counted = "" if visible_length(value) == length else " (an emoji or a stacked accent is several)"
        return f"The {name} has {length} characters{counted}; at most {limit} fit."
    if len(HIDDEN.findall(value)) > HIDDEN_LIMIT:
        return f"The {name} has more than {HIDDEN_LIMIT} invisible characters: retype it."
    if is_piled(value):
        return f"The {name} has a letter with more than {MARKS_LIMIT} marks piled on it: retype it."
    if not is_storable(value):
        return f"The {name} has characters that cannot be sent: retype it."
    return None
