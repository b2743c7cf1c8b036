"""What says the same as a broadcast, or sends the same one again: looked up for its people and its card."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from bot.broadcast import BEFORE_SENDING, Broadcast, Status
from bot.frequency_rules import NOTHING_LATELY
from bot.lately import lately_of
from bot.lifecycle import Lifecycle
from bot.policy.fields import Severity
from bot.repeats import GOING_OUT, Beside, corrected_by, is_near
from bot.store import Transaction

# Among so many it is looked for what says nearly the same.
NEWEST: Final = 25


def alike(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> list[Broadcast]:
    """Return what says the same and waits for its approval, goes out or did about then, newest first."""
    server = lifecycle.policy.server(broadcast.guild_id)
    if server is None or not server.rules.repeat_window:
        return []
    now, window = lifecycle.clock(), server.rules.repeat_window
    found = tx.broadcasts.alike(
        [lifecycle.likeness_now(server, broadcast)],
        statuses=GOING_OUT | {Status.REVIEW},
        since=now - window,
    )
    own = _expected(broadcast, now)
    return [
        one
        for one in found
        if (one.id != broadcast.id and one.guild_id == broadcast.guild_id)
        and abs(_expected(one, now) - own) < window
    ]


def near(
    tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast, *, severity: Severity | None = None
) -> list[Broadcast]:
    """Return what says nearly the same to the same people and goes out or did about then, newest first.

    Nothing if the policy does not judge that so severely, or not at all.
    """
    server = lifecycle.policy.server(broadcast.guild_id)
    judged: set[Severity] = {severity} if severity else {"warn", "stop"}
    if server is None or not server.rules.repeat_window or server.lint.repeats not in judged:
        return []
    now, window = lifecycle.clock(), server.rules.repeat_window
    own = lifecycle.likeness_now(server, broadcast)
    newest = tx.broadcasts.in_status(broadcast.guild_id, sorted(GOING_OUT), limit=NEWEST)
    known = corrected_by(broadcast, newest)
    return [
        one
        for one in newest
        if (one.id not in known and one.audience == broadcast.audience)
        and abs(_expected(one, now) - _expected(broadcast, now)) < window
        and one.likeness != own
        and is_near(one.notification, broadcast.notification)
    ]


def _expected(broadcast: Broadcast, now: datetime) -> datetime:
    """Return about when customers get it, or did."""
    if broadcast.status is Status.SENDING:
        return now
    if broadcast.status not in BEFORE_SENDING:
        return broadcast.updated_at
    return (broadcast.schedule.at if broadcast.schedule else None) or now


def beside(tx: Transaction, lifecycle: Lifecycle, broadcast: Broadcast) -> Beside:
    """Return what customers may get twice because of the broadcast."""
    same = alike(tx, lifecycle, broadcast) if broadcast.status in BEFORE_SENDING else []
    going_out = [one for one in same if one.status in GOING_OUT]
    close = near(tx, lifecycle, broadcast) if broadcast.status in BEFORE_SENDING else []
    lately = lately_of(tx, lifecycle, broadcast) if broadcast.status in BEFORE_SENDING else NOTHING_LATELY
    if broadcast.repeats is None:
        return Beside(going_out, near=close, lately=lately)
    copies = [one for one in tx.broadcasts.copies(broadcast.repeats) if one.id != broadcast.id]
    return Beside(going_out, tx.broadcasts.find(broadcast.repeats), copies, close, lately)


def redraw_alike(tx: Transaction, lifecycle: Lifecycle, same: Iterable[Broadcast]) -> None:
    """Let what waits for its approval show that the same goes out."""
    for one in same:
        if one.status is Status.REVIEW:
            tx.outbox.redraw_card(one.id, at=lifecycle.clock())
