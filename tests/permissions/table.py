"""The rows of the table: what is asked for, what everyone is answered, and where it leads.

Written by hand, and never computed from what Herald would say: this is what it is held to.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

from bot.broadcast import Status
from tests.permissions.people import Who


class Mark(Enum):
    """What a cell says: the letter of the grids below, the sign of the document, and its meaning."""

    ALLOWED = ("+", "✅", "allowed")
    HOME = (
        "h",
        "🏠",
        "allowed, for their own server: nothing of this one is seen or changed",
    )
    ROLE = ("r", "🚫", "refused: it takes a role")
    OWN = ("w", "✍️", "refused: these are their own words, or it is their own freeze")
    BEYOND = ("b", "🌐", "refused: it halts other servers too, where they may not lift it")
    AUTHOR = ("a", "👤", "refused: only its author can")
    STATE = ("s", "🕒", "refused: not in this state")
    GHOST = ("g", "👻", "refused: they are not told whether there is such a broadcast, or what it says")
    TIMED_OUT = ("t", "⏳", "refused: Discord has them in time-out")
    DOOR = ("d", "🚪", "refused: Herald does not work for them")

    def __init__(self, letter: str, sign: str, meaning: str) -> None:
        self.letter = letter
        self.sign = sign
        self.meaning = meaning


_MARKS: Final = {mark.letter: mark for mark in Mark}

Leads = Mapping[Status, Status]
EVERYWHERE: Final[Leads] = MappingProxyType({status: status for status in Status})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that can be asked for.

    `marks` has a letter for each of Who, in four groups: those who wrote it, those with a role, those without
    one, those outside. `leads` says from which status to which; what stands there in no status is refused.
    `role` is the whole sentence for whoever lacks the role, `record` the word in the record.
    """

    what: str
    marks: str
    role: str
    record: str
    leads: Leads = field(default_factory=lambda: EVERYWHERE)
    # What is only looked at; `names_it` if the line in the record bears the broadcast's number.
    looks: bool = False
    names_it: bool = True
    # The statuses in which a list has the broadcast; for its author only, if it is of one's own.
    lists: Collection[Status] = ()
    of_ones_own: bool = False
    # Where drafts are for their author alone.
    draft_marks: str = ""
    # What is handed out, and leaves nothing behind but its line in the record.
    only_recorded: bool = False
    # The word in the record for what was done, where it is not the same.
    done: str = ""
    own: str = ""
    beyond: str = ""
    author: str = ""

    @property
    def whatever_the_state(self) -> bool:
        """Tell whether it concerns no single broadcast, so that no status of one can matter."""
        return not self.names_it and not self.lists

    def mark(self, who: Who, status: Status) -> Mark:
        """Return what the cell says."""
        marks = self.draft_marks if self.draft_marks and status is Status.DRAFT else self.marks
        said = _MARKS[marks.replace(" ", "")[list(Who).index(who)]]
        return Mark.STATE if said is Mark.ALLOWED and status not in self.leads else said


def _only(before: Status, after: Status) -> Leads:
    return MappingProxyType({before: after})


def _own(doing: str) -> str:
    return f"You wrote this broadcast, so somebody else has to {doing}."


DOOR: Final = "Herald works only for members of a server that its policy names."
TIMED_OUT: Final = (
    "You are in Discord's time-out until 2026-11-23 10:41 UTC: before that you can do nothing here."
)
NO_SUCH: Final = "There is no broadcast #{number} here that you can see."
DRAFT_OF_ANOTHER: Final = "#{number} is a draft, and only its author can see it."
OLD_CARD: Final = "This card is out of date: what it shows has changed since. Use the newest card."
MOVED_ON: Final = "Someone was faster, or this card is old: #{number} has moved on, and "
STATES: Final[Mapping[Status, str]] = MappingProxyType(
    {
        Status.DRAFT: f"{MOVED_ON}it is a draft again.",
        Status.REVIEW: f"{MOVED_ON}it is under review.",
        Status.APPROVED: f"{MOVED_ON}it is already approved by Fritz and Kim.",
        Status.HELD: f"{MOVED_ON}it is held: the machine slept.",
        Status.SENDING: f"{MOVED_ON}it is being sent now.",
        Status.SENT: f"{MOVED_ON}Whop has already accepted it.",
        Status.PARTIAL: f"{MOVED_ON}Whop has already accepted a part of it.",
        Status.FAILED: f"{MOVED_ON}it has ended: nothing was accepted by Whop.",
        Status.UNKNOWN: f"{MOVED_ON}it was sent, and Whop's answer is unknown.",
        Status.CANCELLED: f"{MOVED_ON}it was cancelled.",
    }
)

