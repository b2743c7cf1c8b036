"""The use cases: each loads, decides, advances, stores and records in one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from bot.audit import HERALD, Event
from bot.bell import Bell
from bot.broadcast import OPEN, TRANSITIONS, Broadcast, Notification, Status, Step
from bot.clock import Clock
from bot.delivery import Delivery, DeliveryStatus, conclude
from bot.errors import Conflict, NotAllowed, NotFound, NotReady, Refused
from bot.freeze import Freeze, describe
from bot.lifecycle import Lifecycle, describe_state
from bot.permissions import Action, Actor, approvers, decide
from bot.policy import Audience, Server, Topic
from bot.proof import Credential, recall
from bot.search import Search, read_search
from bot.store import Store, Transaction
from bot.whop import Form

LISTED: Final = 25
REASON_LIMIT: Final = 500

Effect = Callable[[Transaction, Broadcast], Awaitable[dict[str, Any]]]


class Service:
    """What people can do with broadcasts; every refusal is a sentence and stands in the record."""

    def __init__(
        self,
        *,
        store: Store,
        lifecycle: Lifecycle,
        clock: Clock,
        bell: Bell,
        credential: Credential | None = None,
    ) -> None:
        self._credential = credential
        self.lifecycle = lifecycle
        self.policy = lifecycle.policy
        self._store = store
        self._clock = clock
        self._bell = bell

    @property
    def form(self) -> Form:
        """Return what composing asks for."""
        return self.lifecycle.gateway.form

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

    def approve_roles(self, actor: Actor) -> Sequence[int]:
        """Return the Discord roles that may approve in the actor's server."""
        server = self.policy.server(actor.guild_id)
        return server.roles.approve if server else ()

    async def may_compose(self, actor: Actor, *, audience: str, topic: str) -> None:
        """Raise Refused if composing this could only be refused later, before anything is typed."""
        await self._authorise(actor, Action.COMPOSE)
        await self._choose(actor, audience, topic)

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

    async def recorded_audiences(self, actor: Actor) -> list[str]:
        """Return the audiences by which the record can be searched; nothing for those who may not."""
        server = self.policy.server(actor.guild_id)
        if server is None or not self.permits(actor, Action.AUDIT):
            return []
        async with self._store.reading() as tx:
            recorded = await tx.record.audiences(server.guild)
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
            return await tx.record.newest(own, before=before, limit=LISTED)

    # --- writing -----------------------------------------------------------------------------------

    async def compose(
        self, actor: Actor, *, audience: str, notification: Notification, channel_id: int
    ) -> Broadcast:
        """Store a new draft, fit to be sent or not: nothing typed is lost."""
        await self._authorise(actor, Action.COMPOSE)
        server = self._server(actor)
        await self._choose(actor, audience, notification.topic)
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

    async def who(self, actor: Actor, broadcast_id: int, members: Sequence[Actor]) -> tuple[int, list[Actor]]:
        """Return how many approvals a broadcast still needs, and which of the members could give them now."""
        broadcast, _ = await self.look(actor, broadcast_id)
        quorum = self.lifecycle.server_of(broadcast).quorum(broadcast.audience)
        return quorum - len(broadcast.approvals), approvers(self.policy, broadcast, members)

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
            self._reachable(server, before, members)
            now = self._clock()
            await tx.announcements.open_card(before.id, channel_id=server.channels.review, at=now)
            return {
                "note": note,
                "reason": "",
                # The policy may have changed since the words were typed.
                "fingerprint": self.lifecycle.fingerprint(server, before.audience, before.notification),
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
            server = self.lifecycle.server_of(before)
            if not self.lifecycle.is_unchanged(before):
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
            await tx.announcements.open_card(before.id, channel_id=server.channels.review, at=now)
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
        _require(reason)
        action = Action.CONFIRM if went_out else Action.DENY

        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
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
                broadcast = await self._find(tx, actor, broadcast_id)
                self._decide(actor, Action.SEND_AGAIN, broadcast)
                if broadcast.status is not Status.UNKNOWN or revision != broadcast.revision:
                    raise Conflict(describe_state(broadcast))
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

    async def freeze(self, actor: Actor, reason: str) -> Freeze:
        """Halt all sending of the actor's server, with a reason."""
        await self._authorise(actor, Action.FREEZE)
        try:
            _require(reason)
            _limit(reason)
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

    # --- private parts -----------------------------------------------------------------------------

    async def _back(
        self, actor: Actor, action: Action, broadcast_id: int, revision: int, reason: str
    ) -> Broadcast:
        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            await tx.broadcasts.void_approvals(before.id)
            return {"reason": said, "due_at": None, "review_expires_at": None}

        said = reason
        if action is Action.REQUEST_CHANGES:
            _require(reason)
            said = f"{actor.name} asked for changes: {reason}"
        return await self._act(actor, action, broadcast_id, revision=revision, effect=effect, detail=reason)

    async def _end(
        self, actor: Actor, action: Action, broadcast_id: int, revision: int | None, reason: str
    ) -> Broadcast:
        async def effect(tx: Transaction, before: Broadcast) -> dict[str, Any]:
            _ = tx, before
            return {"reason": said, "due_at": None, "review_expires_at": None}

        said = reason
        if action is Action.REJECT:
            _require(reason)
            said = f"{actor.name} rejected it: {reason}"
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
            _limit(detail)
            async with self._store.transaction() as tx:
                broadcast = await self._find(tx, actor, broadcast_id)
                self._permit(actor, action, broadcast, revision)
                await self._meet(tx, actor)
                values = await effect(tx, broadcast)
                step = values.pop("step", action.step)
                after = await self.lifecycle.advance(
                    tx, broadcast, step, actor=actor.person, detail=detail, action=action.value, **values
                )
                if step is Step.QUORUM:
                    await self.lifecycle.note(tx, after, HERALD, step.value, "enough approvals")
        except Refused as refusal:
            await self._refuse(actor, action, refusal, broadcast)
            raise
        finally:
            self._bell.ring()
        return after

    async def _meet(self, tx: Transaction, actor: Actor) -> None:
        """Keep what Discord says of the actor's roles; raise Conflict if they did this already."""
        now = self._clock()
        if actor.guild_id is not None:
            await tx.members.saw(actor.guild_id, actor.id, actor.roles, at=now)
        if actor.interaction is not None and not await tx.use_interaction(actor.interaction, at=now):
            raise Conflict("This has been done already: Discord sent it twice.")

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
        async with self._store.transaction() as tx:
            await self.lifecycle.note_refusal(tx, actor, action, refusal, broadcast)

    async def _find(self, tx: Transaction, actor: Actor, broadcast_id: int) -> Broadcast:
        broadcast = await tx.broadcasts.find(broadcast_id)
        if broadcast is None or broadcast.guild_id != actor.guild_id:
            raise NotFound(f"There is no broadcast #{broadcast_id} here that you can see.")
        return broadcast

    async def _listed(self, actor: Actor, statuses: Sequence[Status]) -> list[Broadcast]:
        await self._authorise(actor, Action.LIST)
        async with self._store.reading() as tx:
            return await tx.broadcasts.in_status(self._server(actor).guild, statuses, limit=LISTED)

    def _reachable(self, server: Server, broadcast: Broadcast, members: Sequence[Actor] | None) -> None:
        if members is None:
            return
        needed, able = server.quorum(broadcast.audience), approvers(self.policy, broadcast, members)
        if len(able) < needed:
            holders = " or ".join(f"<@&{role}>" for role in server.roles.approve)
            raise NotReady(
                f"Nobody could ever approve this: it needs {needed} approval(s), and {len(able)} member(s)"
                f" other than its author hold the role {holders}. Give the role to more people first."
            )

    async def _choose(self, actor: Actor, audience: str, topic: str) -> None:
        try:
            self._chosen(self._server(actor), audience, topic)
        except NotReady as refusal:
            await self._refuse(actor, Action.COMPOSE, refusal, None)
            raise

    def _chosen(self, server: Server, audience: str, topic: str) -> None:
        if server.audience(audience) is None:
            names = ", ".join(f"“{one.name}”" for one in server.audiences)
            raise NotReady(f"There is no audience “{audience}”: choose one from the list ({names}).")
        if server.topic(topic) is None:
            names = ", ".join(f"“{one.name}”" for one in server.topics)
            raise NotReady(f"There is no topic “{topic}”: choose one from the list ({names}).")

    def _server(self, actor: Actor) -> Server:
        server = self.policy.server(actor.guild_id)
        if server is None:
            raise NotAllowed("Herald works only for members of a server that its policy names.")
        return server


def _refuse_while_checking(deliveries: Sequence[Delivery]) -> None:
    if any(one.status in {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT} for one in deliveries):
        raise Conflict("Whop is being asked about it right now: wait for the answer.")


def _require(reason: str) -> None:
    if not reason.strip():
        raise NotReady("Give a reason: the record and the author need it.")


def _limit(words: str) -> None:
    if len(words) > REASON_LIMIT:
        raise NotReady(f"At most {REASON_LIMIT} characters fit; yours has {len(words)}: shorten it.")
