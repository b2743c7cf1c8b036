"""What people say of sends that Whop never answered for."""

from collections.abc import Sequence

from bot.broadcast import ENDED, Broadcast, Status, Step
from bot.delivery import Delivery, DeliveryStatus, conclude
from bot.errors import Conflict, NotReady
from bot.freeze import describe
from bot.key_trust import recall
from bot.lifecycle import describe_state
from bot.permissions import Action, Actor
from bot.service.gate import Gate, limit, require
from bot.service.same_people import keep_for
from bot.store import Transaction


def confirm(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, reason: str
) -> Broadcast:
    """Say that a broadcast went out that Whop never answered for."""
    return _resolve(tx, gate, actor, Action.CONFIRM, broadcast_id, revision, reason)


def deny(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, reason: str
) -> Broadcast:
    """Say that a broadcast did not go out that Whop never answered for."""
    return _resolve(tx, gate, actor, Action.DENY, broadcast_id, revision, reason)


def _resolve(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    action: Action,
    broadcast_id: int,
    revision: int,
    reason: str,
) -> Broadcast:
    before = gate.admit(tx, actor, action, broadcast_id, revision)
    limit(reason)
    gate.meet(tx, actor)
    require(reason)
    status = DeliveryStatus.ACCEPTED if action is Action.CONFIRM else DeliveryStatus.REJECTED
    all_of_it = tx.deliveries.of(before.id)
    refuse_while_checking(all_of_it)
    said = f"{actor.name} says so: {reason}"
    for delivery in all_of_it:
        if delivery.status is DeliveryStatus.UNKNOWN:
            tx.deliveries.settle(delivery, status=status, detail=said, at=gate.clock())
    settled = (status if one.status is DeliveryStatus.UNKNOWN else one.status for one in all_of_it)
    # What a person says of one request does not undo what Whop said of another.
    step = Step.PARTLY if conclude(settled) is Step.PARTLY else action.step
    return gate.lifecycle.advance(
        tx,
        before,
        step,
        actor=actor.person,
        action=action.value,
        detail=reason,
        reason=f"{actor.name}: {reason}",
    )


def can_check(tx: Transaction, gate: Gate, broadcast: Broadcast) -> bool:
    """Tell whether Whop can be asked again about an unknown broadcast without pushing twice."""
    return broadcast.status is Status.UNKNOWN and _may_check(tx, gate, tx.deliveries.of(broadcast.id))


def check_again(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
    """Let the same requests be sent once more, where Whop knows their keys and cannot push twice."""
    before = gate.admit(tx, actor, Action.CHECK, broadcast_id, revision)
    gate.meet(tx, actor)
    all_of_it = tx.deliveries.of(before.id)
    refuse_while_checking(all_of_it)
    for account in {one.account for one in all_of_it}:
        if freeze := tx.freezes.over(before.guild_id, account):
            raise NotReady(describe(freeze))
    if not _may_check(tx, gate, all_of_it):
        raise NotReady(
            "It cannot be checked any more: Whop may have forgotten the request and send it twice."
        )
    for delivery in all_of_it:
        tx.deliveries.check_again(delivery, at=gate.clock())
    return gate.lifecycle.advance(tx, before, Step.CHECK, actor=actor.person)


def send_again(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, channel_id: int
) -> Broadcast:
    """Store a draft with the words of an unknown broadcast; whoever wrote them may not approve it."""
    broadcast = gate.find(tx, actor, Action.SEND_AGAIN, broadcast_id)
    gate.decide(actor, Action.SEND_AGAIN, broadcast)
    if broadcast.status is not Status.UNKNOWN:
        raise Conflict(describe_state(broadcast))
    gate.refuse_old_card(actor, broadcast, revision)
    for copy in tx.broadcasts.copies(broadcast.id):
        if copy.status not in ENDED:
            raise Conflict(_sent_again_by(copy))
    gate.meet(tx, actor)
    server = gate.server(actor)
    draft = tx.broadcasts.add(
        guild_id=server.guild,
        author=actor.person,
        audience=broadcast.audience,
        notification=broadcast.notification,
        listed=broadcast.listed,
        **gate.lifecycle.prints(server, broadcast.audience, broadcast.notification, None, broadcast.listed),
        origin_channel_id=channel_id,
        at=gate.clock(),
        writers=tx.revisions.writers(broadcast),
        repeats=broadcast.id,
    )
    keep_for(tx, gate, broadcast, draft)
    said = f"for {draft.audience}, again after #{broadcast.id}: it may be a second push"
    gate.lifecycle.note(tx, draft, actor.person, "composed", said)
    return draft


def _sent_again_by(copy: Broadcast) -> str:
    where = {
        Status.DRAFT: f"is a draft of {copy.author.name}'s",
        Status.REVIEW: "waits for its approvals",
        Status.APPROVED: "is approved",
        Status.HELD: "is held",
        Status.SENDING: "is being sent",
        Status.UNKNOWN: "has no known answer either",
    }[copy.status]
    place = f": {copy.card.url(copy.guild_id)}" if copy.card else ""
    return (
        f"#{copy.id} sends #{copy.repeats} again already, and {where}. Go on with that one, or cancel it"
        f" first{place or '.'}"
    )


def _may_check(tx: Transaction, gate: Gate, deliveries: Sequence[Delivery]) -> bool:
    return all(_is_known(tx, gate, one) for one in deliveries if one.status is DeliveryStatus.UNKNOWN)


def _is_known(tx: Transaction, gate: Gate, delivery: Delivery) -> bool:
    """Tell whether Whop certainly knows the delivery's key: by the account that it went out by."""
    account = gate.lifecycle.accounts.get(delivery.account)
    trust = recall(tx, account) if account else None
    # What was restored from a copy may have tries that it knows nothing of.
    return trust is not None and bool(delivery.past) and trust.covers(delivery.past, now=gate.clock())


def refuse_while_checking(deliveries: Sequence[Delivery]) -> None:
    """Raise Conflict while any of them is being sent once more."""
    if any(one.status in {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT} for one in deliveries):
        raise Conflict("Whop is being asked about it right now: wait for the answer.")
