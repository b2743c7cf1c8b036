"""What Herald needs of a Whop API generation, and the rules that both share."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol, cast

from bot.delivery import (
    NOT_BEGUN,
    Accepted,
    Attempt,
    NoAnswer,
    Outcome,
    Rejected,
    Request,
    Response,
    RetryAt,
    Unknown,
    in_doubt,
)
from bot.errors import ConfigurationError
from bot.notification import Notification, problems
from bot.policy.model import Policy, Targets
from bot.template import skeleton

WORDS_LIMIT: Final = 300
FIRST_RETRY: Final = timedelta(seconds=2)
LONGEST_RETRY: Final = timedelta(seconds=120)
LONGEST_WAIT: Final = timedelta(minutes=15)
# Refusals that do not say whether the work was done: a time-out, a conflict with another call that
# may be this one, a caller who was taken to have gone (nginx, Envoy).
IN_DOUBT: Final = frozenset({408, 409, 499})
LONGEST_IN_PROGRESS: Final = timedelta(minutes=15)
# What Whop says of an idempotency key.
IN_PROGRESS: Final = "idempotency_request_in_progress"
MISMATCH: Final = "idempotency_key_mismatch"


class Rate(NamedTuple):
    """How many requests Whop takes of one credential in a span of time.

    The span is a little longer than Whop's, since clocks differ.
    """

    requests: int
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a person is asked for when composing, in the generation's own words."""

    subject: str
    splits_feed_and_phone: bool
    has_subtitle: bool
    link: str
    link_hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A harmless question to Whop that tells whether sends can work."""

    request: Request
    judge: Callable[[Response], str | None]


class WhopGateway(Protocol):
    """One API generation: pure translation from a broadcast to bytes and from an answer to an outcome."""

    @property
    def generation(self) -> str:
        """Return the name that WHOP_API gives it."""
        ...

    @property
    def version_date(self) -> str | None:
        """Return the version to which idempotency keys are bound, or None if there are no keys."""
        ...

    @property
    def rate(self) -> Rate:
        """Return how fast notifications may be sent."""
        ...

    @property
    def form(self) -> Form:
        """Return what composing asks for."""
        ...

    def refuse_targets(self, targets: Targets) -> str | None:
        """Return why this generation cannot reach those targets, and what to write instead."""
        ...

    def refuse_notification(self, notification: Notification) -> list[str]:
        """Return a sentence for each field that this generation cannot express."""
        ...

    def describe(self, targets: Targets) -> list[str]:
        """Return a line for people for each request: whom it reaches."""
        ...

    def build(
        self, notification: Notification, targets: Targets, *, new_key: Callable[[], str]
    ) -> tuple[Request, ...]:
        """Return the exact requests that carry the notification to the targets."""
        ...

    def read(
        self,
        answer: Response | NoAnswer,
        *,
        attempt: int,
        now: datetime,
        proven: bool = False,
        earlier: Sequence[Attempt] = (),
    ) -> Outcome:
        """Return what an answer to the attempt with that number, counted from 1, means.

        `proven` says that Whop certainly remembers the request's key since the first of the `earlier` tries.
        """
        ...

    def probes(self, policy: Policy) -> Sequence[Probe]:
        """Return the questions that `herald check` asks."""
        ...


def encode(body: object) -> bytes:
    """Return compact UTF-8 JSON; what people typed is not escaped, so that the bytes can be read."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def decode(body: str) -> dict[str, Any]:
    """Return the JSON object in the body, or an empty one: an odd answer is no reason to fail."""
    try:
        value = json.loads(body)
    # RecursionError: a few kilobytes of brackets are nested deeper than the parser goes.
    except (ValueError, RecursionError):
        return {}
    return as_object(value)


def as_object(value: object) -> dict[str, Any]:
    """Return the value if it is a JSON object, or an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def rows_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects in the page's `data`, whatever else may be in it."""
    data = page.get("data")
    return [as_object(row) for row in cast("list[object]", data)] if isinstance(data, list) else []


def words_of(answer: Response | NoAnswer) -> str:
    """Return Whop's own message on one line, whichever generation's envelope it comes in.

    What cannot be printed would be refused by the database, or turn the line around on a screen.
    """
    body = decode(answer.body) if isinstance(answer, Response) else {}
    message = as_object(body.get("error")).get("message") or body.get("message")
    if not isinstance(message, str):
        return ""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in message).split())


def read_without_key(
    answer: Response | NoAnswer, *, words: str, wait: timedelta, attempt: int, now: datetime
) -> Outcome:
    """Return the outcome where no proven idempotency key makes a repeat safe.

    Only what provably reached nobody may be tried again; what stays unanswered is unknown.
    """
    if isinstance(answer, NoAnswer):
        if answer.bytes_left:
            return Unknown(f"no answer from Whop: {answer.reason}")
        return RetryAt(now + backoff(attempt), f"Whop could not be reached: {answer.reason}")
    said = f"{answer.status}: {words[:WORDS_LIMIT]}" if words else str(answer.status)
    if 200 <= answer.status < 300:
        return Accepted()
    if answer.status == 429:
        return RetryAt(now + min(wait, LONGEST_WAIT), f"Whop asks to wait ({said})")
    if 400 <= answer.status < 500 and answer.status not in IN_DOUBT:
        return Rejected(f"Whop answered {said}")
    return Unknown(f"Whop answered {said}")


