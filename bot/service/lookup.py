"""Looking for the requests of an unknown broadcast in Whop's own log: evidence that somebody asked for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from bot.broadcast import Broadcast, Status, Step
from bot.delivery import Delivery, DeliveryStatus, NoAnswer, Request, Response, conclude
from bot.errors import Conflict, NotReady
from bot.lifecycle import describe_state
from bot.permissions import Action, Actor
from bot.service.gate import Gate
from bot.service.unknowns import refuse_while_checking
from bot.store import Transaction
from bot.whop.api_log import ApiLog, Page, Row

# Whop's clock and ours differ by less, and what was cut off is served a little later.
SLACK: Final = timedelta(minutes=5)
# So many pages of rows, and so many experiences: whoever pressed waits for it.
PAGES: Final = 60
EXPERIENCES: Final = 10
DECIDE: Final = "Look into the app, then say what you found."
NO_PROOF: Final = f"That proves nothing: the log may not show this kind of key. {DECIDE}"

# How a question to Whop is sent, by the account whose key goes with it.
Ask = Callable[[str, Request], Awaitable[Response | NoAnswer]]


async def ask_nobody(account: str, question: Request) -> Response | NoAnswer:
    """Answer that this process speaks with nobody."""
    _ = account, question
    return NoAnswer(reason="this process does not speak with Whop", bytes_left=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What may stand in the log, as it was when somebody asked, and how to ask for it."""

    log: ApiLog
    deliveries: Sequence[Delivery]
    since: datetime
    until: datetime


class Found(NamedTuple):
    """The rows by the mark of their request, one of success before others, and why there may be more."""

    rows: Mapping[str, Row]
    trouble: str = ""


class LookedUp(NamedTuple):
    """How the broadcast stands now, and what was found, in a sentence."""

    broadcast: Broadcast
    said: str


def seek(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Sought:
    """Return what to look for; raise Refused where the actor may not, or nothing can be found."""
    broadcast = _admit(tx, gate, actor, broadcast_id, revision)
    wanted = [one for one in tx.deliveries.of(broadcast.id) if one.may_be_looked_up]
    account = gate.lifecycle.accounts.get(wanted[0].account) if wanted else None
    log = account.gateway.log if account else None
    if log is None:
        raise NotReady(f"Whop's log cannot say more of it than is known. {DECIDE}")
    past = [attempt for one in wanted for attempt in one.past]
    return Sought(
        log=log,
        deliveries=wanted,
        since=min(one.started_at for one in past) - SLACK,
        until=max(one.finished_at or one.started_at for one in past) + SLACK,
    )


async def search(ask: Ask, sought: Sought) -> Found:
    """Read Whop's log, each account's once, until all is found or nothing is left."""
    rows: dict[str, Row] = {}
    missing = {one.mark: one for one in sought.deliveries}
    # To whom each experience belongs; None stands for whomever the key belongs to.
    owners: dict[str, str | None] = {}
    trouble = ""
    for mark, delivery in missing.items():
        whose = sought.log.whose(delivery.request)
        name = whose if isinstance(whose, str) else whose.url
        if name in owners or _is_found(rows, mark):
            continue
        if len(owners) == EXPERIENCES:
            return Found(rows, "there are too many experiences to ask about")
        owner = whose if isinstance(whose, str) else sought.log.read_whose(await ask(delivery.account, whose))
        if owner not in owners.values():
            trouble = await _read(ask, sought, delivery.account, owner, missing, rows) or trouble
        owners[name] = owner
    return Found(rows, trouble)


def _is_found(rows: Mapping[str, Row], mark: str) -> bool:
    return mark in rows and rows[mark].is_success


async def _read(
    ask: Ask,
    sought: Sought,
    account: str,
    owner: str | None,
    missing: Mapping[str, Delivery],
    rows: dict[str, Row],
) -> str:
    """Add what one account's log shows; return why it could not be read to its end, or nothing."""
    after: str | None = None
    for _ in range(PAGES):
        question = sought.log.ask(owner, since=sought.since, until=sought.until, after=after)
        page = sought.log.read(await ask(account, question))
        if not isinstance(page, Page):
            return page
        for row in page.rows:
            if row.agent in missing and not _is_found(rows, row.agent):
                rows[row.agent] = row
        after = page.cursor
        if after is None or all(_is_found(rows, mark) for mark in missing):
            return ""
    return "it is too long to be read to its end"


def settle(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    sought: Sought,
    found: Found,
) -> LookedUp:
    """Write down what was found: an acceptance where the log shows one and nobody was faster."""
    before = _admit(tx, gate, actor, broadcast_id, revision)
    gate.meet(tx, actor)
    refuse_while_checking(tx.deliveries.of(before.id))
    accepted = [one for one in sought.deliveries if _is_found(found.rows, one.mark)]
    for delivery in accepted:
        settled = tx.deliveries.settle(
            # As it was read: only if it is still unknown, at the same attempt.
            delivery,
            status=DeliveryStatus.ACCEPTED,
            detail=f"Whop's log: {_spoken(found.rows[delivery.mark])}",
            at=gate.clock(),
        )
        if not settled:
            raise Conflict(describe_state(tx.broadcasts.get(before.id)))
    said = _told(sought, found, len(accepted))
    step = conclude(one.status for one in tx.deliveries.of(before.id))
    if accepted and step not in {None, Step.UNANSWERED}:
        after = gate.lifecycle.advance(
            tx, before, step or Step.UNANSWERED, actor=actor.person, action=Action.LOOK_UP, detail=said
        )
        return LookedUp(after, said)
    gate.lifecycle.show_progress(tx, before)
    gate.lifecycle.note(tx, before, actor.person, Action.LOOK_UP, said)
    return LookedUp(before, said)


def _admit(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, revision: int) -> Broadcast:
    broadcast = gate.find(tx, actor, Action.LOOK_UP, broadcast_id)
    gate.decide(actor, Action.LOOK_UP, broadcast)
    if broadcast.status is not Status.UNKNOWN:
        raise Conflict(describe_state(broadcast))
    gate.refuse_old_card(actor, broadcast, revision)
    return broadcast


def _told(sought: Sought, found: Found, accepted: int) -> str:
    """Say what the log shows, and what follows from it."""
    sought_for = len(sought.deliveries)
    shown = [found.rows[one.mark] for one in sought.deliveries if one.mark in found.rows]
    which = "it" if sought_for == 1 else f"{len(shown)} of {sought_for} requests"
    rows = "; ".join(_spoken(row) for row in shown[:3])
    more = "; …" if len(shown) > 3 else ""
    trouble = f" Not all of it was read: {found.trouble}." if found.trouble and shown else ""
    if accepted == sought_for:
        return f"Whop's log shows {which}, accepted: {rows}{more}."
    if accepted:
        return f"Whop's log shows {which}, {accepted} of them accepted: {rows}{more}.{trouble} {DECIDE}"
    if shown:
        return f"Whop's log shows {which}: {rows}{more}. That decides nothing.{trouble} {DECIDE}"
    if found.trouble:
        return f"Whop's log says nothing: {found.trouble}. {DECIDE}"
    return f"Whop's log shows nothing of it. {NO_PROOF}"


def _spoken(row: Row) -> str:
    return f"{row.id} of {row.at}, status {row.ended}"
