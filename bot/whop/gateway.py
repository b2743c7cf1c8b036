"""What Herald needs of a Whop API generation, and the rules that both share."""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol

from bot.characters import is_blank
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
    Trouble,
    Unknown,
    in_doubt,
)
from bot.errors import ConfigurationError, NoRecipients
from bot.notification import Notification, problems
from bot.origin import LIVE, environment_of
from bot.policy.audience import Audience, Targets
from bot.policy.example import made_up_ids
from bot.policy.model import Policy
from bot.sentences import listed
from bot.template import skeleton, slips
from bot.testing import refuse_marked, refuse_tests
from bot.whop.answers import is_about_credential, is_acceptance, is_page, names_in, wait_of, words_of
from bot.whop.api_log import ApiLog
from bot.whop.reads import Reads

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
NOT_WHOP: Final = "what answered is a web page and not Whop"


class Rate(NamedTuple):
    """How many requests Whop takes of one credential in a span of time.

    The span is a little longer than Whop's, since clocks differ. Where it is one `for_all`, what reads
    takes from what sends have.
    """

    requests: int
    per: timedelta
    for_all: bool = False


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
    def base(self) -> str:
        """Return the address below which all its requests go."""
        ...

    @property
    def version_date(self) -> str | None:
        """Return the version to which idempotency keys are bound, or None if there are no keys."""
        ...

    @property
    def log(self) -> ApiLog | None:
        """Return how to ask for the requests that Whop served, or None where nobody can."""
        ...

    @property
    def reads(self) -> Reads:
        """Return how to ask who is in an audience."""
        ...

    @property
    def names_inside(self) -> bool:
        """Tell whether people can be named only inside an experience that they have access to."""
        ...

    @property
    def rate(self) -> Rate:
        """Return how fast notifications may be sent."""
        ...

    @property
    def form(self) -> Form:
        """Return what composing asks for."""
        ...

    def refuse_audience(self, audience: Audience) -> str | None:
        """Return which line of an audience this generation cannot follow, and what to write instead."""
        ...

    def refuse_lists(self, experience: str | None) -> str | None:
        """Return why it cannot reach the people of lists that way, and what to write instead."""
        ...

    def refuse_notification(self, notification: Notification) -> list[str]:
        """Return a sentence for each field that this generation cannot express."""
        ...

    def describe(self, audience: Audience) -> list[str]:
        """Return a line for people for each request, or for each target of which everyone is named."""
        ...

    def build(
        self,
        notification: Notification,
        targets: Targets,
        *,
        new_key: Callable[[], str],
        number: int | None = None,
    ) -> tuple[Request, ...]:
        """Return the exact requests that carry the notification to the targets.

        With the broadcast's `number`, each bears a mark by which Whop's log tells it from all others. Raises
        NoRecipients where one would name nobody.
        """
        ...

    def build_named(
        self,
        notification: Notification,
        pieces: Iterable[tuple[str, Sequence[str]]],
        *,
        new_key: Callable[[], str],
        number: int,
    ) -> tuple[Request, ...]:
        """Return the exact requests that carry the notification to people by name.

        Each piece is an experience, or the company of a team, and those of its people that one request names.
        Raises NoRecipients where one would name nobody.
        """
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


def somebody(recipients: Sequence[str]) -> list[str]:
    """Return recipients as a request names them; raise NoRecipients unless each of them is one."""
    if not recipients or any(is_blank(one) for one in recipients):
        raise NoRecipients("This would name nobody, which Whop might take for everybody: it is not sent.")
    return [*recipients]


def read_without_key(
    answer: Response | NoAnswer, *, attempt: int, now: datetime, cool_down: timedelta
) -> Outcome:
    """Return the outcome where no proven idempotency key makes a repeat safe.

    Only what provably reached nobody may be tried again; what stays unanswered is unknown. Whop asks to wait
    for the `cool_down` where it does not say how long.
    """
    if isinstance(answer, NoAnswer):
        if answer.bytes_left:
            return Unknown(f"no answer from Whop: {answer.reason}")
        return RetryAt(now + backoff(attempt), f"Whop could not be reached: {answer.reason}")
    if is_acceptance(answer):
        return Accepted()
    status, words, said = answer.status, words_of(answer), _said(answer)
    if status == 429:
        wait = wait_of(answer, words, now=now) or cool_down
        return RetryAt(now + min(wait, LONGEST_WAIT), f"Whop asks to wait ({said})", Trouble.OVERLOAD)
    if is_page(answer):
        return Unknown(f"{NOT_WHOP} ({said})", Trouble.NOT_WHOP)
    if 200 <= status < 300:
        return Unknown(f"Whop's answer contradicts itself ({said})")
    if 400 <= status < 500 and status not in IN_DOUBT:
        return Rejected(f"Whop answered {said}", Trouble.CREDENTIAL if is_about_credential(answer) else None)
    return Unknown(f"Whop answered {said}", Trouble.OVERLOAD if status >= 500 else None)


