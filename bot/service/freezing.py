"""Halting all sending, and letting it go on."""

from bot.broadcast import Broadcast, Status
from bot.errors import Conflict, NotAllowed, Refused
from bot.freeze import Freeze
from bot.permissions import Action, Actor
from bot.service.gate import LISTED, Gate, limit, require


class Freezing(Gate):
    """Freeze and unfreeze."""

    async def freeze(self, actor: Actor, reason: str) -> Freeze:
        """Halt all sending of the actor's server, with a reason."""
        await self._authorise(actor, Action.FREEZE)
        try:
            require(reason)
            limit(reason)
            guild = self._server(actor).guild
            freeze = Freeze(guild_id=guild, by=actor.person, at=self._clock(), reason=reason)
            async with self._store.transaction() as tx:
                await self._meet(tx, actor)
                await self.lifecycle.freeze(tx, freeze)
        except Refused as refusal:
            await self._refuse(actor, Action.FREEZE, refusal, None)
            raise
        return freeze

    async def frozen(self, actor: Actor) -> tuple[Freeze | None, list[Broadcast]]:
        """Return the freeze over the actor's server, and what would go out if it were lifted."""
        await self._authorise(actor, Action.LIST)
        async with self._store.reading() as tx:
            guild = self._server(actor).guild
            waiting = [Status.APPROVED, Status.SENDING]
            return await tx.freezes.over(guild), await tx.broadcasts.in_status(guild, waiting, limit=LISTED)

    async def unfreeze(self, actor: Actor) -> None:
        """Lift the freeze over the actor's server: a second person has to."""
        await self._authorise(actor, Action.UNFREEZE)
        try:
            async with self._store.transaction() as tx:
                await self._meet(tx, actor)
                freeze = await tx.freezes.over(self._server(actor).guild)
                if freeze is None:
                    raise Conflict("Sending is not frozen.")
                if freeze.by.id == actor.id:
                    raise NotAllowed("You froze it, so somebody else has to lift the freeze.")
                await self.lifecycle.unfreeze(tx, freeze, actor.person)
        except Refused as refusal:
            await self._refuse(actor, Action.UNFREEZE, refusal, None)
            raise
