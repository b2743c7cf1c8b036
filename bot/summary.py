"""The answer in one sentence: who wrote a broadcast, who agreed, and what became of it. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, assert_never

from bot.audit.chain import Event
from bot.broadcast import EXPLAINED, TWICE, Broadcast, Status, Step
from bot.delivery import Delivery, DeliveryStatus
from bot.sentences import listed, shortened
from bot.value import Person

REASON_LIMIT: Final = 300
# An answer of Whop's that came when a person had already said otherwise.
LATE: Final = "late answer"
# The reason that somebody gave after a stop.
# The lines of the record that a summary goes by; a refusal has another name.
TOLD: Final[frozenset[str]] = frozenset(
    {
        Step.SUBMIT,
        Step.WITHDRAW,
        Step.REQUEST_CHANGES,
        Step.REJECT,
        Step.EXPIRE,
        Step.STOP,
        Step.CANCEL,
        Step.HOLD,
        Step.RETURN,
        Step.START,
        Step.ACCEPTED,
        Step.PARTLY,
        Step.NOT_ACCEPTED,
        Step.UNANSWERED,
        Step.CONFIRM,
        Step.DENY,
        LATE,
        EXPLAINED,
        TWICE,
    }
)
_RETURNED: Final = {
    Step.WITHDRAW: "withdrawn by",
    Step.REQUEST_CHANGES: "sent back by",
    Step.STOP: "stopped by",
    Step.RESCHEDULE: "given another time by",
    Step.RETURN: "taken back by",
}

Spoken = Callable[[str], str]
Moment = Callable[[datetime], str]


class Course(NamedTuple):
    """A broadcast, and what was done to it: its lines of the record that are TOLD, oldest first.

    `needed` is how many approvals the policy asks for, if it still knows the server.
    """

    broadcast: Broadcast
    writers: Sequence[Person]
    deliveries: Sequence[Delivery]
    events: Sequence[Event]
    needed: int | None = None
    frozen: bool = False

    def last(self, *steps: str) -> Event | None:
        """Return the newest line that tells of one of these steps."""
        return next((one for one in reversed(self.events) if one.action in steps), None)


def summary(course: Course, *, spoken: Spoken, moment: Moment) -> str:
    """Return the sentence; `spoken` makes harmless what people typed, `moment` writes a time."""
    return _Teller(course, spoken, moment).sentence()


class _Teller(NamedTuple):
    """Tells of one broadcast, in the letters of its reader."""

    course: Course
    spoken: Spoken
    moment: Moment

    def sentence(self) -> str:
        broadcast = self.course.broadcast
        parts = [f"#{broadcast.id}: written by {self._names(self.course.writers)}"]
        if broadcast.repeats is not None:
            parts.append(
                f"which sends #{broadcast.repeats} again, of which nobody knew whether customers got it"
            )
        if broadcast.corrects is not None:
            parts.append(f"which corrects #{broadcast.corrects}")
        parts += [*self._stops(), *self._approvals(), self._end()]
        if broadcast.corrected_by:
            parts.append(
                f"corrected by {listed((f'#{one}' for one in broadcast.corrected_by), between=' and ')}"
            )
        return f"{', '.join(parts)}."

    def _names(self, people: Sequence[Person]) -> str:
        return listed((self.spoken(one.name) for one in people), between=" and ")

    def _stops(self) -> list[str]:
        """Tell of each stop that is not what made it the draft that it is."""
        stops = [one for one in self.course.events if one.action == Step.STOP]
        if self.course.broadcast.status is Status.DRAFT and stops and stops[-1] is self._returned():
            stops.pop()
        return [f"stopped by {self._who_and_when(one)}{self._explained(one)}" for one in stops[-3:]]

    def _explained(self, stop: Event) -> str:
        """Tell the reason that may have been given after a stop."""
        after = [one for one in self.course.events if one.sequence > stop.sequence][:1]
        return next((f" ({self._quote(one.detail)})" for one in after if one.action == EXPLAINED), "")

    def _approvals(self) -> list[str]:
        broadcast, parts = self.course.broadcast, list[str]()
        if broadcast.lent:
            name = self.spoken(broadcast.lent[0].template or "")
            names = self._names([one.approver for one in broadcast.lent])
            parts.append(f"approved beforehand as the template “{name}” by {names}")
        if broadcast.approvals:
            covered = {one.series for one in broadcast.approvals if one.series is not None}
            by = f" for its series, as {listed(f'#{one}' for one in sorted(covered))}" if covered else ""
            parts.append(f"approved by {self._names([one.approver for one in broadcast.approvals])}{by}")
        return parts

    def _end(self) -> str:
        broadcast = self.course.broadcast
        whom = self.spoken(broadcast.audience)
        match broadcast.status:
            case Status.DRAFT:
                said = self._draft(whom)
            case Status.REVIEW:
                said = f"waits for {self._missing()} before it can go to {whom}{self._until()}"
            case Status.APPROVED if self.course.frozen:
                said = f"does not go out to {whom} while sending is frozen"
            case Status.APPROVED:
                said = f"goes out to {whom} {self._at(broadcast.due_at)}"
            case Status.HELD:
                since = self._at(self._time(Step.HOLD))
                said = f"held {since} and not sent to {whom}{self._why(broadcast.reason)}"
            case Status.SENDING:
                said = f"being sent to {whom} since {self.moment(self._time(Step.START))}{self._so_far()}"
            case Status.UNKNOWN:
                nobody = f"nobody knows whether customers got it{self._so_far()}{self._why(broadcast.reason)}"
                said = f"sent to {whom} {self._at(self._time(Step.START))}, and {nobody}"
            case Status.SENT | Status.PARTIAL | Status.FAILED:
                said = self._result(whom)
            case Status.CANCELLED:
                said = self._cancelled(whom)
            case _:
                assert_never(broadcast.status)
        return said

    def _cancelled(self, whom: str) -> str:
        event = self.course.last(Step.CANCEL, Step.REJECT)
        did = "rejected" if event and event.action == Step.REJECT else "cancelled"
        by = f" by {self._who_and_when(event)}" if event else ""
        return f"{did}{by} and never sent to {whom}{self._why(event.detail if event else '')}"

    def _draft(self, whom: str) -> str:
        back = self._returned()
        if back is None:
            return f"a draft for {whom} that nobody has been asked to approve yet"
        if back.action == Step.EXPIRE:
            return f"not decided in time {self._at(back.at)} and so a draft for {whom} again"
        did = _RETURNED[Step(back.action)]
        why = self._why(back.detail) if back.action == Step.REQUEST_CHANGES else ""
        given = self._explained(back) if back.action == Step.STOP else ""
        return f"{did} {self._who_and_when(back)}{given} and so a draft for {whom} again{why}"

    def _result(self, whom: str) -> str:
        """Tell what became of what was sent: by Whop's word, or by a person's where Whop gave none."""
        status, said = self.course.broadcast.status, self.course.last(Step.CONFIRM, Step.DENY)
        at = self._at(self._time(Step.ACCEPTED, Step.PARTLY, Step.NOT_ACCEPTED))
        count, accepted = self._accepted()
        late, once = self._late(), "sent" if self.course.last(TWICE) else "sent once"
        if status is Status.PARTIAL:
            by = f", some of which only {self._who_and_when(said)} could tell" if said else f" {at}"
            words = "gone out" if said else "accepted by Whop"
            return f"{once} to {whom}, {accepted} of {count} requests {words}{by}{self._troubles()}{late}"
        if said:
            went = "went out" if status is Status.SENT else "did not go out"
            who, when = self.spoken(said.actor.name), self._at(said.at)
            return (
                f"{once} to {whom}, without a known answer from Whop, of which {who} said {when}"
                f" that it {went}{self._why(said.detail)}{late}"
            )
        if status is Status.SENT:
            all_of = f" in {count} requests, all" if count > 1 else ","
            return f"{once} to {whom}{all_of} accepted by Whop {at}{late}"
        return f"not accepted by Whop {at}, so that nobody of {whom} got it{self._troubles()}{late}"

    def _late(self) -> str:
        """Tell what was learnt afterwards: an answer of Whop's, or that it may have come twice."""
        answer, twice = self.course.last(LATE), self.course.last(TWICE)
        said = f"; but Whop's late answer {self._at(answer.at)} was {answer.detail}" if answer else ""
        return f"{said}; but customers may have got it twice" if twice else said

    def _returned(self) -> Event | None:
        """Return what made a draft of it after it was submitted last."""
        back = self.course.last(Step.SUBMIT, Step.EXPIRE, *_RETURNED)
        return None if back is None or back.action == Step.SUBMIT else back

    def _missing(self) -> str:
        if self.course.needed is None:
            return "approval"
        more = self.course.needed - self.course.broadcast.agreed
        also = " more" if self.course.broadcast.agreed else ""
        return f"{more}{also} approval{'' if more == 1 else 's'}"

    def _until(self) -> str:
        ends = self.course.broadcast.review_expires_at
        return f", until {self.moment(ends)}" if ends else ""

    def _accepted(self) -> tuple[int, int]:
        statuses = [one.status for one in self.course.deliveries]
        return len(statuses), statuses.count(DeliveryStatus.ACCEPTED)

    def _so_far(self) -> str:
        """Count what is known of several requests."""
        count, accepted = self._accepted()
        return f", {accepted} of {count} requests accepted by Whop so far" if count > 1 else ""

    def _troubles(self) -> str:
        rejected = (one for one in self.course.deliveries if one.status is DeliveryStatus.REJECTED)
        reasons = dict.fromkeys(one.detail.rstrip(".") for one in rejected if one.detail)
        return self._why(listed(reasons, between="; "))

    def _time(self, *steps: Step) -> datetime:
        event = self.course.last(*steps)
        return event.at if event else self.course.broadcast.updated_at

    def _at(self, at: datetime | None) -> str:
        return f"at {self.moment(at)}" if at else "at an unknown time"

    def _who_and_when(self, event: Event) -> str:
        return f"{self.spoken(event.actor.name)} {self._at(event.at)}"

    def _why(self, reason: str) -> str:
        said = self._quote(reason)
        return f": {said}" if said else ""

    def _quote(self, typed: str) -> str:
        return self.spoken(shortened(" ".join(typed.split()).rstrip("."), REASON_LIMIT))
