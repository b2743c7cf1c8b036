"""Who may do what: one table, and the decision that every command, button and modal asks for. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from bot.audience import audience_of
from bot.broadcast import Broadcast, Step
from bot.everyday import EverydayTemplate
from bot.policy.audience import Audience
from bot.policy.model import Policy, Server
from bot.quorum import counting
from bot.sentences import listed
from bot.value import Person


class Membership(NamedTuple):
    """What Discord says of a member: the roles they hold, and until when they are in its time-out."""

    roles: frozenset[int]
    timed_out_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The person acting, with the roles they hold at this moment, and until when they are in time-out."""

    id: int
    name: str
    guild_id: int | None
    roles: frozenset[int]
    timed_out_until: datetime | None = None
    bot: bool = False
    # Where they act; none past Discord.
    channel_id: int | None = None
    # Discord's id of what they did, which counts once; none for what is done past Discord.
    interaction: int | None = None
    # What the card or form is sealed with on which they did it; none for what is done without one.
    seen: str | None = None

    @property
    def person(self) -> Person:
        """Return who this is, for the record."""
        return Person(self.id, self.name)

    def is_timed_out(self, at: datetime) -> bool:
        """Tell whether Discord has them in time-out."""
        return self.timed_out_until is not None and self.timed_out_until > at


class Action(StrEnum):
    """What a person may ask for."""

    COMPOSE = "compose"
    REUSE = "reuse"
    CORRECT = "correct"
    EDIT = "edit"
    GIVE_LIST = "give_list"
    USE_LIST = "use_list"
    DOWNLOAD_LIST = "download_list"
    SHARE = "share"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"
    APPROVE = "approve"
    RETRACT = "retract"
    APPROVE_TEMPLATE = "approve_template"
    RETRACT_TEMPLATE = "retract_template"
    CREATE_TEMPLATE = "create_template"
    EDIT_TEMPLATE = "edit_template"
    RETIRE_TEMPLATE = "retire_template"
    RESTORE_TEMPLATE = "restore_template"
    REQUEST_CHANGES = "request_changes"
    REJECT = "reject"
    STOP = "stop"
    RESCHEDULE = "reschedule"
    REPEAT = "repeat"
    SKIP = "skip"
    PAUSE = "pause"
    GO_ON = "go_on"
    END = "end"
    RELEASE = "release"
    RETURN = "return"
    LOOK_UP = "look_up"
    TEST_DRAFT = "test_draft"
    TEST_REVIEW = "test_review"
    ARRIVED = "arrived"
    LINK = "link"
    CHECK = "check"
    CONFIRM = "confirm"
    DENY = "deny"
    SEND_AGAIN = "send_again"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    TIMEZONE = "timezone"
    LIST = "list"
    AUDIT = "audit"

    @property
    def step(self) -> Step:
        """Return the transition of this action's name, which every action has that changes a broadcast."""
        return Step(self.value)


