"""What authors do with their drafts."""

from collections.abc import Sequence
from typing import Literal

from bot import sizes
from bot.alike import beside, near
from bot.approvals import ask
from bot.audience import audience_of
from bot.broadcast import ENDED, Broadcast, Status, Step
from bot.corrections import pair_of, shortcomings
from bot.errors import Conflict, NotReady
from bot.frequency_rules import refuse_review, too_often
from bot.lately import limited_lately
from bot.notification import Notification
from bot.own_list import OWN, OWN_LABEL, refuse_announced, title_of
from bot.permissions import Action, Actor, approvers
from bot.policy.audience import Listed
from bot.quiet_rules import as_submitted, moved
from bot.quorum import missing, needed
from bot.repeats import NEARLY, Beside, tell_all_alike
from bot.schedule import Schedule, told
from bot.sentences import listed
from bot.series import SeriesStatus
from bot.service import lending, unknowns
from bot.service.gate import OLD_CARD, Gate, limit
from bot.service.lending import Offer
from bot.service.testing import require_test
from bot.store import Transaction
from bot.store.facts import REVISIONS_ABOVE


def may_compose(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    *,
    audience: str,
    topic: str,
    file: tuple[str, int] | None = None,
) -> None:
    """Raise Refused if composing this could only be refused later, before anything is typed."""
    _ = tx
    check_choice(gate, actor, audience=audience, topic=topic, file=file)


def check_choice(
    gate: Gate, actor: Actor, *, audience: str, topic: str, file: tuple[str, int] | None = None
) -> None:
    """Do the same by the policy alone, before a database is asked anything."""
    gate.decide(actor, Action.COMPOSE)
    if file is not None and audience != OWN:
        raise NotReady(
            "It goes to an audience or to a list, not to both: leave the list out, or choose"
            f" “{OWN_LABEL}” as the audience."
        )
    if audience == OWN:
        gate.decide(actor, Action.GIVE_LIST)
    if file is not None:
        refuse_announced(*file)
    gate.choose(actor, None if audience == OWN else audience, topic)


def submittable(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int
) -> tuple[Broadcast, Offer, Beside]:
    """Return a draft that the actor could submit, what a template would lend it, and what it may repeat."""
    broadcast = gate.admit(tx, actor, Action.SUBMIT, broadcast_id, revision)
    require_test(tx, gate, actor, broadcast)
    offer = lending.offer_of(tx, gate.lifecycle, broadcast)
    return broadcast, offer, beside(tx, gate.lifecycle, broadcast)


def editable(tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int) -> Broadcast:
    """Return the newest words of the actor's own draft."""
    return gate.admit(tx, actor, Action.EDIT, broadcast_id, None)


def compose(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    *,
    audience: str,
    notification: Notification,
    channel_id: int,
    schedule: Schedule | None = None,
    list_name: str = "",
) -> Broadcast:
    """Store a new draft, fit to be sent or not: nothing typed is lost.

    One for the people of a list of one's own is stored before that list is looked at.
    """
    check_choice(gate, actor, audience=audience, topic=notification.topic)
    gate.meet(tx, actor)
    server, listed = gate.server(actor), None
    if audience == OWN:
        listed = Listed(name=list_name, experience=server.lists.experience)
        audience = title_of(list_name)
    schedule = moved(server, audience, schedule)
    draft = tx.broadcasts.add(
        guild_id=server.guild,
        author=actor.person,
        audience=audience,
        notification=notification,
        schedule=schedule,
        listed=listed,
        origin_channel_id=channel_id,
        at=gate.clock(),
        **gate.lifecycle.prints(server, audience, notification, schedule, listed),
    )
    if counted := sizes.last_known(tx, gate.lifecycle, server, audience):
        draft = tx.sizes.show(draft, counted)
    gate.lifecycle.note(tx, draft, actor.person, "composed", f"for {audience}{told(schedule)}")
    return draft