def read_with_key(
    answer: Response | NoAnswer,
    *,
    attempt: int,
    now: datetime,
    cool_down: timedelta,
    earlier: Sequence[Attempt],
) -> Outcome:
    """Return the outcome where a proven idempotency key makes a repeat of the same bytes safe.

    Whoever claims the next attempt has to make sure that the key still lives.
    """

    def again(reason: str, trouble: Trouble | None = None) -> RetryAt:
        wait = wait_of(answer, words_of(answer), now=now) or at_least
        return RetryAt(now + max(backoff(attempt), min(wait, LONGEST_WAIT)), reason, trouble)

    at_least = timedelta()
    if isinstance(answer, NoAnswer):
        return again(
            f"no answer from Whop: {answer.reason}"
            if answer.bytes_left
            else f"Whop could not be reached: {answer.reason}"
        )
    if is_acceptance(answer):
        return Accepted()
    status, said, about_key = answer.status, _said(answer), names_in(answer)
    if status == 400 and MISMATCH in about_key:
        return Unknown(f"Whop knows the idempotency key from another request ({said})", Trouble.OURS)
    if status == 409 and IN_PROGRESS in about_key:
        since = min((one.started_at for one in earlier if one.http_status == 409), default=now)
        return (
            again(f"Whop is still busy with the first attempt ({said})")
            if now - since < LONGEST_IN_PROGRESS
            else Unknown(f"Whop has been busy with the first attempt for too long ({said})")
        )
    if status in {408, 499} or 500 <= status < 600:
        return again(f"Whop answered {said}", Trouble.OVERLOAD if status >= 500 else None)
    if status in NOT_BEGUN:
        at_least = cool_down if status == 429 else at_least
        return again(f"Whop asks to wait ({said})", Trouble.OVERLOAD if status == 429 else None)
    if is_page(answer):
        return again(f"{NOT_WHOP} ({said})", Trouble.NOT_WHOP)
    return read_without_key(answer, attempt=attempt, now=now, cool_down=cool_down)


def doubt(outcome: Outcome, answer: Response | NoAnswer, *, earlier: Sequence[Attempt]) -> Outcome:
    """Return the outcome of all tries together.

    A refusal at the door, such as of the API key, says nothing about what an earlier try may have done.
    """
    if isinstance(outcome, Rejected) and in_doubt(earlier) and not is_replayed(answer):
        return Unknown(
            f"{outcome.reason}, but an earlier attempt was left without a final answer", outcome.trouble
        )
    return outcome


def is_replayed(answer: Response | NoAnswer) -> bool:
    """Tell whether Whop repeats its first answer to the same key instead of acting again."""
    return isinstance(answer, Response) and any(
        name.lower() == "idempotent-replayed" and value.strip().lower() == "true"
        for name, value in answer.headers.items()
    )


def _said(answer: Response) -> str:
    """Return the status and Whop's words, cut to what a card and the record have room for."""
    words = words_of(answer)
    return f"{answer.status}: {words[:WORDS_LIMIT]}" if words else str(answer.status)


def backoff(attempt: int) -> timedelta:
    """Return a random wait up to twice as long after each attempt, so that retries spread out."""
    ceiling = min(FIRST_RETRY * 2 ** min(attempt, 10), LONGEST_RETRY)
    return ceiling * random.uniform(0.1, 1)  # noqa: S311 - spreads load, guards nothing


# A day that passes by itself ends no start.
_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check_policy(policy: Policy, gateways: Mapping[str, WhopGateway], *, file: str) -> None:
    """Raise ConfigurationError for audiences and templates that a server's own account could not send."""
    found = [
        f"{file}: server “{server.name}”, audience “{audience.name}”: {problem}."
        for server in policy.servers
        for audience in server.audiences
        if (problem := gateways[server.account].refuse_audience(audience))
    ]
    found += [
        f"{file}: server “{server.name}”: lists.{problem}."
        for server in policy.servers
        if server.roles.lists and (problem := gateways[server.account].refuse_lists(server.lists.experience))
    ]
    found += [
        f"{file}: server “{server.name}”, template “{template.name}”: {problem}"
        for server in policy.servers
        for template in server.templates
        for problem in (
            *problems(skeleton(template)),
            *gateways[server.account].refuse_notification(skeleton(template)),
            *server.refuse_link(template.link),
            *slips(template, server, severity="stop", now=_ONCE),
        )
    ]
    found += [
        f"{file}: server “{server.name}”, rules.require_test: {why}: name an experience in an audience,"
        ' or write "off".'
        for server in policy.servers
        if server.rules.require_test != "off"
        and (why := refuse_tests(server, inside=gateways[server.account].names_inside))
    ]
    found += [
        f"{file}: server “{server.name}”, template “{template.name}”: {why}"
        for server in policy.servers
        if server.rules.require_test == "author"
        for template in server.templates
        if (why := refuse_marked(skeleton(template)))
    ]
    found += [
        f"{file}: server “{server.name}”: {listed(ids)}: made up, from herald.example.toml, and sends go to"
        " production: write your own."
        for server in policy.servers
        if environment_of(gateways[server.account].base) == LIVE and (ids := made_up_ids(server))
    ]
    if found:
        raise ConfigurationError("\n".join(found))
