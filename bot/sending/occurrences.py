"""What a series makes a day ahead of each of its times: a broadcast of its own, before its approvers."""

from typing import Final

import structlog

from bot.alike import alike, near
from bot.approvals import ask, complete
from bot.audit.chain import HERALD
from bot.broadcast import Broadcast, Status, Step
from bot.clock import Clock
from bot.covering import COVERED, cover_of
from bot.frequency_rules import TooOften, refuse_review, too_often
from bot.lately import limited_lately
from bot.lifecycle import Lifecycle
from bot.permissions import Action
from bot.quiet_rules import moved
from bot.repeats import NEARLY, tell_all_alike
from bot.schedule import MISSED, Schedule, told
from bot.series import Series, SeriesStatus
from bot.store import Transaction
from bot.value import Person

log = structlog.get_logger()

# So many are made in one round: others come in the next.
BATCH: Final = 20
GONE: Final = "the policy no longer names this server"


class Occurrences:
    """Make the broadcasts of series whose time comes."""

    def __init__(self, *, lifecycle: Lifecycle, clock: Clock) -> None:
        self._lifecycle = lifecycle
        self._clock = clock

    def due(self, tx: Transaction) -> list[Series]:
        """Return the series of which one is to be put before its approvers, the longest waiting first."""
        return tx.series.due(self._clock(), limit=BATCH)

    def make(self, tx: Transaction, known: Series) -> None:
        """Make the next one; what was missed is held and never caught up. Nothing if another was faster."""
        server = self._lifecycle.policy.server(known.guild_id)
        if server is None:
            if tx.series.change(known, _paused(known, GONE)) is not None:
                self._lifecycle.note(tx, tx.broadcasts.get(known.first), HERALD, Action.PAUSE.value, GONE)
            return
        before, passed = known, 0
        # Of several that were missed only the last is held.
        while (following := before.after(before.made + 1)).next_at and following.next_at <= self._clock():
            before, passed = following, passed + 1
        after = before.after(before.made + 1).model_copy(update={"reason": ""})
        # Nobody else's before the series is, as in what people do to it: else two would wait for each other.
        first = tx.broadcasts.get(known.first)
        if before.next_at is None or tx.series.change(known, after) is None:
            return
        # Where the policy moves what would go out in quiet hours, this too.
        timed = known.schedule.settled(before.next_at)
        schedule = moved(server, known.audience, timed) or timed
        draft = self._compose(tx, known, first, schedule)
        others = f"; {passed} before it were missed" if passed else ""
        number = f"number {after.made} of the series of #{known.first}{others}"
        said = f"for {known.audience}{told(schedule)}, {number}"
        self._lifecycle.note(tx, draft, HERALD, "composed", said)
        # One that runs has a reason only since the database went back.
        self._ask(tx, draft, first, went_back=known.reason)

    def _compose(self, tx: Transaction, known: Series, first: Broadcast, schedule: Schedule) -> Broadcast:
        server = self._lifecycle.server_of(first)
        return tx.broadcasts.add(
            guild_id=known.guild_id,
            author=known.author,
            audience=known.audience,
            notification=known.notification,
            schedule=schedule,
            origin_channel_id=known.origin_channel_id,
            at=self._clock(),
            # Nobody who wrote the words of the first may approve them in another.
            writers=_writers(tx, first),
            series=known.first,
            **self._lifecycle.prints(server, known.audience, known.notification, schedule),
        )

    def _ask(self, tx: Transaction, draft: Broadcast, first: Broadcast, *, went_back: str) -> None:
        server = self._lifecycle.server_of(draft)
        undo = server.rules.undo_window
        often = too_often(server, draft, limited_lately(tx, self._lifecycle, draft), self._clock())
        if draft.schedule and draft.schedule.too_near(self._clock(), undo_window=undo):
            asked = ask(tx, self._lifecycle, draft)
            self._lifecycle.advance(tx, asked, Step.HOLD, detail=went_back or MISSED, review_expires_at=None)
        elif lacking := _unasked(first) or self._lacks(tx, draft, often):
            log.warning("one of a series could not be put before its approvers", broadcast=draft.id)
            self._lifecycle.give_back(tx, draft, lacking)
        else:
            asked = ask(tx, self._lifecycle, draft, often=often)
            # Whether its series was ended, or its words found wrong, may be lost with what was lost.
            if not went_back:
                self._cover(tx, asked)

    def _cover(self, tx: Transaction, asked: Broadcast) -> None:
        """Let it go out on what was approved before, if that covers it; who could stop it is called."""
        cover = cover_of(tx, self._lifecycle, asked)
        if cover is None:
            return
        known = tuple(one.id for one in alike(tx, self._lifecycle, asked))
        agreed = tx.broadcasts.approve_all(asked, cover.approvals)
        if cover.counted is not None and cover.counted.people is not None:
            # Nobody sees this one: it may reach no others than those who were shown.
            agreed = tx.sizes.show(agreed, cover.counted.shown())
        if known:
            now = self._clock()
            agreed = tx.broadcasts.change(agreed, status=agreed.status, at=now, confirmed=known) or agreed
        self._lifecycle.note(tx, agreed, HERALD, COVERED, cover.told)
        done = complete(tx, self._lifecycle, agreed, detail=f"{COVERED} {cover.told}")
        self._lifecycle.call(tx, done)

    def _lacks(self, tx: Transaction, draft: Broadcast, often: TooOften | None) -> str:
        """Return what keeps it from its approvers, as it would keep its author from asking."""
        if lacking := self._lifecycle.before_review(draft):
            return lacking[0]
        if why := refuse_review(often):
            return why
        close = near(tx, self._lifecycle, draft, severity="stop")
        return f"{tell_all_alike(close, self._clock(), what=NEARLY)}." if close else ""


def _writers(tx: Transaction, first: Broadcast) -> list[Person]:
    """Return who wrote the first of a series, or might: each of them could let it go out again and again."""
    return [*{one.id: one for one in (*first.shared, *tx.revisions.writers(first))}.values()]


def _unasked(first: Broadcast) -> str:
    """Return why nobody is asked for another one of what nobody asks for, or what was refused; or nothing."""
    if first.status not in {Status.DRAFT, Status.CANCELLED}:
        return ""
    state = "a draft" if first.status is Status.DRAFT else "cancelled"
    return (
        f"#{first.id}, with which the series began, is {state}: ask for approval of this one if it is still"
        " meant, or end the series (`/notify series`)."
    )


def _paused(known: Series, why: str) -> Series:
    return known.model_copy(update={"status": SeriesStatus.PAUSED, "reason": why})
