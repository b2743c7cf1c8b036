"""What people can look at."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Unpack
from zoneinfo import ZoneInfo

from bot.audit.chain import Event
from bot.audit.search import Search
from bot.broadcast import ENDED, OPEN, Broadcast, Place, Read, Status
from bot.delivery import DeliveryStatus
from bot.errors import Conflict
from bot.filter import EVERYTHING, Filter
from bot.freeze import first_over
from bot.lifecycle import describe_state
from bot.permissions import Action, Actor, approvers
from bot.policy.model import Policy
from bot.quorum import missing, needed
from bot.service.gate import LISTED, PAGE, Gate
from bot.service.time_zones import zone_of
from bot.store import Beyond, Transaction
from bot.summary import TOLD, Course

_HISTORY = [*sorted(ENDED), Status.UNKNOWN]


def look(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int) -> Course:
    """Return a broadcast of the actor's server, and what was done to it; a draft only to its author."""
    return read_courses(tx, gate.policy, [gate.visible(tx, actor, Action.LIST, broadcast_id)])[0]


def read_courses(tx: Transaction, policy: Policy, broadcasts: Sequence[Broadcast]) -> list[Course]:
    """Return what was done to each of these broadcasts, for whoever may know."""
    numbers = [one.id for one in broadcasts]
    writers, events = tx.revisions.writers_of(broadcasts), tx.audit.told(numbers, TOLD)
    deliveries, freezes = tx.deliveries.of_all(numbers), tx.freezes.standing()
    servers = {one.guild_id: policy.server(one.guild_id) for one in broadcasts}
    return [
        Course(
            broadcast=one,
            writers=writers[one.id],
            deliveries=deliveries[one.id],
            events=events[one.id],
            needed=needed(server, one) if (server := servers[one.guild_id]) else None,
            frozen=first_over(freezes, one.guild_id, policy.account_of(one.guild_id)) is not None,
        )
        for one in broadcasts
    ]


def audited(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int) -> Course | None:
    """Return any broadcast of an auditor's server, and what was done to it; None if there is none."""
    gate.decide(actor, Action.AUDIT)
    broadcast = tx.broadcasts.find(broadcast_id)
    if broadcast is None or broadcast.guild_id != actor.guild_id or broadcast.is_test:
        return None
    return read_courses(tx, gate.policy, [broadcast])[0]


def read_before(tx: Transaction, broadcast: Broadcast) -> list[Read]:
    """Return what approvers read of it in earlier reviews, where that is something else than it says now."""
    if broadcast.status not in {Status.REVIEW, Status.APPROVED} or broadcast.revision == 1:
        return []
    read = tx.revisions.read_before(broadcast.id)
    now = (broadcast.notification, broadcast.audience, broadcast.schedule)
    return [one for one in read if (one.notification, one.audience, one.schedule) != now]


def drafts(
    tx: Transaction, gate: Gate, actor: Actor, only: Filter = EVERYTHING, **beyond: Unpack[Beyond]
) -> list[Broadcast]:
    """Return a page of the drafts that the actor may write and that fit, and one more if there is another."""
    gate.decide(actor, Action.COMPOSE)
    guild_id = gate.server(actor).guild
    return tx.broadcasts.drafts_of(
        guild_id, actor.id, words=only.words, state=only.state, limit=PAGE + 1, **beyond
    )


def history(
    tx: Transaction, gate: Gate, actor: Actor, only: Filter = EVERYTHING, **beyond: Unpack[Beyond]
) -> list[Broadcast]:
    """Return a page of what fits, and one more if there is another page.

    It is looked for among what was sent, failed or was cancelled, unless another outcome is asked for.
    """
    statuses = [only.outcome] if only.outcome is not None else _HISTORY
    return _listed(tx, gate, actor, statuses, only, beyond)


def suggestions(tx: Transaction, gate: Gate, actor: Actor) -> list[Broadcast]:
    """Return what the actor may mean by a number: what is under way, their drafts, and what ended."""
    server = gate.policy.server(actor.guild_id)
    # It is asked at every keystroke: no refusal is recorded.
    if server is None or not gate.may(actor, Action.LIST):
        return []
    found = tx.broadcasts.in_status(server.guild, sorted(OPEN), limit=LISTED)
    if gate.may(actor, Action.COMPOSE):
        found += tx.broadcasts.drafts_of(server.guild, actor.id, limit=LISTED)
    return found + tx.broadcasts.in_status(server.guild, _HISTORY, limit=LISTED)


def _listed(
    tx: Transaction, gate: Gate, actor: Actor, statuses: Sequence[Status], only: Filter, beyond: Beyond
) -> list[Broadcast]:
    gate.decide(actor, Action.LIST)
    server = gate.server(actor)
    zone = ZoneInfo(zone_of(tx, gate, actor)) if only.since or only.until else UTC
    return tx.broadcasts.in_status(server.guild, statuses, only=only, zone=zone, limit=PAGE + 1, **beyond)


def tallies(tx: Transaction, broadcast_ids: Sequence[int]) -> Mapping[int, Mapping[DeliveryStatus, int]]:
    """Return how many requests of each of these broadcasts stand how."""
    return tx.tallies.requests(broadcast_ids)


def places_of(tx: Transaction, events: Sequence[Event]) -> Mapping[int, Place]:
    """Return where the cards stand of the broadcasts that these lines are about."""
    return tx.outbox.places({one.broadcast_id for one in events if one.broadcast_id})


def who(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, members: Sequence[Actor]
) -> tuple[Broadcast, int, list[Actor]]:
    """Return a broadcast, how many approvals it still needs, and which members could give them now."""
    broadcast = gate.visible(tx, actor, Action.LIST, broadcast_id)
    if broadcast.status not in {Status.DRAFT, Status.REVIEW}:
        raise Conflict(describe_state(broadcast))
    lacking = missing(gate.lifecycle.server_of(broadcast), broadcast)
    return broadcast, lacking, approvers(gate.policy, broadcast, members, at=gate.clock())


def recorded_audiences(tx: Transaction, gate: Gate, actor: Actor) -> list[str]:
    """Return the audiences by which the record can be searched; nothing for those who may not."""
    server = gate.policy.server(actor.guild_id)
    if server is None or not gate.may(actor, Action.AUDIT):
        return []
    recorded = tx.audit.audiences(server.guild)
    return list(dict.fromkeys([*(one.name for one in server.audiences), *recorded]))


def searchable_audiences(tx: Transaction, gate: Gate, actor: Actor) -> list[str]:
    """Return the audiences by which the record can be searched; raise NotAllowed for those who may not."""
    gate.decide(actor, Action.AUDIT)
    return recorded_audiences(tx, gate, actor)


def audit(
    tx: Transaction, gate: Gate, actor: Actor, search: Search, *, before: int | None = None
) -> list[Event]:
    """Return a page of what was found in the record of the actor's server, newest first, and one more."""
    gate.decide(actor, Action.AUDIT)
    own = search.model_copy(update={"guild_id": gate.server(actor).guild})
    return tx.audit.newest(own, before=before, limit=LISTED + 1)
