"""What a template lends to a broadcast that is made of it: the approval it was given beforehand."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from bot import seal
from bot.alike import alike, redraw_alike
from bot.approvals import complete, drop
from bot.audit.chain import HERALD
from bot.broadcast import Approval, Broadcast, Status, Step
from bot.lifecycle import Lifecycle
from bot.notification import proof_code
from bot.policy.model import Server
from bot.policy.template import Template
from bot.quorum import missing
from bot.repeats import GOING_OUT, tell_all_alike
from bot.sentences import listed, spoken_span, times
from bot.store import Transaction
from bot.store.loans import Loan
from bot.store.outbox import PostKind
from bot.template import misfit
from bot.value import Person

# Whatever was lent before that has ended: no rule of the policy's is as long.
ENDED_AFTER: Final = timedelta(days=62)
# What the record calls it.
NOT_LENT: Final = "not lent"


class Standing(NamedTuple):
    """A template with who approved what it says now, and how many have to."""

    template: Template
    fingerprint: str
    approvals: tuple[Approval, ...]
    needed: int

    @property
    def proof(self) -> str:
        """Return the proof code of what it says now."""
        return proof_code(self.fingerprint)

    @property
    def is_approved(self) -> bool:
        """Tell whether it lends its approval."""
        return len(self.approvals) >= self.needed

    @property
    def number(self) -> int:
        """Return what stands for it where only a number fits: another one once its card shows another."""
        return seal.number_of_template(self.fingerprint, needed=self.needed)

    @property
    def seal(self) -> str:
        """Return what seals its cards and forms."""
        return seal.of_template(self.fingerprint, needed=self.needed)


class Offer(NamedTuple):
    """What a template lends a broadcast that is submitted now: `approvals` that count as one, or `why_not`.

    Both are empty for a broadcast that is made of no template.
    """

    approvals: tuple[Approval, ...] = ()
    why_not: str = ""
    template: str = ""


NOTHING: Final = Offer()


def standing_of(tx: Transaction, lifecycle: Lifecycle, server: Server) -> list[Standing]:
    """Return all templates of a server with who approved what they say now."""
    printed = {one.name: lifecycle.template_fingerprint(server, one) for one in server.templates}
    given = tx.templates.approvals(server.guild, printed)
    return [
        Standing(one, printed[one.name], given[one.name], server.quorum(one.audience))
        for one in server.templates
    ]


def find_template(tx: Transaction, lifecycle: Lifecycle, guild_id: int, number: int) -> Standing | None:
    """Return the template that says what the number stands for, if one still does."""
    server = lifecycle.policy.server(guild_id)
    standings = standing_of(tx, lifecycle, server) if server else []
    return next((one for one in standings if one.number == number), None)


def offer_of(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> Offer:
    """Return what the template that it is made of would lend it now.

    In a transaction that may write, nobody else lends or recalls in its server until the end of it.
    """
    server = lifecycle.server_of(broadcast)
    compared = {
        one.name: misfit(one, broadcast.notification)
        for one in server.templates
        if one.audience == broadcast.audience
    }
    made_of = {name for name, sentence in compared.items() if sentence == ""}
    if not made_of:
        return next((_declined(name, said) for name, said in compared.items() if said), NOTHING)
    name = min(made_of)
    # Nobody could say yes beforehand to a second push, or after someone stopped it or sent it back.
    if broadcast.repeats is not None:
        return _declined(name, "it may be a second push, and that needs people")
    if broadcast.corrects is not None:
        return _declined(name, f"it corrects #{broadcast.corrects}, and that needs people")
    if tx.outbox.has_card(broadcast.id):
        return _declined(name, "it was before its approvers once, and came back")
    tx.loans.lend_alone(server.guild)
    offers = [
        _offer(tx, lifecycle, broadcast, one)
        for one in standing_of(tx, lifecycle, server)
        if one.template.name in made_of
    ]
    return next((one for one in offers if one.approvals), offers[0])


def _offer(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast, standing: Standing) -> Offer:
    name = standing.template.name
    if not standing.is_approved:
        given = len(standing.approvals)
        return _declined(name, f"{given} of {standing.needed} have approved it beforehand")
    others = tuple(one for one in standing.approvals if one.approver.id not in broadcast.writers)
    if not others:
        return _declined(name, "nobody has approved it beforehand but who wrote this")
    if reason := next(_used_up(tx, lifecycle, broadcast, standing), ""):
        return _declined(name, reason)
    # One that was approved before it counted as large is another template by its fingerprint.
    named = {"named": lifecycle.server_of(broadcast).is_large(broadcast.audience)}
    return Offer(tuple(one.model_copy(update=named) for one in others), template=standing.fingerprint)


def _used_up(
    tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast, standing: Standing
) -> Iterator[str]:
    """Yield why the policy lets the template lend nothing more for now."""
    server = lifecycle.server_of(broadcast)
    rules, now = server.rules, lifecycle.clock()
    spans = (rules.lent_by_template.within, rules.lent_to_person.within, rules.repeat_window)
    loans = tx.loans.since(server.guild, now - max(spans))
    printed = lifecycle.likeness_now(server, broadcast)
    if same := [one for one in loans if one.fingerprint == printed]:
        yield f"the same was lent it as {_numbers(same)}"
    if same := [one for one in alike(tx, lifecycle, broadcast) if one.status in GOING_OUT]:
        yield tell_all_alike(same, now)
    by_template = [one for one in loans if one.template == standing.fingerprint and not one.void]
    to_person = [one for one in loans if one.person_id == broadcast.author.id]
    for who, lent, allowed in (
        ("it lends", by_template, rules.lent_by_template),
        ("one person is lent an approval", to_person, rules.lent_to_person),
    ):
        counted = [one for one in lent if one.at > now - allowed.within]
        if len(counted) >= allowed.uses:
            did = f", and that was {_numbers(counted)}" if counted else ""
            yield f"{who} {times(allowed.uses)} in {spoken_span(allowed.within)}{did}"


def _numbers(loans: list[Loan]) -> str:
    return listed((f"#{one.broadcast_id}" for one in loans), between=" and ")


def _declined(name: str, reason: str) -> Offer:
    said = reason[0].lower() + reason[1:].rstrip(".")
    return Offer(why_not=f"The template “{name}” lends it no approval: {said}.")


def lend(tx: Transaction, lifecycle: Lifecycle, submitted: Broadcast, offer: Offer) -> Broadcast:
    """Let what was approved beforehand count as one approval, which may be the last one needed."""
    if offer.why_not:
        lifecycle.note(tx, submitted, HERALD, NOT_LENT, offer.why_not)
    if not offer.approvals:
        return submitted
    lent = tx.broadcasts.approve_all(submitted, offer.approvals)
    tx.loans.add(
        Loan(
            broadcast_id=submitted.id,
            guild_id=submitted.guild_id,
            template=offer.template,
            fingerprint=submitted.fingerprint,
            person_id=submitted.author.id,
            at=lifecycle.clock(),
        )
    )
    names = listed((one.approver.name for one in offer.approvals), between=" and ")
    said = f"“{offer.approvals[0].template}”, approved beforehand by {names}, counts as one approval"
    lifecycle.note(tx, submitted, HERALD, "template", said)
    if missing(lifecycle.server_of(lent), lent):
        return lent
    redraw_alike(tx, lifecycle, alike(tx, lifecycle, lent))
    return complete(tx, lifecycle, lent)


def void(tx: Transaction, lifecycle: Lifecycle, ended: Broadcast, *, why: str) -> None:
    """Void the approvals of the template that a broadcast was lent by, and ask for them again.

    `why` says what became of the broadcast.
    """
    loan = tx.loans.of([ended.id]).get(ended.id)
    server = lifecycle.policy.server(ended.guild_id)
    if loan is None or loan.void or server is None:
        return
    recall(tx, lifecycle, ended.guild_id, loan.template, why=why)
    tx.templates.void(ended.guild_id, loan.template)
    for standing in standing_of(tx, lifecycle, server):
        if standing.fingerprint != loan.template:
            continue
        said = f"“{standing.template.name}” lends nothing until it is approved again: {why}"
        lifecycle.note_template(tx, ended.guild_id, HERALD, NOT_LENT, said, proof=standing.proof)
        tx.outbox.add_post(
            PostKind.TEMPLATE,
            guild_id=server.guild,
            channel_id=server.channels.review,
            step=str(standing.number),
            broadcast_id=ended.id,
            at=lifecycle.clock(),
        )


def recall(tx: Transaction, lifecycle: Lifecycle, guild_id: int, template: str, *, why: str) -> None:
    """Let nothing count any more that a template has lent: what has not left yet needs people."""
    tx.loans.lend_alone(guild_id)
    numbers = tx.loans.recall(guild_id, template, since=lifecycle.clock() - ENDED_AFTER)
    _take_back(tx, lifecycle, numbers, why)


def withdraw(
    tx: Transaction, lifecycle: Lifecycle, guild_id: int, template: str, *, approver: Person, why: str
) -> None:
    """Let nothing count any more that one person has lent by a template, whoever else lends by it."""
    tx.loans.lend_alone(guild_id)
    lent = tx.loans.since(guild_id, lifecycle.clock() - ENDED_AFTER)
    numbers = [one.broadcast_id for one in lent if one.template == template and not one.void]
    _take_back(tx, lifecycle, numbers, why, approver=approver)


def _take_back(
    tx: Transaction, lifecycle: Lifecycle, numbers: list[int], why: str, *, approver: Person | None = None
) -> None:
    # Not waiting: two who stop at once would wait for each other. Whatever is decided at this very moment
    # is held when it is to start.
    for one in tx.broadcasts.find_all(numbers, waiting=False).values():
        lost = [given for given in one.lent if approver is None or given.approver.id == approver.id]
        if not lost:
            continue
        detail = f"what “{lost[0].template}” has lent it no longer counts: {why}"
        if one.status is Status.APPROVED and len(lost) == len(one.lent):
            lifecycle.advance(tx, one, Step.HOLD, detail=detail)
        elif one.status in {Status.APPROVED, Status.REVIEW}:
            drop(tx, lifecycle, one, lost, detail)