def reuse(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, channel_id: int
) -> Broadcast:
    """Store a draft with the words of a broadcast that the actor sees; whoever wrote them may not approve it.

    Raises NotReady if the policy no longer has its audience or its topic.
    """
    used = gate.visible(tx, actor, Action.REUSE, broadcast_id)
    gate.refuse_old_card(actor, used, revision)
    _refuse_what_is_gone(gate, actor, used)
    if used.status is Status.UNKNOWN:
        # Customers may have these words already: its draft has to say so, and one is open at a time.
        return unknowns.send_again(tx, gate, actor, used.id, revision=revision, channel_id=channel_id)
    gate.meet(tx, actor)
    server = gate.server(actor)
    # Who was reached by a list then may not be reached by it now: it is given anew.
    listed = used.listed and Listed(name=used.listed.name, experience=server.lists.experience)
    draft = tx.broadcasts.add(
        guild_id=server.guild,
        author=actor.person,
        audience=used.audience,
        notification=used.notification,
        listed=listed,
        origin_channel_id=channel_id,
        at=gate.clock(),
        # An author who used words again and left them as they were has written none of them.
        writers=[one for one in tx.revisions.writers(used) if one.id in used.editors],
        # What stands beside one that still sends another again stands beside its duplicate, too.
        repeats=None if used.status in ENDED else used.repeats,
        # A time of its own is its own alone.
        **gate.lifecycle.prints(server, used.audience, used.notification, None, listed),
    )
    gate.lifecycle.note(
        tx, draft, actor.person, "composed", f"for {draft.audience}, in the words of #{used.id}"
    )
    return draft


def _refuse_what_is_gone(gate: Gate, actor: Actor, used: Broadcast) -> None:
    server, topic = gate.server(actor), used.notification.topic
    gone = {
        f"audience “{used.audience}”": audience_of(server, used) is None,
        f"topic “{topic}”": server.topic(topic) is None,
    }
    for what, is_gone in gone.items():
        if is_gone:
            raise NotReady(
                f"The {what} is no longer in the policy: use /notify compose with another one, and copy the"
                f" words from #{used.id}, which stays as it is."
            )


def edit(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    notification: Notification,
    schedule: Schedule | Literal["kept"] | None = "kept",
) -> Broadcast:
    """Replace the words of a draft by a new revision, and its time unless that is kept."""
    before = gate.admit(tx, actor, Action.EDIT, broadcast_id, revision)
    gate.meet(tx, actor)
    timed = before.schedule if schedule == "kept" else schedule
    return revise(tx, gate, actor, before, Step.EDIT, notification=notification, schedule=timed)


def settle_time(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, choice: int
) -> Broadcast:
    """Take one of the moments that a draft's time could mean."""
    before = gate.admit(tx, actor, Action.EDIT, broadcast_id, revision)
    meanings = before.schedule.meanings if before.schedule else ()
    if before.schedule is None or choice >= len(meanings):
        raise Conflict(OLD_CARD)
    gate.meet(tx, actor)
    settled = before.schedule.settled(meanings[choice].at)
    return revise(tx, gate, actor, before, Step.EDIT, notification=before.notification, schedule=settled)


def reschedule(
    tx: Transaction, gate: Gate, actor: Actor, broadcast_id: int, *, revision: int, schedule: Schedule | None
) -> Broadcast:
    """Give one's own broadcast another time, or none; it is a draft again, and no approval counts."""
    before = gate.admit(tx, actor, Action.RESCHEDULE, broadcast_id, revision)
    gate.meet(tx, actor)
    voided = tx.broadcasts.void_approvals(before)
    after = revise(
        tx, gate, actor, voided, Step.RESCHEDULE, notification=before.notification, schedule=schedule
    )
    if before.lent:
        lending.void(tx, gate.lifecycle, after, why=f"#{after.id} got another time")
    return after


def revise(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    before: Broadcast,
    step: Step,
    *,
    notification: Notification,
    schedule: Schedule | None,
    audience: str | None = None,
    listed: Listed | None = None,
    detail: str = "",
) -> Broadcast:
    """Write a new revision of a draft, by the step that takes it there; for another audience if named.

    It is for the people of a list then, or no longer, as `listed` says.
    """
    server = gate.lifecycle.server_of(before)
    if audience is None:
        audience, listed = before.audience, before.listed
    if before.listed is not None and listed is None:
        tx.lists.forget(before.id)
    schedule = moved(server, audience, schedule)
    series = _follow(tx, gate, actor, before, audience, notification, schedule)
    # What was lost when the database went back had numbers of its own, which stand on cards.
    number = max(before.revision, tx.facts.get(REVISIONS_ABOVE) or 0) + 1
    tx.broadcasts.add_revision(
        before.id,
        number,
        editor=actor.person,
        audience=audience,
        notification=notification,
        schedule=schedule,
        at=gate.clock(),
    )
    return gate.lifecycle.advance(
        tx,
        before,
        step,
        actor=actor.person,
        detail="; ".join(
            filter(None, (_told_changes(before, audience, notification.topic, schedule), detail))
        ),
        revision=number,
        audience=audience,
        listed=listed,
        counted=before.counted
        if audience == before.audience
        else sizes.last_known(tx, gate.lifecycle, server, audience),
        notification=notification,
        schedule=schedule,
        series=series,
        reason="",
        due_at=None,
        review_expires_at=None,
        **gate.lifecycle.prints(server, audience, notification, schedule, listed),
    )


