"""A broadcast: what it says, where it stands, and which steps lead from there. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import regex
from pydantic import BaseModel, ConfigDict

# Whop states no limits. These keep a card inside Discord's 6,000 characters even when every
# character has to be escaped, and are far beyond what a phone shows.
SUBJECT_LIMIT: Final = 100
CONTENT_LIMIT: Final = 1500
SPLIT_CONTENT_LIMIT: Final = 700
EXTRA_LIMIT: Final = 200
# One visible character may be many code points (an emoji family is seven).
CODE_POINT_SLACK: Final = 1.2

# Characters that nobody sees: they turn the direction of writing around, join, part, or fill with nothing.
# Joiners have a meaning between letters of scripts that need them and in emoji, and tags in flags.
HIDDEN: Final = regex.compile(
    r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb]"
    r"|(?:(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f]))"
    r"|(?<!\U0001f3f4[\U000e0020-\U000e007f]*)[\U000e0020-\U000e007f]"
    # Halves of characters, which no file and no message can hold.
    r"|[\ud800-\udfff]"
)
# More of them would make a card longer than it may be, and nobody needs as many.
HIDDEN_LIMIT: Final = 10
_UNSTORABLE: Final = regex.compile(r"[\x00\ud800-\udfff]")

# About what a lock screen shows before it cuts; told to the author, never enforced.
PHONE_SUBJECT: Final = 40
PHONE_CONTENT: Final = 150


class Status(StrEnum):
    """Where a broadcast stands."""

    DRAFT = "draft"
    REVIEW = "review"
    APPROVED = "approved"
    HELD = "held"
    SENDING = "sending"
    SENT = "sent"
    PARTIAL = "partial"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What moves a broadcast from one status to another."""

    EDIT = "edit"
    SUBMIT = "submit"
    CANCEL = "cancel"
    APPROVE = "approve"
    RETRACT = "retract"
    QUORUM = "quorum"
    WITHDRAW = "withdraw"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"
    EXPIRE = "expire"
    STOP = "stop"
    HOLD = "hold"
    RELEASE = "release"
    RETURN = "return"
    START = "start"
    ACCEPTED = "accepted"
    PARTLY = "partly"
    NOT_ACCEPTED = "not_accepted"
    UNANSWERED = "unanswered"
    CHECK = "check"
    CONFIRM = "confirm"
    DENY = "deny"


TRANSITIONS: Final[Mapping[Status, Mapping[Step, Status]]] = MappingProxyType(
    {
        Status.DRAFT: {
            Step.EDIT: Status.DRAFT,
            Step.SUBMIT: Status.REVIEW,
            Step.CANCEL: Status.CANCELLED,
        },
        Status.REVIEW: {
            Step.APPROVE: Status.REVIEW,
            Step.RETRACT: Status.REVIEW,
            Step.QUORUM: Status.APPROVED,
            Step.WITHDRAW: Status.DRAFT,
            Step.REQUEST_CHANGES: Status.DRAFT,
            Step.EXPIRE: Status.DRAFT,
            Step.REJECT: Status.CANCELLED,
            Step.CANCEL: Status.CANCELLED,
        },
        Status.APPROVED: {
            Step.STOP: Status.DRAFT,
            Step.HOLD: Status.HELD,
            Step.START: Status.SENDING,
            Step.CANCEL: Status.CANCELLED,
        },
        Status.HELD: {
            Step.RELEASE: Status.REVIEW,
            Step.RETURN: Status.DRAFT,
            Step.CANCEL: Status.CANCELLED,
        },
        Status.SENDING: {
            Step.ACCEPTED: Status.SENT,
            Step.PARTLY: Status.PARTIAL,
            Step.NOT_ACCEPTED: Status.FAILED,
            Step.UNANSWERED: Status.UNKNOWN,
        },
        # Never back to sending: most unknowns did arrive, so a person decides, or true evidence does.
        Status.UNKNOWN: {
            Step.CHECK: Status.UNKNOWN,
            Step.UNANSWERED: Status.UNKNOWN,
            Step.ACCEPTED: Status.SENT,
            Step.PARTLY: Status.PARTIAL,
            Step.NOT_ACCEPTED: Status.FAILED,
            Step.CONFIRM: Status.SENT,
            Step.DENY: Status.FAILED,
        },
        Status.SENT: {},
        Status.PARTIAL: {},
        Status.FAILED: {},
        Status.CANCELLED: {},
    }
)

