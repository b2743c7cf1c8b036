"""What approvals lead to: a broadcast that may go out, or one whose approvals count no more."""

from collections.abc import Iterable
from typing import Final

from bot import sizes
from bot.audit.chain import HERALD
from bot.broadcast import Approval, Broadcast, Step
from bot.frequency_rules import TooOften
from bot.lifecycle import CHANGED, Lifecycle
from bot.quiet_rules import as_submitted, disturbance, time_of
from bot.quorum import counting, missing, needed
from bot.store import Transaction
from bot.store.conditions import LEAD
from bot.value import Person

FEWER: Final = "it has fewer approvals than the policy asks for now"
UNCOVERED: Final = "by the policy of now no approval of a series covers others of it"
GROWN: Final = "its audience counts as large now, and it was approved without typing the name"
ENOUGH: Final = "enough approvals"
QUIET: Final = "quiet hours"
OFTEN: Final = "too often"


def lapse(lifecycle: Lifecycle, broadcast: Broadcast) -> str:
    """Return why it is no longer approved by the policy of this moment, or nothing."""
    server = lifecycle.policy.server(broadcast.guild_id)
    if server is None or not lifecycle.is_unchanged(broadcast):
        return CHANGED
    if not server.rules.series_approval.uses and any(one.series for one in broadcast.approvals):
        return UNCOVERED
    if not missing(server, broadcast):
        return ""
    return FEWER if broadcast.agreed < needed(server, broadcast) else GROWN


def ask(
    tx: Transaction,
    lifecycle: Lifecycle,
    draft: Broadcast,
    *,
    actor: Person = HERALD,
    note: str = "",
    often: TooOften | None = None,
) -> Broadcast:
    """Put a draft that lacks nothing before its approvers, on a card of its own.

    `often` is why it would go out too often, if it would.
    """
    server, now = lifecycle.server_of(draft), lifecycle.clock()
    # The policy may have changed since the words were typed, and what clocks show at its time.
    schedule = draft.schedule.today() if draft.schedule else None
    tx.outbox.open_card(draft.id, channel_id=server.channels.review, at=now)
    asked = lifecycle.advance(
        tx,
        draft,
        Step.SUBMIT,
        actor=actor,
        detail=note,
        note=note,
        reason="",
        confirmed=(),
        in_quiet_hours=as_submitted(server, draft, now).in_quiet_hours,
        counted=sizes.ask(tx, lifecycle, draft),
        count_id=None,
        too_often=often is not None,
        review_expires_at=lifecycle.review_ends(draft),
        schedule=schedule,
        **lifecycle.prints(server, draft.audience, draft.notification, schedule, draft.listed),
    )
    note_quiet(tx, lifecycle, asked)
    note_often(tx, lifecycle, asked, often)
    return asked


def complete(
    tx: Transaction,
    lifecycle: Lifecycle,
    agreed: Broadcast,
    *,
    actor: Person = HERALD,
    action: str | None = None,
    detail: str = ENOUGH,
    reason: str = "",
) -> Broadcast:
    """Let what has all the approvals it needs go out: once its undo window has passed, or at its time.

    What the policy lets wait for the end of quiet hours has that for its time. Its undo window lies just
    before its time, and whoever could stop it is called when it begins.
    """
    server, now = lifecycle.server_of(agreed), lifecycle.clock()
    undo, at = server.rules.undo_window, time_of(server, agreed, now)
    due_at = at or now + undo
    if due_at - now > LEAD:
        # Else it is counted for its start at once.
        sizes.ask(tx, lifecycle, agreed)
    return lifecycle.advance(
        tx,
        agreed,
        Step.QUORUM,
        actor=actor,
        action=action,
        detail=detail,
        reason=reason,
        due_at=due_at,
        remind_at=at - undo if at and undo else None,
        review_expires_at=None,
        count_id=None,
    )


def note_quiet(tx: Transaction, lifecycle: Lifecycle, asked: Broadcast) -> None:
    """Write into the record that a broadcast is to go out in quiet hours, which takes one approval more."""
    found = disturbance(lifecycle.server_of(asked), asked, lifecycle.clock())
    if asked.in_quiet_hours and found is not None:
        lifecycle.note(tx, asked, HERALD, QUIET, f"{found.told}: it needs one approval more")


def note_often(tx: Transaction, lifecycle: Lifecycle, asked: Broadcast, often: TooOften | None) -> None:
    """Write into the record that a broadcast is to go out too often, which takes one approval more."""
    if often is not None:
        lifecycle.note(tx, asked, HERALD, OFTEN, f"{often.told}: it needs one approval more")


def void(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast, why: str) -> Broadcast:
    """Drop all approvals of what is under review, and say why."""
    return drop(tx, lifecycle, broadcast, (*broadcast.approvals, *broadcast.lent), why)


def heed_policy(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> None:
    """Let the approvals of what is under review mean what they mean by the policy of this moment.

    What was agreed to under another one is void if it would send something else now; what has enough of
    them goes on, and those who could stop it are called.
    """
    if not broadcast.agreed or broadcast.is_overdue(lifecycle.clock()):
        return
    why = lapse(lifecycle, broadcast)
    if why == CHANGED:
        void(tx, lifecycle, broadcast, CHANGED)
    elif not why:
        lifecycle.call(tx, complete(tx, lifecycle, broadcast, detail=f"{ENOUGH} by the policy of now"))
    else:
        kept = counting(lifecycle.server_of(broadcast), broadcast)
        counted = {one.approver.id for one in (*kept.approvals, *kept.lent)}
        given = (*broadcast.approvals, *broadcast.lent)
        lost = [one for one in given if one.approver.id not in counted]
        if lost:
            lifecycle.call(tx, drop(tx, lifecycle, broadcast, lost, GROWN))


def drop(
    tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast, lost: Iterable[Approval], why: str
) -> Broadcast:
    """Drop those approvals that count no more, and say why."""
    left = broadcast
    for one in lost:
        left = tx.broadcasts.retract(left, one.approver.id) or left
    tx.outbox.redraw_card(broadcast.id, at=lifecycle.clock())
    lifecycle.note(tx, broadcast, HERALD, "approvals void", why)
    return left
