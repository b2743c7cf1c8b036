"""Whop's API v5: topics, feed and phone, four kinds of targets. No idempotency key."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from bot.delivery import Attempt, NoAnswer, Outcome, Request, Response
from bot.link import host_of
from bot.notification import Notification
from bot.policy.audience import Audience, ListTargets, Targets
from bot.policy.model import Policy
from bot.whop.answers import as_object, decode, rows_of, words_of
from bot.whop.api_log import get
from bot.whop.gateway import WORDS_LIMIT, Form, Probe, Rate, encode, read_without_key, somebody
from bot.whop.reads_v5 import ReadsV5

# After 20 requests in 10 s Whop refuses all for this long, and says so in no header.
COOL_DOWN: Final = timedelta(seconds=60)
TOPICS_A_PAGE: Final = 50

_REACHES: Final = {
    "users": "the user {}",
    "products": "everyone who owns the product {}",
    "companies": "everyone with an active product of the company {}",
    "experiences": "everyone with an active product that uses the experience {}",
}


class V5:
    """POST /v5/app/notifications."""

    generation = "v5"
    version_date = None
    names_inside = False
    log = None
    rate = Rate(20, timedelta(seconds=10.1), for_all=True)
    form = Form(
        subject="Subject",
        splits_feed_and_phone=True,
        has_subtitle=False,
        link="Deep link",
        link_hint="Where a tap leads: an address, https:// and all. May stay empty.",
    )

    def __init__(self, origin: str) -> None:
        self.base = f"{origin}/api/v5"
        self.reads = ReadsV5(self.base)

    def refuse_audience(self, audience: Audience) -> str | None:
        """Refuse what only v1 can reach, and to name people whom v5 does not tell."""
        if audience.is_once:
            return (
                "reach: v5 does not tell who is in an audience, so nobody could be named; all targets are one"
                ' request: write "everyone", or WHOP_API=v1'
            )
        alien = [kind for kind in audience.targets.kinds() if kind not in _REACHES]
        if not alien:
            return None
        return f"targets.{alien[0]}: v5 cannot reach that; use {', '.join(_REACHES)}, or WHOP_API=v1"

    def refuse_lists(self, experience: str | None) -> str | None:
        """Refuse an experience, which v5 does not ask for."""
        return "experience: v5 reaches people wherever they are: remove the line" if experience else None

    def refuse_notification(self, notification: Notification) -> list[str]:
        """Refuse the fields that only v1 has."""
        refused = ["Subtitle: Whop's v5 has none; clear it."] if notification.subtitle else []
        if notification.link and host_of(notification.link) is None:
            refused.append(
                "Deep link: write a whole address that begins with https:// and a host, such as"
                " https://whop.com/gold."
            )
        return refused

    def describe(self, audience: Audience) -> list[str]:
        """Return one line, for the one request that carries all targets."""
        targets = audience.targets
        if isinstance(targets, ListTargets):
            return ["the people of its list"]
        return [
            "; ".join(
                _REACHES[kind].format(identifier)
                for kind in targets.kinds()
                for identifier in getattr(targets, kind)
            )
        ]

    def build(
        self,
        notification: Notification,
        targets: Targets,
        *,
        new_key: Callable[[], str],
        number: int | None = None,
    ) -> tuple[Request, ...]:
        """Return one request for all targets; v5 knows no key, and no log in which it could be found."""
        _ = new_key, number
        # One object for each kind: whether kinds in one object add up or narrow is not documented.
        whom = [{kind: somebody(getattr(targets, kind))} for kind in somebody(targets.kinds())]
        return (self._request(notification, whom),)

    def build_named(
        self,
        notification: Notification,
        pieces: Iterable[tuple[str, Sequence[str]]],
        *,
        new_key: Callable[[], str],
        number: int,
    ) -> tuple[Request, ...]:
        """Return one request for each piece, wherever its people are."""
        _ = new_key, number
        requests = [self._request(notification, [{"users": somebody(users)}]) for _, users in pieces]
        # Nor may it pass for sent that there was nobody to name.
        somebody([one.url for one in requests])
        return tuple(requests)

    def _request(self, notification: Notification, targets: Sequence[Mapping[str, object]]) -> Request:
        body: dict[str, object] = {
            "topic_identifier": notification.topic,
            "notification_data": {
                field: {"subject": text.subject, "content": text.content}
                for field, text in notification.texts()
            },
            "targets": targets,
        }
        if notification.link:
            body["deep_link"] = notification.link
        return Request(
            method="POST",
            url=f"{self.base}/app/notifications",
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            body=encode(body),
        )

    def read(
        self,
        answer: Response | NoAnswer,
        *,
        attempt: int,
        now: datetime,
        proven: bool = False,
        earlier: Sequence[Attempt] = (),
    ) -> Outcome:
        """Read an answer without the safety of a key: v5 has none that could be proven."""
        _ = proven, earlier
        return read_without_key(answer, attempt=attempt, now=now, cool_down=COOL_DOWN)

    def probes(self, policy: Policy) -> Sequence[Probe]:
        """Ask for the registered topics and compare them with the policy's."""
        wanted = {topic.id for server in policy.servers for topic in server.topics}
        query = urlencode({"page": 1, "per": TOPICS_A_PAGE})
        return [
            Probe(
                request=get(f"{self.base}/app/notification_topics?{query}"),
                judge=lambda answer: _judge_topics(answer, wanted),
            )
        ]


def _judge_topics(answer: Response, wanted: set[str]) -> str | None:
    if answer.status != 200:
        words = words_of(answer)[:WORDS_LIMIT]
        return f"WHOP_API_KEY: Whop v5 answered {answer.status} {words} to a harmless question."
    page = decode(answer.body)
    known = [row.get("topic_identifier") for row in rows_of(page)]
    pages = as_object(page.get("pagination")).get("total_pages")
    more = isinstance(pages, int) and pages > 1
    missing = sorted(topic for topic in wanted if topic not in known)
    # A topic on a later page is not missing; Whop will say so at the first send otherwise.
    if not missing or more:
        return None
    return f"herald.toml: topic {missing[0]} is not registered with Whop: add it in their dashboard."
