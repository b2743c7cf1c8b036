"""What people can look at."""

from collections.abc import Mapping, Sequence

from bot.audit.chain import Event
from bot.audit.search import Search, read_search
from bot.broadcast import OPEN, Broadcast, Status
from bot.delivery import Delivery
from bot.errors import Conflict, NotFound, Refused
from bot.lifecycle import describe_state
from bot.permissions import Action, Actor, approvers, decide
from bot.policy.model import Audience, Topic
from bot.service.gate import LISTED, Gate
from bot.whop import Form


class Looking(Gate):
    """Lists, single broadcasts, and the record."""

    @property
    def form(self) -> Form:
        """Return what composing asks for."""
        return self.lifecycle.gateway.form

    def permits(self, actor: Actor, action: Action) -> bool:
        """Tell whether the actor could do this at all, without recording the question."""
        return decide(self.policy, actor, action) is None

    def choices(self, actor: Actor, action: Action) -> tuple[Sequence[Audience], Sequence[Topic]]:
        """Return the audiences and topics the actor may choose from; nothing for those who may not."""
        server = self.policy.server(actor.guild_id)
        if server is None or not self.permits(actor, action):
            return (), ()
        return server.audiences, server.topics

    def approve_roles(self, actor: Actor) -> Sequence[int]:
        """Return the Discord roles that may approve in the actor's server."""
        server = self.policy.server(actor.guild_id)
        return server.roles.approve if server else ()

    async def look(self, actor: Actor, broadcast_id: int) -> tuple[Broadcast, list[Delivery]]:
        """Return a broadcast of the actor's server; a draft only to its author."""
        broadcast: Broadcast | None = None
        try:
            async with self._store.reading() as tx:
                broadcast = await self._find(tx, actor, Action.LIST, broadcast_id)
                self._decide(actor, Action.LIST, broadcast)
                if broadcast.status is Status.DRAFT and broadcast.author.id != actor.id:
                    raise NotFound(f"#{broadcast_id} is a draft, and only its author can see it.")
                return broadcast, await tx.deliveries.of(broadcast_id)
        except Refused as refusal:
            await self._refuse(actor, Action.LIST, refusal, broadcast)
            raise

    async def drafts(self, actor: Actor) -> list[Broadcast]:
        """Return the actor's own drafts, newest first."""
        await self._authorise(actor, Action.COMPOSE)
        async with self._store.reading() as tx:
            return await tx.broadcasts.of_author(
                self._server(actor).guild, actor.id, Status.DRAFT, limit=LISTED
            )

    async def queue(self, actor: Actor) -> list[Broadcast]:
        """Return what waits for people or for its time, newest first."""
        return await self._listed(actor, sorted(OPEN))

    async def history(self, actor: Actor) -> list[Broadcast]:
        """Return what was sent, failed or cancelled, newest first."""
        return await self._listed(
            actor, [Status.SENT, Status.PARTIAL, Status.FAILED, Status.UNKNOWN, Status.CANCELLED]
        )

    async def who(self, actor: Actor, broadcast_id: int, members: Sequence[Actor]) -> tuple[int, list[Actor]]:
        """Return how many approvals a broadcast still needs, and which of the members could give them now."""
        broadcast, _ = await self.look(actor, broadcast_id)
        if broadcast.status not in {Status.DRAFT, Status.REVIEW}:
            refusal = Conflict(describe_state(broadcast))
            await self._refuse(actor, Action.LIST, refusal, broadcast)
            raise refusal
        quorum = self.lifecycle.server_of(broadcast).quorum(broadcast.audience)
        return quorum - broadcast.agreed, approvers(self.policy, broadcast, members)

    async def recorded_audiences(self, actor: Actor) -> list[str]:
        """Return the audiences by which the record can be searched; nothing for those who may not."""
        server = self.policy.server(actor.guild_id)
        if server is None or not self.permits(actor, Action.AUDIT):
            return []
        async with self._store.reading() as tx:
            recorded = await tx.audit.audiences(server.guild)
        return list(dict.fromkeys([*(one.name for one in server.audiences), *recorded]))

    async def read_search(self, actor: Actor, typed: Mapping[str, str | None]) -> Search:
        """Return what is looked for in the record of the actor's server; raise Refused with what to mend."""
        await self._authorise(actor, Action.AUDIT)
        known = await self.recorded_audiences(actor)
        return read_search(typed, guild_id=self._server(actor).guild, audiences=known, now=self._clock())

    async def audit(self, actor: Actor, search: Search, *, before: int | None = None) -> list[Event]:
        """Return what was found in the record of the actor's server, newest first."""
        await self._authorise(actor, Action.AUDIT)
        own = search.model_copy(update={"guild_id": self._server(actor).guild})
        async with self._store.reading() as tx:
            return await tx.audit.newest(own, before=before, limit=LISTED)
