"""The one door that everything people do goes through: load, decide, advance, store and record."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import structlog

from bot.audit.chain import HERALD
from bot.broadcast import TRANSITIONS, Broadcast, Status, Step
from bot.clock import Clock
from bot.errors import Conflict, NotAllowed, NotFound, NotReady, Refused
from bot.lifecycle import Lifecycle, describe_state
from bot.notification import is_storable
from bot.permissions import Action, Actor, decide
from bot.policy.model import Server
from bot.sending.key_trust import Credential
from bot.store import Store, Transaction
from bot.wakeup import Wakeup

log = structlog.get_logger()

LISTED: Final = 25
REASON_LIMIT: Final = 500

Effect = Callable[[Transaction, Broadcast], Awaitable[dict[str, Any]]]
Then = Callable[[Transaction, Broadcast], Awaitable[Broadcast]]


class Gate:
    """What all use cases share; every refusal is a sentence and stands in the record."""

    def __init__(
        self,
        *,
        store: Store,
        lifecycle: Lifecycle,
        clock: Clock,
        wakeup: Wakeup,
        credential: Credential | None = None,
    ) -> None:
        self._credential = credential
        self.lifecycle = lifecycle
        self.policy = lifecycle.policy
        self._store = store
        self._clock = clock
        self._wakeup = wakeup

    async def ask(
        self, actor: Actor, action: Action, broadcast_id: int, *, revision: int | None = None
    ) -> Broadcast:
        """Return the broadcast if the actor could do this now; raise Refused before anything is typed."""
        broadcast: Broadcast | None = None
        try:
            async with self._store.reading() as tx:
                broadcast = await self._find(tx, actor, action, broadcast_id)
                self._permit(actor, action, broadcast, revision)
        except Refused as refusal:
            await self._refuse(actor, action, refusal, broadcast)
            raise
        return broadcast

    async def _act(
        self,
        actor: Actor,
        action: Action,
        broadcast_id: int,
        *,
        revision: int | None,
        effect: Effect,
        then: Then | None = None,
        detail: str = "",
    ) -> Broadcast:
        broadcast: Broadcast | None = None
        try:
            async with self._store.transaction() as tx:
                broadcast = await self._find(tx, actor, action, broadcast_id)
                self._permit(actor, action, broadcast, revision)
                limit(detail)
                await self._meet(tx, actor)
                values = await effect(tx, broadcast)
                step = values.pop("step", action.step)
                # What only the record needs is no reason for the broadcast's state.
                if said := values.pop("detail", ""):
                    values.setdefault("reason", broadcast.reason)
                after = await self.lifecycle.advance(
                    tx,
                    broadcast,
                    step,
                    actor=actor.person,
                    detail=said or detail,
                    action=action.value,
                    **values,
                )
                if then is not None:
                    after = await then(tx, after)
                if step is Step.QUORUM:
                    await self.lifecycle.note(tx, after, HERALD, Step.QUORUM.value, "enough approvals")
        except Refused as refusal:
            await self._refuse(actor, action, refusal, broadcast)
            raise
        finally:
            self._wakeup.wake()
        log.info(
            "a person acted",
            action=action.value,
            broadcast=after.id,
            proof=after.proof,
            status=after.status.value,
            person=actor.id,
        )
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
        refuse_old_card(broadcast, revision)

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

    async def _find(self, tx: Transaction, actor: Actor, action: Action, broadcast_id: int) -> Broadcast:
        broadcast = await tx.broadcasts.find(broadcast_id)
        if broadcast is None or broadcast.guild_id != actor.guild_id:
            # Whoever could not do this to any broadcast does not learn which numbers there are.
            self._decide(actor, action, None)
            raise NotFound(f"There is no broadcast #{broadcast_id} here that you can see.")
        return broadcast

    async def _listed(self, actor: Actor, statuses: Sequence[Status]) -> list[Broadcast]:
        await self._authorise(actor, Action.LIST)
        async with self._store.reading() as tx:
            return await tx.broadcasts.in_status(self._server(actor).guild, statuses, limit=LISTED)

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


def refuse_old_card(broadcast: Broadcast, revision: int | None) -> None:
    if revision is not None and revision != broadcast.revision:
        raise Conflict("This card is out of date: the words have changed since. Use the newest card.")


def require(reason: str) -> None:
    if not reason.strip():
        raise NotReady("Give a reason: the record and the author need it.")


def limit(words: str) -> None:
    if len(words) > REASON_LIMIT:
        raise NotReady(f"At most {REASON_LIMIT} characters fit; yours has {len(words)}: shorten it.")
    if not is_storable(words):
        raise NotReady("It has characters that cannot be stored: retype it.")


def require_name(server: Server, audience: str, typed: str) -> str:
    """Return what the record notes of a large audience; raise NotReady if its name was not typed."""
    if not server.is_large(audience):
        return ""
    named = server.audience(audience)
    if named is None or not named.is_named(typed):
        raise NotReady(
            f"This reaches a large audience, or one of unknown size: type its name, “{audience}”,"
            + (f" and not “{typed[:100]}”." if typed.strip() else " to approve.")
        )
    return "typed the audience's name"
