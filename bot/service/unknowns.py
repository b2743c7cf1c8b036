"""What people say of sends that Whop never answered for."""

from collections.abc import Sequence
from typing import Any

from bot.broadcast import Broadcast, Status, Step
from bot.delivery import Delivery, DeliveryStatus, conclude
from bot.errors import Conflict, NotReady, Refused
from bot.freeze import describe
from bot.lifecycle import describe_state
from bot.permissions import Action, Actor
from bot.sending.key_trust import recall
from bot.service.gate import Gate, refuse_old_card, require
from bot.store import Transaction


class Unknowns(Gate):
    """Ask Whop again, say what was found, or begin anew."""

    async def resolve(
        self, actor: Actor, broadcast_id: int, *, revision: int, went_out: bool, reason: str
    ) -> Broadcast:
        """Say what became of a broadcast that Whop never answered for."""
        action = Action.CONFIRM if went_out else Action.DENY

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            require(reason)
            status = DeliveryStatus.ACCEPTED if went_out else DeliveryStatus.REJECTED
            all_of_it = await tx.deliveries.of(before.id)
            _refuse_while_checking(all_of_it)
            for delivery in all_of_it:
                if delivery.status is DeliveryStatus.UNKNOWN:
                    said = f"{actor.name} says so: {reason}"
                    await tx.deliveries.settle(delivery, status=status, detail=said, at=self._clock())
            sum_of_all = conclude(one.status for one in await tx.deliveries.of(before.id))
            # What a person says of one request does not undo what Whop said of another.
            step = Step.PARTLY if sum_of_all is Step.PARTLY else action.step
            return {"step": step, "reason": f"{actor.name}: {reason}"}

        return await self._act(actor, action, broadcast_id, revision=revision, effect=effect, detail=reason)

    async def can_check(self, broadcast: Broadcast) -> bool:
        """Tell whether Whop can be asked again about an unknown broadcast without pushing twice."""
        if broadcast.status is not Status.UNKNOWN:
            return False
        async with self._store.reading() as tx:
            return await self._may_check(tx, await tx.deliveries.of(broadcast.id))

    async def check_again(self, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
        """Let the same requests be sent once more, where Whop knows their keys and cannot push twice."""

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            all_of_it = await tx.deliveries.of(before.id)
            _refuse_while_checking(all_of_it)
            if freeze := await tx.freezes.over(before.guild_id):
                raise NotReady(describe(freeze))
            if not await self._may_check(tx, all_of_it):
                raise NotReady(
                    "It cannot be checked any more: Whop may have forgotten the request and send it twice."
                )
            for delivery in all_of_it:
                await tx.deliveries.check_again(delivery, at=self._clock())
            return {"reason": before.reason}

        return await self._act(actor, Action.CHECK, broadcast_id, revision=revision, effect=effect)

    async def send_again(
        self, actor: Actor, broadcast_id: int, *, revision: int, channel_id: int
    ) -> Broadcast:
        """Store a draft with the words of an unknown broadcast; whoever wrote them may not approve it."""
        broadcast: Broadcast | None = None
        try:
            async with self._store.transaction() as tx:
                broadcast = await self._find(tx, actor, Action.SEND_AGAIN, broadcast_id)
                self._decide(actor, Action.SEND_AGAIN, broadcast)
                if broadcast.status is not Status.UNKNOWN:
                    raise Conflict(describe_state(broadcast))
                refuse_old_card(broadcast, revision)
                await self._meet(tx, actor)
                server = self._server(actor)
                draft = await tx.broadcasts.add(
                    guild_id=server.guild,
                    author=actor.person,
                    audience=broadcast.audience,
                    notification=broadcast.notification,
                    fingerprint=self.lifecycle.fingerprint(
                        server, broadcast.audience, broadcast.notification
                    ),
                    origin_channel_id=channel_id,
                    at=self._clock(),
                    writers=await tx.broadcasts.writers(broadcast),
                    repeats=broadcast.id,
                )
                said = f"for {draft.audience}, again after #{broadcast.id}: it may be a second push"
                await self.lifecycle.note(tx, draft, actor.person, "composed", said)
        except Refused as refusal:
            await self._refuse(actor, Action.SEND_AGAIN, refusal, broadcast)
            raise
        return draft

    async def _may_check(self, tx: Transaction, deliveries: Sequence[Delivery]) -> bool:
        proof = await recall(tx, self._credential) if self._credential else None
        unknown = [one for one in deliveries if one.status is DeliveryStatus.UNKNOWN]
        return proof is not None and all(
            # What was restored from a copy may have tries that it knows nothing of.
            one.past and proof.covers(one.past, now=self._clock())
            for one in unknown
        )


def _refuse_while_checking(deliveries: Sequence[Delivery]) -> None:
    if any(one.status in {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT} for one in deliveries):
        raise Conflict("Whop is being asked about it right now: wait for the answer.")
