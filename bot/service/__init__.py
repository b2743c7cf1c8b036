"""The use cases: each a function that loads, decides, advances, stores and records in one transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Unpack

from bot.alike import beside
from bot.audit.chain import Event
from bot.audit.search import Search, read_search
from bot.broadcast import Broadcast, Place, Read
from bot.clock import Clock
from bot.corrections import UNPAIRED, Pair, pair_of
from bot.delivery import DeliveryStatus
from bot.errors import NotReady, Refused
from bot.everyday import EverydayTemplate, Kind
from bot.filter import EVERYTHING, Filter, Known, read_filter
from bot.lifecycle import REASON_LIMIT, Lifecycle
from bot.permissions import Action, Actor
from bot.policy.model import Policy, Topic
from bot.repeats import Beside
from bot.schedule import Schedule
from bot.series import Ends, read_times
from bot.service import (
    audiences,
    changing,
    choosing,
    correcting,
    drafting,
    everyday,
    freezing,
    gate,
    lending,
    linking,
    looking,
    lookup,
    own_lists,
    queueing,
    repeating,
    review,
    searching,
    sharing,
    templates,
    testing,
    time_zones,
    unknowns,
)
from bot.service.audiences import Known as KnownAudience
from bot.service.audiences import Named as NamedTargets
from bot.service.choosing import Choosable
from bot.service.everyday import Opened, Seen
from bot.service.gate import LISTED, PAGE, Gate
from bot.service.lending import NOTHING, Offer, Standing
from bot.service.lookup import LookedUp
from bot.service.own_lists import Given
from bot.service.queueing import Calendar
from bot.service.sharing import SHARED_WITH
from bot.service.timing import read_schedule
from bot.service.use_case import UseCase
from bot.store import Beyond, Store
from bot.testing import Link
from bot.whop import Form

__all__ = [
    "LISTED",
    "NOTHING",
    "PAGE",
    "REASON_LIMIT",
    "SHARED_WITH",
    "Beyond",
    "Choosable",
    "Gate",
    "Given",
    "KnownAudience",
    "NamedTargets",
    "Offer",
    "Opened",
    "Seen",
    "Service",
    "Standing",
]


class Service:
    """What people can do with broadcasts; every refusal is a sentence and stands in the record."""

    _may_compose = UseCase(drafting.may_compose, Action.COMPOSE, writes=False)
    editable = UseCase(drafting.editable, Action.EDIT, writes=False)
    compose = UseCase(drafting.compose, Action.COMPOSE)
    reuse = UseCase(drafting.reuse, Action.REUSE)
    correctable = UseCase(correcting.correctable, Action.CORRECT, writes=False)
    correct = UseCase(correcting.correct, Action.CORRECT)
    edit = UseCase(drafting.edit, Action.EDIT)
    change_audience = UseCase(changing.change_audience, Action.EDIT)
    change_topic = UseCase(changing.change_topic, Action.EDIT)
    _give_list = UseCase(own_lists.give, Action.GIVE_LIST)
    use_list = UseCase(own_lists.use, Action.USE_LIST)
    download_list = UseCase(own_lists.download, Action.DOWNLOAD_LIST)
    share = UseCase(sharing.share, Action.SHARE)
    settle_time = UseCase(drafting.settle_time, Action.EDIT)
    reschedule = UseCase(drafting.reschedule, Action.RESCHEDULE)
    repeat = UseCase(repeating.repeat, Action.REPEAT)
    all_series = UseCase(repeating.all_series, Action.LIST, writes=False)
    series = UseCase(repeating.series, Action.LIST, writes=False)
    skip = UseCase(repeating.skip, Action.SKIP)
    pause = UseCase(repeating.pause, Action.PAUSE)
    go_on = UseCase(repeating.go_on, Action.GO_ON)
    end = UseCase(repeating.end, Action.END)
    submittable = UseCase(drafting.submittable, Action.SUBMIT, writes=False)
    submit = UseCase(drafting.submit, Action.SUBMIT)

    ask = UseCase(gate.ask, writes=False)
    approvable = UseCase(review.approvable, Action.APPROVE, writes=False)
    approve = UseCase(review.approve, Action.APPROVE)
    retract = UseCase(review.retract, Action.RETRACT)
    withdraw = UseCase(review.withdraw, Action.WITHDRAW)
    request_changes = UseCase(review.request_changes, Action.REQUEST_CHANGES)
    stop = UseCase(review.stop, Action.STOP)
    explain_stop = UseCase(review.explain_stop, Action.STOP)
    take_back = UseCase(review.take_back, Action.RETURN)
    release = UseCase(review.release, Action.RELEASE)
    reject = UseCase(review.reject, Action.REJECT)
    cancel = UseCase(review.cancel, Action.CANCEL)

    confirm = UseCase(unknowns.confirm, Action.CONFIRM)
    deny = UseCase(unknowns.deny, Action.DENY)
    check_again = UseCase(unknowns.check_again, Action.CHECK)
    send_again = UseCase(unknowns.send_again, Action.SEND_AGAIN)
    _seek = UseCase(lookup.seek, Action.LOOK_UP, writes=False)
    _settle = UseCase(lookup.settle, Action.LOOK_UP)

    ask_template = UseCase(templates.ask_template, writes=False)
    compose_from = UseCase(templates.compose_from, Action.COMPOSE)
    approve_template = UseCase(templates.approve_template, Action.APPROVE_TEMPLATE)
    retract_template = UseCase(templates.retract_template, Action.RETRACT_TEMPLATE)
    templates = UseCase(templates.templates, Action.LIST, writes=False)

    template_names = UseCase(everyday.names, Action.LIST, writes=False)
    template_page = UseCase(everyday.page, Action.LIST, writes=False)
    look_at_template = UseCase(everyday.look, Action.LIST, writes=False)
    ask_new_template = UseCase(everyday.ask_new, Action.CREATE_TEMPLATE, writes=False)
    ask_everyday = UseCase(everyday.ask, writes=False)
    create_template = UseCase(everyday.create, Action.CREATE_TEMPLATE)
    edit_template = UseCase(everyday.edit, Action.EDIT_TEMPLATE)
    retire_template = UseCase(everyday.retire, Action.RETIRE_TEMPLATE)
    restore_template = UseCase(everyday.restore, Action.RESTORE_TEMPLATE)
    _use_template = UseCase(everyday.use, Action.COMPOSE)

    test_draft = UseCase(testing.test_draft, Action.TEST_DRAFT)
    test_review = UseCase(testing.test_review, Action.TEST_REVIEW)
    arrived = UseCase(testing.arrived, Action.ARRIVED)
    link_of = UseCase(linking.link_of, Action.LINK, writes=False)
    remove_link = UseCase(linking.remove_link, Action.LINK)
    ask_code = UseCase(linking.ask_code, Action.LINK, writes=False)
    _ask_link = UseCase(linking.ask_link, Action.LINK, writes=False)
    _send_code = UseCase(linking.send_code, Action.LINK)
    _type_code = UseCase(linking.type_code, Action.LINK)

    freeze = UseCase(freezing.freeze, Action.FREEZE)
    frozen = UseCase(freezing.frozen, Action.LIST, writes=False)
    unfreeze = UseCase(freezing.unfreeze, Action.UNFREEZE)

    clocks_of = UseCase(time_zones.clocks_of, Action.TIMEZONE, writes=False)
    set_zone = UseCase(time_zones.set_zone, Action.TIMEZONE)

    audited = UseCase(looking.audited, Action.AUDIT, writes=False)
    look = UseCase(looking.look, Action.LIST, writes=False)
    _look_at_audience = UseCase(audiences.look, Action.LIST, writes=False)
    drafts = UseCase(looking.drafts, Action.COMPOSE, writes=False)
    suggestions = UseCase(looking.suggestions, Action.LIST, writes=False)
    queue = UseCase(queueing.queue, Action.LIST, writes=False)
    history = UseCase(looking.history, Action.LIST, writes=False)
    searchable = UseCase(searching.searchable, Action.LIST, writes=False)
    keep_search = UseCase(searching.keep_search, Action.LIST)
    kept_search = UseCase(searching.kept_search, Action.LIST, writes=False)
    who = UseCase(looking.who, Action.LIST, writes=False)
    audit = UseCase(looking.audit, Action.AUDIT, writes=False)
    recorded_audiences = UseCase(looking.recorded_audiences, Action.AUDIT, writes=False)
    _searchable_audiences = UseCase(looking.searchable_audiences, Action.AUDIT, writes=False)

    def __init__(
        self, *, store: Store, lifecycle: Lifecycle, clock: Clock, ask: lookup.Ask = lookup.ask_nobody
    ) -> None:
        self.store = store
        self._ask = ask
        self.lifecycle = lifecycle
        self.gate = Gate(lifecycle=lifecycle, clock=clock)

    @property
    def policy(self) -> Policy:
        """Return the policy that all of them go by."""
        return self.lifecycle.policy

    def form(self, actor: Actor) -> Form:
        """Return what composing asks for in the actor's server; raise NotAllowed if there is none."""
        return self.lifecycle.account_of(self.gate.server(actor)).gateway.form

    def permits(self, actor: Actor, action: Action) -> bool:
        """Tell whether the actor could do this at all, without recording the question."""
        return self.gate.may(actor, action)

    def audiences(self, actor: Actor, action: Action) -> Sequence[Choosable]:
        """Return the audiences the actor may choose from, with what is told of each; nothing else."""
        return choosing.told_audiences(self.gate, actor, action)

    async def offered_audiences(self, actor: Actor, action: Action) -> Sequence[Choosable]:
        """Return the same as `audiences` with what was counted last, or `all_audiences` for LIST."""
        if not self.permits(actor, action):
            return ()
        known = await self.store.glance(choosing.counted, self.gate, actor)
        if action is Action.LIST:
            return choosing.all_audiences(self.gate, actor, known)
        return choosing.told_audiences(self.gate, actor, action, known)

    def own_list(self, actor: Actor) -> Sequence[Choosable]:
        """Return a list of one's own, with its rule, for those who may bring one along."""
        return choosing.told_list(self.gate, actor)

    def all_audiences(self, actor: Actor) -> Sequence[Choosable]:
        """Return all audiences of the actor's server to those who may see them, whoever may write to them."""
        return choosing.all_audiences(self.gate, actor)

    def topics(self, actor: Actor, action: Action) -> Sequence[Topic]:
        """Return the topics the actor may choose from; nothing for those who may not."""
        return choosing.topics(self.gate, actor, action)

    def approve_roles(self, actor: Actor) -> Sequence[int]:
        """Return the Discord roles that may approve in the actor's server."""
        server = self.policy.server(actor.guild_id)
        return server.roles.approve if server else ()

    async def may_compose(
        self, actor: Actor, *, audience: str, topic: str, file: tuple[str, int] | None = None
    ) -> None:
        """Raise Refused if composing this could only be refused later, before anything is typed.

        `file` is what a list of one's own is called, and how many bytes it has.
        """
        try:
            # The form opens without a word from the database; only a refusal is recorded there.
            drafting.check_choice(self.gate, actor, audience=audience, topic=topic, file=file)
        except Refused:
            await self._may_compose(actor, audience=audience, topic=topic, file=file)

    async def read_time(self, actor: Actor, typed: str, *, known: Schedule | None = None) -> Schedule | None:
        """Return the time that the actor typed, by the clocks of their zone; what is `known` stays."""
        typed = typed.strip()
        if not typed or (known is not None and typed == known.shown):
            return known if typed else None
        server, now = self.gate.server(actor), self.gate.clock()
        zone = await self.store.glance(time_zones.zone_of, self.gate, actor)
        # The library that reads it takes its time when it is first asked.
        return await asyncio.to_thread(
            read_schedule, typed, now=now, zone=zone, languages=server.rules.languages
        )

    async def read_ends(self, actor: Actor, typed: str) -> Ends:
        """Return when a series ends, as the actor typed it; raise NotReady with what to mend."""
        ends = read_times(typed)
        if ends is None:
            day = await self.read_time(actor, f"{typed.strip()} 23:59") if typed.strip() else None
            if day is None or day.at is None:
                said = f"“{typed[:60]}” is neither a number of times nor one day of the next year"
                raise NotReady(f"{said}: write it like 10, or 2027-03-31.")
            ends = Ends(until=datetime.fromisoformat(day.local).date())
        if isinstance(ends, str):
            raise NotReady(ends)
        return ends

    async def page_of(
        self, name: str, actor: Actor, only: Filter = EVERYTHING, **beyond: Unpack[Beyond]
    ) -> Sequence[Broadcast]:
        """Return a page of the list of that name, the nearest to where it goes on first, and one more."""
        lists = {"drafts": self.drafts, "queue": self.queue, "history": self.history}
        return await lists[name](actor, only, **beyond)

    async def calendar(self, actor: Actor, broadcasts: Sequence[Broadcast]) -> Calendar:
        """Return by which days these are listed that wait, and what reaches the same people close by."""
        return await self.store.read(queueing.calendar, self.gate, actor, broadcasts)

    async def tallies_of(self, broadcasts: Sequence[Broadcast]) -> Mapping[int, Mapping[DeliveryStatus, int]]:
        """Return how many requests of each of these broadcasts stand how."""
        return await self.store.glance(looking.tallies, [one.id for one in broadcasts])

    async def read_filter(self, actor: Actor, typed: Mapping[str, str | None]) -> Filter:
        """Return what is looked for among the server's broadcasts; raise Refused with what to mend."""
        return read_filter(typed, await self.searchable(actor))

    async def offered_searches(self, actor: Actor) -> Known | None:
        """Return what an option offers to search by; None to those who may not, of whom nothing is noted."""
        return await self.searchable(actor) if self.permits(actor, Action.LIST) else None

    async def use_template(
        self,
        actor: Actor,
        template: EverydayTemplate,
        values: Mapping[str, str],
        *,
        audience: str = "",
        topic: str = "",
        channel_id: int,
    ) -> Broadcast:
        """Store a draft of a template with its blanks filled, as its form showed it; times are read first."""
        typed = [values.get(one.name, "").strip() for one in template.outline.blanks if one.kind is Kind.TIME]
        return await self._use_template(
            actor,
            template.id,
            values,
            revision=template.revision,
            audience=audience,
            topic=topic,
            times={one: await self.read_time(actor, one) for one in typed},
            channel_id=channel_id,
        )

    async def keep_form(
        self, actor: Actor, action: Action, number: int, fields: Mapping[str, str]
    ) -> str | None:
        """Keep what was typed into a form that is refused; return the seal of what opens it again."""
        return await self.store.write(everyday.keep_form, self.gate, actor, action, number, fields)

    async def offer_of(self, broadcast: Broadcast) -> Offer:
        """Return what a template would lend the draft if it was submitted now."""
        return await self.store.read(lending.offer_of, self.lifecycle, broadcast)

    async def give_list(
        self,
        actor: Actor,
        broadcast_id: int,
        *,
        revision: int,
        name: str,
        content: bytes | str | NotReady,
    ) -> Broadcast:
        """Give a draft the list that a file of that name has, or what was pasted; raise why it has none."""
        # A long one takes its time, which no transaction waits for.
        own = await asyncio.to_thread(own_lists.read_list, name, content)
        return await self._give_list(actor, broadcast_id, revision=revision, own=own)

    async def list_of(self, broadcast: Broadcast) -> Given | None:
        """Return the list of a broadcast, as its cards show it; None if it has none."""
        if broadcast.listed is None:
            return None
        return await self.store.read(own_lists.given, broadcast)

    async def beside(self, broadcast: Broadcast) -> Beside:
        """Return what customers may get twice because of the broadcast."""
        return await self.store.read(beside, self.lifecycle, broadcast)

    async def read_before(self, broadcast: Broadcast) -> Sequence[Read]:
        """Return what approvers read of it in earlier reviews, where that is something else than now."""
        return await self.store.read(looking.read_before, broadcast)

    async def pair_of(self, broadcast: Broadcast) -> Pair:
        """Return what a broadcast corrects, and what corrects it."""
        if broadcast.corrects is None and not broadcast.corrected_by:
            return UNPAIRED
        return await self.store.read(pair_of, broadcast)

    async def can_check(self, broadcast: Broadcast) -> bool:
        """Tell whether Whop can be asked again about an unknown broadcast without pushing twice."""
        return await self.store.read(unknowns.can_check, self.gate, broadcast)

    async def places_of(self, events: Sequence[Event]) -> Mapping[int, Place]:
        """Return where the cards stand of the broadcasts that these lines are about."""
        return await self.store.glance(looking.places_of, events)

    async def look_up(self, actor: Actor, broadcast_id: int, *, revision: int) -> LookedUp:
        """Look for an unknown broadcast in Whop's log of requests, and settle what it shows as accepted.

        No transaction is open while Whop is asked; raises Conflict if somebody decided meanwhile.
        """
        sought = await self._seek(actor, broadcast_id, revision=revision)
        found = await lookup.search(self._ask, sought)
        return await self._settle(actor, broadcast_id, revision=revision, sought=sought, found=found)

    async def link(self, actor: Actor, typed: str, *, channel_id: int) -> tuple[Broadcast, Link]:
        """Send a code to the user of Whop that was typed; return the test that bears it, and whose it is.

        No transaction is open while Whop is asked who that is.
        """
        wanted = await self._ask_link(actor, typed)
        found = await linking.find(self._ask, wanted, clock=self.gate.clock)
        return await self._send_code(actor, wanted, found, channel_id=channel_id)

    async def type_code(self, actor: Actor, typed: str) -> Link:
        """Tie the actor to the user of Whop whose code they typed; raise NotReady if it is another one."""
        found = await self._type_code(actor, typed)
        if isinstance(found, str):
            # It is recorded already, together with the try that it took.
            raise NotReady(found)
        return found

    async def untested(self, actor: Actor, broadcast: Broadcast) -> str:
        """Return why the actor has to test these very words before they go on with them, or nothing."""
        return await self.store.read(testing.untested, self.gate, actor, broadcast)

    async def look_at_audience(self, actor: Actor, name: str) -> tuple[KnownAudience, NamedTargets]:
        """Return what is known of an audience, and what Whop calls its targets if it answers soon enough."""
        known = await self._look_at_audience(actor, name)
        account = self.lifecycle.account_of(known.server)
        return known, await audiences.names_of(self._ask, account, known, self.gate)

    async def read_search(self, actor: Actor, typed: Mapping[str, str | None]) -> Search:
        """Return what is looked for in the record of the actor's server; raise Refused with what to mend."""
        known = await self._searchable_audiences(actor)
        guild_id = self.gate.server(actor).guild
        return read_search(typed, guild_id=guild_id, audiences=known, now=self.gate.clock())

    async def act_with_reason(
        self, actor: Actor, action: Action, broadcast_id: int, *, revision: int, reason: str
    ) -> Broadcast:
        """Take the action that a reason was given for; a stop was taken already, and is explained."""
        reasoned = {
            Action.CONFIRM: self.confirm,
            Action.DENY: self.deny,
            Action.REQUEST_CHANGES: self.request_changes,
            Action.REJECT: self.reject,
            Action.CANCEL: self.cancel,
            Action.STOP: self.explain_stop,
        }
        return await reasoned[action](actor, broadcast_id, revision=revision, reason=reason)
