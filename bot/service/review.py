"""What becomes of a broadcast before it is sent."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from bot import approvals, sizes
from bot.alike import alike, beside, redraw_alike
from bot.audience import audience_of, is_large
from bot.audit.chain import HERALD
from bot.broadcast import TRANSITIONS, Approval, Broadcast, Status, Step
from bot.characters import is_blank
from bot.errors import Conflict, NotReady
from bot.frequency_rules import refuse_last_approval as refuse_too_often
from bot.frequency_rules import refuse_review, too_often
from bot.lately import limited_lately
from bot.lifecycle import describe_state
from bot.permissions import Action, Actor
from bot.quiet_rules import as_submitted, refuse_last_approval
from bot.quorum import counting, missing
from bot.repeats import GOING_OUT, Beside, tell_all_alike
from bot.service import lending
from bot.service.gate import Gate, limit, require, require_name
from bot.service.testing import require_test
from bot.store import Transaction


def approve(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    typed: str = "",
    warned: Collection[int] = (),
) -> Broadcast:
    """Count the actor's yes; the last one needed starts the undo window.

    For a large audience, or where the same goes out or did lately, its name has to be `typed`: there by
    somebody who was `warned` of each of those that say the same.
    """
    before = gate.admit(tx, actor, Action.APPROVE, broadcast_id, revision)
    gate.meet(tx, actor)
    server = gate.lifecycle.server_of(before)
    if any(one.approver.id == actor.id for one in counting(server, before).approvals):
        raise Conflict("You have approved this already.")
    if not gate.lifecycle.is_unchanged(before):
        raise Conflict(
            "What this would send has changed in the policy since it was submitted:"
            " its author has to withdraw it and ask for approval again."
        )
    if lacking := gate.lifecycle.shortcomings(before):
        raise NotReady(f"{lacking[0]} Its author has to withdraw it and mend that first.")
    require_test(tx, gate, actor, before)
    same = alike(tx, gate.lifecycle, before)
    going_out = [one for one in same if one.status in GOING_OUT]
    warning = tell_all_alike(going_out, gate.clock())
    # A name that was typed for a large audience alone confirms nothing that its form did not tell.
    knew = {one.id for one in going_out} <= set(warned)
    said = require_name(
        audience_of(server, before),
        before.audience,
        typed if knew else "",
        large=is_large(server, before),
        warning=warning,
    )
    if going_out:
        confirmed = tuple(sorted({*before.confirmed, *(one.id for one in going_out)}))
        now = gate.clock()
        before = tx.broadcasts.change(before, status=before.status, at=now, confirmed=confirmed) or before
    if any(one.approver.id == actor.id for one in (*before.approvals, *before.lent)):
        # Their own yes takes the place of what they have lent, or of one that no longer counts.
        before = tx.broadcasts.retract(before, actor.id) or before
    given = Approval(
        approver=actor.person,
        at=gate.clock(),
        named=is_large(server, before),
        # Its card said so.
        covers=before.series is not None and bool(server.rules.series_approval.uses),
    )
    agreed = tx.broadcasts.approve(before, given)
    if missing(server, agreed):
        return gate.lifecycle.advance(
            tx, agreed, Step.APPROVE, actor=actor.person, detail=said, reason=before.reason
        )
    often = too_often(server, agreed, limited_lately(tx, gate.lifecycle, agreed), gate.clock())
    if why := refuse_last_approval(server, agreed, gate.clock()) or refuse_too_often(agreed, often):
        raise NotReady(why)
    after = approvals.complete(
        tx,
        gate.lifecycle,
        agreed,
        actor=actor.person,
        action=Action.APPROVE.value,
        detail=said,
        # What only the record needs is no reason for the broadcast's state.
        reason=before.reason,
    )
    gate.lifecycle.note(tx, after, HERALD, Step.QUORUM.value, approvals.ENOUGH)
    redraw_alike(tx, gate.lifecycle, same)
    return after


def approvable(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int
) -> tuple[Broadcast, Beside]:
    """Return a broadcast that the actor could approve now, and what customers may get twice by that."""
    broadcast = gate.admit(tx, actor, Action.APPROVE, broadcast_id, revision)
    require_test(tx, gate, actor, broadcast)
    return broadcast, beside(tx, gate.lifecycle, broadcast)


def retract(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
    """Take back one's own approval while others are still asked for theirs."""
    before = gate.admit(tx, actor, Action.RETRACT, broadcast_id, revision)
    gate.meet(tx, actor)
    left = tx.broadcasts.retract(before, actor.id)
    if left is None:
        raise Conflict("You have not approved this, so there is nothing to withdraw.")
    return gate.lifecycle.advance(tx, left, Step.RETRACT, actor=actor.person)


