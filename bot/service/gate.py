"""The one door that everything people do goes through: find, decide, and meet whoever asks."""

from typing import Final

from bot import seal
from bot.broadcast import TRANSITIONS, Broadcast, Status
from bot.characters import is_blank, is_storable
from bot.clock import Clock
from bot.errors import Conflict, NotAllowed, NotFound, NotReady
from bot.lifecycle import REASON_LIMIT, Lifecycle, describe_state
from bot.permissions import Action, Actor, Written, decide, refuse_audience
from bot.policy.audience import Audience
from bot.policy.model import Server
from bot.sentences import listed
from bot.store import Transaction

OLD_CARD: Final = "This card is out of date: what it shows has changed since. Use the newest card."
# So many choices Discord offers while somebody types, and so many lines of the record are a page of it.
LISTED: Final = 25
# So many broadcasts are a page of a list, each with its button; one more is read, to know of another page.
PAGE: Final = 10


# What the record notes where an audience's name had to be typed.
TYPED: Final = "typed the audience's name"


class Gate:
    """What all use cases share: the rules, and who may pass."""

    def __init__(self, *, lifecycle: Lifecycle, clock: Clock) -> None:
        self.lifecycle = lifecycle
        self.policy = lifecycle.policy
        self.clock = clock

    def admit(
        self, tx: Transaction, actor: Actor, action: Action, broadcast_id: int, revision: int | None
    ) -> Broadcast:
        """Return the broadcast if the actor could do this to it now; raise Refused."""
        broadcast = self.find(tx, actor, action, broadcast_id)
        self.decide(actor, action, broadcast)
        if action.step not in TRANSITIONS[broadcast.status]:
            raise Conflict(describe_state(broadcast))
        if broadcast.is_overdue(self.clock()) and action.step not in TRANSITIONS[Status.DRAFT]:
            raise Conflict(
                f"The review of #{broadcast.id} has ended, since nobody decided in time: it is a draft again."
            )
        if action is Action.STOP:
            # A halt counts on whatever card it is pressed, also on one that is still to be drawn anew.
            self.refuse_revision(broadcast, revision)
        else:
            self.refuse_old_card(actor, broadcast, revision)
        return broadcast

    def refuse_old_card(self, actor: Actor, broadcast: Broadcast, revision: int | None) -> None:
        """Raise Conflict if what the actor saw of it is not what stands there now."""
        self.refuse_revision(broadcast, revision)
        self.compare(actor, seal.of_broadcast(self.lifecycle, broadcast))

    @staticmethod
    def refuse_revision(broadcast: Broadcast, revision: int | None) -> None:
        """Raise Conflict if the broadcast says something else by now."""
        if revision is not None and revision != broadcast.revision:
            raise Conflict(OLD_CARD)

    @staticmethod
    def compare(actor: Actor, sealed: str) -> None:
        """Raise Conflict if the actor acts on a card or a form that is sealed with anything else."""
        if actor.seen is not None and actor.seen != sealed:
            raise Conflict(OLD_CARD)

    def find(self, tx: Transaction, actor: Actor, action: Action, broadcast_id: int) -> Broadcast:
        """Return a broadcast of the actor's server; raise NotFound."""
        broadcast = tx.broadcasts.find(broadcast_id)
        if broadcast is None or broadcast.guild_id != actor.guild_id:
            # Whoever could not do this to any broadcast does not learn which numbers there are.
            self.decide(actor, action, None)
            raise NotFound(f"There is no broadcast #{broadcast_id} here that you can see.")
        if broadcast.is_test:
            self.decide(actor, action, broadcast)
            raise NotFound(f"#{broadcast_id} was a test to one person, and not a broadcast.")
        tx.about = broadcast
        return broadcast

    def visible(self, tx: Transaction, actor: Actor, action: Action, broadcast_id: int) -> Broadcast:
        """Return a broadcast of the actor's server that they may do this to; a draft only if it is theirs."""
        broadcast = self.find(tx, actor, action, broadcast_id)
        self.decide(actor, action, broadcast)
        if broadcast.status is Status.DRAFT and actor.id not in broadcast.owners:
            raise NotFound(f"#{broadcast_id} is a draft, and only its author can see it.")
        return broadcast

    def may(self, actor: Actor, action: Action, written: Written | None = None) -> bool:
        """Tell whether the actor may do it to what was written, or whatever it is about."""
        return decide(self.policy, actor, action, written, at=self.clock()) is None

    def decide(self, actor: Actor, action: Action, written: Written | None = None) -> None:
        """Raise NotAllowed with who could do it, unless the actor may."""
        sentence = decide(self.policy, actor, action, written, at=self.clock())
        if sentence:
            raise NotAllowed(sentence)

    def meet(self, tx: Transaction, actor: Actor) -> None:
        """Keep what Discord says of the actor's roles; raise Conflict if they did this already."""
        now = self.clock()
        if actor.interaction is not None and not tx.use_interaction(actor.interaction, at=now):
            raise Conflict("This has been done already: Discord sent it twice.")
        if actor.guild_id is not None:
            tx.members.saw(
                actor.guild_id, actor.id, actor.roles, timed_out_until=actor.timed_out_until, at=now
            )

    def server(self, actor: Actor) -> Server:
        """Return the actor's server; raise NotAllowed if the policy does not name it."""
        server = self.policy.server(actor.guild_id)
        if server is None:
            raise NotAllowed("Herald works only for members of a server that its policy names.")
        return server

    def find_audience(self, actor: Actor, name: str) -> Audience:
        """Return the audience of that name in the actor's server; raise NotFound."""
        server = self.server(actor)
        audience = server.audience(name)
        if audience is None:
            names = listed(f"“{one.name}”" for one in server.audiences)
            raise NotFound(f"There is no audience “{name[:100]}”: choose one from the list ({names}).")
        return audience

    def choose(self, actor: Actor, audience: str | None, topic: str | None) -> None:
        """Raise NotReady unless the actor's server has the audience and the topic; None stands for any.

        Raises NotAllowed if the audience is not open to them.
        """
        server = self.server(actor)
        if audience is not None and server.audience(audience) is None:
            names = listed(f"“{one.name}”" for one in server.audiences if one.is_open_to(actor.roles))
            raise NotReady(f"There is no audience “{audience[:100]}”: choose one from the list ({names}).")
        if refused := refuse_audience(server, actor, audience):
            raise NotAllowed(refused)
        if topic is not None and server.topic(topic) is None:
            names = listed(f"“{one.name}”" for one in server.topics)
            raise NotReady(f"There is no topic “{topic[:100]}”: choose one from the list ({names}).")


