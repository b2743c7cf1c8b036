"""Reaching the very people whom another broadcast reached by a list."""

from bot.broadcast import Broadcast
from bot.errors import NotReady
from bot.service.gate import Gate
from bot.store import Transaction


def keep_for(tx: Transaction, gate: Gate, before: Broadcast, draft: Broadcast) -> None:
    """Let a draft reach the very people of another's list; raise NotReady if they are no longer kept."""
    if before.listed is not None and not tx.lists.copy(before.id, to=draft.id, at=gate.clock()):
        raise NotReady(
            f"The people of the list of #{before.id} are no longer kept: use its words again, and give that"
            " draft a list."
        )
