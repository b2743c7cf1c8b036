"""Halting all sending, and letting it go on."""

from collections.abc import Sequence

from bot import seal
from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed
from bot.freeze import Freeze, lifted_on_host
from bot.permissions import Action, Actor
from bot.policy.model import Server
from bot.sentences import listed
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
    server = gate.server(actor)
    return tx.freezes.over(server.guild, server.account), _behind(tx, server)


def _behind(tx: Transaction, server: Server) -> list[Broadcast]:
    return tx.broadcasts.in_status(server.guild, [Status.APPROVED, Status.SENDING], limit=PAGE + 1)


def unfreeze(tx: Transaction, gate: Gate, actor: Actor, *, elsewhere: Sequence[Actor] = ()) -> None:
    """Lift the freeze over the actor's server: a second person has to, and one entitled wherever it halts.

    `elsewhere` is who the actor is in other servers, with the roles that they hold there now.
    """
    gate.decide(actor, Action.UNFREEZE)
    gate.meet(tx, actor)
    server = gate.server(actor)
    standing = tx.freezes.over(server.guild, server.account)
    if standing is None:
        raise Conflict("Sending is not frozen.")
    if standing.by.id == actor.id:
        raise NotAllowed("You froze it, so somebody else has to lift the freeze.")
    entitled = {one.guild_id for one in elsewhere if one.id == actor.id and gate.may(one, Action.UNFREEZE)}
    halted = gate.lifecycle.halted_by(standing)
    if others := [one.name for one in halted if one.guild not in {server.guild, *entitled}]:
        raise NotAllowed(
            f"It halts {listed(others, between=' and ')} too, so it takes somebody who may lift it there"
            f" as well{lifted_on_host(standing)}."
        )
    gate.compare(actor, seal.of_freeze(standing, _behind(tx, server)))
    gate.lifecycle.unfreeze(tx, standing, actor.person)
