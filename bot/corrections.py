"""Corrections: a follow-up to the people whom something wrong has reached, and how the two stand together."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bot.broadcast import Broadcast
from bot.lifecycle import Lifecycle
from bot.notification import Notification, Text
from bot.store import Transaction


class Pair(NamedTuple):
    """What a broadcast corrects, as that stands now, and what corrects it, oldest first."""

    corrected: Broadcast | None = None
    corrections: Sequence[Broadcast] = ()


UNPAIRED: Final = Pair()


def pair_of(tx: Transaction, broadcast: Broadcast) -> Pair:
    """Return what a broadcast corrects, and what corrects it; nothing is asked where there is neither."""
    numbers = [one for one in (broadcast.corrects, *broadcast.corrected_by) if one is not None]
    found = {one.id: one for one in tx.broadcasts.all_of(numbers)} if numbers else {}
    corrected = found.pop(broadcast.corrects, None) if broadcast.corrects is not None else None
    return Pair(corrected, list(found.values()))


def shortcomings(lifecycle: Lifecycle, broadcast: Broadcast, corrected: Broadcast | None) -> list[str]:
    """Return a sentence for each thing that keeps a correction from being one."""
    if corrected is None:
        return []
    found: list[str] = []
    if _read(broadcast.notification) == _read(corrected.notification):
        found.append(f"It says what #{corrected.id} said: change the words that were wrong.")
    if broadcast.notification.topic != corrected.notification.topic:
        found.append(f"A correction keeps the topic of #{corrected.id}: compose anew for another one.")
    return [*found, *reaches_others(lifecycle, corrected)]


def reaches_others(lifecycle: Lifecycle, corrected: Broadcast) -> list[str]:
    """Return a sentence if a correction would not reach exactly those whom it is for.

    They are whom the audience stands for. Once recipients are frozen with what is sent, they belong here.
    """
    server = lifecycle.policy.server(corrected.guild_id)
    # What clocks show by now for the time at which it went out says nothing of whom it reached.
    if server is not None and lifecycle.likeness_now(server, corrected) == corrected.likeness:
        return []
    return [
        f"“{corrected.audience}” stands for others now than those whom #{corrected.id} went to, or they are"
        " reached in another way: compose anew."
    ]


def _read(notification: Notification) -> Sequence[str]:
    """Return what customers read, however it is spaced."""
    feed, phone = notification.in_app or notification.all, notification.mobile or notification.all
    texts = [part for text in (feed, phone) for part in _parts(text)]
    return [" ".join((one or "").split()) for one in (*texts, notification.subtitle, notification.link)]


def _parts(text: Text | None) -> Sequence[str]:
    return (text.subject, text.content) if text else ("", "")
