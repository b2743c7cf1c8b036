"""What there is to choose from while somebody composes: the audiences that are open to them, and topics."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from bot import sizes
from bot.audience import rule_in_short, size_in_short
from bot.counted import Counted
from bot.own_list import MOST_ROWS, OWN
from bot.permissions import Action, Actor
from bot.policy.audience import Audience, Listed
from bot.policy.model import Server, Topic
from bot.service.gate import Gate
from bot.store import Transaction

# Before anything was counted.
UNCOUNTED: Final[Mapping[str, Counted]] = MappingProxyType({})


class Choosable(NamedTuple):
    """An audience by its name, and what is told of it before anything is typed: its size and its rule."""

    name: str
    told: str


def open_audiences(gate: Gate, actor: Actor, action: Action) -> Sequence[Audience]:
    """Return the audiences that the actor may choose for this; nothing for those who may not do it."""
    server = gate.policy.server(actor.guild_id)
    # It is asked at every keystroke: no refusal is recorded.
    if server is None or not gate.may(actor, action):
        return ()
    return [one for one in server.audiences if one.is_open_to(actor.roles)]


def topics(gate: Gate, actor: Actor, action: Action) -> Sequence[Topic]:
    """Return the topics that the actor may choose for this; nothing for those who may not do it."""
    server = gate.policy.server(actor.guild_id)
    return server.topics if server is not None and gate.may(actor, action) else ()


def counted(tx: Transaction, gate: Gate, actor: Actor) -> Mapping[str, Counted]:
    """Return what was last counted of each audience of the actor's server."""
    return sizes.all_known(tx, gate.lifecycle, gate.server(actor))


def told_audiences(
    gate: Gate, actor: Actor, action: Action, known: Mapping[str, Counted] = UNCOUNTED
) -> list[Choosable]:
    """Return the audiences that the actor may choose for this, each with its size and its rule."""
    found = open_audiences(gate, actor, action)
    if not found:
        return []
    server = gate.server(actor)
    return [_told(server, one, known) for one in found]


def all_audiences(gate: Gate, actor: Actor, known: Mapping[str, Counted] = UNCOUNTED) -> list[Choosable]:
    """Return all audiences of the actor's server; nothing to those who may not see them."""
    server = gate.policy.server(actor.guild_id)
    if server is None or not gate.may(actor, Action.LIST):
        return []
    return [_told(server, one, known) for one in server.audiences]


def _told(server: Server, audience: Audience, known: Mapping[str, Counted]) -> Choosable:
    counted = known.get(audience.name)
    told = f"{size_in_short(audience, counted)} · {rule_in_short(server, audience, counted)}"
    return Choosable(audience.name, told)


def told_list(gate: Gate, actor: Actor) -> list[Choosable]:
    """Return a list of one's own among the audiences, with its rule; nothing for those who may bring none."""
    server = gate.policy.server(actor.guild_id)
    if server is None or not (gate.may(actor, Action.COMPOSE) and gate.may(actor, Action.GIVE_LIST)):
        return []
    needed = server.quorum_of(server.audience_of_list(OWN, Listed(name="")))
    told = f"up to {MOST_ROWS:,} people · {needed} approval{'s' if needed > 1 else ''}, name typed"
    return [Choosable(OWN, told)]
