"""The record's lines, as people read them in Discord."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from bot.audit import Event
from bot.broadcast import Step
from bot.permissions import Action
from cogs.situation import moment
from cogs.text import inline, plain, shorten

# How the record's actions are spoken in the audit channel.
ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "composed": "composed",
        Step.EDIT: "edited",
        Step.SUBMIT: "submitted for approval",
        Step.CANCEL: "cancelled",
        Step.APPROVE: "approved",
        Step.RETRACT: "withdrew the approval",
        Step.QUORUM: "approval complete",
        Step.WITHDRAW: "withdrawn",
        Step.REQUEST_CHANGES: "changes asked",
        Step.REJECT: "rejected",
        Step.EXPIRE: "review expired",
        Step.STOP: "stopped",
        Step.HOLD: "held",
        Step.RELEASE: "released for new approval",
        Step.RETURN: "taken back to draft",
        Step.START: "sending started",
        Step.ACCEPTED: "accepted by Whop",
        Step.PARTLY: "accepted by Whop in part",
        Step.NOT_ACCEPTED: "not accepted by Whop",
        Step.UNANSWERED: "answer unknown",
        Step.CHECK: "asked Whop again",
        Step.CONFIRM: "said to have gone out",
        Step.DENY: "said not to have gone out",
        Action.FREEZE: "froze sending",
        Action.UNFREEZE: "lifted the freeze",
        Action.APPROVE_TEMPLATE: "approved a template",
        Action.RETRACT_TEMPLATE: "withdrew the approval of a template",
        "template": "approved beforehand",
        "late answer": "an answer came late",
        "approvals void": "approvals no longer count",
    }
)

_ROLE: Final = re.compile(r"<@&(\d+)>")


def line_of(event: Event, role_name: Callable[[int], str]) -> str:
    """Return one numbered line; roles in Herald's own sentences stand with their names."""
    entry = event.entry
    who = f"<@{entry.actor.id}> ({inline(entry.actor.name)})" if entry.actor.id else inline(entry.actor.name)
    line = f"`{event.sequence:>5}` {moment(entry.at, 'f')} {who}: **{_spoken(entry.action)}**"
    if entry.broadcast_id:
        line += f" · #{entry.broadcast_id}"
    if entry.proof:
        line += f" · proof {entry.proof}"
    if entry.detail:
        detail = _ROLE.sub(lambda match: role_name(int(match[1])), entry.detail)
        line += f"\n> {plain(shorten(detail, 600))}"
    return f"{line}\n-# digest {event.digest[:16]}"


def _spoken(action: str) -> str:
    if action.startswith("refused "):
        return f"was refused: {action.removeprefix('refused ').replace('_', ' ')}"
    return ACTIONS.get(action, action.replace("_", " "))
