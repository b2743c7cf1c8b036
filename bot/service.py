"""The use cases: each loads, decides, advances, stores and records in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from bot.audit import HERALD, Entry
from bot.broadcast import (
    ECHOED,
    OPEN,
    TRANSITIONS,
    Broadcast,
    Notification,
    Person,
    Status,
    Step,
    fingerprint,
    problems,
)
from bot.clock import Clock
from bot.delivery import Delivery, DeliveryStatus
from bot.errors import Conflict, NotAllowed, NotFound, NotReady, Refused
from bot.permissions import Action, Actor, decide
from bot.policy import Audience, Policy, Server, Topic
from bot.store import Store, Transaction
from bot.store.announcements import PostKind
from bot.whop import WhopGateway

LISTED: Final = 25
REASON_LIMIT: Final = 500

Effect = Callable[[Transaction, Broadcast], Awaitable[dict[str, Any]]]


class Service:
    """What people can do with broadcasts; every refusal is a sentence and stands in the record."""

    def __init__(
        self,
        *,
        store: Store,
        policy: Policy,
        gateway: WhopGateway,
        destination: str,
        clock: Clock,
        bell: asyncio.Event,
    ) -> None:
        self._store = store
        self.policy = policy
        self.gateway = gateway
        self._destination = destination
        self._clock = clock
        self._bell = bell

    # --- looking -----------------------------------------------------------------------------------

    def permits(self, actor: Actor, action: Action) -> bool:
        """Tell whether the actor could do this at all, without recording the question."""
        return decide(self.policy, actor, action) is None

    def choices(self, actor: Actor, action: Action) -> tuple[Sequence[Audience], Sequence[Topic]]:
        """Return the audiences and topics the actor may choose from; nothing for those who may not."""
        server = self.policy.server(actor.guild_id)
        if server is None or not self.permits(actor, action):
            return (), ()
        return server.audiences, server.topics

    async def may_compose(self, actor: Actor, *, audience: str, topic: str) -> None:
        """Raise Refused if composing this could only be refused later, before anything is typed."""
        await self._authorise(actor, Action.COMPOSE)
        self._chosen(self._server(actor), audience, topic)

    async def ask(
        self, actor: Actor, action: Action, broadcast_id: int, *, revision: int | None = None
    ) -> Broadcast:
        """Return the broadcast if the actor could do this now; raise Refused before anything is typed."""
        broadcast: Broadcast | None = None
        try:
            async with self._store.reading() as tx:
                broadcast = await self._find(tx, actor, broadcast_id)
                self._permit(actor, action, broadcast, revision)
        except Refused as refusal:
            await self._refuse(actor, action, refusal, broadcast)
            raise
        return broadcast

    async def editable(self, actor: Actor, broadcast_id: int) -> Broadcast:
        """Return the newest words of the actor's own draft."""
        return await self.ask(actor, Action.EDIT, broadcast_id)

    async def look(self, actor: Actor, broadcast_id: int) -> tuple[Broadcast, list[Delivery]]:
        """Return a broadcast of the actor's server; a draft only to its author."""
        await self._authorise(actor, Action.LIST)
        async with self._store.reading() as tx:
            broadcast = await self._find(tx, actor, broadcast_id)
            if broadcast.status is Status.DRAFT and broadcast.author.id != actor.id:
                raise NotFound(f"#{broadcast_id} is a draft, and only its author can see it.")
            return broadcast, await tx.deliveries.of(broadcast_id)

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

    def shortcomings(self, broadcast: Broadcast) -> list[str]:
        """Return a sentence for each thing that keeps a broadcast from being submitted."""
        server = self.server_of(broadcast)
        found = [
            *problems(broadcast.notification),
            *self.gateway.refuse_notification(broadcast.notification),
        ]
        if server.audience(broadcast.audience) is None:
            found.append(f"The audience “{broadcast.audience}” is no longer in the policy: compose anew.")
        if server.topic(broadcast.notification.topic) is None:
            found.append(
                f"The topic “{broadcast.notification.topic}” is no longer in the policy: compose anew."
            )
        return found

    def server_of(self, broadcast: Broadcast) -> Server:
        """Return the server whose rules hold for the broadcast; raise Conflict if the policy lost it."""
        server = self.policy.server(broadcast.guild_id)
        if server is None:
            raise Conflict("The policy no longer names this server: nothing can be done with its broadcasts.")
        return server

    # --- writing -----------------------------------------------------------------------------------

    async def compose(
        self, actor: Actor, *, audience: str, notification: Notification, channel_id: int
    ) -> Broadcast:
        """Store a new draft, fit to be sent or not: nothing typed is lost."""
        await self._authorise(actor, Action.COMPOSE)
        server = self._server(actor)
        self._chosen(server, audience, notification.topic)
        async with self._store.transaction() as tx:
            draft = await tx.broadcasts.add(
                guild_id=server.guild,
                author=actor.person,
                audience=audience,
                notification=notification,
                fingerprint=self._fingerprint(server, audience, notification),
                origin_channel_id=channel_id,
                at=self._clock(),
            )
            await self._note(tx, draft, actor.person, "composed", f"for {audience}")
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
            new = self._fingerprint(self.server_of(before), before.audience, notification)
            return {"revision": number, "notification": notification, "fingerprint": new, "reason": ""}

        return await self._act(actor, Action.EDIT, broadcast_id, revision=revision, effect=effect)

    async def submit(self, actor: Actor, broadcast_id: int, *, revision: int, note: str = "") -> Broadcast:
        """Lock a draft and put it before the approvers."""

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            lacking = self.shortcomings(before)
            if lacking:
                raise NotReady(lacking[0])
            server = self.server_of(before)
            now = self._clock()
            await tx.announcements.open_card(before.id, channel_id=server.channels.review, at=now)
            return {
                "note": note,
                "reason": "",
                # The policy may have changed since the words were typed.
                "fingerprint": self._fingerprint(server, before.audience, before.notification),
                "review_expires_at": now + server.rules.review_expires,
            }

        return await self._act(
            actor, Action.SUBMIT, broadcast_id, revision=revision, effect=effect, detail=note
        )

    async def approve(self, actor: Actor, broadcast_id: int, *, revision: int) -> Broadcast:
        """Count the actor's yes; the last one needed starts the undo window."""

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            if any(approval.approver.id == actor.id for approval in before.approvals):
                raise Conflict("You have approved this already.")
            server = self.server_of(before)
            if self._fingerprint(server, before.audience, before.notification) != before.fingerprint:
                raise Conflict(
                    "What this would send has changed in the policy since it was submitted:"
                    " its author has to withdraw it and submit it again."
                )
            await tx.broadcasts.approve(before, approver=actor.person, at=self._clock())
            if len(before.approvals) + 1 < server.quorum(before.audience):
                return {}
            due_at = self._clock() + server.rules.undo_window
            return {"step": Step.QUORUM, "due_at": due_at, "review_expires_at": None}

        return await self._act(actor, Action.APPROVE, broadcast_id, revision=revision, effect=effect)

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
            server, now = self.server_of(before), self._clock()
            lacking = self.shortcomings(before)
            if lacking:
                raise NotReady(lacking[0])
            await tx.broadcasts.void_approvals(before.id)
            await tx.announcements.open_card(before.id, channel_id=server.channels.review, at=now)
            return {
                "reason": "",
                "due_at": None,
                "fingerprint": self._fingerprint(server, before.audience, before.notification),
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

    async def act_with_reason(
        self, actor: Actor, action: Action, broadcast_id: int, *, revision: int, reason: str
    ) -> Broadcast:
        """Take the action that a reason was given for."""
        match action:
            case Action.CONFIRM | Action.DENY:
                went_out = action is Action.CONFIRM
                return await self.resolve(
                    actor, broadcast_id, revision=revision, went_out=went_out, reason=reason
                )
            case Action.REQUEST_CHANGES:
                return await self._back(actor, action, broadcast_id, revision, reason)
            case _:
                return await self._end(actor, action, broadcast_id, revision, reason)

    async def resolve(
        self, actor: Actor, broadcast_id: int, *, revision: int, went_out: bool, reason: str
    ) -> Broadcast:
        """Say what became of a broadcast that Whop never answered for."""

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            status = DeliveryStatus.ACCEPTED if went_out else DeliveryStatus.REJECTED
            for delivery in await tx.deliveries.of(before.id):
                if delivery.status is DeliveryStatus.UNKNOWN:
                    said = f"{actor.name} says so: {reason}"
                    await tx.deliveries.settle(delivery, status=status, detail=said, at=self._clock())
            return {"reason": f"{actor.name}: {reason}"}

        _require(reason)
        action = Action.CONFIRM if went_out else Action.DENY
        return await self._act(actor, action, broadcast_id, revision=revision, effect=effect, detail=reason)

    async def expire_reviews(self) -> int:
        """Give broadcasts that nobody answered for in time back to their authors; return how many."""
        async with self._store.reading() as tx:
            overdue = await tx.broadcasts.expired(self._clock(), limit=LISTED)
        for broadcast in overdue:
            async with self._store.transaction() as tx:
                await tx.broadcasts.void_approvals(broadcast.id)
                await self.advance(
                    tx, broadcast, Step.EXPIRE, detail="nobody decided in time", review_expires_at=None
                )
        return len(overdue)

    # --- what the dispatcher shares ----------------------------------------------------------------

    async def advance(
        self,
        tx: Transaction,
        before: Broadcast,
        step: Step,
        *,
        actor: Person = HERALD,
        detail: str = "",
        action: str | None = None,
        **values: Any,
    ) -> Broadcast:
        """Take a step of the table, write it into the record and tell people, in the caller's transaction.

        Raises Conflict if the broadcast is no longer as `before` says.
        """
        status = TRANSITIONS[before.status].get(step)
        if status is None:
            raise Conflict(describe_state(before))
        if detail and "reason" not in values:
            values["reason"] = detail
        now = self._clock()
        if not await tx.broadcasts.change(before, status=status, at=now, **values):
            raise Conflict(describe_state(await tx.broadcasts.get(before.id)))
        after = await tx.broadcasts.get(before.id)
        await self._note(tx, after, actor, action or step.value, detail)
        await tx.announcements.redraw_card(after.id, at=now)
        if step in ECHOED and actor.id != after.author.id:
            await tx.announcements.add_post(
                PostKind.ECHO,
                step=step.value,
                guild_id=after.guild_id,
                channel_id=after.origin_channel_id,
                broadcast_id=after.id,
                at=now,
            )
        return after

    async def note_retry(self, tx: Transaction, broadcast: Broadcast, detail: str) -> None:
        """Write into the record that an attempt reached nobody and will be repeated."""
        await self._note(tx, broadcast, HERALD, "will try again", detail)
        await tx.announcements.redraw_card(broadcast.id, at=self._clock())

    def fingerprint_now(self, broadcast: Broadcast) -> str | None:
        """Return the fingerprint under today's policy, or None if the audience is gone from it."""
        server = self.policy.server(broadcast.guild_id)
        if server is None or server.audience(broadcast.audience) is None:
            return None
        return self._fingerprint(server, broadcast.audience, broadcast.notification)

    # --- private parts -----------------------------------------------------------------------------

    async def _back(
        self, actor: Actor, action: Action, broadcast_id: int, revision: int, reason: str
    ) -> Broadcast:
        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            await tx.broadcasts.void_approvals(before.id)
            return {"reason": reason, "due_at": None, "review_expires_at": None}

        if action is Action.REQUEST_CHANGES:
            _require(reason)
        return await self._act(actor, action, broadcast_id, revision=revision, effect=effect, detail=reason)

    async def _end(
        self, actor: Actor, action: Action, broadcast_id: int, revision: int | None, reason: str
    ) -> Broadcast:
        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            _ = tx, before
            return {"reason": reason, "due_at": None, "review_expires_at": None}

        if action is Action.REJECT:
            _require(reason)
        return await self._act(actor, action, broadcast_id, revision=revision, effect=effect, detail=reason)

    async def _act(
        self,
        actor: Actor,
        action: Action,
        broadcast_id: int,
        *,
        revision: int | None,
        effect: Effect,
        detail: str = "",
    ) -> Broadcast:
        broadcast: Broadcast | None = None
        try:
            if len(detail) > REASON_LIMIT:
                raise NotReady(f"At most {REASON_LIMIT} characters fit; yours has {len(detail)}: shorten it.")
            async with self._store.transaction() as tx:
                broadcast = await self._find(tx, actor, broadcast_id)
                self._permit(actor, action, broadcast, revision)
                values = await effect(tx, broadcast)
                step = values.pop("step", action.step)
                after = await self.advance(
                    tx, broadcast, step, actor=actor.person, detail=detail, action=action.value, **values
                )
                if step is Step.QUORUM:
                    await self._note(tx, after, HERALD, step.value, "enough approvals")
        except Refused as refusal:
            await self._refuse(actor, action, refusal, broadcast)
            raise
        finally:
            self._bell.set()
        return after

    def _permit(self, actor: Actor, action: Action, broadcast: Broadcast, revision: int | None) -> None:
        self._decide(actor, action, broadcast)
        if action.step not in TRANSITIONS[broadcast.status]:
            raise Conflict(describe_state(broadcast))
        if revision is not None and revision != broadcast.revision:
            raise Conflict("This card is out of date: the words have changed since. Use the newest card.")

    async def _authorise(self, actor: Actor, action: Action) -> None:
        try:
            self._decide(actor, action, None)
        except NotAllowed as refusal:
            await self._refuse(actor, action, refusal, None)
            raise

    def _decide(self, actor: Actor, action: Action, broadcast: Broadcast | None) -> None:
        sentence = decide(self.policy, actor, action, broadcast)
        if sentence:
            raise NotAllowed(sentence)

    async def _refuse(
        self, actor: Actor, action: Action, refusal: Refused, broadcast: Broadcast | None
    ) -> None:
        server = self.policy.server(actor.guild_id)
        if server is None:
            return
        async with self._store.transaction() as tx:
            await self._append(
                tx,
                Entry(
                    guild_id=server.guild,
                    at=self._clock(),
                    actor=actor.person,
                    action=f"refused {action.value}",
                    broadcast_id=broadcast.id if broadcast else None,
                    proof=broadcast.proof if broadcast else "",
                    detail=str(refusal),
                ),
            )
        self._bell.set()

    async def _note(
        self, tx: Transaction, broadcast: Broadcast, actor: Person, action: str, detail: str
    ) -> None:
        await self._append(
            tx,
            Entry(
                guild_id=broadcast.guild_id,
                at=self._clock(),
                actor=actor,
                action=action,
                broadcast_id=broadcast.id,
                proof=broadcast.proof,
                detail=detail,
            ),
        )

    async def _append(self, tx: Transaction, entry: Entry) -> None:
        event = await tx.record.append(entry)
        server = self.policy.server(entry.guild_id)
        if server is not None:
            await tx.announcements.add_post(
                PostKind.AUDIT,
                guild_id=entry.guild_id,
                channel_id=server.channels.audit,
                sequence=event.sequence,
                at=entry.at,
            )
        self._bell.set()

    async def _find(self, tx: Transaction, actor: Actor, broadcast_id: int) -> Broadcast:
        broadcast = await tx.broadcasts.find(broadcast_id)
        if broadcast is None or broadcast.guild_id != actor.guild_id:
            raise NotFound(f"There is no broadcast #{broadcast_id} here that you can see.")
        return broadcast

    async def _listed(self, actor: Actor, statuses: Sequence[Status]) -> list[Broadcast]:
        await self._authorise(actor, Action.LIST)
        async with self._store.reading() as tx:
            return await tx.broadcasts.in_status(self._server(actor).guild, statuses, limit=LISTED)

    def _chosen(self, server: Server, audience: str, topic: str) -> None:
        if server.audience(audience) is None:
            names = ", ".join(f"“{one.name}”" for one in server.audiences)
            raise NotReady(f"There is no audience “{audience}”: choose one from the list ({names}).")
        if server.topic(topic) is None:
            names = ", ".join(f"“{one.name}”" for one in server.topics)
            raise NotReady(f"There is no topic “{topic}”: choose one from the list ({names}).")

    def _fingerprint(self, server: Server, audience: str, notification: Notification) -> str:
        named = server.audience(audience)
        return fingerprint(
            notification,
            audience=named.definition() if named else {},
            generation=self.gateway.generation,
            destination=self._destination,
        )

    def _server(self, actor: Actor) -> Server:
        server = self.policy.server(actor.guild_id)
        if server is None:
            raise NotAllowed("Herald works only for members of a server that its policy names.")
        return server


def _require(reason: str) -> None:
    if not reason.strip():
        raise NotReady("Give a reason: the record and the author need it.")


def describe_state(broadcast: Broadcast) -> str:
    """Return the sentence that tells someone who came too late where the broadcast stands."""
    by = " and ".join(approval.approver.name for approval in broadcast.approvals)
    sentence = {
        Status.DRAFT: "it is a draft again",
        Status.REVIEW: "it is under review",
        Status.APPROVED: f"it is already approved by {by}",
        Status.HELD: f"it is held: {broadcast.reason}",
        Status.SENDING: "it is being sent now",
        Status.SENT: "Whop has already accepted it",
        Status.PARTIAL: "Whop has already accepted a part of it",
        Status.FAILED: "it has ended: nothing was accepted by Whop",
        Status.UNKNOWN: "it was sent, and Whop's answer is unknown",
        Status.CANCELLED: "it was cancelled",
    }[broadcast.status]
    return f"Someone was faster, or this card is old: #{broadcast.id} has moved on, and {sentence}."
