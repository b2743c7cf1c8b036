"""Changes of mind about whom a draft reaches, or what it is about: its words stay."""

from bot.broadcast import Broadcast, Step
from bot.errors import NotReady
from bot.permissions import Action, Actor
from bot.service.drafting import revise
from bot.service.gate import Gate
from bot.store import Transaction


def change_audience(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, audience: str
) -> Broadcast:
    """Let a draft reach others, as a new revision with the same words; what began a series takes it along.

    Raises NotReady for a correction, which reaches those whom the wrong words went to.
    """
    before = gate.admit(tx, actor, Action.EDIT, broadcast_id, revision)
    refuse_correction(before, "reaches those whom", "went to", "to reach others")
    gate.choose(actor, audience, None)
    if audience == before.audience:
        raise NotReady(f"It is for “{audience}” already: choose another audience, or leave it.")
    gate.meet(tx, actor)
    schedule = before.schedule
    if schedule is not None and schedule.moved_from is not None:
        # The quiet hours of another audience are others: it has its own time again.
        schedule = schedule.settled(schedule.moved_from)
    return revise(
        tx,
        gate,
        actor,
        before,
        Step.EDIT,
        notification=before.notification,
        schedule=schedule,
        audience=audience,
    )


def change_topic(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, topic: str
) -> Broadcast:
    """Let a draft be about something else, as a new revision with the same words.

    Raises NotReady for a correction, which keeps the topic of the wrong words.
    """
    before = gate.admit(tx, actor, Action.EDIT, broadcast_id, revision)
    refuse_correction(before, "keeps the topic of", "", "for another one")
    gate.choose(actor, None, topic)
    if topic == before.notification.topic:
        raise NotReady("It is about that already: choose another topic, or leave it.")
    gate.meet(tx, actor)
    words = before.notification.model_copy(update={"topic": topic})
    return revise(tx, gate, actor, before, Step.EDIT, notification=words, schedule=before.schedule)


def refuse_correction(draft: Broadcast, does: str, what: str, mend: str) -> None:
    """Raise NotReady for a correction, with what it does and how else that can be had."""
    if draft.corrects is not None:
        corrected = f"#{draft.corrects} {what}".strip()
        raise NotReady(f"It is a correction, which {does} {corrected}: compose anew {mend}.")