def ask(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    action: Action,
    broadcast_id: int,
    *,
    revision: int | None = None,
) -> Broadcast:
    """Return the broadcast if the actor could do this now; raise Refused before anything is typed."""
    return gate.admit(tx, actor, action, broadcast_id, revision)


def require(reason: str) -> None:
    """Raise NotReady if no reason is given."""
    if is_blank(reason):
        raise NotReady("Give a reason: the record and the author need it.")


def limit(words: str) -> None:
    """Raise NotReady if the words cannot be kept as they are."""
    if len(words) > REASON_LIMIT:
        raise NotReady(f"At most {REASON_LIMIT} characters fit; yours has {len(words)}: shorten it.")
    if not is_storable(words):
        raise NotReady("It has characters that cannot be stored: retype it.")


def require_name(named: Audience | None, audience: str, typed: str, *, large: bool, warning: str = "") -> str:
    """Return what the record notes of a large audience; raise NotReady if its name was not typed.

    So has the name of any audience where there is a `warning`.
    """
    if not large and not warning:
        return ""
    if named is None or not named.is_named(typed):
        why = warning or "This reaches a large audience, or one of unknown size"
        whose = "the audience's" if warning else "its"
        raise NotReady(
            f"{why}: type {whose} name, “{audience}”,"
            + (f" and not “{typed[:100]}”." if typed.strip() else " to approve.")
        )
    return f"{TYPED}; {warning[0].lower()}{warning[1:]}" if warning else TYPED
