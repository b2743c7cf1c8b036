"""The v1 generation: one experience or one account's team, dated versions, idempotency keys."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from bot.sandbox.whop.call import Answer, Call, Catalogue, Refusal
from bot.sandbox.whop.fields import (
    Body,
    CompanyId,
    ExperienceId,
    Malformed,
    UserId,
    Words,
    read_body,
)
from bot.sandbox.whop.limit import Window
from bot.sandbox.whop.people import Reached
from bot.sandbox.whop.record import Push, Served
from bot.sandbox.whop.replay import NewEvent, Replays
from bot.sandbox.whop.v1_reads import ACCOUNT, Reads, invalid, paged

OLDEST_VERSION = "2025-01-01"
NEWEST_VERSION = "2026-10-15-1"
NOTIFY = "notification:create"
SENDING = "api/v1/notifications#create"


class Notification(Body):
    """Read what the bodies of all versions have in common."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset({"subtitle", "icon_user_id", "rest_path"})
    ACCOUNT_FIELD: ClassVar[str] = "account_id"

    title: Words
    content: Words
    experience_id: ExperienceId | None = None
    user_ids: list[UserId] | None = None
    subtitle: str | None = None
    icon_user_id: UserId | None = None
    rest_path: str | None = None

    @property
    def team_of(self) -> str | None:
        """Give the account whose team is reached, by whatever name the version has for it."""
        return None

    @model_validator(mode="after")
    def _one_audience(self) -> Self:
        pair = f"experience_id or {self.ACCOUNT_FIELD}"
        if not self.experience_id and not self.team_of:
            raise PydanticCustomError("nobody", "Missing required parameter: {pair}", {"pair": pair})
        if self.experience_id and self.team_of:
            raise PydanticCustomError("both", "give exactly one of {pair}", {"pair": pair})
        if self.user_ids == []:
            raise PydanticCustomError("nobody", "user_ids: must not be empty")
        return self

    def audience(self) -> str:
        """Describe who gets it; an account's team are not its customers, which is easily mistaken."""
        notes = [] if self.experience_id else ["no customers"]
        if self.user_ids:
            users = "1 named user" if len(self.user_ids) == 1 else f"{len(self.user_ids)} named users"
            notes.append(f"{users}, as a mention")
        whole = (
            f"experience {self.experience_id}" if self.experience_id else f"team of account {self.team_of}"
        )
        return f"{whole} ({'; '.join(notes)})" if notes else whole


class AccountNotification(Notification):
    """Read the body of a send, as it is today."""

    account_id: CompanyId | None = None

    @property
    def team_of(self) -> str | None:
        return self.account_id


class CompanyNotification(Notification):
    """Read the body of a send, as it was in the oldest version."""

    ACCOUNT_FIELD: ClassVar[str] = "company_id"

    company_id: CompanyId | None = None

    @property
    def team_of(self) -> str | None:
        return self.company_id


VERSIONS: Mapping[str, type[Notification]] = {
    OLDEST_VERSION: CompanyNotification,
    NEWEST_VERSION: AccountNotification,
}