def _follow(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    before: Broadcast,
    audience: str,
    notification: Notification,
    schedule: Schedule | None,
) -> int | None:
    """Let a series say what its first broadcast says, until that has gone out; return which it is one of.

    While nobody knows which time is meant, it keeps those it has: none is asked for as long as that. Without
    a time it ends, and what stands alone is one of it no longer.
    """
    known = tx.series.find(before.id) if before.series == before.id else None
    if known is None or known.status is SeriesStatus.ENDED:
        return before.series
    series = before.series
    if schedule is None:
        changed = known.ended("its first one has no time any more")
        gate.lifecycle.note(tx, before, actor.person, Action.END.value, changed.reason)
        series = series if known.made > 1 else None
    elif schedule.at is None:
        changed = known.model_copy(update={"audience": audience, "notification": notification})
    else:
        changed = known.following(audience, notification, schedule)
    if tx.series.change(known, changed) is None:
        raise Conflict(OLD_CARD)
    return series


def _told_changes(before: Broadcast, audience: str, topic: str, schedule: Schedule | None) -> str:
    """Return what the record says of another audience, another topic, another time, or none any more."""
    changed = [
        *([f"for {audience}, and no longer for {before.audience}"] if audience != before.audience else []),
        *(
            [f"about {topic}, before {before.notification.topic}"]
            if topic != before.notification.topic
            else []
        ),
        *([told(schedule).strip() or "as soon as it is approved"] if schedule != before.schedule else []),
    ]
    return "; ".join(changed)


def submit(
    tx: Transaction,
    gate: Gate,
    actor: Actor,
    broadcast_id: int,
    *,
    revision: int,
    note: str = "",
    members: Sequence[Actor] | None = None,
    unseen: str | None = None,
    asks: bool | None = None,
) -> Broadcast:
    """Lock a draft and put it before the approvers.

    Where Discord tells who the server's members are, what not enough of them could approve is refused, and
    so is what nobody could see, for the reason that is given as `unseen`, and what the form that `asks`
    somebody for approval, or nobody, did not announce.
    """
    before = gate.admit(tx, actor, Action.SUBMIT, broadcast_id, revision)
    if unseen:
        raise NotReady(unseen)
    limit(note)
    gate.meet(tx, actor)
    lacking = [
        *gate.lifecycle.before_review(before),
        *shortcomings(gate.lifecycle, before, pair_of(tx, before).corrected),
    ]
    if lacking:
        raise NotReady(lacking[0])
    require_test(tx, gate, actor, before)
    if close := near(tx, gate.lifecycle, before, severity="stop"):
        raise NotReady(f"{tell_all_alike(close, gate.clock(), what=NEARLY)}: change the words, or cancel it.")
    server, now = gate.lifecycle.server_of(before), gate.clock()
    offer = lending.offer_of(tx, gate.lifecycle, before)
    asked = as_submitted(server, before, now).model_copy(update={"lent": offer.approvals})
    often = too_often(server, asked, limited_lately(tx, gate.lifecycle, before), now)
    if why := refuse_review(often):
        raise NotReady(why)
    asked = asked.model_copy(update={"too_often": often is not None})
    if asks is not None and asks != (asked.agreed < needed(server, asked)):
        # What a template lends has changed while the form stood open.
        raise Conflict(OLD_CARD)
    _refuse_unreachable(gate, asked, members)
    submitted = ask(tx, gate.lifecycle, before, actor=actor.person, note=note, often=often)
    return lending.lend(tx, gate.lifecycle, submitted, offer)


def _refuse_unreachable(gate: Gate, broadcast: Broadcast, members: Sequence[Actor] | None) -> None:
    if members is None:
        return
    server = gate.lifecycle.server_of(broadcast)
    lacking = missing(server, broadcast)
    able = approvers(gate.policy, broadcast, members, at=gate.clock())
    if len(able) < lacking:
        holders = listed((f"<@&{role}>" for role in server.roles.approve), between=" or ")
        raise NotReady(
            f"Nobody could ever approve this: it needs {lacking} approval(s), and {len(able)} member(s)"
            f" other than its author hold the role {holders}. Give the role to more people first."
        )