def read_with_key(
    answer: Response | NoAnswer,
    *,
    words: str,
    wait: timedelta,
    attempt: int,
    now: datetime,
    earlier: Sequence[Attempt],
) -> Outcome:
    """Return the outcome where a proven idempotency key makes a repeat of the same bytes safe.

    `wait` is what Whop asks for. Whoever claims the next attempt has to make sure that the key still lives.
    """

    def again(reason: str) -> RetryAt:
        return RetryAt(now + max(backoff(attempt), min(wait, LONGEST_WAIT)), reason)

    if isinstance(answer, NoAnswer):
        return again(
            f"no answer from Whop: {answer.reason}"
            if answer.bytes_left
            else f"Whop could not be reached: {answer.reason}"
        )
    said = f"{answer.status}: {words[:WORDS_LIMIT]}" if words else str(answer.status)
    about_key = _says_of_key(answer)
    if answer.status == 400 and about_key == MISMATCH:
        return Unknown(f"Whop knows the idempotency key from another request ({said})", alarm=True)
    if answer.status == 409 and about_key == IN_PROGRESS:
        since = min((one.started_at for one in earlier if one.http_status == 409), default=now)
        if now - since < LONGEST_IN_PROGRESS:
            return again(f"Whop is still busy with the first attempt ({said})")
        return Unknown(f"Whop has been busy with the first attempt for too long ({said})")
    if answer.status in {408, 499} or 500 <= answer.status < 600:
        return again(f"Whop answered {said}")
    if answer.status in NOT_BEGUN:
        return again(f"Whop asks to wait ({said})")
    return read_without_key(answer, words=words, wait=wait, attempt=attempt, now=now)


def doubt(outcome: Outcome, answer: Response | NoAnswer, *, earlier: Sequence[Attempt]) -> Outcome:
    """Return the outcome of all tries together.

    A refusal at the door, such as of the API key, says nothing about what an earlier try may have done.
    """
    if isinstance(outcome, Rejected) and in_doubt(earlier) and not is_replayed(answer):
        return Unknown(f"{outcome.reason}, but an earlier attempt was left without a final answer")
    return outcome


def is_replayed(answer: Response | NoAnswer) -> bool:
    """Tell whether Whop repeats its first answer to the same key instead of acting again."""
    return isinstance(answer, Response) and any(
        name.lower() == "idempotent-replayed" and value.strip().lower() == "true"
        for name, value in answer.headers.items()
    )


def _says_of_key(answer: Response) -> str:
    """Return what Whop says of the idempotency key; whether in `type` or `code` is not documented."""
    error = as_object(decode(answer.body).get("error"))
    return next((one for one in (IN_PROGRESS, MISMATCH) if one in (error.get("type"), error.get("code"))), "")


def backoff(attempt: int) -> timedelta:
    """Return a random wait up to twice as long after each attempt, so that retries spread out."""
    ceiling = min(FIRST_RETRY * 2 ** min(attempt, 10), LONGEST_RETRY)
    return ceiling * random.uniform(0.1, 1)  # noqa: S311 - spreads load, guards nothing


def retry_after(answer: Response | NoAnswer) -> timedelta | None:
    """Return the whole seconds of a Retry-After header, if there is one."""
    if not isinstance(answer, Response):
        return None
    named = (value for name, value in answer.headers.items() if name.lower() == "retry-after")
    return seconds(next(named, ""))


def seconds(digits: str) -> timedelta | None:
    """Return that many seconds, or None for anything but a whole number."""
    # Nine digits are 30 years: a longer number is no longer wait, and too large for a timedelta.
    return timedelta(seconds=int(digits[:9])) if digits.isascii() and digits.isdigit() else None


def get(url: str, headers: dict[str, str] | None = None) -> Request:
    """Return a request that only reads."""
    return Request(method="GET", url=url, headers=headers or {}, body=b"")


def check_policy(policy: Policy, gateway: WhopGateway, *, file: str) -> None:
    """Raise ConfigurationError for audiences and templates that the API generation could not send."""
    found = [
        f"{file}: server “{server.name}”, audience “{audience.name}”: targets.{problem}."
        for server in policy.servers
        for audience in server.audiences
        if (problem := gateway.refuse_targets(audience.targets))
    ]
    found += [
        f"{file}: server “{server.name}”, template “{template.name}”: {problem}"
        for server in policy.servers
        for template in server.templates
        for problem in (
            *problems(skeleton(template)),
            *gateway.refuse_notification(skeleton(template)),
        )
    ]
    if found:
        raise ConfigurationError("\n".join(found))
