"""The proof that Whop honours idempotency keys: made with two equal requests, and what it covers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from bot.delivery import Attempt, Delivery, NoAnswer, Request, Response
from bot.notification import Notification, Text
from bot.policy.audience import Targets, UsersInExperience
from bot.store import Transaction
from bot.store.facts import HIGHEST_TIME, Trusted, key_trust
from bot.whop import Account, WhopGateway
from bot.whop.answers import is_acceptance, words_of
from bot.whop.gateway import WORDS_LIMIT, is_replayed

if TYPE_CHECKING:
    # Most who ask for a proof send nothing.
    from bot.whop.transport import Transport

TITLE: Final = "Herald test"
CONTENT: Final = "Herald tries whether Whop sends a repeated request only once. You should get this once."
# Whop remembers a key for 24 hours.
KEY_LIFE: Final = timedelta(hours=20)
# Clocks are set right by less; by more, nobody can say how old a key is.
CLOCK_SLACK: Final = timedelta(seconds=30)
# What got lost on the way is rightly taken for a new request when it is repeated; so many in a row did not.
REFUTED_BY: Final = 3
# Of so many attempts it is known that nothing of them left; no crash leaves nearly as many.
EXCUSED: Final = 1000
REFUTED: Final = (
    f"Whop took {REFUTED_BY} repeated requests in a row for new ones, so its idempotency keys are no longer"
    " trusted, and nothing is repeated by itself: look at the cards that say what may have arrived twice, and"
    " try the keys again with `herald prove-key`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTrust:
    """Whop was seen to answer the second of two equal requests without acting again.

    `highest` is the latest time that was seen before the clock was set back.
    """

    at: datetime
    highest: datetime | None = None

    def covers(self, attempts: Sequence[Attempt], *, now: datetime, highest: datetime | None = None) -> bool:
        """Tell whether Whop certainly remembers the key of the first of these attempts, or none was made.

        `highest` is the latest time that this process has seen.
        """
        if not attempts:
            return True
        first = attempts[0].started_at
        if self.highest and first <= self.highest:
            # It was set back since: nobody can say how old the key is.
            return False
        latest = max(one.finished_at or one.started_at for one in attempts)
        # A clock that was set back must not make an old key look young.
        latest = max(filter(None, (latest, highest)))
        # An attempt from before the proof may have been made with another API key.
        return self.at <= first and latest - now <= CLOCK_SLACK and max(now, latest) - first < KEY_LIFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What two equal requests showed: honoured, ignored, or (None) nothing; and the words for it."""

    honoured: bool | None
    words: str


def nothing_to_prove(gateway: WhopGateway) -> str:
    """Return the sentence for a generation without idempotency keys."""
    return f"Whop's {gateway.generation} has no idempotency keys, so there is nothing to prove."


def recall(tx: Transaction, account: Account) -> KeyTrust | None:
    """Return the proof that holds for the account's key, if there is one."""
    tx.facts.load(key_trust(account.name), HIGHEST_TIME)
    kept = _trusted(tx, account)
    return KeyTrust(at=kept.at, highest=tx.facts.get(HIGHEST_TIME)) if kept else None


def _trusted(tx: Transaction, account: Account) -> Trusted | None:
    kept = tx.facts.get(key_trust(account.name))
    if kept is None or (kept.digest, kept.version_date) != (account.digest, account.version_date):
        return None
    return kept


def remember_highest(tx: Transaction, moment: datetime) -> None:
    """Write down how late it had been when the clock was set back."""
    known = tx.facts.get(HIGHEST_TIME)
    if known is None or known < moment:
        tx.facts.set(HIGHEST_TIME, moment)


def keep(tx: Transaction, account: Account, verdict: Verdict, *, at: datetime) -> None:
    """Write down what was found; an account has one proven key, and only until it is refuted."""
    if verdict.honoured and account.version_date is not None:
        tx.facts.set(key_trust(account.name), Trusted(account.digest, account.version_date, at))
    elif verdict.honoured is False and recall(tx, account):
        tx.facts.set(key_trust(account.name), None)


class Finding(NamedTuple):
    """Which broadcasts may have reached customers twice, and whether that has just ended the trust."""

    twice: Sequence[int] = ()
    refuted: bool = False


def weigh(tx: Transaction, account: Account, delivery: Delivery, answer: Response) -> Finding:
    """Judge the trust by the answer to a request that Whop may have had before."""
    before = {
        (delivery.id, number) for number, one in enumerate(delivery.past[:-1], start=1) if one.was_given_up
    }
    if not before:
        return Finding()
    trusted = _trusted(tx, account)
    if not before.difference(trusted.never_left if trusted else ()):
        return Finding()
    is_new = _accepted(answer) and not is_replayed(answer)
    if trusted is None:
        # It was under way when the trust ended.
        return Finding([delivery.broadcast_id] if is_new else [])
    if is_new:
        trusted = trusted._replace(taken_as_new=[*trusted.taken_as_new, delivery.broadcast_id])
    elif is_replayed(answer):
        trusted = trusted._replace(taken_as_new=[])
    refuted = len(trusted.taken_as_new) >= REFUTED_BY
    tx.facts.set(key_trust(account.name), None if refuted else trusted)
    return Finding(sorted(set(trusted.taken_as_new)), refuted=True) if refuted else Finding()


def excuse(tx: Transaction, account: Account, attempt: tuple[int, int]) -> None:
    """Note that nothing of an attempt ever left: a repeat of it says nothing if Whop takes it for new."""
    if trusted := _trusted(tx, account):
        kept = [*trusted.never_left, attempt][-EXCUSED:]
        tx.facts.set(key_trust(account.name), trusted._replace(never_left=kept))


def trial(gateway: WhopGateway, target: UsersInExperience, *, new_key: Callable[[], str]) -> Request:
    """Return the request that is sent twice; it reaches the named users only."""
    words = Notification(topic="herald", all=Text(subject=TITLE, content=CONTENT))
    (request,) = gateway.build(words, Targets(users_in_experience=target), new_key=new_key)
    return request


async def prove(request: Request, transport: "Transport") -> Verdict:
    """Send the same request twice and judge the two answers."""
    first = await transport.send(request)
    if not _accepted(first):
        return Verdict(honoured=None, words=f"The first request was not accepted: {_said(first)}.")
    if is_replayed(first):
        return Verdict(honoured=None, words="Whop took the very first request for a repeated one.")
    second = await transport.send(request)
    if not _accepted(second):
        return Verdict(
            honoured=None,
            words=f"The first request was accepted, the repeated one was not: {_said(second)}.",
        )
    if not is_replayed(second):
        return Verdict(
            honoured=False,
            words="Whop accepted both requests as new: the phone should show the test twice.",
        )
    return Verdict(
        honoured=True,
        words="Whop answered the repeated request from memory: the phone should show the test once.",
    )


def _accepted(answer: Response | NoAnswer) -> bool:
    return isinstance(answer, Response) and is_acceptance(answer)


def _said(answer: Response | NoAnswer) -> str:
    if isinstance(answer, NoAnswer):
        doubt = " (the phone may show the test all the same)" if answer.bytes_left else ""
        return f"no answer came, {answer.reason}{doubt}"
    words = words_of(answer)[:WORDS_LIMIT].rstrip(".")
    return f"Whop answered {answer.status}{f': {words}' if words else ''}"
