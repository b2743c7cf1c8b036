"""The life of a broadcast: each step is checked, stored, recorded and announced in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, TypedDict, Unpack

from bot.agenda import together
from bot.audience import audience_of, refuse_list
from bot.audit.chain import HERALD, SKIPPED, Event, NewEvent
from bot.broadcast import (
    DECIDED_ANEW,
    ECHOED,
    EXPLAINED,
    GOES_OUT,
    LIST_CHECKED,
    NOT_ASKED,
    TRANSITIONS,
    TWICE,
    Broadcast,
    Status,
    Step,
)
from bot.characters import storable
from bot.clock import Clock
from bot.errors import Conflict, Refused
from bot.freeze import Freeze, describe
from bot.frequency_rules import is_limited
from bot.lint import findings
from bot.notification import Notification, fingerprint_of, printed, problems
from bot.own_list import Kept
from bot.permissions import Action, Actor
from bot.policy.audience import Audience, Listed
from bot.policy.fields import Severity
from bot.policy.model import ACCOUNT, Policy, Server
from bot.policy.template import Template
from bot.quiet_rules import refuse_review
from bot.refusals import AGAIN, Streak
from bot.reminders import DECIDED_BY_PEOPLE, first_reminder
from bot.schedule import Schedule
from bot.sentences import listed, people, shortened
from bot.store import Changes, Transaction
from bot.store.broadcasts import new_nonce
from bot.store.conditions import Deadlines
from bot.store.facts import STARTS
from bot.store.outbox import PostKind
from bot.template import skeleton
from bot.value import Person
from bot.whop import Account

REASON_LIMIT: Final = 500
# A refusal is as long as this in the record, whatever it lists.
DETAIL_LIMIT: Final = 1000
MAYBE_TWICE: Final = "customers may have got it twice: Whop takes repeated requests for new ones"
CHANGED: Final = "what it would send is no longer what was approved: the policy or the address has changed"


class Prints(TypedDict):
    """The fingerprint of what would go out, and for what has a time the one that it would have without."""

    fingerprint: str
    timeless: str | None


class Lifecycle:
    """What every step needs, whether a person takes it or the dispatcher."""

    def __init__(self, *, policy: Policy, accounts: Mapping[str, Account], clock: Clock) -> None:
        self.policy = policy
        self.accounts = accounts
        self.clock = clock

    def account_of(self, server: Server) -> Account:
        """Return the account by which a server's broadcasts go out."""
        return self.accounts[server.account]

    def shortcomings(self, broadcast: Broadcast) -> list[str]:
        """Return a sentence for each thing that keeps a broadcast from being submitted."""
        server = self.server_of(broadcast)
        found = [
            *problems(broadcast.notification),
            *self.account_of(server).gateway.refuse_notification(broadcast.notification),
            *server.refuse_link(broadcast.notification.link),
            *self._slips(broadcast, "stop"),
        ]
        # A correction keeps both.
        mend = "compose anew" if broadcast.corrects is not None else "choose another one with Change {what}"
        if audience_of(server, broadcast) is None:
            gone = f"The audience “{broadcast.audience}” is no longer in the policy"
            found.append(f"{gone}: {mend.format(what='audience')}.")
        if broadcast.schedule and (unclear := broadcast.schedule.shortcoming()):
            found.append(unclear)
        if server.topic(broadcast.notification.topic) is None:
            gone = f"The topic “{broadcast.notification.topic}” is no longer in the policy"
            found.append(f"{gone}: {mend.format(what='topic')}.")
        if unconfirmed := refuse_list(server, broadcast.listed):
            found.append(unconfirmed)
        return found

    def before_review(self, broadcast: Broadcast) -> list[str]:
        """Return a sentence for each thing that keeps a broadcast from being put before its approvers."""
        found, schedule = self.shortcomings(broadcast), broadcast.schedule
        server, now = self.server_of(broadcast), self.clock()
        if schedule and (late := schedule.too_near(now, undo_window=server.rules.undo_window)):
            found.append(late)
        elif quiet := refuse_review(server, broadcast, now):
            found.append(quiet)
        return found

    def review_ends(self, broadcast: Broadcast) -> datetime:
        """Return when a review that begins now ends: before the undo window of what has a time of its own."""
        rules = self.server_of(broadcast).rules
        ends = self.clock() + rules.review_expires
        at = broadcast.schedule.at if broadcast.schedule else None
        return min(ends, at - rules.undo_window) if at else ends

    def warnings(self, broadcast: Broadcast) -> list[str]:
        """Return a sentence for each slip that its people may go past."""
        return self._slips(broadcast, "warn")

    def _slips(self, broadcast: Broadcast, severity: Severity) -> list[str]:
        found = findings(
            broadcast.notification,
            self.server_of(broadcast),
            audience=broadcast.audience,
            severity=severity,
            now=self.clock(),
        )
        return [one.sentence for one in found]

    def server_of(self, broadcast: Broadcast) -> Server:
        """Return the server whose rules hold for the broadcast; raise Conflict if the policy lost it."""
        server = self.policy.server(broadcast.guild_id)
        if server is None:
            raise Conflict("The policy no longer names this server: nothing can be done with its broadcasts.")
        return server

    def deadlines(self) -> Deadlines:
        """Return what is too late now to be sent without a person, by the rules of each server."""
        now = self.clock()
        late = {one.guild: now - one.rules.missed_after for one in self.policy.servers}
        account_of = {one.guild: one.account for one in self.policy.servers}
        return Deadlines(late, account_of, sorted(self.accounts))

    def prints(
        self,
        server: Server,
        audience: str,
        notification: Notification,
        schedule: Schedule | None,
        listed: Listed | None = None,
    ) -> Prints:
        """Return the fingerprint of what would go out under today's policy, and the one without its time."""
        named = server.audience_of_list(audience, listed) if listed else server.audience(audience)
        scope = self._scope(server, named)
        timeless = fingerprint_of(printed(notification, scope))
        if schedule is None:
            return Prints(fingerprint=timeless, timeless=None)
        timed = fingerprint_of(printed(notification, scope, time=schedule.printed()))
        return Prints(fingerprint=timed, timeless=timeless)

    def prints_now(self, server: Server, broadcast: Broadcast) -> Prints:
        """Return the fingerprints that a broadcast has by the policy and the time zones of today."""
        schedule = broadcast.schedule.today() if broadcast.schedule else None
        return self.prints(server, broadcast.audience, broadcast.notification, schedule, broadcast.listed)

    def likeness_now(self, server: Server, broadcast: Broadcast) -> str:
        """Return by what it is known today what says the same as the broadcast, at whatever time."""
        prints = self.prints_now(server, broadcast)
        return prints["timeless"] or prints["fingerprint"]

    def scopes(self) -> Iterator[Mapping[str, object]]:
        """Yield what is fingerprinted beside the words, for each audience and for one that is gone."""
        for server in self.policy.servers:
            yield self._scope(server, None)
            yield from (self._scope(server, one) for one in server.audiences)

    def _scope(self, server: Server, named: Audience | None) -> Mapping[str, object]:
        return {"audience": named.definition() if named else {}, **self.way(server)}

    def way(self, server: Server) -> Mapping[str, str]:
        """Return by which way it would go, so that what was approved for one never takes another."""
        account = self.account_of(server)
        way = {"generation": account.gateway.generation, "destination": account.origin}
        # There was one account when the first approvals were given, and nothing said so.
        return way if account.name == ACCOUNT else way | {"account": account.name}

    def template_fingerprint(self, server: Server, template: Template) -> str:
        """Return the fingerprint of what approving a template lets out, but for what its blanks hold."""
        named = server.audience(template.audience)
        # No broadcast has such an audience, so that neither can pass for the other. What has grown large
        # since has to be approved as such.
        audience: dict[str, object] = {
            "template": template.name,
            "audience": named.definition() if named else {},
            "large": server.is_large(template.audience),
        }
        if template.limited:
            # Whoever approves the words approves what may stand in them.
            audience |= {"choices": {one.name: one.choices for one in template.limited}}
        return fingerprint_of(printed(skeleton(template), {"audience": audience, **self.way(server)}))

    def advance(
        self,
        tx: Transaction,
        before: Broadcast,
        step: Step,
        *,
        actor: Person = HERALD,
        detail: str = "",
        action: str | None = None,
        **changes: Unpack[Changes],
    ) -> Broadcast:
        """Take a step of the table, write it into the record and tell people, in the caller's transaction.

        Raises Conflict if the broadcast is no longer as `before` says.
        """
        taken = self.advance_all(tx, [before], step, actor=actor, detail=detail, action=action, **changes)
        return taken[0]

    def advance_all(
        self,
        tx: Transaction,
        before: Sequence[Broadcast],
        step: Step,
        *,
        actor: Person = HERALD,
        detail: str = "",
        action: str | None = None,
        **changes: Unpack[Changes],
    ) -> list[Broadcast]:
        """Take the same step with broadcasts of one status; raise Conflict if any is no longer as given."""
        status = TRANSITIONS[before[0].status].get(step)
        if status is None:
            raise Conflict(describe_state(before[0]))
        if detail:
            changes.setdefault("reason", detail)
        if step in DECIDED_ANEW:
            changes["nonce"] = new_nonce()
        now = self.clock()
        moved = status is not before[0].status
        # Nobody decides about what reaches nobody else; such go on apart from the others.
        waits = status in DECIDED_BY_PEOPLE and not before[0].is_test
        if moved and not before[0].is_test:
            ends = changes.get("review_expires_at")
            changes.setdefault("remind_at", first_reminder(status, now=now, ends=ends))
        after = tx.broadcasts.change_all(before, status=status, at=now, **changes)
        for one in before:
            if one.id not in after:
                raise Conflict(describe_state(tx.broadcasts.get(one.id)))
            echo = step.value if step in ECHOED else None
            self._show(tx, after[one.id], actor, action or step.value, detail, echo=echo)
            if moved and waits:
                self.call(tx, after[one.id])
            if moved:
                self._redraw_beside(tx, one)
        return [*after.values()]

    def _redraw_beside(self, tx: Transaction, moved: Broadcast) -> None:
        """Let the cards of others say how it stands: of what it corrects, and of what sends it again."""
        copies = tx.broadcasts.copies(moved.id) if moved.status is Status.UNKNOWN else []
        corrected = [] if moved.corrects is None else [moved.corrects]
        for number in (*corrected, *(one.id for one in copies)):
            tx.outbox.redraw_card(number, at=self.clock())
        server = self.policy.server(moved.guild_id)
        if server is None or moved.is_test or not is_limited(server, moved):
            return
        # What waits for the same people says how close it is to this one.
        for number in tx.pushes.under_review(moved.guild_id, together(server, moved.audience)):
            tx.outbox.redraw_card(number, at=self.clock())

    def explain(
        self, tx: Transaction, before: Broadcast, *, actor: Person, detail: str, reason: str
    ) -> Broadcast:
        """Say afterwards why it was stopped, where that led; raise Conflict if something has followed."""
        after = tx.broadcasts.change(before, status=before.status, at=self.clock(), reason=reason)
        if after is None:
            raise Conflict(describe_state(tx.broadcasts.get(before.id)))
        self._show(tx, after, actor, EXPLAINED, detail, echo=EXPLAINED)
        return after

    def give_back(self, tx: Transaction, draft: Broadcast, why: str) -> None:
        """Tell the author why what was composed for them waits for them as a draft."""
        after = tx.broadcasts.change(draft, status=draft.status, at=self.clock(), reason=why)
        self._show(tx, after or draft, HERALD, NOT_ASKED, why, echo=NOT_ASKED)

    def doubt_once(self, tx: Transaction, broadcast_id: int) -> None:
        """Say that customers may have got a broadcast twice: on its card, in the record and to its author."""
        before = tx.broadcasts.get(broadcast_id)
        earlier = before.reason.rstrip(".")
        reason = f"{earlier}; {MAYBE_TWICE}" if earlier else MAYBE_TWICE[0].upper() + MAYBE_TWICE[1:]
        after = tx.broadcasts.change(before, status=before.status, at=self.clock(), reason=reason)
        echo = {Status.SENT: Step.ACCEPTED, Status.PARTIAL: Step.PARTLY}.get(before.status)
        self._show(tx, after or before, HERALD, TWICE, "", echo=echo.value if echo else None)

    def tell_of_list(self, tx: Transaction, draft: Broadcast, kept: Kept) -> None:
        """Tell the author of a draft that Whop was asked about everybody of its list."""
        said = f"{people(kept.good)} can be reached; {kept.out:,} rows left out, {kept.repeats:,} repeats"
        self.note(tx, draft, HERALD, LIST_CHECKED, said)
        self._tell_author(tx, draft, LIST_CHECKED)

    def _show(
        self, tx: Transaction, after: Broadcast, actor: Person, action: str, detail: str, *, echo: str | None
    ) -> None:
        now = self.clock()
        tx.outbox.redraw_card(after.id, at=now)
        self.note(tx, after, actor, action, detail)
        if echo is not None and after.owners - {actor.id}:
            self._tell_author(tx, after, echo)

    def _tell_author(self, tx: Transaction, broadcast: Broadcast, step: str) -> None:
        tx.outbox.add_post(
            PostKind.ECHO,
            step=step,
            guild_id=broadcast.guild_id,
            channel_id=broadcast.origin_channel_id,
            broadcast_id=broadcast.id,
            at=self.clock(),
        )

    def call(self, tx: Transaction, broadcast: Broadcast) -> None:
        """Call those for whom a broadcast waits to its card: operators, or who could still approve it."""
        server = self.policy.server(broadcast.guild_id)
        # Where the policy names no server, it names no channel and nobody to call.
        if server is not None:
            tx.outbox.add_post(
                PostKind.CALL,
                step=broadcast.status.value,
                guild_id=broadcast.guild_id,
                channel_id=server.channels.review,
                broadcast_id=broadcast.id,
                at=self.clock(),
            )

    def remind(self, tx: Transaction, broadcast: Broadcast) -> None:
        """Call them once more, where the policy wants that; always when the last chance to stop it begins."""
        server = self.policy.server(broadcast.guild_id)
        is_last = broadcast.status is Status.APPROVED
        if server is not None and (server.notify.reminders or is_last):
            self.call(tx, broadcast)
        if is_last:
            self._tell_author(tx, broadcast, GOES_OUT)

    def note_retry(self, tx: Transaction, broadcast: Broadcast, detail: str) -> None:
        """Write into the record what happened to an attempt that will be repeated."""
        tx.outbox.redraw_card(broadcast.id, at=self.clock())
        self.note(tx, broadcast, HERALD, "will try again", detail)

    def show_progress(self, tx: Transaction, broadcast: Broadcast) -> None:
        """Let the card show how far the sending has come, when its turn comes."""
        tx.outbox.redraw_card(broadcast.id)

    def is_unchanged(self, broadcast: Broadcast) -> bool:
        """Tell whether today's policy would still send what the broadcast was fingerprinted for."""
        server = self.policy.server(broadcast.guild_id)
        return (
            server is not None and self.prints_now(server, broadcast)["fingerprint"] == broadcast.fingerprint
        )

    def freeze(self, tx: Transaction, wanted: Freeze) -> Freeze:
        """Halt sending from this transaction on, and tell everyone whom it concerns.

        No reason keeps it from that: one too long is cut. Raises Conflict if it is frozen already.
        """
        reason = shortened(storable(wanted.reason.strip()), REASON_LIMIT) or "no reason was given"
        freeze = wanted.model_copy(update={"reason": reason})
        for one in tx.freezes.standing():
            if one.scope == freeze.scope:
                raise Conflict(describe(one))
        tx.freezes.add(freeze)
        self._tell_of_freeze(tx, freeze, freeze.by, "freeze", freeze.reason)
        return freeze

    def halted_by(self, freeze: Freeze) -> Sequence[Server]:
        """Return the servers whose sending a freeze halts."""
        return [one for one in self.policy.servers if freeze.halts(one.guild, one.account)]

    def unfreeze(self, tx: Transaction, freeze: Freeze, by: Person) -> None:
        """Let sending go on; raise Conflict if someone was faster."""
        if not tx.freezes.remove(freeze):
            raise Conflict("Someone was faster: the freeze is lifted already.")
        if freeze.guild_id is None:
            # Somebody has looked: the crashes until now have had their alarm.
            tx.facts.set(STARTS, ())
        self._tell_of_freeze(tx, freeze, by, "unfreeze", f"it was: {freeze.reason}")

    def _tell_of_freeze(self, tx: Transaction, freeze: Freeze, by: Person, action: str, detail: str) -> None:
        now = self.clock()
        for server in self.halted_by(freeze):
            event = NewEvent(guild_id=server.guild, at=now, actor=by, action=action, detail=detail)
            tx.outbox.redraw_open_cards(server.guild, at=now)
            self._append(tx, event)
            tx.outbox.add_post(
                PostKind.FREEZE,
                guild_id=server.guild,
                channel_id=server.channels.review,
                step=action,
                at=now,
            )

    def note_everywhere(self, tx: Transaction, action: str, detail: str) -> None:
        """Write a line of Herald's own into the record of every server."""
        for server in self.policy.servers:
            self._append(tx, self._own_line(server.guild, action, detail))

    def note_in(self, tx: Transaction, guild_id: int, action: str, detail: str) -> Event:
        """Write a line of Herald's own into the record of one server at once, and return it."""
        return tx.note_now(self._own_line(guild_id, action, detail), channel_id=self._mirror_of(guild_id))

    def _own_line(self, guild_id: int, action: str, detail: str) -> NewEvent:
        return NewEvent(
            guild_id=guild_id, at=self.clock(), actor=HERALD, action=action, detail=storable(detail)
        )

    def skip_numbers(self, tx: Transaction, guild_id: int, *, above: int, detail: str) -> None:
        """Let a server's record go on above a number, with a line that says which ones are left out."""
        new = NewEvent(guild_id=guild_id, at=self.clock(), actor=HERALD, action=SKIPPED, detail=detail)
        tx.note_now(new, channel_id=self._mirror_of(guild_id), above=above)

    def note(self, tx: Transaction, broadcast: Broadcast, actor: Person, action: str, detail: str) -> None:
        """Write a line about a broadcast into the record."""
        self._append(
            tx,
            NewEvent(
                guild_id=broadcast.guild_id,
                at=self.clock(),
                actor=actor,
                action=action,
                broadcast_id=broadcast.id,
                proof=broadcast.proof,
                detail=detail,
            ),
        )

    def note_setting(self, tx: Transaction, guild_id: int, actor: Person, action: str, detail: str) -> None:
        """Write a line about what somebody set for themselves into the record."""
        self.note_template(tx, guild_id, actor, action, detail, proof="")

    def note_template(
        self, tx: Transaction, guild_id: int, actor: Person, action: str, detail: str, *, proof: str
    ) -> None:
        """Write a line about a template into the record."""
        self._append(
            tx,
            NewEvent(
                guild_id=guild_id, at=self.clock(), actor=actor, action=action, proof=proof, detail=detail
            ),
        )

    def note_refusal(
        self, tx: Transaction, actor: Actor, action: Action, refusal: Refused, broadcast: Broadcast | None
    ) -> None:
        """Write into the record of the actor's server that they were refused, or count it among many."""
        if self.policy.server(actor.guild_id) is None or actor.guild_id is None:
            return
        now = self.clock()
        streak = tx.refusals.begin(actor.guild_id, actor.person, at=now)
        if streak.until <= now:
            self._note_more(tx, streak)
            streak = Streak(guild_id=actor.guild_id, person=actor.person, since=now, last=now)
        streak = streak.one_more(now)
        tx.refusals.keep(streak)
        if streak.more:
            return
        self._append(
            tx,
            NewEvent(
                guild_id=actor.guild_id,
                at=now,
                actor=actor.person,
                action=f"refused {action.value}",
                broadcast_id=broadcast.id if broadcast else None,
                proof=broadcast.proof if broadcast else "",
                detail=shortened(str(refusal), DETAIL_LIMIT),
            ),
        )

    def note_refused_again(self, tx: Transaction) -> None:
        """Write into the records how often people were refused whose refusals have come to an end."""
        for streak in tx.refusals.end(self.clock()):
            self._note_more(tx, streak)

    def _note_more(self, tx: Transaction, streak: Streak) -> None:
        if streak.more and self.policy.server(streak.guild_id) is not None:
            self._append(
                tx,
                NewEvent(
                    guild_id=streak.guild_id,
                    at=self.clock(),
                    actor=streak.person,
                    action=AGAIN,
                    detail=streak.told,
                ),
            )

    def _append(self, tx: Transaction, new: NewEvent) -> None:
        # What cannot be kept must not keep the rest from being recorded, a refusal least of all.
        detail = storable(new.detail)
        kept = new if detail == new.detail else new.model_copy(update={"detail": detail})
        tx.note(kept, channel_id=self._mirror_of(new.guild_id))

    def _mirror_of(self, guild_id: int) -> int | None:
        server = self.policy.server(guild_id)
        return server.channels.audit if server else None


def describe_state(broadcast: Broadcast) -> str:
    """Return the sentence that tells someone who came too late where the broadcast stands."""
    agreed = (*broadcast.approvals, *broadcast.lent)
    by = listed(dict.fromkeys(one.approver.name for one in agreed), between=" and ")
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