OPEN: Final = frozenset(
    {Status.REVIEW, Status.APPROVED, Status.HELD, Status.SENDING, Status.UNKNOWN},
)
# What the author is told where they composed, unless they did it themselves.
ECHOED: Final = frozenset(
    {
        Step.REQUEST_CHANGES,
        Step.REJECT,
        Step.EXPIRE,
        Step.STOP,
        Step.CANCEL,
        Step.HOLD,
        Step.RETURN,
        Step.ACCEPTED,
        Step.PARTLY,
        Step.NOT_ACCEPTED,
        Step.UNANSWERED,
        Step.CONFIRM,
        Step.DENY,
    }
)
ENDED: Final = frozenset(status for status, steps in TRANSITIONS.items() if not steps)


class Frozen(BaseModel):
    """A value: checked when made, never changed after."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Text(Frozen):
    """One subject and content, exactly as typed."""

    subject: str
    content: str


class Notification(Frozen):
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


class Person(NamedTuple):
    """Someone as they were when they acted: Discord id and display name."""

    id: int
    name: str


class Approval(Frozen):
    """One approver's yes to one fingerprint, or to the template of that name."""

    approver: Person
    at: datetime
    template: str | None = None


class Broadcast(Frozen):
    """One notification for one audience, with where it stands.

    `repeats` is the number of a broadcast that may have reached customers, and that this one sends again.
    Those who approved the template that it is made of have `lent` it one approval.
    """

    id: int
    guild_id: int
    author: Person
    editors: tuple[int, ...]
    audience: str
    notification: Notification
    status: Status
    revision: int
    fingerprint: str
    origin_channel_id: int
    created_at: datetime
    updated_at: datetime
    note: str = ""
    reason: str = ""
    due_at: datetime | None = None
    review_expires_at: datetime | None = None
    repeats: int | None = None
    approvals: tuple[Approval, ...] = ()
    lent: tuple[Approval, ...] = ()

    @property
    def proof(self) -> str:
        """Return the proof code: the fingerprint's first characters, which people compare."""
        return proof_code(self.fingerprint)

    @property
    def agreed(self) -> int:
        """Return how many approvals count: all that was lent as one, and nobody lends who gave their own."""
        return len(self.approvals) + bool(self.lent)

    @property
    def title(self) -> str:
        """Return the subject by which people recognise it."""
        return self.notification.texts()[0][1].subject


def template_number(fingerprint: str) -> int:
    """Return what stands for a template's fingerprint where only a number fits."""
    return int(fingerprint[:12], 16)


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
    whole = {
        "notification": notification.model_dump(),
        "audience": audience,
        "generation": generation,
        "destination": destination,
    }
    canonical = json.dumps(whole, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def reveal(text: str) -> str:
    """Return the text with the names of characters that nobody would see in their places."""
    return HIDDEN.sub(lambda match: "".join(f"⟨U+{ord(ch):04X}⟩" for ch in match[0]), text)


def is_storable(text: str) -> bool:
    """Tell whether every database can keep the text as it is."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """Return the text with U+FFFD in place of each character that some database cannot keep."""
    return _UNSTORABLE.sub("\ufffd", text)


def visible_length(text: str) -> int:
    """Count characters as a phone shows them: an emoji family or an accented letter is one."""
    return sum(1 for _ in regex.finditer(r"\X", text))


def content_limit(field: str) -> int:
    """Return how many visible characters fit the content of `all`, `in_app` or `mobile`."""
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
    if not value.strip():
        return f"The {name} is empty."
    if (length := visible_length(value)) > limit:
        return f"The {name} has {length} characters; at most {limit} fit."
    if len(value) > limit * CODE_POINT_SLACK:
        return f"The {name} has too many combined characters (such as emoji or stacked accents)."
    if len(HIDDEN.findall(value)) > HIDDEN_LIMIT:
        return f"The {name} has more than {HIDDEN_LIMIT} invisible characters: retype it."
    if not is_storable(value):
        return f"The {name} has characters that cannot be sent: retype it."
    return None
