"""How each thing is done: the use case behind every command, button and modal."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from bot.audit.search import Search
from bot.broadcast import Approval, Broadcast, Status
from bot.everyday import EverydayTemplate, Typed, outlined
from bot.freeze import Freeze
from bot.notification import Notification, Text
from bot.own_list import Named, read_pasted
from bot.permissions import Action, Actor
from bot.policy.audience import Listed
from bot.policy.model import ACCOUNT, Server
from bot.schedule import Meaning, Schedule
from bot.seal import number_of_template
from bot.series import Ends, Every, Series, SeriesStatus
from bot.service import Service
from bot.store import Access, Transaction
from bot.testing import OF_A_LINK, Link, LinkCode, digest_of
from bot.value import Person
from cogs.buttons import TIMES
from tests.permissions.people import ACCOUNT_GUILD, GUILD, KIM, OTHER_AUDIENCE, OTHER_GUILD

# Every private name in here belongs to the product.
# pyright: reportPrivateUsage=false

WORDS: Final = Notification(topic="news", all=Text(subject="New words", content="Come in"))
REASON: Final = "they said so"
CHANNEL: Final = 19
CODE: Final = "ABCD-2345"

Do = Callable[[Service, Actor, Broadcast], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to do what stands in a row of the table.

    `surfaces` are the commands, buttons and modals that lead here. One that `asks` only opens a form: it
    decides, and changes nothing. One that is `by_card` says which words it is about. `first` is what has to
    have happened before.
    """

    what: str
    surfaces: tuple[str, ...]
    do: Do
    asks: bool = False
    by_card: bool = False
    first: Do | None = None


def _ask(action: Action) -> Do:
    return lambda service, actor, it: service.ask(actor, action, it.id, revision=it.revision)


def _at_once(name: str) -> Do:
    return lambda service, actor, it: getattr(service, name)(actor, it.id, revision=it.revision)


def _with_reason(action: Action) -> Do:
    return lambda service, actor, it: service.act_with_reason(
        actor, action, it.id, revision=it.revision, reason=REASON
    )


async def _own_approval(service: Service, actor: Actor, it: Broadcast) -> None:
    given = {one.approver.id for one in it.approvals}
    if it.status is Status.REVIEW and actor.id not in given | it.writers:
        with service.store.begin() as tx:
            tx.broadcasts.approve(it, Approval(approver=actor.person, at=it.updated_at))


def _template(service: Service, actor: Actor) -> int:
    """Return the number of the one template of the actor's server, or of any, which says the same in each."""
    server = service.policy.server(actor.guild_id) or service.policy.servers[0]
    template = server.templates[0]
    printed = service.lifecycle.template_fingerprint(server, template)
    return number_of_template(printed, needed=server.quorum(template.audience))


async def _template_approved(service: Service, actor: Actor, it: Broadcast) -> None:
    with service.store.begin() as tx:
        for server in service.policy.servers:
            said = service.lifecycle.template_fingerprint(server, server.templates[0])
            tx.templates.approve(server.guild, said, approver=actor.person, at=it.updated_at)


TYPED: Final = Typed("Weekly", None, "news", WORDS.model_copy(update={"topic": ""}), "")


async def _made(service: Service, actor: Actor, it: Broadcast) -> None:
    """Let the author make a template, the same in each server."""
    _ = actor
    with service.store.begin() as tx:
        for server in service.policy.servers:
            tx.everyday.add(server.guild, outlined(TYPED), author=it.author, at=it.updated_at)


async def _made_one(service: Service, actor: Actor) -> int:
    """Return the number of the template in the actor's server, or of the first one."""
    with service.store.begin(Access.READ) as tx:
        found = tx.everyday.names(actor.guild_id or GUILD) or tx.everyday.names(GUILD)
    return found[0].id if found else 0


async def _retired(service: Service, actor: Actor, it: Broadcast) -> None:
    """Let there be a retired template, the same in each server."""
    await _made(service, actor, it)
    with service.store.begin() as tx:
        for server in service.policy.servers:
            tx.everyday.retire(tx.everyday.page(server.guild, limit=1)[0])


