"""Correcting what went out: a follow-up to the same people, with a quorum of its own."""

from bot.broadcast import REACHED, Broadcast, Step
from bot.corrections import reaches_others
from bot.errors import Conflict, NotReady
from bot.lifecycle import describe_state
from bot.notification import Notification
from bot.permissions import Action, Actor
from bot.service.drafting import revise
from bot.service.gate import Gate
from bot.service.same_people import keep_for
from bot.store import Transaction


def correctable(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
    """Return what went out, if the actor could correct it; raise Refused before anything is typed."""
    wrong = gate.find(tx, actor, Action.CORRECT, broadcast_id)
    gate.decide(actor, Action.CORRECT, wrong)
    if wrong.status not in REACHED:
        raise Conflict(describe_state(wrong))
    gate.refuse_old_card(actor, wrong, revision)
    if others := reaches_others(gate.lifecycle, wrong):
        raise NotReady(others[0])
    return wrong


def correct(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    notification: Notification,
    channel_id: int,
) -> Broadcast:
    """Store a draft that corrects what went out; whoever wrote the words before may not approve it."""
    wrong = correctable(tx, gate, actor, broadcast_id, revision=revision)
    gate.meet(tx, actor)
    server = gate.server(actor)
    draft = tx.broadcasts.add(
        guild_id=server.guild,
        author=actor.person,
        audience=wrong.audience,
        notification=wrong.notification,
        listed=wrong.listed,
        origin_channel_id=channel_id,
        at=gate.clock(),
        writers=[one for one in tx.revisions.writers(wrong) if one.id in wrong.editors],
        corrects=wrong.id,
        # A time of its own is its own alone.
        **gate.lifecycle.prints(server, wrong.audience, wrong.notification, None, wrong.listed),
    )
    keep_for(tx, gate, wrong, draft)
    gate.lifecycle.note(
        tx, draft, actor.person, "composed", f"for {draft.audience}, as a correction of #{wrong.id}"
    )
    tx.outbox.redraw_card(wrong.id, at=gate.clock())
    if notification == wrong.notification:
        return draft
    return revise(tx, gate, actor, draft, Step.EDIT, notification=notification, schedule=None)
