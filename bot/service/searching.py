"""Searching the lists of broadcasts: what can be looked for, and what was."""

from typing import Final
from zoneinfo import ZoneInfo

from bot.errors import NotReady
from bot.filter import Filter, Known
from bot.permissions import Action, Actor
from bot.service.gate import Gate
from bot.service.time_zones import zone_of
from bot.store import Transaction

FORGOTTEN: Final = "This list is so old that what it looked for is forgotten: ask for it anew."


def searchable(tx: Transaction, gate: Gate, actor: Actor) -> Known:
    """Return what broadcasts can be searched by: what the policy names, and what any of them ever had."""
    gate.decide(actor, Action.LIST)
    server = gate.server(actor)
    audiences = [*(one.name for one in server.audiences), *tx.audit.audiences(server.guild)]
    topics = {one: one for one in tx.search_index.topics(server.guild)}
    return Known(
        audiences=dict.fromkeys(audiences),
        topics=topics | {one.id: one.name for one in server.topics},
        today=gate.clock().astimezone(ZoneInfo(zone_of(tx, gate, actor))).date(),
    )


def keep_search(tx: Transaction, gate: Gate, actor: Actor, only: Filter) -> str:
    """Keep what the pages of a list look for, and return its mark."""
    gate.decide(actor, Action.LIST)
    return tx.searches.keep(gate.server(actor).guild, only, at=gate.clock())


def kept_search(tx: Transaction, gate: Gate, actor: Actor, mark: str) -> Filter:
    """Return what the pages of a list look for; raise NotReady if that is forgotten."""
    gate.decide(actor, Action.LIST)
    found = tx.searches.find(gate.server(actor).guild, mark)
    if found is None:
        raise NotReady(FORGOTTEN)
    return found
