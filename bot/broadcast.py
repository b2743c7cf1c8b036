"""A broadcast: what it says, where it stands, and which steps lead from there. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from bot.counted import Counted
from bot.notification import Notification, proof_code
from bot.policy.audience import Listed
from bot.schedule import Schedule
from bot.value import Person, Value


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


class DraftState(StrEnum):
    """How it is with a draft; one may be in several."""

    CAME_BACK = "came back"
    NOT_BACK = "not sent back"
    SHARED = "shared"
    TIMED = "with a time"


class Step(StrEnum):
    """What moves a broadcast from one status to another."""

    EDIT = "edit"
    GIVE_LIST = "give_list"
    USE_LIST = "use_list"
    SHARE = "share"
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
    RESCHEDULE = "reschedule"
    REPEAT = "repeat"
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
            Step.GIVE_LIST: Status.DRAFT,
            Step.USE_LIST: Status.DRAFT,
            Step.REPEAT: Status.DRAFT,
            Step.SHARE: Status.DRAFT,
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
            Step.HOLD: Status.HELD,
            Step.RESCHEDULE: Status.DRAFT,
        },
        Status.APPROVED: {
            Step.STOP: Status.DRAFT,
            Step.RESCHEDULE: Status.DRAFT,
            Step.HOLD: Status.HELD,
            Step.START: Status.SENDING,
            Step.CANCEL: Status.CANCELLED,
        },
        Status.HELD: {
            Step.RELEASE: Status.REVIEW,
            Step.RETURN: Status.DRAFT,
            Step.RESCHEDULE: Status.DRAFT,
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
# What the record, and the author, are told of a stop when whoever stopped it has said why.
EXPLAINED: Final = "said why"
# What the author is told when the undo window of what had a time of its own begins.
GOES_OUT: Final = "goes out soon"
# What the author is told of one of a series that lacks something, and so waits for them as a draft.
NOT_ASKED: Final = "not asked for"
# What the author is told once Whop was asked about everybody of a list.
LIST_CHECKED: Final = "list checked"
# What the record is told of a broadcast when a repeat of it can no longer be believed to have reached nobody.
TWICE: Final = "may have arrived twice"
# What reached customers, all of them or some, and can be corrected.
REACHED: Final = frozenset({Status.SENT, Status.PARTIAL})
BEFORE_SENDING: Final = frozenset({Status.DRAFT, Status.REVIEW, Status.APPROVED, Status.HELD})
# What goes out by itself, however long it has waited for that.
UNDER_WAY: Final = frozenset({Status.APPROVED, Status.SENDING})
ENDED: Final = frozenset(status for status, steps in TRANSITIONS.items() if not steps)
# What makes a draft again of what approvers had before them.
SENT_BACK: Final = frozenset(
    step
    for before, steps in TRANSITIONS.items()
    for step, after in steps.items()
    if after is Status.DRAFT and before is not Status.DRAFT
)


# From these steps on people decide anew, and no card from before counts.
DECIDED_ANEW: Final = frozenset(
    {
        Step.EDIT,
        Step.GIVE_LIST,
        Step.USE_LIST,
        Step.SUBMIT,
        Step.RELEASE,
        Step.RESCHEDULE,
        Step.REPEAT,
    }
)


class Approval(Value):
    """One approver's yes to one fingerprint, or to the template of that name.

    It was `named` where the audience counted as large and the approver typed its name. It `covers` those that
    follow in a series, if its card said so; for such a one, `series` is the broadcast that it was given to.
    """

    approver: Person
    at: datetime
    template: str | None = None
    named: bool = False
    covers: bool = False
    series: int | None = None


class Revision(NamedTuple):
    """What an editor wrote, and when."""

    number: int
    editor: Person
    at: datetime
    notification: Notification
    audience: str
    schedule: Schedule | None = None


class Read(NamedTuple):
    """What approvers had before them in an earlier review, and who of them had approved it."""

    number: int
    notification: Notification
    audience: str
    approved_by: tuple[str, ...] = ()
    schedule: Schedule | None = None


class Place(NamedTuple):
    """Where a message stands."""

    channel_id: int
    message_id: int

    def url(self, guild_id: int) -> str:
        """Return the link that leads there."""
        return f"https://discord.com/channels/{guild_id}/{self.channel_id}/{self.message_id}"


class Broadcast(Value):
    """One notification for one audience, with where it stands.

    It is `shared` with those who may write it as well as its author; `editors` are whose words it has had.
    `repeats` is the number of a broadcast that may have reached customers, and that this one sends again;
    `confirmed` are those with an equal proof code beside which its approvers want it to go out all the same.
    It `corrects` the one of that number, which went out, and is `corrected_by` others that are not cancelled.
    It is for the people of a list where they are `listed`, and then its audience is called after that.
    Those who approved the template that it is made of have `lent` it one approval. Without a `schedule` it
    goes out once it is approved; `timeless` is the fingerprint that it would have then. `card` is where its
    newest card stands, once it does. Submitted to go out `in_quiet_hours`, or `too_often`, it needs one
    approval more. The
    `nonce` is drawn at random whenever people are to decide anew. A test goes to its author alone: it is the
    `test_of` the broadcast with that number, or of nothing but a link to Whop if that is 0.
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
    schedule: Schedule | None = None
    due_at: datetime | None = None
    review_expires_at: datetime | None = None
    remind_at: datetime | None = None
    repeats: int | None = None
    corrects: int | None = None
    corrected_by: tuple[int, ...] = ()
    confirmed: tuple[int, ...] = ()
    nonce: str = ""
    timeless: str | None = None
    in_quiet_hours: bool = False
    too_often: bool = False
    series: int | None = None
    counted: Counted | None = None
    test_of: int | None = None
    listed: Listed | None = None
    count_id: int | None = None
    card: Place | None = None
    shared: tuple[Person, ...] = ()
    approvals: tuple[Approval, ...] = ()
    lent: tuple[Approval, ...] = ()

    @property
    def proof(self) -> str:
        """Return the proof code: the fingerprint's first characters, which people compare."""
        return proof_code(self.fingerprint)

    @property
    def is_test(self) -> bool:
        """Tell whether it concerns no customers, so that nobody but its author is to hear of it."""
        return self.test_of is not None

    @property
    def owners(self) -> frozenset[int]:
        """Return who may write it now, by their ids: its author, and those it is shared with."""
        return frozenset({self.author.id, *(one.id for one in self.shared)})

    @property
    def writers(self) -> frozenset[int]:
        """Return who wrote it, or may, by their ids: none of them may approve it."""
        return self.owners.union(self.editors)

    @property
    def likeness(self) -> str:
        """Return what it shares with whatever says the same to the same people, at whatever time."""
        return self.timeless or self.fingerprint

    @property
    def agreed(self) -> int:
        """Return how many approvals count: all that was lent as one, and nobody lends who gave their own."""
        return len(self.approvals) + bool(self.lent)

    def is_overdue(self, now: datetime) -> bool:
        """Tell whether its review has ended, though nobody may have come yet to give it back."""
        ends = self.review_expires_at
        return self.status is Status.REVIEW and ends is not None and ends <= now

    @property
    def title(self) -> str:
        """Return the subject by which people recognise it."""
        return self.notification.texts()[0][1].subject