class V1:
    """Answer the v1 API from what exists at the simulated Whop."""

    name: Literal["v1"] = "v1"

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._reads = Reads(catalogue)
        self._limit = Window(calls=600, span=timedelta(minutes=1))
        self._replays = Replays()

    def admit(self, call: Call) -> None:
        """Count the call against 600 per minute for its operation."""
        operation = f"{call.credential} {call.method} {call.path.partition('/')[0]} {call.path.count('/')}"
        if wait := self._limit.wait(operation, call.at):
            raise self.rate_limited(wait)

    def rate_limited(self, seconds: int) -> Refusal:
        """Give the refusal of a call that is one too many, with the wait in its message."""
        unit = "second" if seconds == 1 else "seconds"
        return Refusal(429, "rate_limit_exceeded", f"Try again in {seconds} {unit}.")

    def refuse(self, refusal: Refusal) -> Answer:
        """Put a refusal into the envelope of v1."""
        error = {"type": refusal.kind, "message": refusal.message}
        return Answer.of(refusal.status, {"error": error | ({"code": refusal.code} if refusal.code else {})})

    def recall(self, call: Call) -> NewEvent | None:
        """Open the call's idempotency key; any POST may have one."""
        return self._replays.open(call, version=_version(call)) if call.method == "POST" else None

    def answer(self, call: Call) -> tuple[Answer, Push | None]:
        """Answer a send or one of the reads."""
        if _version(call) not in VERSIONS:
            raise invalid(f"Api-Version-Date {_version(call)} is not a known version")
        match (call.method, *call.path.split("/")):
            case ("POST", "notifications"):
                return self._send(call)
            case ("GET", "permissions"):
                return self._permissions(call), None
            case ("GET", "api_logs"):
                return self._logs(call), None
            case ("GET", *_):
                account = VERSIONS[_version(call)].ACCOUNT_FIELD
                return self._reads.answer(call, account_field=account), None
            case _:
                raise Refusal(404, "not_found", f"No route matches {call.method} /api/v1/{call.path}")

    def _send(self, call: Call) -> tuple[Answer, Push]:
        if NOTIFY not in self._catalogue.permissions:
            raise Refusal(403, "forbidden", f"This credential lacks the permission {NOTIFY}")
        try:
            notification = read_body(VERSIONS[_version(call)], call)
        except Malformed as error:
            raise invalid(str(error)) from None
        if notification.experience_id:
            self._check_known(notification.experience_id)
        text = notification.title, notification.content
        return Answer.of(202, {"success": True}), Push(
            at=call.at,
            generation="v1",
            audience=notification.audience(),
            feed=text,
            phone=text,
            subtitle=notification.subtitle,
            link=notification.rest_path,
            topic=None,
            reached=self._reached(notification),
        )

    def _reached(self, notification: Notification) -> Reached:
        people, experience = self._catalogue.people, notification.experience_id
        if experience is None:
            return people.reached(teams=[notification.team_of or ""])
        if notification.user_ids is None:
            return people.reached(experiences=[experience])
        return people.mentioned(experience, notification.user_ids)

    def _check_known(self, experience_id: str) -> None:
        if self._catalogue.experiences and experience_id not in self._catalogue.experiences:
            raise Refusal(404, "not_found", f"No experience {experience_id}")

    def _permissions(self, call: Call) -> Answer:
        resource = call.params.get("resource_id")
        if not resource:
            raise invalid("Missing required parameter: resource_id")
        asked = call.params.get("actions")
        actions = asked.split(",") if asked else sorted(self._catalogue.permissions)
        seen = self._sees(resource)
        granted = [
            {"action": action, "granted": seen and action in self._catalogue.permissions}
            for action in actions
        ]
        return Answer.of(200, {"data": granted})

    def _sees(self, resource: str) -> bool:
        # A resource that the credential cannot see is answered with nothing granted, never with an error.
        kind, _, rest = resource.partition("_")
        known = {"exp": self._catalogue.experiences, "prod": self._catalogue.products, "biz": {}, "app": {}}
        return bool(rest) and kind in known and (not known[kind] or resource in known[kind])

    def _logs(self, call: Call) -> Answer:
        if not self._catalogue.shows_log:
            raise Refusal(403, "forbidden", "This credential may not read the API log")
        since, until = (_moment(call, name) for name in ("created_after", "created_before"))
        # Newest first, and only what the key itself did.
        rows = [
            _log_row(one)
            for one in reversed(self._catalogue.served)
            if one.credential == call.credential
            and call.params.get("account_id", one.account) == one.account
            and call.params.get("operation_name", SENDING) == SENDING
            and (since is None or one.at >= since)
            and (until is None or one.at < until)
        ]
        return paged(call, rows)


def _version(call: Call) -> str:
    return call.headers.get("Api-Version-Date", OLDEST_VERSION)


def account_of(call: Call) -> str:
    """Return to whom a send belongs: the account whose team it names, or the owner of the experiences."""
    try:
        return str(json.loads(call.body)["account_id"])
    except (ValueError, TypeError, LookupError):
        return ACCOUNT


def _log_row(served: Served) -> dict[str, object]:
    return {
        "id": served.id,
        "created_at": served.at.isoformat(),
        "http_method": "POST",
        "http_path": "/api/v1/notifications",
        "operation_name": SENDING,
        "status": "success" if served.status < 400 else "error",
        "status_code": served.status,
        "user_agent": served.user_agent,
        "resource_id": None,
    }


def _moment(call: Call, name: str) -> datetime | None:
    said = call.params.get(name)
    try:
        return datetime.fromisoformat(said) if said else None
    except ValueError:
        raise invalid(f"{name}: not an ISO 8601 timestamp") from None
