"""Whop's API v1: experiences and the team, one request each, with an idempotency key."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from bot.delivery import Attempt, NoAnswer, Outcome, Request, Response
from bot.link import is_path
from bot.notification import Notification
from bot.policy.audience import Audience, ListTargets, Targets
from bot.policy.model import Policy
from bot.whop.answers import decode, rows_of, words_of
from bot.whop.api_log import ApiLog, get, marked
from bot.whop.gateway import (
    WORDS_LIMIT,
    Form,
    Probe,
    Rate,
    doubt,
    encode,
    read_with_key,
    read_without_key,
    somebody,
)
from bot.whop.reads import kind_of
from bot.whop.reads_v1 import ReadsV1

# Without this header Whop assumes 2025-01-01, where `account_id` does not exist.
API_VERSION_DATE: Final = "2026-10-15-1"
_DATED: Final = {"Api-Version-Date": API_VERSION_DATE}
COOL_DOWN: Final = timedelta(seconds=60)
# Whop states no limit: a refusal or an unknown answer then concerns no more people than these.
USERS_PER_REQUEST: Final = 500

_KINDS: Final = ("experiences", "team", "users_in_experience")
# Whose people have to be found first.
_FOUND: Final = ("products", "companies")


class V1:
    """POST /v1/notifications."""

    generation = "v1"
    version_date = API_VERSION_DATE
    names_inside = True
    rate = Rate(600, timedelta(seconds=60.5))
    form = Form(
        subject="Title",
        splits_feed_and_phone=False,
        has_subtitle=True,
        link="Path in the app",
        link_hint="Where a tap leads inside your app, such as /posts/5. May stay empty.",
    )

    def __init__(self, origin: str) -> None:
        self.base = f"{origin}/api/v1"
        self.log = ApiLog(self.base, headers=_DATED)
        self.reads = ReadsV1(self.base, headers=_DATED)

    def refuse_audience(self, audience: Audience) -> str | None:
        """Refuse what only v5 can reach: by name, whoever can be found in an experience is reached, too."""
        kinds = (*_KINDS, *_FOUND) if audience.is_once else _KINDS
        alien = [kind for kind in audience.targets.kinds() if kind not in kinds]
        if not alien:
            return None
        once = ', or write reach = "once"' if alien[0] in _FOUND else ""
        return f"targets.{alien[0]}: v1 cannot reach that; use {', '.join(kinds)}{once}, or WHOP_API=v5"

    def refuse_lists(self, experience: str | None) -> str | None:
        """Ask for the experience in which named people are reached."""
        if experience:
            return None
        return "experience: it is missing: v1 reaches people by name in an experience alone, so write which"

    def refuse_notification(self, notification: Notification) -> list[str]:
        """Refuse the fields that only v5 has."""
        refused: list[str] = []
        if notification.in_app or notification.mobile:
            refused.append("Different words for feed and phone: Whop's v1 has one text; edit it to one.")
        if notification.link and not notification.link.startswith("/"):
            refused.append("Path in the app: begin it with a slash, such as /posts/5.")
        elif notification.link and not is_path(notification.link):
            refused.append(
                "Path in the app: it has to stay in the app: begin it with one slash, and write only what"
                " stands in addresses, such as /posts/5."
            )
        return refused

    def describe(self, audience: Audience) -> list[str]:
        """Return one line for each request, or for each target."""
        if isinstance(audience.targets, ListTargets):
            inside = audience.targets.listed.experience
            return [f"the people of its list, in the experience {inside}, as a mention"]
        if not audience.is_once:
            return [line for _, line in _recipients(audience.targets)]
        return [
            "everyone once, by name and as a mention, which people who mute the rest still see",
            *_found(audience.targets),
        ]

    def build(
        self,
        notification: Notification,
        targets: Targets,
        *,
        new_key: Callable[[], str],
        number: int | None = None,
    ) -> tuple[Request, ...]:
        """Return one request for each experience, for the team and for named users."""
        bodies = [body for body, _ in _recipients(targets)]
        return self._requests(notification, bodies, new_key=new_key, number=number)

    def build_named(
        self,
        notification: Notification,
        pieces: Iterable[tuple[str, Sequence[str]]],
        *,
        new_key: Callable[[], str],
        number: int,
    ) -> tuple[Request, ...]:
        """Return one request for each piece; Whop reaches those alone who are inside."""
        bodies = ({_field_of(via): via, "user_ids": somebody(users)} for via, users in pieces)
        return self._requests(notification, bodies, new_key=new_key, number=number)

    def _requests(
        self,
        notification: Notification,
        bodies: Iterable[Mapping[str, Any]],
        *,
        new_key: Callable[[], str],
        number: int | None,
    ) -> tuple[Request, ...]:
        text = notification.all
        if text is None:
            raise ValueError("v1 has one text for feed and phone")
        words: dict[str, Any] = {"title": text.subject, "content": text.content}
        if notification.subtitle:
            words["subtitle"] = notification.subtitle
        if notification.link:
            words["rest_path"] = notification.link
        requests: list[Request] = []
        for position, recipients in enumerate(bodies, start=1):
            key = new_key()
            mark = {} if number is None else {"User-Agent": marked(number, position, key=key)}
            headers = {
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Api-Version-Date": API_VERSION_DATE,
                "Idempotency-Key": key,
            }
            requests.append(
                Request(
                    method="POST",
                    url=f"{self.base}/notifications",
                    headers=headers | mark,
                    body=encode({**words, **recipients}),
                )
            )
        # What names nobody that v1 could reach must not pass for sent, either.
        somebody([one.url for one in requests])
        return tuple(requests)

    def read(
        self,
        answer: Response | NoAnswer,
        *,
        attempt: int,
        now: datetime,
        proven: bool = False,
        earlier: Sequence[Attempt] = (),
    ) -> Outcome:
        """Read an answer; with a key that is proven, more of them may be tried again."""
        outcome = (
            read_with_key(answer, attempt=attempt, now=now, cool_down=COOL_DOWN, earlier=earlier)
            if proven
            else read_without_key(answer, attempt=attempt, now=now, cool_down=COOL_DOWN)
        )
        return doubt(outcome, answer, earlier=earlier)

    def probes(self, policy: Policy) -> Sequence[Probe]:
        """Ask for each experience and account of the policy whether this key may notify there."""
        resources = {
            resource: audience.name
            for server in policy.servers
            for audience in server.audiences
            for resource in _resources(audience.targets)
        }
        resources |= {
            one.lists.experience: "lists"
            for one in policy.servers
            if one.roles.lists and one.lists.experience
        }
        return [self._may_notify(resource, audience) for resource, audience in resources.items()]

    def _may_notify(self, resource: str, audience: str) -> Probe:
        query = urlencode({"resource_id": resource, "actions": "notification:create"})
        return Probe(
            request=get(f"{self.base}/permissions?{query}", _DATED),
            judge=lambda answer: _judge_permission(answer, resource, audience),
        )


def _recipients(targets: Targets) -> Iterator[tuple[dict[str, Any], str]]:
    for experience in somebody(targets.experiences) if targets.experiences else ():
        yield {"experience_id": experience}, f"everyone with access to the experience {experience}"
    if named := targets.users_in_experience:
        everyone = somebody(named.users)
        for first in range(0, len(everyone), USERS_PER_REQUEST):
            users = everyone[first : first + USERS_PER_REQUEST]
            yield (
                {"experience_id": named.experience, "user_ids": users},
                f"{', '.join(users)} in the experience {named.experience}, as a mention",
            )
    if targets.team:
        yield {"account_id": targets.team}, f"the team of {targets.team} only, no customers"


def _field_of(via: str) -> str:
    return "account_id" if kind_of(via) == "biz" else "experience_id"


def _found(targets: Targets) -> Iterator[str]:
    yield from (f"everyone with access to the experience {one}" for one in targets.experiences)
    yield from (f"everyone who owns the product {one}" for one in targets.products)
    yield from (f"everyone with an active product of the company {one}" for one in targets.companies)
    if named := targets.users_in_experience:
        yield f"{', '.join(named.users)} in the experience {named.experience}"
    if targets.team:
        yield f"the team of {targets.team}, no customers"


def _resources(targets: Targets) -> Iterator[str]:
    for body, _ in _recipients(targets):
        yield body.get("experience_id") or body["account_id"]


def _judge_permission(answer: Response, resource: str, audience: str) -> str | None:
    if answer.status != 200:
        return (
            f"WHOP_API_KEY: Whop v1 answered {answer.status} {words_of(answer)[:WORDS_LIMIT]}"
            f" when asked about {resource} (audience “{audience}”)."
        )
    rows = rows_of(decode(answer.body))
    if any(row.get("action") == "notification:create" and row.get("granted") for row in rows):
        return None
    return (
        f"WHOP_API_KEY: this key may not send notifications to {resource} (audience “{audience}”): give the"
        " app the permission notification:create and install it there."
    )
