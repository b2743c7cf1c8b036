"""How the record's actions are spoken, in Discord and in what is exported for people. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.audit.chain import SKIPPED
from bot.audit.mirror import DELETED, EDITED
from bot.broadcast import EXPLAINED, LIST_CHECKED, NOT_ASKED, TWICE, Step
from bot.refusals import AGAIN

SPOKEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "composed": "composed",
        Step.EDIT: "edited",
        Step.GIVE_LIST: "gave a list of people",
        LIST_CHECKED: "checked a list of people",
        Step.USE_LIST: "confirmed the list",
        "download_list": "downloaded the list",
        Step.SHARE: "shared the draft",
        "unshare": "no longer shares the draft",
        Step.SUBMIT: "asked for approval",
        Step.CANCEL: "cancelled",
        Step.APPROVE: "approved",
        Step.RETRACT: "withdrew the approval",
        Step.QUORUM: "approval complete",
        Step.WITHDRAW: "withdrawn",
        Step.REQUEST_CHANGES: "changes asked",
        Step.REJECT: "rejected",
        Step.EXPIRE: "review expired",
        Step.STOP: "stopped",
        Step.RESCHEDULE: "given another time",
        Step.REPEAT: "made a series",
        "covered": "covered by an approval of its series",
        "skip": "skipped one of a series",
        "pause": "paused a series",
        "go_on": "let a series go on",
        "end": "ended a series",
        NOT_ASKED: "could not be put before approvers",
        Step.HOLD: "held",
        Step.RELEASE: "released for new approval",
        Step.RETURN: "taken back to draft",
        "counted": "counted whom it reaches",
        "recipients": "found everybody by name",
        Step.START: "sending started",
        Step.ACCEPTED: "accepted by Whop",
        Step.PARTLY: "accepted by Whop in part",
        Step.NOT_ACCEPTED: "not accepted by Whop",
        Step.UNANSWERED: "answer unknown",
        Step.CHECK: "asked Whop again",
        "look_up": "looked it up at Whop",
        Step.CONFIRM: "said to have gone out",
        Step.DENY: "said not to have gone out",
        "freeze": "froze sending",
        "unfreeze": "lifted the freeze",
        "approve_template": "approved a template",
        "retract_template": "withdrew the approval of a template",
        "template": "approved beforehand",
        "test": "had a test sent to themselves",
        "arrived": "said that a test arrived",
        "link": "asked for a code at Whop",
        "linked": "showed who they are at Whop",
        "unlinked": "is tied to Whop no more",
        "timezone": "set their time zone",
        "create_template": "made a template",
        "edit_template": "edited a template",
        "retire_template": "retired a template",
        "restore_template": "brought a template back",
        "not lent": "lent no approval",
        "quiet hours": "asks for one approval more",
        "too often": "asks for one approval more: it would be too often",
        EXPLAINED: "said why",
        "news given up": "gave up telling its author",
        AGAIN: "was refused again",
        "late answer": "an answer came late",
        TWICE: "may have arrived twice",
        "approvals void": "approvals no longer count",
        DELETED: "found a deletion in this channel",
        EDITED: "found an edit in this channel",
        SKIPPED: "found that the database went back",
    }
)

_REFUSED: Final = "refused "


def spoken(action: str) -> str:
    """Return the words for an action of the record."""
    if action not in SPOKEN and action.startswith(_REFUSED):
        return f"was refused: {action.removeprefix(_REFUSED).replace('_', ' ')}"
    return SPOKEN.get(action, action.replace("_", " "))
