"""What authors do with their drafts."""

from collections.abc import Sequence

from bot.broadcast import ENDED, Broadcast, Status, Step
from bot.errors import Conflict, NotReady
from bot.notification import Notification
from bot.permissions import Action, Actor, approvers
from bot.quorum import missing
from bot.repeats import Beside
from bot.sentences import listed
from bot.service import lending, unknowns
from bot.service.gate import OLD_CARD, Gate, limit
from bot.service.lending import Offer
from bot.store import Transaction
from bot.store.facts import REVISIONS_ABOVE


def may_compose(tx: Transaction, gate: Gate, actor: Actor, *, audience: str, topic: str) -> None:
    """Raise Refused if composing this could only be refused later, before anything is typed."""
    _ = tx
    check_choice(gate, actor, audience=audience, topic=topic)


def check_choice(gate: Gate, actor: Actor, *, audience: str, topic: str) -> None:
    """Do the same by the policy alone, before a database is asked anything."""
    gate.decide(actor, Action.COMPOSE)
    gate.choose(actor, audience, topic)


def submittable(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int
) -> tuple[Broadcast, Offer, Beside]:
    """Return a draft that the actor could submit, what a template would lend it, and what it may repeat."""
    broadcast = gate.admit(tx, actor, Action.SUBMIT, broadcast_id, revision)
    offer = lending.offer_of(tx, gate.lifecycle, broadcast)
    return broadcast, offer, gate.lifecycle.beside(tx, broadcast)


def editable(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int) -> Broadcast:
    """Return the newest words of the actor's own draft."""
    return gate.admit(tx, actor, Action.EDIT, broadcast_id, None)


def compose(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    *,
    audience: str,
    notification: Notification,
    channel_id: int,
) -> Broadcast:
    """Store a new draft, fit to be sent or not: nothing typed is lost."""
    gate.decide(actor, Action.COMPOSE)
    gate.choose(actor, audience, notification.topic)
    gate.meet(tx, actor)
    server = gate.server(actor)
    draft = tx.broadcasts.add(
        guild_id=server.guild,
        author=actor.person,
        audience=audience,
        notification=notification,
        fingerprint=gate.lifecycle.fingerprint(server, audience, notification),
        origin_channel_id=channel_id,
        at=gate.clock(),
    )
    gate.lifecycle.note(tx, draft, actor.person, "composed", f"for {audience}")
    return draft


def reuse(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, channel_id: int
) -> Broadcast:
    """Store a draft with the words of a broadcast that the actor sees; whoever wrote them may not approve it.

    Raises NotReady if the policy no longer has its audience or its topic.
    """
    used = gate.visible(tx, actor, Action.REUSE, broadcast_id)
    gate.refuse_old_card(actor, used, revision)
    _refuse_what_is_gone(gate, actor, used)
    if used.status is Status.UNKNOWN:
        # Customers may have these words already: its draft has to say so, and one is open at a time.
        return unknowns.send_again(tx, gate, actor, used.id, revision=revision, channel_id=channel_id)
    gate.meet(tx, actor)
    server = gate.server(actor)
    draft = tx.broadcasts.add(
        guild_id=server.guild,
        author=actor.person,
        audience=used.audience,
        notification=used.notification,
        fingerprint=gate.lifecycle.fingerprint(server, used.audience, used.notification),
        origin_channel_id=channel_id,
        at=gate.clock(),
        # An author who used words again and left them as they were has written none of them.
        writers=[one for one in tx.revisions.writers(used) if one.id in used.editors],
        # What stands beside one that still sends another again stands beside its duplicate, too.
        repeats=None if used.status in ENDED else used.repeats,
    )
    gate.lifecycle.note(
        tx, draft, actor.person, "composed", f"for {draft.audience}, in the words of #{used.id}"
    )
    return draft


def _refuse_what_is_gone(gate: Gate, actor: Actor, used: Broadcast) -> None:
    server, topic = gate.server(actor), used.notification.topic
    gone = {
        f"audience “{used.audience}”": server.audience(used.audience) is None,
        f"topic “{topic}”": server.topic(topic) is None,
    }
    for what, is_gone in gone.items():
        if is_gone:
            raise NotReady(
                f"The {what} is no longer in the policy: use /notify compose with another one, and copy the"
                f" words from #{used.id}, which stays as it is."
            )


def edit(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    notification: Notification,
) -> Broadcast:
    """Replace the words of a draft by a new revision."""
    before = gate.admit(tx, actor, Action.EDIT, broadcast_id, revision)
    gate.meet(tx, actor)
    # What was lost when the database went back had numbers of its own, which stand on cards.
    number = max(before.revision, tx.facts.get(REVISIONS_ABOVE) or 0) + 1
    tx.broadcasts.add_revision(
        before.id, number, editor=actor.person, notification=notification, at=gate.clock()
    )
    server = gate.lifecycle.server_of(before)
    return gate.lifecycle.advance(
        tx,
        before,
        Step.EDIT,
        actor=actor.person,
        revision=number,
        notification=notification,
        fingerprint=gate.lifecycle.fingerprint(server, before.audience, notification),
        reason="",
    )


def submit(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    note: str = "",
    members: Sequence[Actor] | None = None,
    unseen: str | None = None,
    asks: bool | None = None,
) -> Broadcast:
    """Lock a draft and put it before the approvers.

    Where Discord tells who the server's members are, what not enough of them could approve is refused, and
    so is what nobody could see, for the reason that is given as `unseen`, and what the form that `asks`
    somebody for approval, or nobody, did not announce.
    """
    before = gate.admit(tx, actor, Action.SUBMIT, broadcast_id, revision)
    if unseen:
        raise NotReady(unseen)
    limit(note)
    gate.meet(tx, actor)
    if lacking := gate.lifecycle.shortcomings(before):
        raise NotReady(lacking[0])
    server, now = gate.lifecycle.server_of(before), gate.clock()
    offer = lending.offer_of(tx, gate.lifecycle, before)
    as_submitted = before.model_copy(update={"lent": offer.approvals})
    if asks is not None and asks != (as_submitted.agreed < server.quorum(before.audience)):
        # What a template lends has changed while the form stood open.
        raise Conflict(OLD_CARD)
    _refuse_unreachable(gate, as_submitted, members)
    tx.outbox.open_card(before.id, channel_id=server.channels.review, at=now)
    submitted = gate.lifecycle.advance(
        tx,
        before,
        Step.SUBMIT,
        actor=actor.person,
        detail=note,
        note=note,
        reason="",
        confirmed=(),
        # The policy may have changed since the words were typed.
        fingerprint=gate.lifecycle.fingerprint(server, before.audience, before.notification),
        review_expires_at=now + server.rules.review_expires,
    )
    return lending.lend(tx, gate.lifecycle, submitted, offer)


def _refuse_unreachable(gate: Gate, broadcast: Broadcast, members: Sequence[Actor] | None) -> None:
    if members is None:
        return
    server = gate.lifecycle.server_of(broadcast)
    needed = missing(server, broadcast)
    able = approvers(gate.policy, broadcast, members, at=gate.clock())
    if len(able) < needed:
        holders = listed((f"<@&{role}>" for role in server.roles.approve), between=" or ")
        raise NotReady(
            f"Nobody could ever approve this: it needs {needed} approval(s), and {len(able)} member(s)"
            f" other than its author hold the role {holders}. Give the role to more people first."
        )