def withdraw(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
    """Take one's broadcast out of review, back to draft."""
    return _leave(tx, gate, actor, Action.WITHDRAW, broadcast_id, revision)


def request_changes(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, reason: str
) -> Broadcast:
    """Give it back to its author with a reason."""
    return _leave(
        tx, gate, actor, Action.REQUEST_CHANGES, broadcast_id, revision, reason, did="asked for changes"
    )


def stop(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
    """Stop an approved broadcast inside its undo window, back to draft."""
    return _leave(tx, gate, actor, Action.STOP, broadcast_id, revision, _stopped_by(actor))


def explain_stop(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, reason: str
) -> Broadcast:
    """Say why one has just stopped it, for its author and the record; nothing need be said."""
    stopped = gate.find(tx, actor, Action.STOP, broadcast_id)
    gate.decide(actor, Action.STOP, stopped)
    gate.refuse_revision(stopped, revision)
    if stopped.status is not Status.DRAFT or stopped.reason != _stopped_by(actor):
        raise Conflict(describe_state(stopped))
    limit(reason)
    if is_blank(reason):
        return stopped
    gate.meet(tx, actor)
    return gate.lifecycle.explain(
        tx,
        stopped,
        actor=actor.person,
        detail=reason,
        reason=f"{_stopped_by(actor)}: {reason}",
    )


def _stopped_by(actor: Actor) -> str:
    return f"stopped by {actor.name}"


def take_back(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
    """Take a held broadcast back to draft."""
    return _leave(tx, gate, actor, Action.RETURN, broadcast_id, revision)


def release(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    unseen: str | None = None,
) -> Broadcast:
    """Put a held broadcast before the approvers again: it needs fresh approvals.

    What nobody could see is refused, for the reason that is given as `unseen`.
    """
    before = gate.admit(tx, actor, Action.RELEASE, broadcast_id, revision)
    if unseen:
        raise NotReady(unseen)
    gate.meet(tx, actor)
    server, now = gate.lifecycle.server_of(before), gate.clock()
    if lacking := gate.lifecycle.before_review(before):
        raise NotReady(lacking[0])
    often = too_often(server, before, limited_lately(tx, gate.lifecycle, before), now)
    if why := refuse_review(often):
        raise NotReady(why)
    voided = tx.broadcasts.void_approvals(before)
    tx.outbox.open_card(before.id, channel_id=server.channels.review, at=now)
    released = gate.lifecycle.advance(
        tx,
        voided,
        Step.RELEASE,
        actor=actor.person,
        reason="",
        due_at=None,
        confirmed=(),
        in_quiet_hours=as_submitted(server, before, now).in_quiet_hours,
        counted=sizes.ask(tx, gate.lifecycle, before),
        count_id=None,
        too_often=often is not None,
        review_expires_at=gate.lifecycle.review_ends(before),
        schedule=before.schedule.today() if before.schedule else None,
        **gate.lifecycle.prints_now(server, before),
    )
    approvals.note_quiet(tx, gate.lifecycle, released)
    approvals.note_often(tx, gate.lifecycle, released, often)
    return released


def reject(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, reason: str
) -> Broadcast:
    """End it with a reason; it can only be composed anew."""
    return _leave(tx, gate, actor, Action.REJECT, broadcast_id, revision, reason, did="rejected it")


def cancel(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int | None = None,
    reason: str = "",
) -> Broadcast:
    """End it before it is sent."""
    return _leave(tx, gate, actor, Action.CANCEL, broadcast_id, revision, reason)


def _leave(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    action: Action,
    broadcast_id: int,
    revision: int | None,
    reason: str = "",
    *,
    did: str = "",
) -> Broadcast:
    """Take it back to draft, or end it; what was `did` has to have a reason, which its author reads."""
    before = gate.admit(tx, actor, action, broadcast_id, revision)
    limit(reason)
    gate.meet(tx, actor)
    if did:
        require(reason)
    was_lent = bool(before.lent)
    if TRANSITIONS[before.status][action.step] is Status.DRAFT:
        before = tx.broadcasts.void_approvals(before)
    after = gate.lifecycle.advance(
        tx,
        before,
        action.step,
        actor=actor.person,
        detail=reason,
        reason=f"{actor.name} {did}: {reason}" if did else reason,
        due_at=None,
        review_expires_at=None,
    )
    if was_lent and (action is Action.STOP or actor.id != before.author.id):
        # What somebody had to stop shows what the template lets out: nobody lends it on without looking.
        why = f"#{after.id} was {_DONE[action]} by {actor.name}"
        lending.void(tx, gate.lifecycle, after, why=why)
    return after


_DONE: Final[Mapping[Action, str]] = MappingProxyType(
    {
        Action.STOP: "stopped",
        Action.REQUEST_CHANGES: "sent back",
        Action.REJECT: "rejected",
        Action.RETURN: "taken back",
        Action.CANCEL: "cancelled",
    }
)
