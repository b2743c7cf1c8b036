"""What becomes of a broadcast before it is sent."""

from contextlib import suppress
from typing import Any

from bot.broadcast import Broadcast, Step
from bot.errors import Conflict, NotReady
from bot.permissions import Action, Actor
from bot.service.gate import LISTED, Gate, require, require_name
from bot.store import Transaction


class Review(Gate):
    """Approve it, give it back, stop it, release it or end it."""

    async def approve(self, actor: Actor, broadcast_id: int, *, revision: int, typed: str = "") -> Broadcast:
        """Count the actor's yes; the last one needed starts the undo window.

        For a large audience its name has to be `typed`.
        """

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            if any(approval.approver.id == actor.id for approval in before.approvals):
                raise Conflict("You have approved this already.")
            server = self.lifecycle.server_of(before)
            if not self.lifecycle.is_unchanged(before):
                raise Conflict(
                    "What this would send has changed in the policy since it was submitted:"
                    " its author has to withdraw it and submit it again."
                )
            said = require_name(server, before.audience, typed)
            # Their own yes takes the place of what they have lent.
            await tx.broadcasts.retract(before.id, actor.id)
            await tx.broadcasts.approve(before, approver=actor.person, at=self._clock())
            if (await tx.broadcasts.get(before.id)).agreed < server.quorum(before.audience):
                return {"detail": said}
            due_at = self._clock() + server.rules.undo_window
            return {"detail": said, "step": Step.QUORUM, "due_at": due_at, "review_expires_at": None}

        return await self._act(actor, Action.APPROVE, broadcast_id, revision=revision, effect=effect)

    async def retract(self, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
        """Take back one's own approval while others are still asked for theirs."""

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            if not await tx.broadcasts.retract(before.id, actor.id):
                raise Conflict("You have not approved this, so there is nothing to withdraw.")
            return {}

        return await self._act(actor, Action.RETRACT, broadcast_id, revision=revision, effect=effect)

    async def withdraw(self, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
        """Take one's broadcast out of review, back to draft."""
        return await self._back(actor, Action.WITHDRAW, broadcast_id, revision, "")

    async def request_changes(
        self, actor: Actor, broadcast_id: int, *, revision: int, reason: str
    ) -> Broadcast:
        """Give it back to its author with a reason."""
        return await self._back(actor, Action.REQUEST_CHANGES, broadcast_id, revision, reason)

    async def stop(self, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
        """Stop an approved broadcast inside its undo window, back to draft."""
        return await self._back(actor, Action.STOP, broadcast_id, revision, f"stopped by {actor.name}")

    async def take_back(self, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
        """Take a held broadcast back to draft."""
        return await self._back(actor, Action.RETURN, broadcast_id, revision, "")

    async def release(self, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
        """Put a held broadcast before the approvers again: it needs fresh approvals."""

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            server, now = self.lifecycle.server_of(before), self._clock()
            lacking = self.lifecycle.shortcomings(before)
            if lacking:
                raise NotReady(lacking[0])
            await tx.broadcasts.void_approvals(before.id)
            await tx.outbox.open_card(before.id, channel_id=server.channels.review, at=now)
            return {
                "reason": "",
                "due_at": None,
                "fingerprint": self.lifecycle.fingerprint(server, before.audience, before.notification),
                "review_expires_at": now + server.rules.review_expires,
            }

        return await self._act(actor, Action.RELEASE, broadcast_id, revision=revision, effect=effect)

    async def reject(self, actor: Actor, broadcast_id: int, *, revision: int, reason: str) -> Broadcast:
        """End it with a reason; it can only be composed anew."""
        return await self._end(actor, Action.REJECT, broadcast_id, revision, reason)

    async def cancel(
        self, actor: Actor, broadcast_id: int, *, revision: int | None = None, reason: str = ""
    ) -> Broadcast:
        """End it before it is sent."""
        return await self._end(actor, Action.CANCEL, broadcast_id, revision, reason)

    async def expire_reviews(self) -> int:
        """Give broadcasts that nobody answered for in time back to their authors; return how many."""
        async with self._store.reading() as tx:
            overdue = await tx.broadcasts.expired(self._clock(), limit=LISTED)
        for broadcast in overdue:
            # Conflict: someone decided in this very moment.
            with suppress(Conflict):
                async with self._store.transaction() as tx:
                    # Loaded again, and nobody else's now: it may have been submitted anew meanwhile.
                    if await tx.broadcasts.get(broadcast.id) != broadcast:
                        continue
                    await tx.broadcasts.void_approvals(broadcast.id)
                    await self.lifecycle.advance(
                        tx, broadcast, Step.EXPIRE, detail="nobody decided in time", review_expires_at=None
                    )
        return len(overdue)

    async def _back(
        self, actor: Actor, action: Action, broadcast_id: int, revision: int, reason: str
    ) -> Broadcast:
        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            if action is Action.REQUEST_CHANGES:
                require(reason)
            await tx.broadcasts.void_approvals(before.id)
            return {"reason": said, "due_at": None, "review_expires_at": None}

        said = reason
        if action is Action.REQUEST_CHANGES:
            said = f"{actor.name} asked for changes: {reason}"
        return await self._act(actor, action, broadcast_id, revision=revision, effect=effect, detail=reason)

    async def _end(
        self, actor: Actor, action: Action, broadcast_id: int, revision: int | None, reason: str
    ) -> Broadcast:
        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            _ = tx, before
            if action is Action.REJECT:
                require(reason)
            return {"reason": said, "due_at": None, "review_expires_at": None}

        said = reason
        if action is Action.REJECT:
            said = f"{actor.name} rejected it: {reason}"
        return await self._act(actor, action, broadcast_id, revision=revision, effect=effect, detail=reason)
