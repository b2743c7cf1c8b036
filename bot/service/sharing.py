"""Sharing a draft with colleagues: they write it too, and so may not approve it."""

from collections.abc import Collection, Sequence
from typing import Final

from bot.broadcast import Broadcast, Step
from bot.errors import NotReady
from bot.permissions import Action, Actor, decide
from bot.sentences import listed
from bot.service.gate import Gate
from bot.store import Transaction
from bot.store.outbox import PostKind

# So many write a draft beside its author at most.
SHARED_WITH: Final = 5
# What the record calls it when somebody may write a draft no longer.
NO_LONGER: Final = "unshare"


def share(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    chosen: Sequence[Actor],
    shown: Collection[int] = (),
) -> Broadcast:
    """Share a draft with those who are chosen, and no longer with those who were only `shown` as such.

    Whoever is added may compose in this server at this moment, and from now on may not approve it. Whoever is
    taken off may again, unless they wrote any of it.
    """
    before = gate.admit(tx, actor, Action.SHARE, broadcast_id, revision)
    gate.meet(tx, actor)
    known, wanted = {one.id for one in before.shared}, {one.id for one in chosen}
    added = [one for one in chosen if one.id not in known]
    for one in added:
        _refuse(gate, before, one)
    gone = [one for one in before.shared if one.id in shown and one.id not in wanted]
    if len(known) + len(added) - len(gone) > SHARED_WITH:
        raise NotReady(f"A draft is shared with at most {SHARED_WITH} people: choose fewer.")
    after = before
    for one in gone:
        after = _step(tx, gate, actor, tx.shares.remove(after, one), NO_LONGER, f"no longer with {one.name}")
    for one in added:
        shared = tx.shares.add(after, one.person, at=gate.clock())
        after = _step(tx, gate, actor, shared, Step.SHARE, f"with {one.name}")
        _tell(tx, gate, after, one)
    return after


def _refuse(gate: Gate, broadcast: Broadcast, colleague: Actor) -> None:
    if colleague.id == broadcast.author.id:
        raise NotReady(f"{colleague.name} is its author already: choose somebody else.")
    server = gate.lifecycle.server_of(broadcast)
    where, needed = "", server.roles.compose
    if not decide(gate.policy, colleague, Action.COMPOSE, at=gate.clock()):
        audience = server.audience(broadcast.audience)
        if audience is None or audience.is_open_to(colleague.roles):
            return
        where, needed = f" for “{audience.name}”", audience.compose or ()
    roles = listed((f"<@&{role}>" for role in needed), between=" or ")
    raise NotReady(
        f"It cannot be shared with {colleague.name}, who cannot compose{where or ' here'} now: that takes the"
        f" role {roles}."
    )


def _step(
    tx: Transaction, gate: Gate, actor: Actor, shared: Broadcast, action: str, detail: str
) -> Broadcast:
    # Why it came back still stands on it.
    return gate.lifecycle.advance(
        tx, shared, Step.SHARE, actor=actor.person, action=action, detail=detail, reason=shared.reason
    )


def _tell(tx: Transaction, gate: Gate, broadcast: Broadcast, colleague: Actor) -> None:
    tx.outbox.add_post(
        PostKind.SHARE,
        # A step has sixteen letters, and an id as many.
        step=f"{colleague.id:x}",
        guild_id=broadcast.guild_id,
        channel_id=broadcast.origin_channel_id,
        broadcast_id=broadcast.id,
        at=gate.clock(),
    )