async def _restore_everyday(service: Service, actor: Actor, it: Broadcast) -> Any:
    _ = it
    with service.store.begin(Access.READ) as tx:
        there = [tx.everyday.find(number) for number in (1, 2, 3)]
    guild = actor.guild_id or GUILD
    number = next((one.id for one in there if one is not None and one.guild_id == guild), 1)
    return await service.restore_template(actor, number, revision=1)


def _ask_everyday(action: Action) -> Do:
    async def ask(service: Service, actor: Actor, it: Broadcast) -> Any:
        _ = it
        return await service.ask_everyday(actor, action, await _made_one(service, actor))

    return ask


async def _edit_everyday(service: Service, actor: Actor, it: Broadcast) -> Any:
    _ = it
    typed = TYPED._replace(name="Monthly")
    return await service.edit_template(actor, await _made_one(service, actor), typed, revision=1)


async def _use_everyday(service: Service, actor: Actor, it: Broadcast) -> Any:
    number = await _made_one(service, actor)
    maya = it.author
    template = EverydayTemplate(
        id=number,
        guild_id=actor.guild_id or GUILD,
        author=maya,
        editor=maya,
        revision=1,
        retired=False,
        outline=outlined(TYPED),
    )
    return await service.use_template(actor, template, {}, audience=it.audience, channel_id=CHANNEL)


async def _look_at_everyday(service: Service, actor: Actor, it: Broadcast) -> Any:
    _ = it
    return await service.look_at_template(actor, await _made_one(service, actor))


async def _retire_everyday(service: Service, actor: Actor, it: Broadcast) -> Any:
    _ = it
    return await service.retire_template(actor, await _made_one(service, actor), revision=1)


async def _compose(service: Service, actor: Actor, it: Broadcast) -> Broadcast:
    return await service.compose(actor, audience=it.audience, notification=WORDS, channel_id=CHANNEL)


async def _unclear_time(service: Service, actor: Actor, it: Broadcast) -> None:
    _ = actor
    meant = Meaning(at=it.updated_at + timedelta(days=1), label="tomorrow")
    unclear = Schedule(typed="then", zone="UTC", meanings=(meant,))
    with service.store.begin() as tx:
        tx.broadcasts.change(it, status=it.status, at=it.updated_at, schedule=unclear)


async def _timed(service: Service, actor: Actor, it: Broadcast) -> None:
    _ = actor
    with service.store.begin() as tx:
        tx.broadcasts.change(it, status=it.status, at=it.updated_at, schedule=_tomorrow(it))


async def _listed(service: Service, actor: Actor, it: Broadcast) -> None:
    """Let it be for a list of one, about whom Whop was asked."""
    _ = actor
    there = service.policy.servers[0].lists.experience
    with service.store.begin() as tx:
        tx.broadcasts.change(
            it, status=it.status, at=it.updated_at, listed=Listed(name="vips.csv", experience=there)
        )
        own, at = read_pasted("user_maya"), it.updated_at
        tx.lists.give(it.id, own, account=ACCOUNT, experience=there, at=at)
        tx.lists.welcome(it.id, [Named("user_maya", "maya")])
        check = tx.lists.claim(ACCOUNT, it.updated_at, limit=1)
        assert check is not None
        tx.lists.go_on(check, at=it.updated_at, ends=True)


def _tomorrow(it: Broadcast) -> Schedule:
    return Schedule(typed="then", zone="UTC").settled(it.updated_at + timedelta(days=1))


def _begun(status: SeriesStatus) -> Do:
    async def begin(service: Service, actor: Actor, it: Broadcast) -> None:
        _ = actor
        begun = Series(
            first=it.id,
            guild_id=it.guild_id,
            author=it.author,
            audience=it.audience,
            notification=it.notification,
            schedule=_tomorrow(it),
            every=Every.WEEK,
            times=3,
            until=None,
            made=1,
            next_at=it.updated_at + timedelta(days=8),
            status=status,
            reason="",
            origin_channel_id=CHANNEL,
            version=1,
        )
        with service.store.begin() as tx:
            tx.series.add(begun)

    return begin


_series = _begun(SeriesStatus.RUNNING)
_paused_series = _begun(SeriesStatus.PAUSED)


