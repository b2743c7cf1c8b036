"""By which clocks times are read that people type: their own, or else their server's."""

from typing import NamedTuple

from bot.errors import NotReady
from bot.permissions import Action, Actor
from bot.sentences import listed
from bot.service.gate import Gate
from bot.store import Transaction
from bot.zones import named, near


class Clocks(NamedTuple):
    """The zone by whose clocks somebody's times are read, and whether they have set it themselves."""

    zone: str
    is_own: bool


def clocks_of(tx: Transaction, gate: Gate, actor: Actor) -> Clocks:
    """Return by which clocks the actor's times are read; raise NotAllowed for those who type none."""
    gate.decide(actor, Action.TIMEZONE)
    return _clocks(tx, gate, actor)


def zone_of(tx: Transaction, gate: Gate, actor: Actor) -> str:
    """Return the zone by whose clocks the actor's times are read, whatever else they may do."""
    return _clocks(tx, gate, actor).zone


def _clocks(tx: Transaction, gate: Gate, actor: Actor) -> Clocks:
    server = gate.server(actor)
    # The name of a zone may be given up one day.
    own = named(tx.members.zone_of(server.guild, actor.id) or "")
    return Clocks(own or server.rules.time_zone, is_own=own is not None)


def set_zone(tx: Transaction, gate: Gate, actor: Actor, typed: str) -> Clocks:
    """Let the actor's times be read by the clocks of a zone, or with nothing typed by their server's."""
    before = clocks_of(tx, gate, actor)
    server, zone = gate.server(actor), named(typed)
    if zone is None and typed.strip():
        raise NotReady(f"There is no time zone “{typed[:60]}”: {_meant(typed)}")
    gate.meet(tx, actor)
    tx.members.set_zone(server.guild, actor.id, zone)
    after = Clocks(zone or server.rules.time_zone, is_own=zone is not None)
    if after != before:
        whose = "" if after.is_own else ", as for everybody of the server"
        said = f"{after.zone}{whose}; before it was {before.zone}"
        gate.lifecycle.note_setting(tx, server.guild, actor.person, Action.TIMEZONE.value, said)
    return after


def _meant(typed: str) -> str:
    names = listed(near(typed), between=" or ")
    return f"did you mean {names}?" if names else "name a city near you, such as Europe/Berlin."
