"""The answer in one sentence: true in every state, and true of what people did before."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.audit import broadcast_export
from bot.audit.chain import HERALD, Event
from bot.broadcast import Approval, Broadcast, Status, Step
from bot.delivery import Delivery, DeliveryStatus, Request
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.summary import EXPLAINED, LATE, Course, summary
from bot.value import Person

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MAYA, OMAR, LENA = Person(1, "Maya"), Person(2, "Omar"), Person(3, "Lena")
REQUEST = Request(method="POST", url="https://api.whop.com", headers={}, body=b"")


def at(minute: int) -> datetime:
    return NOON + timedelta(minutes=minute)


def yes(*people: Person, template: str | None = None) -> tuple[Approval, ...]:
    return tuple(Approval(approver=one, at=NOON, template=template) for one in people)


def did(step: str, minute: int, who: Person = HERALD, detail: str = "") -> Event:
    return Event(
        guild_id=7, at=at(minute), actor=who, action=str(step), broadcast_id=10, proof="ABCD1234",
        detail=detail, sequence=minute + 1, previous="p", digest="d",
    )  # fmt: skip


def course(
    status: Status,
    *events: Event,
    requests: Sequence[tuple[str, str]] = (),
    writers: Sequence[Person] = (MAYA,),
    needed: int | None = 1,
    frozen: bool = False,
    **changes: Any,
) -> Course:
    values: dict[str, Any] = {
        "id": 10, "guild_id": 7, "author": MAYA, "editors": (1,), "audience": "Gold members",
        "notification": Notification(topic="t", all=Text(subject="s", content="c")), "status": status,
        "revision": 1, "fingerprint": "f" * 64, "origin_channel_id": 5, "created_at": NOON,
        "updated_at": at(50), "due_at": at(37), "review_expires_at": at(55),
    }  # fmt: skip
    deliveries = [
        Delivery(
            id=number, broadcast_id=10, position=number, account=ACCOUNT, request=REQUEST,
            status=DeliveryStatus(one), attempts=1, detail=detail,
        )
        for number, (one, detail) in enumerate(requests, start=1)
    ]  # fmt: skip
    return Course(Broadcast(**(values | changes)), writers, deliveries, events, needed, frozen)


ACCEPTED, REJECTED, UNKNOWN = ("accepted", ""), ("rejected", "Whop refused it (422)."), ("unknown", "")
PENDING = ("pending", "")
SENT = did(Step.SUBMIT, 1, MAYA), did(Step.START, 36)
TABLE = [
    (course(Status.DRAFT), "a draft for Gold members that nobody has been asked to approve yet"),
    (
        course(Status.DRAFT, did(Step.SUBMIT, 1), did(Step.REQUEST_CHANGES, 2, OMAR, "Too long.")),
        "sent back by Omar at 12:02 and so a draft for Gold members again: Too long",
    ),
    (
        course(Status.DRAFT, did(Step.SUBMIT, 1), did(Step.WITHDRAW, 2, MAYA)),
        "withdrawn by Maya at 12:02 and so a draft for Gold members again",
    ),
    (
        course(Status.DRAFT, did(Step.SUBMIT, 1), did(Step.EXPIRE, 2)),
        "not decided in time at 12:02 and so a draft for Gold members again",
    ),
    (
        course(
            Status.DRAFT, did(Step.STOP, 2, OMAR), did(EXPLAINED, 3, OMAR, "A typo."), did(Step.STOP, 9, LENA)
        ),
        "stopped by Omar at 12:02 (A typo), stopped by Lena at 12:09 and so a draft for Gold members again",
    ),
    (
        course(Status.DRAFT, did(Step.STOP, 2, LENA), did(EXPLAINED, 3, LENA, "Wrong price")),
        "stopped by Lena at 12:02 (Wrong price) and so a draft for Gold members again",
    ),
    (
        course(Status.DRAFT, did(Step.HOLD, 2), did(Step.RETURN, 3, LENA)),
        "taken back by Lena at 12:03 and so a draft for Gold members again",
    ),
    (
        course(Status.REVIEW, did(Step.SUBMIT, 1)),
        "waits for 1 approval before it can go to Gold members, until 12:55",
    ),
    (
        course(Status.REVIEW, did(Step.SUBMIT, 1), approvals=yes(OMAR), needed=3),
        "approved by Omar, waits for 2 more approvals before it can go to Gold members, until 12:55",
    ),
    (
        course(Status.REVIEW, needed=None, review_expires_at=None),
        "waits for approval before it can go to Gold members",
    ),
    (
        course(Status.APPROVED, approvals=yes(OMAR, LENA)),
        "approved by Omar and Lena, goes out to Gold members at 12:37",
    ),
    (
        course(Status.APPROVED, approvals=yes(OMAR), frozen=True),
        "approved by Omar, does not go out to Gold members while sending is frozen",
    ),
    (
        course(Status.HELD, did(Step.HOLD, 38), approvals=yes(OMAR), reason="it was due 20 minutes ago"),
        "approved by Omar, held at 12:38 and not sent to Gold members: it was due 20 minutes ago",
    ),
    (
        course(Status.SENDING, *SENT, requests=[ACCEPTED, PENDING, PENDING], approvals=yes(OMAR)),
        "approved by Omar, being sent to Gold members since 12:36, 1 of 3 requests accepted by Whop so far",
    ),
    (course(Status.SENDING, *SENT, requests=[PENDING]), "being sent to Gold members since 12:36"),
    (
        course(Status.SENT, *SENT, did(Step.ACCEPTED, 37), requests=[ACCEPTED], approvals=yes(OMAR)),
        "approved by Omar, sent once to Gold members, accepted by Whop at 12:37",
    ),
    (
        course(Status.SENT, *SENT, did(Step.ACCEPTED, 37), requests=[ACCEPTED] * 3, approvals=yes(OMAR)),
        "approved by Omar, sent once to Gold members in 3 requests, all accepted by Whop at 12:37",
    ),
    (
        course(
            Status.SENT, did(Step.STOP, 5, LENA), *SENT, did(Step.ACCEPTED, 37), requests=[ACCEPTED],
            approvals=yes(OMAR),
        ),
        "stopped by Lena at 12:05, approved by Omar, sent once to Gold members, accepted by Whop at 12:37",
    ),
    (
        course(
            Status.SENT, *SENT, did(Step.ACCEPTED, 37), requests=[ACCEPTED],
            lent=yes(OMAR, LENA, template="We are down"),
        ),
        "approved beforehand as the template “We are down” by Omar and Lena, sent once to Gold members,"
        " accepted by Whop at 12:37",
    ),
    (
        course(
            Status.SENT, *SENT, did(Step.ACCEPTED, 37), requests=[ACCEPTED], approvals=yes(LENA),
            lent=yes(OMAR, template="We are down"),
        ),
        "approved beforehand as the template “We are down” by Omar, approved by Lena, sent once to Gold"
        " members, accepted by Whop at 12:37",
    ),
    (
        course(
            Status.SENT, *SENT, did(Step.UNANSWERED, 37), did(Step.CONFIRM, 44, LENA, "I got it."),
            requests=[("accepted", "Lena says so: I got it.")], approvals=yes(OMAR),
        ),
        "approved by Omar, sent once to Gold members, without a known answer from Whop, of which Lena said at"
        " 12:44 that it went out: I got it",
    ),
    (
        course(
            Status.FAILED, *SENT, did(Step.UNANSWERED, 37), did(Step.DENY, 44, LENA, "Nobody got it."),
            did(LATE, 46, detail="accepted, which is not what stands on the card"),
            requests=[("rejected", "Lena says so: Nobody got it.")],
        ),
        "sent once to Gold members, without a known answer from Whop, of which Lena said at 12:44 that it did"
        " not go out: Nobody got it; but Whop's late answer at 12:46 was accepted, which is not what stands"
        " on the card",
    ),
    (
        course(Status.FAILED, *SENT, did(Step.NOT_ACCEPTED, 37), requests=[REJECTED], approvals=yes(OMAR)),
        "approved by Omar, not accepted by Whop at 12:37, so that nobody of Gold members got it: Whop refused"
        " it (422)",
    ),
    (
        course(Status.PARTIAL, *SENT, did(Step.PARTLY, 37), requests=[ACCEPTED, REJECTED, ACCEPTED]),
        "sent once to Gold members, 2 of 3 requests accepted by Whop at 12:37: Whop refused it (422)",
    ),
    (
        course(
            Status.PARTIAL, *SENT, did(Step.UNANSWERED, 37), did(Step.DENY, 44, LENA, "No."),
            requests=[ACCEPTED, ("rejected", "Lena says so: No.")],
        ),
        "sent once to Gold members, 1 of 2 requests gone out, some of which only Lena at 12:44 could tell:"
        " Lena says so: No",
    ),
    (
        course(Status.UNKNOWN, *SENT, requests=[UNKNOWN], reason="no answer came.", approvals=yes(OMAR)),
        "approved by Omar, sent to Gold members at 12:36, and nobody knows whether customers got it: no"
        " answer came",
    ),
    (
        course(Status.UNKNOWN, *SENT, requests=[ACCEPTED, UNKNOWN], reason="no answer came"),
        "sent to Gold members at 12:36, and nobody knows whether customers got it, 1 of 2 requests accepted"
        " by Whop so far: no answer came",
    ),
    (
        course(Status.CANCELLED, did(Step.SUBMIT, 1), did(Step.CANCEL, 2, LENA)),
        "cancelled by Lena at 12:02 and never sent to Gold members",
    ),
    (
        course(Status.CANCELLED, did(Step.SUBMIT, 1), did(Step.REJECT, 2, OMAR, "Not now.")),
        "rejected by Omar at 12:02 and never sent to Gold members: Not now",
    ),
    (course(Status.CANCELLED), "cancelled and never sent to Gold members"),
]  # fmt: skip


def told(one: Course) -> str:
    return summary(one, spoken=str, moment=lambda when: f"{when:%H:%M}")


@pytest.mark.parametrize(("one", "end"), TABLE)
def test_it_says_who_wrote_it_who_agreed_and_what_became_of_it(one: Course, end: str) -> None:
    assert told(one) == f"#10: written by Maya, {end}."


def test_every_status_stands_in_the_table() -> None:
    assert {one.broadcast.status for one, _ in TABLE} == set(Status)


def test_everybody_whose_words_may_be_in_it_is_named_and_a_second_push_is_called_one() -> None:
    again = course(
        Status.SENT, *SENT, did(Step.ACCEPTED, 37), requests=[ACCEPTED], writers=(MAYA, LENA), repeats=7
    )
    assert told(again) == (
        "#10: written by Maya and Lena, which sends #7 again, of which nobody knew whether customers got it,"
        " sent once to Gold members, accepted by Whop at 12:37."
    )


def test_what_people_typed_is_made_harmless_everywhere() -> None:
    for one, _ in TABLE:
        said = summary(one, spoken=lambda _: "…", moment=lambda _: "then")
        assert not any(
            typed in said for typed in ("Maya", "Omar", "Lena", "Gold", "Too long", "We are down", "typo")
        )


def test_a_name_from_the_right_keeps_its_direction_to_itself_on_the_host() -> None:
    one = course(Status.DRAFT, writers=(Person(1, "משה"),))
    assert "written by \u2068משה\u2069, a draft" in broadcast_export.told(one)


def test_a_long_reason_is_cut() -> None:
    one = course(Status.CANCELLED, did(Step.REJECT, 2, OMAR, "no " * 400))
    assert len(told(one)) < 450
