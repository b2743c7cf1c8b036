"""What authors do with their drafts."""

from collections.abc import Sequence
from typing import Any

from bot.broadcast import Approval, Broadcast
from bot.errors import NotReady, Refused
from bot.notification import Notification
from bot.permissions import Action, Actor, approvers
from bot.policy.model import Server
from bot.service.lending import Lending
from bot.store import Transaction


class Drafting(Lending):
    """Compose, edit, submit."""

    async def may_compose(self, actor: Actor, *, audience: str, topic: str) -> None:
        """Raise Refused if composing this could only be refused later, before anything is typed."""
        await self._authorise(actor, Action.COMPOSE)
        await self._choose(actor, audience, topic)

    async def editable(self, actor: Actor, broadcast_id: int) -> Broadcast:
        """Return the newest words of the actor's own draft."""
        return await self.ask(actor, Action.EDIT, broadcast_id)

    async def compose(
        self, actor: Actor, *, audience: str, notification: Notification, channel_id: int
    ) -> Broadcast:
        """Store a new draft, fit to be sent or not: nothing typed is lost."""
        await self._authorise(actor, Action.COMPOSE)
        server = self._server(actor)
        await self._choose(actor, audience, notification.topic)
        try:
            async with self._store.transaction() as tx:
                await self._meet(tx, actor)
                draft = await tx.broadcasts.add(
                    guild_id=server.guild,
                    author=actor.person,
                    audience=audience,
                    notification=notification,
                    fingerprint=self.lifecycle.fingerprint(server, audience, notification),
                    origin_channel_id=channel_id,
                    at=self._clock(),
                )
                await self.lifecycle.note(tx, draft, actor.person, "composed", f"for {audience}")
        except Refused as refusal:
            await self._refuse(actor, Action.COMPOSE, refusal, None)
            raise
        return draft

    async def edit(
        self, actor: Actor, broadcast_id: int, *, revision: int, notification: Notification
    ) -> Broadcast:
        """Replace the words of a draft by a new revision."""

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            number = before.revision + 1
            await tx.broadcasts.add_revision(
                before.id, number, editor=actor.person, notification=notification, at=self._clock()
            )
            new = self.lifecycle.fingerprint(self.lifecycle.server_of(before), before.audience, notification)
            return {"revision": number, "notification": notification, "fingerprint": new, "reason": ""}

        return await self._act(actor, Action.EDIT, broadcast_id, revision=revision, effect=effect)

    async def submit(
        self,
        actor: Actor,
        broadcast_id: int,
        *,
        revision: int,
        note: str = "",
        members: Sequence[Actor] | None = None,
    ) -> Broadcast:
        """Lock a draft and put it before the approvers.

        Where Discord tells who the server's members are, what not enough of them could approve is refused.
        """

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            lacking = self.lifecycle.shortcomings(before)
            if lacking:
                raise NotReady(lacking[0])
            server = self.lifecycle.server_of(before)
            lenders.extend(await self._lenders(tx, before))
            self._reachable(server, before.model_copy(update={"lent": tuple(lenders)}), members)
            now = self._clock()
            await tx.outbox.open_card(before.id, channel_id=server.channels.review, at=now)
            return {
                "note": note,
                "reason": "",
                # The policy may have changed since the words were typed.
                "fingerprint": self.lifecycle.fingerprint(server, before.audience, before.notification),
                "review_expires_at": now + server.rules.review_expires,
            }

        async def then(tx: Transaction, submitted: Broadcast) -> Broadcast:
            return await self._lend(tx, submitted, tuple(lenders))

        lenders: list[Approval] = []
        return await self._act(
            actor,
            Action.SUBMIT,
            broadcast_id,
            revision=revision,
            effect=effect,
            then=then,
            detail=note,
        )

    def _reachable(self, server: Server, broadcast: Broadcast, members: Sequence[Actor] | None) -> None:
        if members is None:
            return
        needed = server.quorum(broadcast.audience) - broadcast.agreed
        able = approvers(self.policy, broadcast, members)
        if len(able) < needed:
            holders = " or ".join(f"<@&{role}>" for role in server.roles.approve)
            raise NotReady(
                f"Nobody could ever approve this: it needs {needed} approval(s), and {len(able)} member(s)"
                f" other than its author hold the role {holders}. Give the role to more people first."
            )
