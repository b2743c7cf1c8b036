"""Templates for emergencies: approved beforehand, they lend a broadcast one approval."""

from collections.abc import Mapping

from bot.broadcast import Approval, Broadcast
from bot.errors import Conflict, NotFound
from bot.permissions import Action, Actor
from bot.service import drafting, lending
from bot.service.gate import Gate, require_name
from bot.service.lending import Standing
from bot.store import Transaction
from bot.template import fill


def templates(tx: Transaction, gate: Gate, actor: Actor) -> list[Standing]:
    """Return the templates of the actor's server."""
    gate.decide(actor, Action.LIST)
    return lending.standing_of(tx, gate.lifecycle, gate.server(actor))


def ask_template(tx: Transaction, gate: Gate, actor: Actor, action: Action, number: int) -> Standing:
    """Return the template if the actor could do this now; raise Refused before anything is typed."""
    gate.decide(actor, action)
    known = _known(tx, gate, actor, number)
    if action is Action.COMPOSE:
        gate.choose(actor, known.template.audience, known.template.topic)
    return known


def compose_from(
    tx: Transaction, gate: Gate, actor: Actor, number: int, values: Mapping[str, str], *, channel_id: int
) -> Broadcast:
    """Store a new draft with the words of a template and its blanks filled."""
    template = ask_template(tx, gate, actor, Action.COMPOSE, number).template
    words = fill(template, values)
    return drafting.compose(
        tx, gate, actor, audience=template.audience, notification=words, channel_id=channel_id
    )


def approve_template(tx: Transaction, gate: Gate, actor: Actor, number: int, *, typed: str = "") -> Standing:
    """Count the actor's yes to what a template says now."""
    gate.decide(actor, Action.APPROVE_TEMPLATE)
    server, now = gate.server(actor), gate.clock()
    gate.meet(tx, actor)
    before = _known(tx, gate, actor, number)
    named = server.audience(before.template.audience)
    said = require_name(
        named, before.template.audience, typed, large=server.is_large(before.template.audience)
    )
    if not tx.templates.approve(server.guild, before.fingerprint, approver=actor.person, at=now):
        raise Conflict("You have approved this template already.")
    given = Approval(approver=actor.person, at=now, template=before.template.name)
    _note(tx, gate, actor, Action.APPROVE_TEMPLATE, before, said)
    return before._replace(approvals=(*before.approvals, given))


def retract_template(tx: Transaction, gate: Gate, actor: Actor, number: int) -> Standing:
    """Take back one's approval of a template."""
    gate.decide(actor, Action.RETRACT_TEMPLATE)
    server = gate.server(actor)
    gate.meet(tx, actor)
    before = _known(tx, gate, actor, number)
    if not tx.templates.retract(server.guild, before.fingerprint, actor.id):
        raise Conflict("You have not approved this template, so there is nothing to withdraw.")
    _note(tx, gate, actor, Action.RETRACT_TEMPLATE, before, "")
    left = tuple(one for one in before.approvals if one.approver.id != actor.id)
    after = before._replace(approvals=left)
    why = f"{actor.name} withdrew their approval of it"
    if after.is_approved:
        lending.withdraw(tx, gate.lifecycle, server.guild, before.fingerprint, approver=actor.person, why=why)
    else:
        lending.recall(tx, gate.lifecycle, server.guild, before.fingerprint, why=why)
    return after


def _known(tx: Transaction, gate: Gate, actor: Actor, number: int) -> Standing:
    standing = lending.find_template(tx, gate.lifecycle, gate.server(actor).guild, number)
    if standing is None:
        raise NotFound(
            "This card is out of date: its template says something else by now, or is gone. See"
            " `/notify template use`."
        )
    gate.compare(actor, standing.seal)
    return standing


def _note(tx: Transaction, gate: Gate, actor: Actor, action: Action, standing: Standing, said: str) -> None:
    detail = f"template “{standing.template.name}”" + (f": {said}" if said else "")
    guild_id = gate.server(actor).guild
    gate.lifecycle.note_template(tx, guild_id, actor.person, action.value, detail, proof=standing.proof)
