"""The v5 generation: topics, feed and phone apart, four kinds of target, no idempotency."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bot.sandbox.whop.call import Answer, Call, Catalogue, Refusal
from bot.sandbox.whop.fields import (
    Body,
    CompanyId,
    ExperienceId,
    Malformed,
    ProductId,
    UserId,
    Words,
    read_body,
)
from bot.sandbox.whop.limit import CoolDown
from bot.sandbox.whop.record import Push, Text
from bot.sandbox.whop.v5_reads import Reads

QUEUED = "Notifications are sent by a background job, so we cannot confirm how many will be delivered."


class Message(Body):
    """Read one text."""

    subject: Words
    content: Words

    def text(self) -> Text:
        """Give subject and content."""
        return self.subject, self.content


class Channels(Body):
    """Read one text for both channels, or one for each."""

    all: Message | None = None
    in_app: Message | None = None
    mobile: Message | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.all is None) == (self.in_app is None) or (self.in_app is None) != (self.mobile is None):
            raise PydanticCustomError("channels", "give either all, or both in_app and mobile")
        return self

    def feed(self) -> Text | None:
        """Give what the feed shows."""
        message = self.in_app or self.all
        return message and message.text()

    def phone(self) -> Text | None:
        """Give what the phone shows."""
        message = self.mobile or self.all
        return message and message.text()


class Target(Body):
    """Read whom to reach."""

    # An unknown kind of target reaches nobody, so it is refused rather than ignored.
    model_config = ConfigDict(extra="forbid")

    users: list[UserId] = Field(default_factory=list[UserId])
    products: list[ProductId] = Field(default_factory=list[ProductId])
    companies: list[CompanyId] = Field(default_factory=list[CompanyId])
    experiences: list[ExperienceId] = Field(default_factory=list[ExperienceId])

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.users or self.products or self.companies or self.experiences):
            raise PydanticCustomError("nobody", "must name users, products, companies or experiences")
        return self

    def described(self) -> list[str]:
        """Name each product, company, experience and user."""
        return [
            *(f"product {one}" for one in self.products),
            *(f"company {one}" for one in self.companies),
            *(f"experience {one}" for one in self.experiences),
            *(f"user {one}" for one in self.users),
        ]


class Notification(Body):
    """Read the body of a send."""

    topic_identifier: Words
    notification_data: Channels
    targets: list[Target]
    deep_link: str | None = None
    target_app_view: str | None = None

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.targets:
            raise PydanticCustomError("nobody", "targets: must not be empty")
        return self


class V5:
    """Answer the v5 API from what exists at the simulated Whop."""

    name: Literal["v5"] = "v5"

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._reads = Reads(catalogue)
        self._limit = CoolDown(calls=20, span=timedelta(seconds=10), rest=timedelta(seconds=60))

    def admit(self, call: Call) -> None:
        """Count the call against 20 per 10 seconds, all operations together."""
        if wait := self._limit.wait(call.credential, call.at):
            raise self.rate_limited(wait)

    def rate_limited(self, seconds: int) -> Refusal:  # noqa: ARG002 - v5 never says how long
        """Give the refusal of a call that is one too many."""
        return Refusal(429, "rate_limited", "You are being rate limited")

    def refuse(self, refusal: Refusal) -> Answer:
        """Put a refusal into the envelope of v5."""
        return Answer.of(refusal.status, {"message": refusal.message})

    def recall(self, call: Call) -> None:
        """Remember nothing: every call runs."""

    def answer(self, call: Call) -> tuple[Answer, Push | None]:
        """Answer a send or one of the reads."""
        match (call.method, call.path):
            case ("POST", "app/notifications"):
                return self._send(call)
            case ("GET", _):
                return self._reads.answer(call), None
            case _:
                raise Refusal(404, "not_found", f"No route matches {call.method} /api/v5/{call.path}")

    def _send(self, call: Call) -> tuple[Answer, Push]:
        try:
            notification = read_body(Notification, call)
        except Malformed as error:
            raise _bad(str(error)) from None
        self._check_known(notification)
        return Answer.of(201, {"status": "created", "message": QUEUED}), Push(
            at=call.at,
            generation="v5",
            audience=", ".join(one for target in notification.targets for one in target.described()),
            feed=notification.notification_data.feed(),
            phone=notification.notification_data.phone(),
            subtitle=None,
            link=notification.deep_link,
            topic=notification.topic_identifier,
            reached=self._catalogue.people.reached(
                experiences=[one for target in notification.targets for one in target.experiences],
                products=[one for target in notification.targets for one in target.products],
                companies=[one for target in notification.targets for one in target.companies],
                users=[one for target in notification.targets for one in target.users],
            ),
        )

    def _check_known(self, notification: Notification) -> None:
        topics = {identifier for identifier, _ in self._catalogue.topics}
        if topics and notification.topic_identifier not in topics:
            raise _bad(f"topic_identifier: no topic {notification.topic_identifier}")
        for target in notification.targets:
            for known, named in (
                (self._catalogue.experiences, target.experiences),
                (self._catalogue.products, target.products),
            ):
                if known and (strange := [one for one in named if one not in known]):
                    raise _bad(f"targets: not found: {', '.join(strange)}")


def _bad(message: str) -> Refusal:
    return Refusal(400, "bad_request", message)