async def _search(service: Service, actor: Actor, it: Broadcast) -> Any:
    found = await service.audit(actor, await service.read_search(actor, {"broadcast": str(it.id)}))
    return found, await service.audited(actor, it.id)


async def _search_on(service: Service, actor: Actor, it: Broadcast) -> Any:
    return await service.audit(actor, Search(broadcast_id=it.id))


def _frozen_by(someone: Actor | None) -> Do:
    async def freeze(service: Service, actor: Actor, it: Broadcast) -> None:
        with service.store.begin() as tx:
            for guild in (GUILD, OTHER_GUILD, ACCOUNT_GUILD):
                by = (someone or actor).person
                tx.freezes.add(Freeze(guild_id=guild, by=by, at=it.updated_at, reason=REASON))

    return freeze


async def _frozen_everywhere(service: Service, actor: Actor, it: Broadcast) -> None:
    _ = actor
    with service.store.begin() as tx:
        tx.freezes.add(Freeze(guild_id=None, by=KIM.person, at=it.updated_at, reason=REASON))


async def _linked(service: Service, actor: Actor, it: Broadcast) -> None:
    """Let the actor have shown who they are at Whop, in each server."""
    with service.store.begin() as tx:
        for server in service.policy.servers:
            tx.links.keep(_link(service, server, actor, it))


def _link(service: Service, server: Server, actor: Actor, it: Broadcast) -> Link:
    return Link(
        guild_id=server.guild,
        account=server.account,
        origin=service.lifecycle.account_of(server).origin,
        person=actor.person,
        whop_id=f"user_{actor.id}",
        whop_name="someone",
        experience="exp_gold",
        at=it.updated_at,
    )


async def _coded(service: Service, actor: Actor, it: Broadcast) -> None:
    """Let the actor have got a code, in each server."""
    with service.store.begin() as tx:
        for server in service.policy.servers:
            test = _add_test(tx, server.guild, actor.person, it, test_of=OF_A_LINK)
            link = _link(service, server, actor, it)
            digest = digest_of(CODE, salt="salt")
            ends = it.updated_at + timedelta(days=1)
            tx.links.ask(LinkCode(link, test.id, "salt", digest, tries=0, expires_at=ends))


async def _ask_code(service: Service, actor: Actor, it: Broadcast) -> Any:
    _ = it
    with service.store.begin(Access.READ) as tx:
        # A server without one has none of them.
        codes = [one for one in tx.broadcasts.everywhere([Status.SENT]) if one.test_of == OF_A_LINK]
    number = next((one.id for one in codes if one.guild_id == actor.guild_id), codes[0].id if codes else 0)
    return await service.ask_code(actor, number)


async def _tested(service: Service, actor: Actor, it: Broadcast) -> None:
    """Let the author have had it sent to themselves."""
    _ = actor
    with service.store.begin() as tx:
        _add_test(tx, GUILD, it.author, it, test_of=it.id)


def _add_test(tx: Transaction, guild: int, author: Person, it: Broadcast, *, test_of: int) -> Broadcast:
    test = tx.tests.add(
        guild_id=guild,
        author=author,
        audience=it.audience,
        notification=WORDS,
        fingerprint=it.likeness,
        test_of=test_of,
        channel_id=CHANNEL,
        at=it.updated_at,
    )
    return tx.broadcasts.change(test, status=Status.SENT, at=it.updated_at) or test


async def _arrived(service: Service, actor: Actor, it: Broadcast) -> Any:
    with service.store.begin(Access.READ) as tx:
        tests = [one for one in tx.broadcasts.everywhere([Status.SENT]) if one.test_of == it.id]
    return await service.arrived(actor, tests[0].id if tests else it.id, revision=1)


def _test(name: str) -> Do:
    return lambda service, actor, it: getattr(service, name)(
        actor, it.id, revision=it.revision, channel_id=CHANNEL
    )


