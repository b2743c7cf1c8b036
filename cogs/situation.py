"""Where a broadcast stands, in words, and which buttons that leaves."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import discord

from bot.broadcast import REACHED, Broadcast, Status
from bot.delivery import Delivery, DeliveryStatus
from bot.permissions import Action
from bot.policy.model import Server
from cogs.buttons import CHANGE_AUDIENCE, CHANGE_TOPIC
from cogs.text import inline, shorten

# How many pieces a progress bar has.
BAR: Final = 12
# What goes out later than that after its last approval may do so on another day.
LONGEST_UNDO: Final = timedelta(hours=1)

HEADLINES: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.DRAFT: "Draft",
        Status.REVIEW: "Waits for approval",
        Status.APPROVED: "Approved",
        Status.HELD: "Held",
        Status.SENDING: "Being sent",
        Status.SENT: "Accepted by Whop",
        Status.PARTIAL: "Partly accepted by Whop",
        Status.FAILED: "Not accepted by Whop",
        Status.UNKNOWN: "Answer unknown",
        Status.CANCELLED: "Cancelled",
    }
)

_STATUS_BUTTONS: Final[Mapping[Status, Sequence[Action]]] = MappingProxyType(
    {
        Status.REVIEW: (Action.APPROVE, Action.REQUEST_CHANGES, Action.REJECT, Action.WITHDRAW),
        Status.APPROVED: (Action.STOP,),
        Status.HELD: (Action.RELEASE, Action.RETURN, Action.CANCEL),
        **dict.fromkeys(REACHED, (Action.CORRECT,)),
        Status.UNKNOWN: (Action.LOOK_UP, Action.CHECK, Action.CONFIRM, Action.DENY, Action.SEND_AGAIN),
    }
)


# What has a time of its own can be given another one then.
_TIMED: Final = frozenset({Status.REVIEW, Status.APPROVED, Status.HELD})


def situation(
    broadcast: Broadcast,
    deliveries: Sequence[Delivery],
    *,
    unchanged: bool,
    checkable: bool,
    redrawn: bool = True,
) -> str:
    """Return what people have to know first; `unchanged` if the policy would send what was submitted.

    Where it is not `redrawn` it counts no time down: it would go on counting when that has passed.
    """
    said = shorten(broadcast.reason, 700)
    reason = inline(said)
    # Where it ends a sentence of ours, a full stop of its own would be one too many.
    because = inline(said.rstrip("."))
    match broadcast.status:
        case Status.DRAFT:
            return f"It is a draft again{f'; {because}' if because else ''}."
        case Status.CANCELLED:
            return f"It will not go out{f'; {because}' if because else ''}."
        case Status.REVIEW:
            return _review(broadcast, unchanged=unchanged, redrawn=redrawn)
        case Status.APPROVED:
            counted = f" ({moment(broadcast.due_at, 'R')})" if redrawn else ""
            return f"Goes out {going_out(broadcast)}{counted}. Until then, **Stop** takes it back to draft."
        case Status.HELD:
            return (
                f"It will **not** go out by itself: {because}.\n**Release** puts it before the approvers"
                " again; **Back to draft** gives it to its author."
            )
        case Status.UNKNOWN:
            return _unknown(deliveries, because, checkable=checkable)
        case Status.SENDING:
            troubles = dict.fromkeys(one.detail.rstrip(".") for one in deliveries if one.detail)
            again = f"Trying again: {inline(shorten('; '.join(troubles), 700))}." if troubles else ""
            parts = (_progress(deliveries), _sum(deliveries), again)
        case Status.SENT | Status.PARTIAL | Status.FAILED:
            parts = (_sum(deliveries), reason)
    return "\n".join(part for part in parts if part)


def _review(broadcast: Broadcast, *, unchanged: bool, redrawn: bool) -> str:
    if not unchanged:
        return (
            "⚠️ What it would send has changed in the policy since it was submitted, so no approval counts:"
            " its author has to **Withdraw** it and ask for approval again."
        )
    until = moment(broadcast.review_expires_at, "R" if redrawn else "f")
    return f"Read it as a customer would, then decide. The review ends {until}."


def _unknown(deliveries: Sequence[Delivery], because: str, *, checkable: bool) -> str:
    if _is_under_way(deliveries):
        return f"{_sum(deliveries)}\nWhop is being asked again, with the same request: wait for its answer."
    counted = f"{_sum(deliveries)}\n" if len(deliveries) > 1 else ""
    check = (
        "\n**Check again** repeats the very same request: Whop knows its key, and nobody gets it twice."
        " Whoever did not get it then, gets it now."
    )
    look_up = (
        "\n**Look it up** reads Whop's own log of requests: what it shows as accepted is settled by that, and"
        " what it does not show proves nothing."
    )
    return (
        f"Nobody knows whether customers got it: {because}.\n{counted}Herald never sends it again by itself,"
        " since most such sends did arrive. Look into the app, then say what you found."
        f"{look_up if _may_be_looked_up(deliveries) else ''}{check if checkable else ''}"
    )


def offered(
    broadcast: Broadcast, deliveries: Sequence[Delivery], *, checkable: bool, testable: bool
) -> Sequence[Action]:
    """Return the buttons of the card."""
    actions = _STATUS_BUTTONS.get(broadcast.status, ())
    if testable and broadcast.status is Status.REVIEW:
        actions = [*actions, Action.TEST_REVIEW]
    if broadcast.schedule is not None and broadcast.status in _TIMED:
        actions = [*actions, Action.RESCHEDULE]
    if broadcast.status is Status.REVIEW and broadcast.approvals:
        return [*actions, Action.RETRACT]
    if broadcast.status is not Status.UNKNOWN:
        return actions
    if _is_under_way(deliveries):
        return ()
    possible = {Action.CHECK: checkable, Action.LOOK_UP: _may_be_looked_up(deliveries)}
    return [action for action in actions if possible.get(action, True)]


def changeable(server: Server, draft: Broadcast) -> Sequence[str]:
    """Return the buttons by which a draft may get another audience or topic: a correction keeps its own."""
    if draft.corrects is not None:
        return ()
    others = {
        CHANGE_AUDIENCE: any(one.name != draft.audience for one in server.audiences),
        CHANGE_TOPIC: any(one.id != draft.notification.topic for one in server.topics),
    }
    return [button for button, there_are in others.items() if there_are]


def _may_be_looked_up(deliveries: Sequence[Delivery]) -> bool:
    return any(one.may_be_looked_up for one in deliveries)


def _is_under_way(deliveries: Sequence[Delivery]) -> bool:
    return any(one.status in {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT} for one in deliveries)


def _progress(deliveries: Sequence[Delivery]) -> str:
    """Return how far it has come, where there is more than one request to watch."""
    if len(deliveries) < 2:
        return ""
    done = sum(one.status not in {DeliveryStatus.PENDING, DeliveryStatus.IN_FLIGHT} for one in deliveries)
    full = BAR * done // len(deliveries)
    return f"{'▰' * full}{'▱' * (BAR - full)} {done} of {len(deliveries)}"


def _sum(deliveries: Sequence[Delivery]) -> str:
    """Return the honest sum: Whop says "queued" and nothing more."""
    if len(deliveries) == 1:
        return f"Whop: {_SAID_OF[deliveries[0].status]}."
    counts = {status: sum(one.status is status for one in deliveries) for status in DeliveryStatus}
    parts = [f"{counts[status]} {said}" for status, said in _SAID_OF.items() if counts[status]]
    return f"{len(deliveries)} requests to Whop: {'; '.join(parts)}."


_SAID_OF: Final[Mapping[DeliveryStatus, str]] = MappingProxyType(
    {
        DeliveryStatus.ACCEPTED: "accepted (queued; Whop does not say how many people it reaches)",
        DeliveryStatus.REJECTED: "not accepted",
        DeliveryStatus.UNKNOWN: "no known answer",
        DeliveryStatus.PENDING: "still to be sent",
        DeliveryStatus.IN_FLIGHT: "under way",
    }
)


def going_out(broadcast: Broadcast) -> str:
    """Return when what is approved goes out, by its reader's clock: with the day if it may be another."""
    due = broadcast.due_at
    waits = broadcast.schedule is not None or (due is not None and due - broadcast.updated_at > LONGEST_UNDO)
    return f"at {moment(due, 'F' if waits else 'T')}"


def moment(at: datetime | None, style: discord.utils.TimestampStyle) -> str:
    """Return a moment as each reader's own clock shows it."""
    return discord.utils.format_dt(at, style) if at else "at an unknown time"
