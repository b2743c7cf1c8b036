"""Halting all sending, and letting it go on."""

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed
from bot.freeze import Freeze
from bot.permissions import Action, Actor
from bot.service.gate import PAGE, Gate
from bot.store import Transaction


def freeze(tx: Transaction, gate: Gate, actor: Actor, reason: str) -> Freeze:
    """Halt all sending of the actor's server, whatever they give as a reason."""
    gate.decide(actor, Action.FREEZE)
    wanted = Freeze(guild_id=gate.server(actor).guild, by=actor.person, at=gate.clock(), reason=reason)
    gate.meet(tx, actor)
    return gate.lifecycle.freeze(tx, wanted)


def frozen(tx: Transaction, gate: Gate, actor: Actor) -> tuple[Freeze | None, list[Broadcast]]:
    """Return the freeze over the actor's server, and what would go out if it were lifted, newest first.

    That is a page of it at most, and one more if there is.
    """
    gate.decide(actor, Action.LIST)
    guild = gate.server(actor).guild
    waiting = tx.broadcasts.in_status(guild, [Status.APPROVED, Status.SENDING], limit=PAGE + 1)
    return tx.freezes.over(guild), waiting


def unfreeze(tx: Transaction, gate: Gate, actor: Actor) -> None:
    """Lift the freeze over the actor's server: a second person has to."""
    gate.decide(actor, Action.UNFREEZE)
    gate.meet(tx, actor)
    standing = tx.freezes.over(gate.server(actor).guild)
    if standing is None:
        raise Conflict("Sending is not frozen.")
    if standing.by.id == actor.id:
        raise NotAllowed("You froze it, so somebody else has to lift the freeze.")
    gate.lifecycle.unfreeze(tx, standing, actor.person)
