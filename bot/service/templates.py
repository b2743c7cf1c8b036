"""Templates for emergencies: approved beforehand, they lend a broadcast one approval."""

from collections.abc import Awaitable, Callable, Mapping

from bot.broadcast import Broadcast
from bot.errors import Conflict, NotFound, Refused
from bot.permissions import Action, Actor
from bot.service.drafting import Drafting
from bot.service.gate import require_name
from bot.service.lending import Standing
from bot.store import Transaction
from bot.template import fill


class Templates(Drafting):
    """Look at templates, approve them, compose from them."""

    async def templates(self, actor: Actor) -> list[Standing]:
        """Return the templates of the actor's server."""
        await self._authorise(actor, Action.LIST)
        server = self._server(actor)
        async with self._store.reading() as tx:
            return [await self._standing(tx, server, template) for template in server.templates]

    async def ask_template(self, actor: Actor, action: Action, number: int) -> Standing:
        """Return the template if the actor could do this now; raise Refused before anything is typed."""
        try:
            self._decide(actor, action, None)
            async with self._store.reading() as tx:
                return await self._known(tx, self._server(actor).guild, number)
        except Refused as refusal:
            await self._refuse(actor, action, refusal, None)
            raise

    async def compose_from(
        self, actor: Actor, number: int, values: Mapping[str, str], *, channel_id: int
    ) -> Broadcast:
        """Store a new draft with the words of a template and its blanks filled."""
        template = (await self.ask_template(actor, Action.COMPOSE, number)).template
        try:
            notification = fill(template, values)
        except Refused as refusal:
            await self._refuse(actor, Action.COMPOSE, refusal, None)
            raise
        return await self.compose(
            actor, audience=template.audience, notification=notification, channel_id=channel_id
        )

    async def approve_template(self, actor: Actor, number: int, *, typed: str = "") -> Standing:
        """Count the actor's yes to what a template says now."""

        async def effect(tx: Transaction, before: Standing) -> str:
            server = self._server(actor)
            said = require_name(server, before.template.audience, typed)
            new = await tx.templates.approve(
                server.guild, before.fingerprint, approver=actor.person, at=self._clock()
            )
            if not new:
                raise Conflict("You have approved this template already.")
            return said

        return await self._decide_on(actor, Action.APPROVE_TEMPLATE, number, effect)

    async def retract_template(self, actor: Actor, number: int) -> Standing:
        """Take back one's approval of a template."""

        async def effect(tx: Transaction, before: Standing) -> str:
            if not await tx.templates.retract(self._server(actor).guild, before.fingerprint, actor.id):
                raise Conflict("You have not approved this template, so there is nothing to withdraw.")
            return ""

        return await self._decide_on(actor, Action.RETRACT_TEMPLATE, number, effect)

    async def _decide_on(
        self,
        actor: Actor,
        action: Action,
        number: int,
        effect: Callable[[Transaction, Standing], Awaitable[str]],
    ) -> Standing:
        try:
            self._decide(actor, action, None)
            server = self._server(actor)
            async with self._store.transaction() as tx:
                await self._meet(tx, actor)
                before = await self._known(tx, server.guild, number)
                said = await effect(tx, before)
                detail = f"template “{before.template.name}”" + (f": {said}" if said else "")
                await self.lifecycle.note_template(
                    tx, server.guild, actor.person, action.value, detail, proof=before.proof
                )
                return await self._standing(tx, server, before.template)
        except Refused as refusal:
            await self._refuse(actor, action, refusal, None)
            raise

    async def _known(self, tx: Transaction, guild_id: int, number: int) -> Standing:
        standing = await self.find_template(tx, guild_id, number)
        if standing is None:
            raise NotFound("This template says something else by now, or is gone: see `/notify template`.")
        return standing
