"""What a template lends to a broadcast that is made of it: the approval it was given beforehand."""

from typing import NamedTuple

from bot.audit.chain import HERALD
from bot.broadcast import Approval, Broadcast, Step, template_number
from bot.notification import proof_code
from bot.policy.model import Server, Template
from bot.service.gate import Gate
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
        """Return what stands for it where only a number fits: another one once it says something else."""
        return template_number(self.fingerprint)


class Lending(Gate):
    """Lend an approval, once, to what a template's approvers have read but for its blanks."""

    async def lent_to(self, broadcast: Broadcast) -> tuple[Approval, ...]:
        """Return the approvals that submitting the draft would let count as one."""
        async with self._store.reading() as tx:
            return await self._lenders(tx, broadcast)

    async def find_template(self, tx: Transaction, guild_id: int, number: int) -> Standing | None:
        """Return the template that says what the number stands for, if one still does."""
        server = self.policy.server(guild_id)
        standings = [await self._standing(tx, server, one) for one in server.templates] if server else []
        return next((one for one in standings if one.number == number), None)

    async def _standing(self, tx: Transaction, server: Server, template: Template) -> Standing:
        fingerprint = self.lifecycle.template_fingerprint(server, template)
        approvals = await tx.templates.approvals(server.guild, fingerprint, name=template.name)
        return Standing(template, fingerprint, approvals, server.quorum(template.audience))

    async def _lenders(self, tx: Transaction, broadcast: Broadcast) -> tuple[Approval, ...]:
        """Return who approved the template that it is made of, but for whoever wrote the broadcast."""
        server = self.lifecycle.server_of(broadcast)
        # Nobody could say yes beforehand to a second push, or after someone stopped it or sent it back.
        if broadcast.repeats is not None or await tx.outbox.has_card(broadcast.id):
            return ()
        for template in server.templates:
            if template.audience == broadcast.audience and fits(template, broadcast.notification):
                standing = await self._standing(tx, server, template)
                wrote = {broadcast.author.id, *broadcast.editors}
                if standing.is_approved:
                    return tuple(one for one in standing.approvals if one.approver.id not in wrote)
        return ()

    async def _lend(self, tx: Transaction, submitted: Broadcast, lenders: tuple[Approval, ...]) -> Broadcast:
        """Let what was approved beforehand count as one approval, which may be the last one needed."""
        if not lenders:
            return submitted
        for one in lenders:
            await tx.broadcasts.approve(submitted, approver=one.approver, at=one.at, template=one.template)
        names = " and ".join(one.approver.name for one in lenders)
        said = f"“{lenders[0].template}”, approved beforehand by {names}, counts as one approval"
        await self.lifecycle.note(tx, submitted, HERALD, "template", said)
        lent = await tx.broadcasts.get(submitted.id)
        server = self.lifecycle.server_of(lent)
        if lent.agreed < server.quorum(lent.audience):
            return lent
        return await self.lifecycle.advance(
            tx,
            lent,
            Step.QUORUM,
            detail="enough approvals",
            reason="",
            due_at=self._clock() + server.rules.undo_window,
            review_expires_at=None,
        )
