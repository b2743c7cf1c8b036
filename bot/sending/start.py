"""The start of a broadcast that is due: every reason to hold it instead, and its frozen requests."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from bot import sizes
from bot.approvals import GROWN, lapse
from bot.audience import audience_of
from bot.audit.chain import HERALD
from bot.broadcast import UNDER_WAY, Broadcast, Step
from bot.clock import Clock
from bot.covering import corrected_since
from bot.delivery import Request
from bot.freeze import Freeze, first_over
from bot.frequency_rules import is_limited, too_often, with_begun
from bot.frequency_rules import refuse_start as refuse_too_often
from bot.lately import limited_lately
from bot.lifecycle import Lifecycle
from bot.policy.audience import Audience
from bot.policy.model import Server
from bot.quiet_rules import refuse_start
from bot.quorum import missing
from bot.reminders import next_reminder
from bot.repeats import GONE_OUT
from bot.schedule import MISSED
from bot.sending.restore_guard import RestoreGuard
from bot.sending.roles import RoleCheck
from bot.sizes import FRESH_AT_START, before_start, begin_before_start
from bot.store import Transaction
from bot.store.deliveries import Frozen
from bot.store.members import Answer

NOT_THESE: Final = "the people of its list are no longer those who were confirmed"
# So many are started in one round: others come in the next.
BATCH: Final = 100


class Start:
    """Begin to send what is due and still may go out."""

    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        role_check: RoleCheck,
        restore_guard: RestoreGuard,
        clock: Clock,
        new_key: Callable[[], str],
    ) -> None:
        self._lifecycle = lifecycle
        self._role_check = role_check
        self._restore_guard = restore_guard
        self._clock = clock
        self._new_key = new_key

    def due(self, tx: Transaction) -> tuple[list[Broadcast], list[Broadcast]]:
        """Return what is due, and those of it whose people have to be asked for: all that may go out."""
        due = tx.broadcasts.due(self._clock(), deadlines=self._lifecycle.deadlines(), limit=BATCH)
        return due, [one for one in due if not self._is_doubtful(one)]

    def _is_doubtful(self, broadcast: Broadcast) -> bool:
        try:
            return bool(self.doubt(broadcast))
        except Exception:  # noqa: BLE001 - its start will find the same, and must not keep others from theirs
            return True

    def overdue(self, tx: Transaction) -> list[Broadcast]:
        """Return what waited too long for a review, oldest first."""
        return tx.broadcasts.expired(self._clock(), limit=BATCH)

    def expire(self, tx: Transaction, broadcast: Broadcast) -> None:
        """Give a broadcast that nobody answered for in time back to its author; hold it if its time came.

        Raises Conflict if someone decided in this very moment.
        """
        # Loaded again, and nobody else's now: it may have been submitted anew meanwhile.
        if tx.broadcasts.find(broadcast.id) != broadcast:
            return
        if self._is_missed(broadcast):
            self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=MISSED, review_expires_at=None)
            return
        voided = tx.broadcasts.void_approvals(broadcast)
        self._lifecycle.advance(
            tx, voided, Step.EXPIRE, detail="nobody decided in time", review_expires_at=None
        )

    def _is_missed(self, broadcast: Broadcast) -> bool:
        """Tell whether its review ends since the time has come at which it was to go out."""
        server, ends = self._lifecycle.policy.server(broadcast.guild_id), broadcast.review_expires_at
        at = broadcast.schedule.at if broadcast.schedule else None
        return server is not None and bool(ends and at and ends >= at - server.rules.undo_window)

    def remind(self, tx: Transaction) -> None:
        """Remind those for whom something waits, once at each of its times."""
        now = self._clock()
        for broadcast in tx.broadcasts.to_remind_of(now, limit=BATCH):
            if tx.broadcasts.remind_later(broadcast, next_reminder(broadcast, now=now)):
                self._lifecycle.remind(tx, broadcast)

    def start(self, tx: Transaction, due: Sequence[Broadcast], answers: Sequence[Answer]) -> None:
        """Freeze the requests of broadcasts that are still as they were read, or hold them; raise Conflict.

        `answers` are what Discord said just now of the roles of their people.
        """
        # Where the database went back, all that was approved is held by now.
        if due and not self._restore_guard.check(tx):
            self._start_alone(tx, due)
            # Loaded again, and nobody else's now: they may have been stopped, or started, meanwhile.
            # Before what is known of people, as everywhere: else two would wait for each other.
            now = tx.broadcasts.find_all([one.id for one in due])
            tx.members.saw_all(answers)
            freezes = tx.freezes.standing()
            unchanged = self._hold_recalled(tx, [one for one in due if now.get(one.id) == one])
            gone_out = self._alike(tx, unchanged)
            frozen: list[Frozen] = []
            for one in unchanged:
                if begun := self._start(
                    tx, one, answers, freezes, gone_out, [each.broadcast for each in frozen]
                ):
                    frozen.append(begun)
            if frozen:
                self._lifecycle.advance_all(tx, [one.broadcast for one in frozen], Step.START)
                tx.deliveries.add_all(frozen, at=self._clock())

    def _start_alone(self, tx: Transaction, due: Sequence[Broadcast]) -> None:
        """Let nobody else start anything where what has gone out counts; before all that others lock."""
        for guild_id in sorted({one.guild_id for one in due}):
            server = self._lifecycle.policy.server(guild_id)
            if server and any(is_limited(server, one) for one in due if one.guild_id == guild_id):
                tx.pushes.start_alone(guild_id)

    def _too_often(
        self, tx: Transaction, server: Server, broadcast: Broadcast, begun: Sequence[Broadcast]
    ) -> str:
        """Return why it would go out too often beside what has gone out, or `begun` in this round."""
        if not is_limited(server, broadcast):
            return ""
        now, lately = self._clock(), limited_lately(tx, self._lifecycle, broadcast)
        found = too_often(server, broadcast, with_begun(lately, begun, now), now, starting=True)
        return refuse_too_often(broadcast, found)

    def _hold_recalled(self, tx: Transaction, due: Sequence[Broadcast]) -> list[Broadcast]:
        """Hold what was lent an approval that no longer counts; return the others."""
        lent = {one.id: one for one in due if one.lent}
        if not lent:
            return [*due]
        loans = tx.loans.of([*lent])
        approvers = tx.templates.approvers({loan.template for loan in loans.values()})
        # Who withdrew their yes while it was being decided could not take it from there.
        void = {
            number
            for number, loan in loans.items()
            if loan.void
            or not any(
                (loan.guild_id, loan.template, one.approver.id) in approvers for one in lent[number].lent
            )
        }
        for one in due:
            if one.id in void:
                self.hold(tx, one, f"what “{one.lent[0].template}” has lent it no longer counts")
        return [one for one in due if one.id not in void]

    def _alike(self, tx: Transaction, due: Sequence[Broadcast]) -> list[Broadcast]:
        """Return what went out lately with the fingerprints of these."""
        longest = max(one.rules.repeat_window for one in self._lifecycle.policy.servers)
        printed = {one.likeness for one in due}
        if not printed or not longest:
            return []
        return tx.broadcasts.alike(printed, statuses=GONE_OUT, since=self._clock() - longest)

    def _repeated(self, broadcast: Broadcast, server: Server, gone_out: Sequence[Broadcast]) -> str:
        """Return why it would repeat what nobody said may go out twice, or nothing."""
        if not server.rules.repeat_window:
            return ""
        since = self._clock() - server.rules.repeat_window
        for one in gone_out:
            same = (one.guild_id, one.likeness) == (broadcast.guild_id, broadcast.likeness)
            known = one.id in broadcast.confirmed or broadcast.id in one.confirmed
            # What goes out beside it, such as in this very round, may have waited for longer than that.
            lately = one.updated_at > since or one.status in UNDER_WAY
            if same and not known and one.id != broadcast.id and lately:
                return f"the same went out as #{one.id}, and nobody confirmed that it is to go out twice"
        return ""

    def hold(self, tx: Transaction, broadcast: Broadcast, why: str) -> None:
        """Let a person look at a broadcast before it is sent; raise Conflict if someone already has."""
        self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=why)

    def _start(
        self,
        tx: Transaction,
        broadcast: Broadcast,
        answers: Sequence[Answer],
        freezes: Sequence[Freeze],
        gone_out: list[Broadcast],
        begun: Sequence[Broadcast],
    ) -> Frozen | None:
        server = self._lifecycle.policy.server(broadcast.guild_id)
        audience = audience_of(server, broadcast) if server else None
        if (doubt := self.doubt(broadcast)) or server is None or audience is None:
            self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=doubt)
            return None
        if first_over(freezes, server.guild, server.account):
            return None
        doubt = self._role_check.doubt(tx, broadcast, answers)
        doubt = doubt or self._repeated(broadcast, server, gone_out) or corrected_since(tx, broadcast)
        if doubt := doubt or self._too_often(tx, server, broadcast, begun):
            self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=doubt)
            return None
        if broadcast.listed is not None and tx.lists.digest(broadcast.id) != broadcast.listed.known_by:
            self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=NOT_THESE)
            return None
        # Where a process with another policy had nobody to count, it is counted now.
        is_certain = audience.is_named_one_by_one and not audience.is_once
        counted = broadcast if is_certain else self._counted(tx, server, audience, broadcast)
        if counted is None:
            return None
        requests = self._requests(tx, server, audience, counted)
        # The next of this round may say the same.
        gone_out.append(broadcast)
        return Frozen(counted, requests, server.account)

    def _counted(
        self, tx: Transaction, server: Server, audience: Audience, broadcast: Broadcast
    ) -> Broadcast | None:
        """Return it with how many people it reaches now; None if it waits for another count, or is held."""
        told, now = tx.counts.result(broadcast.count_id or 0), self._clock()
        if told is None or told.at is None or abs(now - told.at) > FRESH_AT_START:
            # It has waited since, such as for the end of a freeze.
            tx.sizes.wait_for({broadcast.id: begin_before_start(tx, self._lifecycle, broadcast)})
            return None
        if doubt := before_start(server, broadcast, told, frozen=audience.is_once):
            self._lifecycle.advance(tx, broadcast, Step.HOLD, detail=doubt, counted=told)
            return None
        shown = broadcast if told == broadcast.counted else tx.sizes.show(broadcast, told)
        if missing(server, shown):
            self._lifecycle.advance(tx, shown, Step.HOLD, detail=GROWN)
            return None
        if audience.is_once:
            digest = tx.counts.digest_of(broadcast.count_id or 0)
            said = f"{sizes.spoken(told)}, each once and by name; digest {digest}"
            self._lifecycle.note(tx, shown, HERALD, "recipients", said)
        return shown

    def _requests(
        self, tx: Transaction, server: Server, audience: Audience, broadcast: Broadcast
    ) -> Sequence[Request]:
        gateway, words = self._lifecycle.account_of(server).gateway, broadcast.notification
        if broadcast.listed is not None:
            people = tx.lists.pieces(broadcast.id)
            return gateway.build_named(words, people, new_key=self._new_key, number=broadcast.id)
        if not audience.is_once:
            return gateway.build(words, audience.targets, new_key=self._new_key, number=broadcast.id)
        people = tx.counts.pieces(broadcast.count_id or 0)
        return gateway.build_named(words, people, new_key=self._new_key, number=broadcast.id)

    def soon(self, tx: Transaction) -> list[Broadcast]:
        """Return what goes out soon, and whose people were not counted for that."""
        return tx.sizes.to_count(self._clock(), self._lifecycle.deadlines(), limit=BATCH)

    def count(self, tx: Transaction, soon: Sequence[Broadcast]) -> None:
        """Let it be counted whom these reach."""
        tx.sizes.wait_for({one.id: begin_before_start(tx, self._lifecycle, one) for one in soon})

    def doubt(self, broadcast: Broadcast) -> str:
        """Return why it must not be sent without a person, or nothing."""
        server = self._lifecycle.policy.server(broadcast.guild_id)
        if server is None:
            return "the policy no longer names this server"
        late = self._clock() - (broadcast.due_at or self._clock())
        if late > server.rules.missed_after:
            return f"it was due {_spoken(late)} ago and has been missed"
        if lapsed := lapse(self._lifecycle, broadcast) or refuse_start(server, broadcast, self._clock()):
            return lapsed
        if any(one.approver.id in broadcast.writers for one in (*broadcast.approvals, *broadcast.lent)):
            return "it was approved by someone who wrote it"
        if lacking := self._lifecycle.shortcomings(broadcast):
            return lacking[0]
        return ""


def _spoken(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