Role = Literal["compose", "approve", "operate", "audit", "lists"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may act: holders of one of the roles, and what being the author means.

    Whoever a broadcast is shared with counts as its author; never may anybody who wrote it or may.
    Where it is for the author `only`, holders of `beside` may do it to what others wrote, too.
    """

    roles: tuple[Role, ...]
    author: Literal["only", "never", "also", "no matter"] = "no matter"
    beside: tuple[Role, ...] = ()


PERMISSIONS: Final[Mapping[Action, Rule]] = MappingProxyType(
    {
        Action.COMPOSE: Rule(("compose",)),
        Action.REUSE: Rule(("compose",)),
        Action.CORRECT: Rule(("compose",)),
        Action.EDIT: Rule(("compose",), author="only"),
        Action.GIVE_LIST: Rule(("lists",), author="only"),
        Action.USE_LIST: Rule(("lists",), author="only"),
        Action.DOWNLOAD_LIST: Rule(("approve",), author="also"),
        Action.SHARE: Rule(("compose",), author="only"),
        Action.SUBMIT: Rule(("compose",), author="only"),
        Action.WITHDRAW: Rule(("compose",), author="only"),
        Action.CANCEL: Rule(("operate",), author="also"),
        Action.APPROVE: Rule(("approve",), author="never"),
        Action.RETRACT: Rule(("approve",), author="never"),
        Action.APPROVE_TEMPLATE: Rule(("approve",)),
        Action.RETRACT_TEMPLATE: Rule(("approve",)),
        Action.CREATE_TEMPLATE: Rule(("compose",)),
        Action.EDIT_TEMPLATE: Rule(("compose", "operate"), author="only", beside=("operate",)),
        Action.RETIRE_TEMPLATE: Rule(("compose", "operate"), author="only", beside=("operate",)),
        Action.RESTORE_TEMPLATE: Rule(("compose", "operate"), author="only", beside=("operate",)),
        Action.REQUEST_CHANGES: Rule(("approve",), author="never"),
        Action.REJECT: Rule(("approve",), author="never"),
        Action.STOP: Rule(("approve", "operate"), author="also"),
        Action.RESCHEDULE: Rule(("compose",), author="only"),
        Action.REPEAT: Rule(("compose",), author="only"),
        Action.SKIP: Rule(("approve", "operate"), author="also"),
        Action.PAUSE: Rule(("approve", "operate"), author="also"),
        Action.GO_ON: Rule(("operate",), author="also"),
        Action.END: Rule(("approve", "operate"), author="also"),
        Action.RELEASE: Rule(("approve", "operate")),
        Action.RETURN: Rule(("approve", "operate"), author="also"),
        Action.LOOK_UP: Rule(("operate",), author="never"),
        Action.TEST_DRAFT: Rule(("compose",), author="only"),
        Action.TEST_REVIEW: Rule(("approve",), author="never"),
        Action.ARRIVED: Rule(("compose", "approve"), author="only"),
        Action.LINK: Rule(("compose", "approve")),
        Action.CHECK: Rule(("operate",), author="never"),
        Action.CONFIRM: Rule(("operate",), author="never"),
        Action.DENY: Rule(("operate",), author="never"),
        Action.SEND_AGAIN: Rule(("compose",)),
        Action.FREEZE: Rule(("approve", "operate")),
        Action.UNFREEZE: Rule(("approve", "operate")),
        Action.TIMEZONE: Rule(("compose", "approve", "operate", "audit")),
        Action.LIST: Rule(("compose", "approve", "operate", "audit")),
        Action.AUDIT: Rule(("audit",)),
    }
)

# What begins something for an audience, or brings it before its approvers: an audience may ask more of it.
FOR_AN_AUDIENCE: Final = frozenset(
    {
        Action.COMPOSE,
        Action.REUSE,
        Action.CORRECT,
        Action.SUBMIT,
        Action.REPEAT,
        Action.SEND_AGAIN,
    }
)

# What only looks or halts: whoever finds trouble in the record stops it where they are.
BESIDE_THE_RECORD: Final = frozenset({Action.LIST, Action.AUDIT, Action.STOP, Action.FREEZE})

_SPOKEN: Final[Mapping[Action, str]] = MappingProxyType(
    {
        Action.COMPOSE: "compose a broadcast",
        Action.REUSE: "use the words of this broadcast again",
        Action.CORRECT: "correct this broadcast",
        Action.EDIT: "edit this broadcast",
        Action.GIVE_LIST: "bring a list of people along",
        Action.USE_LIST: "confirm the list of this broadcast",
        Action.DOWNLOAD_LIST: "download the list of this broadcast",
        Action.SHARE: "share this broadcast",
        Action.SUBMIT: "ask for approval of this broadcast",
        Action.WITHDRAW: "withdraw this broadcast",
        Action.CANCEL: "cancel this broadcast",
        Action.APPROVE: "approve this broadcast",
        Action.RETRACT: "withdraw an approval of this broadcast",
        Action.APPROVE_TEMPLATE: "approve this template",
        Action.RETRACT_TEMPLATE: "withdraw an approval of this template",
        Action.CREATE_TEMPLATE: "make a template",
        Action.EDIT_TEMPLATE: "edit this template",
        Action.RETIRE_TEMPLATE: "retire this template",
        Action.RESTORE_TEMPLATE: "bring this template back",
        Action.REQUEST_CHANGES: "ask for changes",
        Action.REJECT: "reject this broadcast",
        Action.STOP: "stop this broadcast",
        Action.RESCHEDULE: "give this broadcast another time",
        Action.REPEAT: "let this broadcast go out again and again",
        Action.SKIP: "skip one of this series",
        Action.PAUSE: "pause this series",
        Action.GO_ON: "let this series go on",
        Action.END: "end this series",
        Action.RELEASE: "release this broadcast",
        Action.RETURN: "take this broadcast back to draft",
        Action.LOOK_UP: "look this broadcast up at Whop",
        Action.TEST_DRAFT: "test this broadcast",
        Action.TEST_REVIEW: "test this broadcast",
        Action.ARRIVED: "say that this test has arrived",
        Action.LINK: "be tied to Whop",
        Action.CHECK: "ask Whop again about this broadcast",
        Action.CONFIRM: "say that this broadcast went out",
        Action.DENY: "say that this broadcast did not go out",
        Action.SEND_AGAIN: "compose this broadcast again",
        Action.FREEZE: "freeze sending",
        Action.UNFREEZE: "lift the freeze",
        Action.TIMEZONE: "set your time zone",
        Action.LIST: "see the broadcasts",
        Action.AUDIT: "search the record",
    }
)


def approvers(policy: Policy, broadcast: Broadcast, members: Iterable[Actor], *, at: datetime) -> list[Actor]:
    """Return those of the members who may approve the broadcast at that moment and have not yet."""
    server = policy.server(broadcast.guild_id)
    now = counting(server, broadcast) if server else broadcast
    given = {approval.approver.id for approval in now.approvals}
    if len(now.lent) == 1:
        # Their yes is counted already, and nobody else could lend one in its place.
        given.add(now.lent[0].approver.id)
    return [
        member
        for member in members
        if member.id not in given and decide(policy, member, Action.APPROVE, broadcast, at=at) is None
    ]


# What somebody wrote in a server.
Written = Broadcast | EverydayTemplate


def decide(
    policy: Policy, actor: Actor, action: Action, written: Written | None = None, *, at: datetime
) -> str | None:
    """Return None if the actor may do it at that moment, else the sentence that says who could."""
    server = policy.server(actor.guild_id)
    if actor.bot or server is None or (written is not None and written.guild_id != actor.guild_id):
        return "Herald works only for members of a server that its policy names."
    if actor.timed_out_until is not None and actor.is_timed_out(at):
        until = f"{actor.timed_out_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"You are in Discord's time-out until {until}: before that you can do nothing here."
    if actor.channel_id == server.channels.audit and action not in BESIDE_THE_RECORD:
        return "This channel is for the record alone, and nothing but a halt is done here: use another one."
    rule, doing = PERMISSIONS[action], _SPOKEN[action]
    if rule.author == "never" and isinstance(written, Broadcast) and actor.id in written.writers:
        is_shared = actor.id not in {written.author.id, *written.editors}
        whose = "This broadcast is shared with you" if is_shared else "You wrote this broadcast"
        return f"{whose}, so somebody else has to {doing}."
    if rule.author == "also" and written is not None and actor.id in written.owners:
        return None
    allowed = sorted({role for name in rule.roles for role in getattr(server.roles, name)})
    if actor.roles.isdisjoint(allowed):
        also = "its author or " if rule.author == "also" else ""
        holders = listed((f"<@&{role}>" for role in allowed), between=" or ")
        role = f"the role {holders}" if allowed else f"a role of roles.{rule.roles[0]}, which names none"
        return f"You cannot {doing}: it takes {also}{role}."
    if rule.author == "only" and written is not None and actor.id not in written.owners:
        beside = {role for name in rule.beside for role in getattr(server.roles, name)}
        if actor.roles.isdisjoint(beside):
            others = "".join(f" or the role <@&{role}>" for role in sorted(beside))
            return f"You cannot {doing}: only its author, {written.author.name},{others} can."
    return _refuse(_whom(server, action, written), actor, action)


def _whom(server: Server, action: Action, written: Written | None) -> Audience | None:
    """Return the audience for which it is done; whoever may bring a list along may write to its people."""
    if written is None or action not in FOR_AN_AUDIENCE:
        return None
    named = audience_of(server, written) if isinstance(written, Broadcast) else None
    return named or (server.audience(written.audience) if written.audience is not None else None)


def refuse_audience(
    server: Server, actor: Actor, name: str | None, action: Action = Action.COMPOSE
) -> str | None:
    """Return None if the actor may do it for that audience too, else the sentence that says who could."""
    return _refuse(server.audience(name) if name is not None else None, actor, action)


def _refuse(audience: Audience | None, actor: Actor, action: Action) -> str | None:
    if audience is None or audience.is_open_to(actor.roles):
        return None
    holders = listed((f"<@&{role}>" for role in sorted(audience.compose or ())), between=" or ")
    return f"You cannot {_SPOKEN[action]}: “{audience.name}” takes the role {holders} as well."
