"""What people do with a series: begin it, skip one, pause it, let it go on, end it."""

from collections.abc import Sequence
from typing import NamedTuple

from bot import seal
from bot.broadcast import Broadcast, Step
from bot.errors import Conflict, NotFound, NotReady
from bot.permissions import Action, Actor
from bot.series import Ends, Every, Series, SeriesStatus
from bot.service.gate import LISTED, OLD_CARD, Gate
from bot.service.own_lists import NO_SERIES
from bot.store import Transaction


class Repeated(NamedTuple):
    """A series, and the broadcast with which it began."""

    series: Series
    first: Broadcast


def repeat(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    every: Every,
    ends: Ends,
) -> Broadcast:
    """Let a draft that has a time be the first of a series; the others follow by themselves."""
    before = gate.admit(tx, actor, Action.REPEAT, broadcast_id, revision)
    schedule = before.schedule
    if before.listed is not None:
        raise NotReady(NO_SERIES)
    if schedule is None or schedule.at is None:
        raise NotReady("Only what has a time can go out again and again: give it one first.")
    if before.series is not None:
        raise Conflict("It is one of a series already: `/notify series` shows it.")
    gate.meet(tx, actor)
    begun = Series(
        first=before.id,
        guild_id=before.guild_id,
        author=before.author,
        audience=before.audience,
        notification=before.notification,
        schedule=schedule,
        every=every,
        times=ends.times,
        until=ends.until,
        made=0,
        next_at=None,
        status=SeriesStatus.RUNNING,
        reason="",
        origin_channel_id=before.origin_channel_id,
        version=1,
    ).after(1)
    if begun.status is SeriesStatus.ENDED:
        raise NotReady("It would go out only once until then: write a later day, or leave it as it is.")
    ended = tx.series.find(before.id)
    if ended is None:
        tx.series.add(begun)
    elif tx.series.change(ended, begun) is None:
        raise Conflict(OLD_CARD)
    return gate.lifecycle.advance(
        tx,
        before,
        Step.REPEAT,
        actor=actor.person,
        detail=begun.spoken,
        reason=before.reason,
        series=before.id,
    )


def all_series(tx: Transaction, gate: Gate, actor: Actor) -> Sequence[Series]:
    """Return the series of the actor's server that have not ended."""
    gate.decide(actor, Action.LIST)
    return tx.series.standing(gate.server(actor).guild, limit=LISTED)


def series(tx: Transaction, gate: Gate, actor: Actor, first: int) -> Repeated:
    """Return the series that began with that broadcast."""
    return _known(tx, gate, actor, Action.LIST, first)


def skip(tx: Transaction, gate: Gate, actor: Actor, first: int, *, revision: int) -> Repeated:
    """Leave out the next one of a series."""
    before, broadcast = _admitted(tx, gate, actor, Action.SKIP, first, revision)
    if before.next_at is None:
        raise Conflict("Nothing of it is still to come.")
    detail = f"number {before.made + 1}, at {before.next_at:%Y-%m-%d %H:%M} UTC"
    return _changed(tx, gate, actor, Action.SKIP, before, before.after(before.made + 1), broadcast, detail)


def pause(tx: Transaction, gate: Gate, actor: Actor, first: int, *, revision: int) -> Repeated:
    """Let nothing of a series go before its approvers until somebody lets it go on."""
    before, broadcast = _admitted(tx, gate, actor, Action.PAUSE, first, revision)
    if before.status is not SeriesStatus.RUNNING:
        raise Conflict("It does not run: nothing of it comes before anybody.")
    update = {"status": SeriesStatus.PAUSED, "reason": f"paused by {actor.name}"}
    return _changed(tx, gate, actor, Action.PAUSE, before, before.model_copy(update=update), broadcast)


def go_on(tx: Transaction, gate: Gate, actor: Actor, first: int, *, revision: int) -> Repeated:
    """Let a series go on with the next one that is still to come: what was missed is not caught up."""
    before, broadcast = _admitted(tx, gate, actor, Action.GO_ON, first, revision)
    if before.status is not SeriesStatus.PAUSED:
        raise Conflict("It is not paused.")
    after = before.model_copy(update={"status": SeriesStatus.RUNNING, "reason": ""})
    skipped = 0
    while after.next_at is not None and after.next_at <= gate.clock():
        after, skipped = after.after(after.made + 1), skipped + 1
    detail = f"{skipped} passed meanwhile" if skipped else ""
    return _changed(tx, gate, actor, Action.GO_ON, before, after, broadcast, detail)


def end(tx: Transaction, gate: Gate, actor: Actor, first: int, *, revision: int) -> Repeated:
    """Let nothing more come of a series; what stands before approvers already stays there."""
    before, broadcast = _admitted(tx, gate, actor, Action.END, first, revision)
    after = before.ended(f"ended by {actor.name}")
    return _changed(tx, gate, actor, Action.END, before, after, broadcast)


def _known(tx: Transaction, gate: Gate, actor: Actor, action: Action, first: int) -> Repeated:
    broadcast = gate.find(tx, actor, action, first)
    gate.decide(actor, action, broadcast)
    found = tx.series.find(first)
    if found is None:
        raise NotFound(f"There is no series that began with #{first}.")
    return Repeated(found, broadcast)


def _admitted(
    tx: Transaction, gate: Gate, actor: Actor, action: Action, first: int, revision: int
) -> Repeated:
    known = _known(tx, gate, actor, action, first)
    if known.series.status is SeriesStatus.ENDED:
        raise Conflict(f"The series of #{first} has ended{_because(known.series)}.")
    if known.series.version != revision:
        raise Conflict(OLD_CARD)
    gate.compare(actor, seal.of_series(known.series))
    gate.meet(tx, actor)
    return known


def _because(series: Series) -> str:
    return f": {series.reason}" if series.reason else ""


def _changed(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    action: Action,
    before: Series,
    after: Series,
    broadcast: Broadcast,
    detail: str = "",
) -> Repeated:
    changed = tx.series.change(before, after)
    if changed is None:
        raise Conflict(OLD_CARD)
    gate.lifecycle.note(tx, broadcast, actor.person, action.value, detail)
    return Repeated(changed, broadcast)