_UNDER_WAY: Final = {Status.REVIEW, Status.APPROVED, Status.HELD, Status.SENDING, Status.UNKNOWN}
_ENDED: Final = {Status.SENT, Status.PARTIAL, Status.FAILED, Status.UNKNOWN, Status.CANCELLED}
_ANY: Final = "{compose} or {approve} or {operate} or {audit}"
_TO_SEE: Final = f"You cannot see the broadcasts: it takes the role {_ANY}."
_TO_SET: Final = f"You cannot set your time zone: it takes the role {_ANY}."
_TO_LINK: Final = "You cannot be tied to Whop: it takes the role {compose} or {approve}."
_TO_COMPOSE: Final = "You cannot compose a broadcast: it takes the role {compose}."
_TO_EDIT: Final = "You cannot edit this broadcast: it takes the role {compose}."

# fmt: off
_ROWS: Final = (
    #                                 author all lost editor shared
    #                                 | composer approver gained operator auditor
    #                                 | lost admin owner stranger author-timed-out timed-out
    #                                 | elsewhere other-account unnamed bot direct
    Row(what="write a new broadcast", marks="++r++ +rrrr rrrrtt hhddd", record="compose", names_it=False,
        done="composed", role=_TO_COMPOSE),
    Row(what="list one's own drafts", marks="++r++ +rrrr rrrrtt hhddd", record="compose", names_it=False,
        looks=True, lists={Status.DRAFT}, of_ones_own=True, role=_TO_COMPOSE),
    Row(what="list what is under way", marks="++r++ +++++ rrrrtt hhddd", record="list", names_it=False,
        looks=True, lists=_UNDER_WAY, role=_TO_SEE),
    Row(what="list what has ended", marks="++r++ +++++ rrrrtt hhddd", record="list", names_it=False,
        looks=True, lists=_ENDED, role=_TO_SEE),
    Row(what="see a broadcast", marks="++r++ +++++ rrrrtt ggddd", draft_marks="++rg+ ggggg rrrrtt ggddd",
        record="list", looks=True, role=_TO_SEE),
    Row(what="ask who could approve it", marks="++r++ +++++ rrrrtt ggddd",
        draft_marks="++rg+ ggggg rrrrtt ggddd", record="list", looks=True, role=_TO_SEE,
        leads={Status.DRAFT: Status.DRAFT, Status.REVIEW: Status.REVIEW}),
    Row(what="search the record", marks="r+r++ rrrr+ rrrrtt hhddd", record="audit", names_it=False,
        looks=True, role="You cannot search the record: it takes the role {audit}."),

    Row(what="see a template", marks="++r++ +++++ rrrrtt hhddd", record="list", names_it=False, looks=True,
        role=_TO_SEE),
    Row(what="write a new broadcast from a template", marks="++r++ +rrrr rrrrtt hhddd", record="compose",
        names_it=False, done="composed", role=_TO_COMPOSE),
    Row(what="approve a template beforehand", marks="r+r++ r++rr rrrrtt hhddd", record="approve_template",
        names_it=False, role="You cannot approve this template: it takes the role {approve}."),
    Row(what="withdraw one's approval of a template", marks="r+r++ r++rr rrrrtt hhddd",
        record="retract_template", names_it=False,
        role="You cannot withdraw an approval of this template: it takes the role {approve}."),

    Row(what="see the templates that moderators made", marks="++r++ +++++ rrrrtt hhddd", record="list",
        names_it=False, looks=True, role=_TO_SEE),
    Row(what="make a template", marks="++r++ +rrrr rrrrtt hhddd", record="create_template", names_it=False,
        role="You cannot make a template: it takes the role {compose}."),
    Row(what="use a template that moderators made", marks="++r++ +rrrr rrrrtt hhddd", record="compose",
        names_it=False, done="composed", role=_TO_COMPOSE),
    Row(what="edit a template", marks="++r++ arr+r rrrrtt hhddd", record="edit_template", names_it=False,
        role="You cannot edit this template: it takes the role {compose} or {operate}.",
        author="You cannot edit this template: only its author, Maya, or the role {operate} can."),
    Row(what="retire a template", marks="++r++ arr+r rrrrtt hhddd", record="retire_template", names_it=False,
        role="You cannot retire this template: it takes the role {compose} or {operate}.",
        author="You cannot retire this template: only its author, Maya, or the role {operate} can."),

    Row(what="bring a retired template back", marks="++r++ arr+r rrrrtt hhddd", record="restore_template",
        names_it=False, role="You cannot bring this template back: it takes the role {compose} or {operate}.",
        author="You cannot bring this template back: only its author, Maya, or the role {operate} can."),

    Row(what="use its words again", marks="++r++ +rrrr rrrrtt ggddd", draft_marks="++rg+ grrrr rrrrtt ggddd",
        record="reuse", done="composed",
        role="You cannot use the words of this broadcast again: it takes the role {compose}."),

    Row(what="correct it", marks="++r++ +rrrr rrrrtt ggddd", record="correct", done="composed",
        leads={Status.SENT: Status.SENT, Status.PARTIAL: Status.PARTIAL},
        role="You cannot correct this broadcast: it takes the role {compose}."),

    Row(what="edit it", marks="++ra+ arrrr rrrrtt ggddd", record="edit",
        leads=_only(Status.DRAFT, Status.DRAFT), role=_TO_EDIT,
        author="You cannot edit this broadcast: only its author, Maya, can."),
    Row(what="give it a list of people", marks="r+ra+ rrrrr rrrrtt ggddd", record="give_list",
        leads=_only(Status.DRAFT, Status.DRAFT),
        role="You cannot bring a list of people along: it takes the role {lists}.",
        author="You cannot bring a list of people along: only its author, Maya, can."),
    Row(what="confirm its list of people", marks="r+ra+ rrrrr rrrrtt ggddd", record="use_list",
        leads=_only(Status.DRAFT, Status.DRAFT),
        role="You cannot confirm the list of this broadcast: it takes the role {lists}.",
        author="You cannot confirm the list of this broadcast: only its author, Maya, can."),
    Row(what="download its list of people", marks="+++++ r++rr rrrrtt ggddd",
        draft_marks="+++g+ rggrr rrrrtt ggddd", record="download_list", only_recorded=True,
        role="You cannot download the list of this broadcast: it takes its author or the role {approve}."),
    Row(what="share it", marks="++ra+ arrrr rrrrtt ggddd", record="share",
        leads=_only(Status.DRAFT, Status.DRAFT),
        role="You cannot share this broadcast: it takes the role {compose}.",
        author="You cannot share this broadcast: only its author, Maya, can."),
    Row(what="ask for its approval", marks="++ra+ arrrr rrrrtt ggddd", record="submit",
        leads=_only(Status.DRAFT, Status.REVIEW),
        role="You cannot ask for approval of this broadcast: it takes the role {compose}.",
        author="You cannot ask for approval of this broadcast: only its author, Maya, can."),
    Row(what="test it on oneself as its author", marks="++ra+ arrrr rrrrtt ggddd", record="test_draft",
        done="test", leads=_only(Status.DRAFT, Status.DRAFT),
        role="You cannot test this broadcast: it takes the role {compose}.",
        author="You cannot test this broadcast: only its author, Maya, can."),
    Row(what="test it on oneself before approving it", marks="wwwww r++rr rrrrtt ggddd",
        record="test_review", done="test", leads=_only(Status.REVIEW, Status.REVIEW),
        own=_own("test this broadcast"),
        role="You cannot test this broadcast: it takes the role {approve}."),
    Row(what="say that one's test of it arrived", marks="++raa aaarr rrrrtt ggddd",
        record="arrived", role="You cannot say that this test has arrived: it takes the role {compose} or"
        " {approve}.",
        author="You cannot say that this test has arrived: only its author, Maya, can."),
    Row(what="withdraw it", marks="++ra+ arrrr rrrrtt ggddd", record="withdraw",
        leads=_only(Status.REVIEW, Status.DRAFT),
        role="You cannot withdraw this broadcast: it takes the role {compose}.",
        author="You cannot withdraw this broadcast: only its author, Maya, can."),
    Row(what="cancel it", marks="+++++ rrr+r rrrrtt ggddd", record="cancel",
        leads=dict.fromkeys((Status.DRAFT, Status.REVIEW, Status.APPROVED, Status.HELD), Status.CANCELLED),
        role="You cannot cancel this broadcast: it takes its author or the role {operate}."),

    # One approval stands already and two are needed.
    Row(what="approve it", marks="wwwww r++rr rrrrtt ggddd", record="approve",
        leads=_only(Status.REVIEW, Status.APPROVED), own=_own("approve this broadcast"),
        role="You cannot approve this broadcast: it takes the role {approve}."),
    Row(what="withdraw one's approval", marks="wwwww r++rr rrrrtt ggddd", record="retract",
        leads=_only(Status.REVIEW, Status.REVIEW), own=_own("withdraw an approval of this broadcast"),
        role="You cannot withdraw an approval of this broadcast: it takes the role {approve}."),
    Row(what="ask for changes", marks="wwwww r++rr rrrrtt ggddd", record="request_changes",
        leads=_only(Status.REVIEW, Status.DRAFT), own=_own("ask for changes"),
        role="You cannot ask for changes: it takes the role {approve}."),
    Row(what="reject it", marks="wwwww r++rr rrrrtt ggddd", record="reject",
        leads=_only(Status.REVIEW, Status.CANCELLED), own=_own("reject this broadcast"),
        role="You cannot reject this broadcast: it takes the role {approve}."),

    Row(what="stop it", marks="+++++ r+++r rrrrtt ggddd", record="stop",
        leads=_only(Status.APPROVED, Status.DRAFT),
        role="You cannot stop this broadcast: it takes its author or the role {approve} or {operate}."),
    Row(what="give it another time", marks="++ra+ arrrr rrrrtt ggddd", record="reschedule",
        leads=dict.fromkeys((Status.REVIEW, Status.APPROVED, Status.HELD), Status.DRAFT),
        role="You cannot give this broadcast another time: it takes the role {compose}.",
        author="You cannot give this broadcast another time: only its author, Maya, can."),
    Row(what="make a series of it", marks="++ra+ arrrr rrrrtt ggddd", record="repeat",
        leads=_only(Status.DRAFT, Status.DRAFT),
        role="You cannot let this broadcast go out again and again: it takes the role {compose}.",
        author="You cannot let this broadcast go out again and again: only its author, Maya, can."),
    Row(what="see an audience", marks="++r++ +++++ rrrrtt hhddd", record="list",
        names_it=False, looks=True, role=_TO_SEE),
    Row(what="list what goes out again and again", marks="++r++ +++++ rrrrtt hhddd", record="list",
        names_it=False, looks=True, role=_TO_SEE),
    Row(what="see its series", marks="++r++ +++++ rrrrtt ggddd", record="list", looks=True, role=_TO_SEE),
    Row(what="skip one of its series", marks="+++++ r+++r rrrrtt ggddd", record="skip",
        role="You cannot skip one of this series: it takes its author or the role {approve} or {operate}."),
    Row(what="pause its series", marks="+++++ r+++r rrrrtt ggddd", record="pause",
        role="You cannot pause this series: it takes its author or the role {approve} or {operate}."),
    Row(what="let its series go on", marks="+++++ rrr+r rrrrtt ggddd", record="go_on",
        role="You cannot let this series go on: it takes its author or the role {operate}."),
    Row(what="end its series", marks="+++++ r+++r rrrrtt ggddd", record="end",
        role="You cannot end this series: it takes its author or the role {approve} or {operate}."),
    Row(what="release it for a new review", marks="r+r++ r+++r rrrrtt ggddd", record="release",
        leads=_only(Status.HELD, Status.REVIEW),
        role="You cannot release this broadcast: it takes the role {approve} or {operate}."),
    Row(what="take it back to draft", marks="+++++ r+++r rrrrtt ggddd", record="return",
        leads=_only(Status.HELD, Status.DRAFT),
        role="You cannot take this broadcast back to draft: it takes its author or the role {approve} or"
             " {operate}."),

    Row(what="look it up at Whop", marks="wwwww rrr+r rrrrtt ggddd", record="look_up",
        leads=_only(Status.UNKNOWN, Status.UNKNOWN), own=_own("look this broadcast up at Whop"),
        role="You cannot look this broadcast up at Whop: it takes the role {operate}."),
    Row(what="ask Whop again", marks="wwwww rrr+r rrrrtt ggddd", record="check",
        leads=_only(Status.UNKNOWN, Status.UNKNOWN), own=_own("ask Whop again about this broadcast"),
        role="You cannot ask Whop again about this broadcast: it takes the role {operate}."),
    Row(what="say that it went out", marks="wwwww rrr+r rrrrtt ggddd", record="confirm",
        leads=_only(Status.UNKNOWN, Status.SENT), own=_own("say that this broadcast went out"),
        role="You cannot say that this broadcast went out: it takes the role {operate}."),
    Row(what="say that it did not", marks="wwwww rrr+r rrrrtt ggddd", record="deny",
        leads=_only(Status.UNKNOWN, Status.FAILED), own=_own("say that this broadcast did not go out"),
        role="You cannot say that this broadcast did not go out: it takes the role {operate}."),
    Row(what="compose it again", marks="++r++ +rrrr rrrrtt ggddd", record="send_again", done="composed",
        leads=_only(Status.UNKNOWN, Status.UNKNOWN),
        role="You cannot compose this broadcast again: it takes the role {compose}."),

    Row(what="set one's time zone", marks="++r++ +++++ rrrrtt hhddd", record="timezone", names_it=False,
        role=_TO_SET),

    Row(what="be tied to one's user at Whop", marks="++r++ +++rr rrrrtt hhddd", record="link",
        done="linked", names_it=False, role=_TO_LINK),
    Row(what="be tied to it no more", marks="++r++ +++rr rrrrtt hhddd", record="link", done="unlinked",
        names_it=False, role=_TO_LINK),

    Row(what="freeze all sending", marks="r+r++ r+++r rrrrtt hhddd", record="freeze", names_it=False,
        role="You cannot freeze sending: it takes the role {approve} or {operate}."),
    Row(what="see what a freeze keeps back", marks="++r++ +++++ rrrrtt hhddd", record="list", names_it=False,
        looks=True, lists={Status.APPROVED, Status.SENDING}, role=_TO_SEE),
    Row(what="lift somebody else's freeze", marks="r+r++ r+++r rrrrtt hhddd", record="unfreeze",
        names_it=False, role="You cannot lift the freeze: it takes the role {approve} or {operate}."),
    Row(what="lift one's own freeze", marks="rwrww rwwwr rrrrtt wwddd", record="unfreeze",
        names_it=False, role="You cannot lift the freeze: it takes the role {approve} or {operate}.",
        own="You froze it, so somebody else has to lift the freeze."),
    Row(what="lift a freeze of more servers", marks="rbrbb rbbbr rrrrtt bbddd", record="unfreeze",
        names_it=False, role="You cannot lift the freeze: it takes the role {approve} or {operate}.",
        beyond="It halts {other} too, so it takes somebody who may lift it there as well, or"
        " `herald unfreeze` on the host."),
)
# fmt: on
TABLE: Final[Mapping[str, Row]] = MappingProxyType({row.what: row for row in _ROWS})
# Those of other servers, and which ones a freeze of all of them halts beside theirs.
BEYOND: Final[Mapping[Who, str]] = MappingProxyType(
    {
        Who.ELSEWHERE: "Sunrise Trading and Starlight",
        Who.OTHER_ACCOUNT: "Sunrise Trading and Moonlight",
    }
)


def sentence(row: Row, mark: Mark, status: Status, who: Who) -> str:
    """Return what a refused person reads, with {number} and the names of roles still to be filled in."""
    match mark:
        case Mark.ROLE:
            return row.role
        case Mark.OWN:
            # They have not written a word of it.
            theirs = "You wrote this broadcast", "This broadcast is shared with you"
            return row.own.replace(*theirs) if who is Who.SHARED else row.own
        case Mark.BEYOND:
            return row.beyond.replace("{other}", BEYOND.get(who, "Moonlight and Starlight"))
        case Mark.AUTHOR:
            return row.author
        case Mark.STATE:
            return STATES[status]
        case Mark.GHOST:
            return NO_SUCH if who in BEYOND else DRAFT_OF_ANOTHER
        case Mark.TIMED_OUT:
            return TIMED_OUT
        case Mark.DOOR:
            return DOOR
        case Mark.ALLOWED | Mark.HOME:
            raise LookupError(f"nobody is refused to {row.what} there")
