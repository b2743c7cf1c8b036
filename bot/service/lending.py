"""What a template lends to a broadcast that is made of it: the approval it was given beforehand."""

from collections.abc import Sequence
from typing import NamedTuple

from bot import seal
from bot.approvals import complete
from bot.audit.chain import HERALD
from bot.broadcast import Approval, Broadcast
from bot.lifecycle import Lifecycle
from bot.notification import proof_code
from bot.policy.model import Server, Template
from bot.quorum import missing
from bot.sentences import listed
from bot.store import Transaction
from bot.template import fits


class Standing(NamedTuple):
    """A template with who approved what it says now, and how many have to."""

    template: Template
    fingerprint: str
    approvals: tuple[Approval, ...]
    needed: int

    @property
    def proof(self) -> str:
        """Return the proof code of what it says now."""
        return proof_code(self.fingerprint)

    @property
    def is_approved(self) -> bool:
        """Tell whether it lends its approval."""
        return len(self.approvals) >= self.needed

    @property
    def number(self) -> int:
        """Return what stands for it where only a number fits: another one once its card shows another."""
        return seal.number_of_template(self.fingerprint, needed=self.needed)

    @property
    def seal(self) -> str:
        """Return what seals its cards and forms."""
        return seal.of_template(self.fingerprint, needed=self.needed)


def standing_of(tx: Transaction, lifecycle: Lifecycle, server: Server) -> list[Standing]:
    """Return all templates of a server with who approved what they say now."""
    printed = {one.name: lifecycle.template_fingerprint(server, one) for one in server.templates}
    given = tx.templates.approvals(server.guild, printed)
    return [
        Standing(one, printed[one.name], given[one.name], server.quorum(one.audience))
        for one in server.templates
    ]


def find_template(tx: Transaction, lifecycle: Lifecycle, guild_id: int, number: int) -> Standing | None:
    """Return the template that says what the number stands for, if one still does."""
    server = lifecycle.policy.server(guild_id)
    standings = standing_of(tx, lifecycle, server) if server else []
    return next((one for one in standings if one.number == number), None)


def lenders(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> tuple[Approval, ...]:
    """Return who approved the template that it is made of, but for whoever wrote the broadcast."""
    server = lifecycle.server_of(broadcast)
    made_of = {
        one.name
        for one in server.templates
        if one.audience == broadcast.audience and fits(one, broadcast.notification)
    }
    # Nobody could say yes beforehand to a second push, or after someone stopped it or sent it back.
    if not made_of or broadcast.repeats is not None or tx.outbox.has_card(broadcast.id):
        return ()
    wrote = {broadcast.author.id, *broadcast.editors}
    for standing in standing_of(tx, lifecycle, server):
        if standing.template.name in made_of and standing.is_approved:
            # One that was approved before it counted as large is another template by its fingerprint.
            named = {"named": server.is_large(broadcast.audience)}
            given = (one for one in standing.approvals if one.approver.id not in wrote)
            return tuple(one.model_copy(update=named) for one in given)
    return ()


def lend(
    tx: Transaction,
    lifecycle: Lifecycle,
    submitted: Broadcast,
    approvals: Sequence[Approval],
) -> Broadcast:
    """Let what was approved beforehand count as one approval, which may be the last one needed."""
    if not approvals:
        return submitted
    lent = tx.broadcasts.approve_all(submitted, approvals)
    names = listed((one.approver.name for one in approvals), between=" and ")
    said = f"“{approvals[0].template}”, approved beforehand by {names}, counts as one approval"
    lifecycle.note(tx, submitted, HERALD, "template", said)
    server = lifecycle.server_of(lent)
    return lent if missing(server, lent) else complete(tx, lifecycle, lent)
