"""Lists of people that somebody brings along: given, confirmed, and shown to those who decide."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bot.broadcast import Broadcast, Status, Step
from bot.errors import Conflict, NotReady
from bot.own_list import Kept, Named, OwnList, Row, downloaded, read_file, read_pasted
from bot.permissions import Action, Actor
from bot.policy.audience import Listed, Targets
from bot.sentences import people
from bot.service.changing import refuse_correction
from bot.service.drafting import revise
from bot.service.gate import OLD_CARD, Gate
from bot.store import Transaction

# Of a longer one it is read first who is in the experience: two questions for each row would take longer.
ONE_BY_ONE: Final = 200
# So many are named on the card.
FIRST: Final = 10
NO_SERIES: Final = "A list is for one time, and cannot go out again and again: choose an audience for that."


def read_list(name: str, content: bytes | str | NotReady) -> OwnList | NotReady:
    """Return the list that a file or what was pasted has, or what to mend."""
    if isinstance(content, NotReady):
        return content
    try:
        return read_pasted(content) if isinstance(content, str) else read_file(name, content)
    except NotReady as refused:
        return refused


class Given(NamedTuple):
    """The list of a broadcast, how far its check has come, whom it reaches first, and what is given back."""

    kept: Kept
    first: Sequence[Named] = ()
    left_out: Sequence[Row] = ()


def give(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    own: OwnList | NotReady,
) -> Broadcast:
    """Give a draft the people of a list, in the place of what it had; Whop is asked about them beside.

    What could not be read as a list is refused with what to mend.
    """
    before = gate.admit(tx, actor, Action.GIVE_LIST, broadcast_id, revision)
    if isinstance(own, NotReady):
        raise own
    refuse_correction(before, "reaches those whom", "went to", "to reach others")
    if before.series is not None:
        raise NotReady(NO_SERIES)
    gate.meet(tx, actor)
    server = gate.lifecycle.server_of(before)
    account, there = gate.lifecycle.account_of(server), server.lists.experience
    inside = there if there and len(own.rows) > ONE_BY_ONE else None
    sources = account.gateway.reads.sources(Targets(experiences=(inside,))) if inside else ()
    left = "[" + ",".join(one.model_dump_json() for one in sources) + "]"
    tx.lists.give(before.id, own, account=account.name, experience=there, sources=left, at=gate.clock())
    return revise(
        tx,
        gate,
        actor,
        before,
        Step.GIVE_LIST,
        notification=before.notification,
        schedule=before.schedule,
        audience=own.title,
        listed=Listed(name=own.name, experience=there),
        detail=f"of {len(own.rows) + len(own.wrong):,} rows",
    )


def use(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
    """Confirm that a draft goes to those of its list who can be reached, and to nobody else."""
    before = gate.admit(tx, actor, Action.USE_LIST, broadcast_id, revision)
    kept = tx.lists.find(before.id)
    if before.listed is None or kept is None or not kept.is_checked:
        raise Conflict(OLD_CARD)
    if not kept.good:
        raise NotReady("Nobody of its list can be reached: give it another one.")
    gate.meet(tx, actor)
    number, digest = tx.lists.digest(before.id)
    return revise(
        tx,
        gate,
        actor,
        before,
        Step.USE_LIST,
        notification=before.notification,
        schedule=before.schedule,
        audience=before.audience,
        listed=Listed(name=before.listed.name, experience=kept.experience, people=number, digest=digest),
        detail=f"{people(number)}, digest {digest[:16]}",
    )


def download(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int) -> str:
    """Return the file of whom a broadcast reaches by its list; that somebody has it stands in the record."""
    broadcast = gate.visible(tx, actor, Action.DOWNLOAD_LIST, broadcast_id)
    gate.refuse_old_card(actor, broadcast, revision)
    kept = tx.lists.find(broadcast.id) if broadcast.listed else None
    if kept is None or not kept.is_checked:
        raise NotReady(f"#{broadcast.id} has no list that was checked.")
    if kept.dropped:
        raise NotReady(
            f"The people of #{broadcast.id} are no longer kept: how many they were is in the record."
        )
    gate.meet(tx, actor)
    detail = f"{people(kept.good)} of its list"
    gate.lifecycle.note(tx, broadcast, actor.person, Action.DOWNLOAD_LIST, detail)
    return downloaded(tx.lists.people(broadcast.id))


def given(tx: Transaction, broadcast: Broadcast) -> Given | None:
    """Return the list of a broadcast as its cards show it; None if it has none."""
    kept = tx.lists.find(broadcast.id) if broadcast.listed is not None else None
    if kept is None:
        return None
    # What is given back is for those who may mend it.
    mendable = broadcast.status is Status.DRAFT and kept.is_checked
    return Given(
        kept,
        tx.lists.people(broadcast.id, limit=FIRST),
        tx.lists.left_out(broadcast.id) if mendable else (),
    )
