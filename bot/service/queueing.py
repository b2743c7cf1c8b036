"""What waits, for whom and until when, as a calendar."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import NamedTuple, Unpack
from zoneinfo import ZoneInfo

from bot.agenda import Clash, Waits, clashes, page
from bot.broadcast import Broadcast
from bot.filter import EVERYTHING, Filter
from bot.permissions import Action, Actor
from bot.service.gate import PAGE, Gate
from bot.service.time_zones import zone_of
from bot.store import Beyond, Transaction


class Calendar(NamedTuple):
    """By whose days what waits is listed, when each goes out, and what reaches the same people close by."""

    zone: tzinfo
    now: datetime
    moments: Mapping[int, datetime]
    clashes: Mapping[int, Sequence[Clash]]


def queue(
    tx: Transaction, gate: Gate, actor: Actor, only: Filter = EVERYTHING, **beyond: Unpack[Beyond]
) -> list[Broadcast]:
    """Return a page of what waits, first for people and then for its time, and one more if there is another.

    Of it nothing is left out: `only` is what other lists are searched by.
    """
    _ = only
    gate.decide(actor, Action.LIST)
    guild_id = gate.server(actor).guild
    before, after = (_place(tx, guild_id, beyond.get(name)) for name in ("before", "after"))
    waiting = tx.agenda.waiting(guild_id)
    ids = [one.id for one in page(waiting, limit=PAGE + 1, before=before, after=after)]
    return sorted(tx.broadcasts.all_of(ids), key=lambda one: ids.index(one.id))


def _place(tx: Transaction, guild_id: int, number: int | None) -> Waits | None:
    return None if number is None else tx.agenda.find(guild_id, number)


def calendar(tx: Transaction, gate: Gate, actor: Actor, broadcasts: Sequence[Broadcast]) -> Calendar:
    """Return by which days these are listed in the actor's server, and what each of them clashes with."""
    server = gate.server(actor)
    zone, waiting = ZoneInfo(zone_of(tx, gate, actor)), tx.agenda.waiting(server.guild)
    listed = {one.id for one in broadcasts}
    timed = [one for one in waiting if one.at is not None and one.id in listed]
    return Calendar(
        zone,
        gate.clock(),
        {one.id: one.at for one in timed if one.at is not None},
        {one.id: clashes(one, waiting, server, zone) for one in timed},
    )