# fmt: off
WAYS: Final = (
    Way(what="write a new broadcast", surfaces=("/notify compose",), asks=True,
        do=lambda service, actor, it: service.may_compose(actor, audience=it.audience, topic="news")),
    Way(what="write a new broadcast", surfaces=("ComposeModal",), do=_compose),
    Way(what="list one's own drafts", surfaces=("/notify drafts", "page of drafts"),
        do=lambda service, actor, _: service.drafts(actor)),
    Way(what="list what is under way", surfaces=("/notify queue", "page of queue"),
        do=lambda service, actor, _: service.queue(actor)),
    Way(what="list what has ended", surfaces=("/notify history", "page of history"),
        do=lambda service, actor, _: service.history(actor)),
    Way(what="see a broadcast", surfaces=("/notify show", "button open"),
        do=lambda service, actor, it: service.look(actor, it.id)),
    Way(what="see an audience", surfaces=("/notify audience",),
        do=lambda service, actor, it: service.look_at_audience(actor, it.audience)),
    Way(what="ask who could approve it", surfaces=("/notify who",),
        do=lambda service, actor, it: service.who(actor, it.id, ())),
    Way(what="search the record", surfaces=("/notify audit",), do=_search),
    Way(what="search the record", surfaces=("page button",), do=_search_on),

    Way(what="see a template", surfaces=("/notify template use",),
        do=lambda service, actor, _: service.templates(actor)),
    Way(what="write a new broadcast from a template", surfaces=("button use_template",), asks=True,
        do=lambda service, actor, _: service.ask_template(actor, Action.COMPOSE, _template(service, actor))),
    Way(what="write a new broadcast from a template", surfaces=("BlanksModal",),
        do=lambda service, actor, _: service.compose_from(
            actor, _template(service, actor), {"since": "noon"}, channel_id=CHANNEL)),
    Way(what="approve a template beforehand", surfaces=("button approve_template",),
        do=lambda service, actor, _: service.approve_template(actor, _template(service, actor))),
    Way(what="approve a template beforehand", surfaces=("NameModal of a template",),
        do=lambda service, actor, it: service.approve_template(
            actor, _template(service, actor), typed=it.audience)),
    Way(what="withdraw one's approval of a template", surfaces=("button retract_template",),
        first=_template_approved, do=lambda service, actor, _: service.retract_template(
            actor, _template(service, actor))),

    Way(what="see the templates that moderators made", first=_made,
        surfaces=("/notify template list", "page of templates"),
        do=lambda service, actor, _: service.template_page(actor)),
    Way(what="see the templates that moderators made", surfaces=("button open_everyday",), first=_made,
        do=_look_at_everyday),
    Way(what="make a template", surfaces=("/notify template create", "button create_template"), asks=True,
        do=lambda service, actor, it: service.ask_new_template(
            actor, name="Weekly", audience=it.audience, topic=None)),
    Way(what="make a template", surfaces=("TemplateModal",),
        do=lambda service, actor, _: service.create_template(actor, TYPED)),
    Way(what="use a template that moderators made", surfaces=("button use_everyday",), asks=True,
        first=_made, do=_ask_everyday(Action.COMPOSE)),
    Way(what="use a template that moderators made", surfaces=("FillModal",), first=_made, do=_use_everyday),
    Way(what="edit a template", asks=True, first=_made, do=_ask_everyday(Action.EDIT_TEMPLATE),
        surfaces=("/notify template edit", "button edit_template", "button phone_everyday")),
    Way(what="edit a template", surfaces=("TemplateModal of a template", "TemplatePhoneModal"), first=_made,
        do=_edit_everyday),
    Way(what="retire a template", surfaces=("/notify template retire", "button retire_template"),
        first=_made, do=_retire_everyday),

    Way(what="bring a retired template back", surfaces=("button restore_template",), first=_retired,
        do=_restore_everyday),

    Way(what="use its words again", surfaces=("button reuse",), by_card=True,
        do=lambda service, actor, it: service.reuse(
            actor, it.id, revision=it.revision, channel_id=CHANNEL)),

    Way(what="correct it", surfaces=("button correct",), asks=True, by_card=True,
        do=lambda service, actor, it: service.correctable(actor, it.id, revision=it.revision)),
    Way(what="correct it", surfaces=("CorrectionModal",), by_card=True,
        do=lambda service, actor, it: service.correct(
            actor, it.id, revision=it.revision, notification=it.notification, channel_id=CHANNEL)),

    Way(what="edit it", surfaces=("button edit", "button edit_phone"), asks=True,
        do=lambda service, actor, it: service.editable(actor, it.id)),
    Way(what="edit it", surfaces=("ComposeModal of a draft", "PhoneModal"), by_card=True,
        do=lambda service, actor, it: service.edit(
            actor, it.id, revision=it.revision, notification=WORDS)),
    Way(what="edit it", surfaces=("button change_audience", "button change_topic"), asks=True, by_card=True,
        do=_ask(Action.EDIT)),
    Way(what="edit it", surfaces=("ChangeModal",), by_card=True,
        do=lambda service, actor, it: service.change_audience(
            actor, it.id, revision=it.revision, audience=OTHER_AUDIENCE)),
    Way(what="give it a list of people", surfaces=("button give_list",), asks=True, by_card=True,
        do=_ask(Action.GIVE_LIST)),
    Way(what="give it a list of people", surfaces=("ListModal",), by_card=True,
        do=lambda service, actor, it: service.give_list(
            actor, it.id, revision=it.revision, name="vips.csv", content="user_maya")),
    Way(what="confirm its list of people", surfaces=("button use_list",), by_card=True,
        first=_listed, do=_at_once("use_list")),
    Way(what="download its list of people", surfaces=("button download_list",), by_card=True,
        first=_listed, do=_at_once("download_list")),
    Way(what="share it", surfaces=("button share",), asks=True, by_card=True, do=_ask(Action.SHARE)),
    Way(what="share it", surfaces=("ShareModal",), by_card=True,
        do=lambda service, actor, it: service.share(
            actor, it.id, revision=it.revision, chosen=[KIM])),
    Way(what="edit it", surfaces=tuple(f"button {one}" for one in TIMES), by_card=True,
        first=_unclear_time, do=lambda service, actor, it: service.settle_time(
            actor, it.id, revision=it.revision, choice=0)),
    Way(what="ask for its approval", surfaces=("button submit",), asks=True, by_card=True,
        do=_ask(Action.SUBMIT)),
    Way(what="ask for its approval", surfaces=("ConfirmModal",), by_card=True, do=_at_once("submit")),
    Way(what="test it on oneself as its author", surfaces=("button test_draft",), by_card=True,
        first=_linked, do=_test("test_draft")),
    Way(what="test it on oneself before approving it", surfaces=("button test_review",), by_card=True,
        first=_linked, do=_test("test_review")),
    Way(what="say that one's test of it arrived", surfaces=("button arrived",), first=_tested, do=_arrived),
    Way(what="withdraw it", surfaces=("button withdraw",), by_card=True, do=_at_once("withdraw")),
    Way(what="cancel it", surfaces=("/notify cancel",),
        do=lambda service, actor, it: service.cancel(actor, it.id, reason=REASON)),
    Way(what="cancel it", surfaces=("button cancel",), asks=True, by_card=True, do=_ask(Action.CANCEL)),
    Way(what="cancel it", surfaces=("ReasonModal cancel",), by_card=True, do=_with_reason(Action.CANCEL)),

    Way(what="approve it", surfaces=("button approve",), by_card=True, do=_at_once("approve")),
    Way(what="approve it", surfaces=("NameModal",), by_card=True,
        do=lambda service, actor, it: service.approve(
            actor, it.id, revision=it.revision, typed=it.audience)),
    Way(what="withdraw one's approval", surfaces=("button retract",), by_card=True, do=_at_once("retract"),
        first=_own_approval),
    Way(what="ask for changes", surfaces=("button request_changes",), asks=True, by_card=True,
        do=_ask(Action.REQUEST_CHANGES)),
    Way(what="ask for changes", surfaces=("ReasonModal request_changes",), by_card=True,
        do=_with_reason(Action.REQUEST_CHANGES)),
    Way(what="reject it", surfaces=("button reject",), asks=True, by_card=True, do=_ask(Action.REJECT)),
    Way(what="reject it", surfaces=("ReasonModal reject",), by_card=True, do=_with_reason(Action.REJECT)),

    Way(what="stop it", surfaces=("button stop",), by_card=True, do=_at_once("stop")),
    Way(what="give it another time", surfaces=("button reschedule",), asks=True, by_card=True,
        do=_ask(Action.RESCHEDULE)),
    Way(what="give it another time", surfaces=("TimeModal",), by_card=True,
        do=lambda service, actor, it: service.reschedule(
            actor, it.id, revision=it.revision, schedule=None)),
    Way(what="make a series of it", surfaces=("button repeat",), asks=True, by_card=True,
        first=_timed, do=_ask(Action.REPEAT)),
    Way(what="make a series of it", surfaces=("RepeatModal",), by_card=True, first=_timed,
        do=lambda service, actor, it: service.repeat(
            actor, it.id, revision=it.revision, every=Every.WEEK, ends=Ends(times=3))),
    Way(what="list what goes out again and again", surfaces=("/notify series",),
        do=lambda service, actor, _: service.all_series(actor)),
    Way(what="see its series", surfaces=("button open_series",), first=_series,
        do=lambda service, actor, it: service.series(actor, it.id)),
    Way(what="skip one of its series", surfaces=("button skip",), first=_series,
        do=lambda service, actor, it: service.skip(actor, it.id, revision=1)),
    Way(what="pause its series", surfaces=("button pause",), first=_series,
        do=lambda service, actor, it: service.pause(actor, it.id, revision=1)),
    Way(what="let its series go on", surfaces=("button go_on",), first=_paused_series,
        do=lambda service, actor, it: service.go_on(actor, it.id, revision=1)),
    Way(what="end its series", surfaces=("button end",), first=_series,
        do=lambda service, actor, it: service.end(actor, it.id, revision=1)),
    Way(what="release it for a new review", surfaces=("button release",), by_card=True,
        do=_at_once("release")),
    Way(what="take it back to draft", surfaces=("button return",), by_card=True, do=_at_once("take_back")),

    Way(what="look it up at Whop", surfaces=("button look_up",), by_card=True, do=_at_once("look_up")),
    Way(what="ask Whop again", surfaces=("button check",), by_card=True, do=_at_once("check_again")),
    Way(what="say that it went out", surfaces=("button confirm",), asks=True, by_card=True,
        do=_ask(Action.CONFIRM)),
    Way(what="say that it went out", surfaces=("ReasonModal confirm",), by_card=True,
        do=_with_reason(Action.CONFIRM)),
    Way(what="say that it did not", surfaces=("button deny",), asks=True, by_card=True,
        do=_ask(Action.DENY)),
    Way(what="say that it did not", surfaces=("ReasonModal deny",), by_card=True,
        do=_with_reason(Action.DENY)),
    Way(what="compose it again", surfaces=("button send_again",), by_card=True,
        do=lambda service, actor, it: service.send_again(
            actor, it.id, revision=it.revision, channel_id=CHANNEL)),

    Way(what="set one's time zone", surfaces=("/notify timezone",),
        do=lambda service, actor, _: service.set_zone(actor, "Asia/Tokyo")),

    Way(what="be tied to one's user at Whop", surfaces=("button type_code",), asks=True, first=_coded,
        do=_ask_code),
    Way(what="be tied to one's user at Whop", surfaces=("CodeModal",), first=_coded,
        do=lambda service, actor, _: service.type_code(actor, CODE)),
    Way(what="be tied to it no more", surfaces=("/notify link",), first=_linked,
        do=lambda service, actor, _: service.remove_link(actor)),

    Way(what="freeze all sending", surfaces=("/notify freeze",),
        do=lambda service, actor, _: service.freeze(actor, REASON)),
    Way(what="see what a freeze keeps back", surfaces=("/notify unfreeze",), first=_frozen_by(KIM),
        do=lambda service, actor, _: service.frozen(actor)),
    Way(what="lift somebody else's freeze", surfaces=("button unfreeze",), first=_frozen_by(KIM),
        do=lambda service, actor, _: service.unfreeze(actor)),
    Way(what="lift one's own freeze", surfaces=("button unfreeze",), first=_frozen_by(None),
        do=lambda service, actor, _: service.unfreeze(actor)),
    Way(what="lift a freeze of more servers", surfaces=("button unfreeze",), first=_frozen_everywhere,
        do=lambda service, actor, _: service.unfreeze(actor)),
)
# fmt: on
