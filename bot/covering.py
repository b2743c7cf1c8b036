"""What one approval of a series covers beside the one it was given to: what the policy says, no more."""

from typing import Final, NamedTuple

from bot.alike import alike
from bot.broadcast import Approval, Broadcast, Status
from bot.counted import Counted
from bot.lifecycle import Lifecycle
from bot.policy.model import Server
from bot.quorum import missing
from bot.repeats import GOING_OUT
from bot.sentences import listed
from bot.store import Transaction

# What the record calls it.
COVERED: Final = "covered"
# One that has come to anything else has to be looked at, and so have those after it.
_WENT_WELL: Final = frozenset({Status.APPROVED, Status.SENDING, Status.SENT})


class Cover(NamedTuple):
    """The approvals that people gave to the broadcast `by`, and of how many covered ones this is which.

    `counted` is how many people they were shown.
    """

    approvals: tuple[Approval, ...]
    by: int
    place: int
    of: int
    counted: Counted | None

    @property
    def told(self) -> str:
        """Return what the record says of it."""
        names = listed((one.approver.name for one in self.approvals), between=" and ")
        return f"by what {names} approved as #{self.by}: {self.place} of {self.of} that it covers"


def cover_of(tx: Transaction, lifecycle: Lifecycle, asked: Broadcast) -> Cover | None:
    """Return what covers one of a series that is before its approvers; None if people have to look at it."""
    server = lifecycle.server_of(asked)
    if asked.series is None or not server.rules.series_approval.uses or asked.schedule is None:
        return None
    for covered, one in enumerate(tx.broadcasts.of_series(asked.series, before=asked.id)):
        # Whoever corrects it has found it wrong.
        if one.status not in _WENT_WELL or one.lent or one.corrected_by or not one.approvals:
            return None
        if all(given.series is None for given in one.approvals):
            return _by(tx, lifecycle, server, asked, one, covered=covered)
    return None


def corrected_since(tx: Transaction, broadcast: Broadcast) -> str:
    """Return why the approvals that cover one of a series mean it no more, or nothing."""
    given_to = [one.series for one in broadcast.approvals if one.series is not None]
    if broadcast.series is None or not given_to:
        return ""
    for one in tx.broadcasts.of_series(broadcast.series, before=broadcast.id):
        if one.id >= min(given_to) and one.corrected_by:
            return f"#{one.id} of its series was corrected, and nobody has looked at this one since"
    return ""


def _by(
    tx: Transaction,
    lifecycle: Lifecycle,
    server: Server,
    asked: Broadcast,
    approved: Broadcast,
    *,
    covered: int,
) -> Cover | None:
    allowed, now = server.rules.series_approval, lifecycle.clock()
    given = tuple(one.model_copy(update={"series": approved.id}) for one in approved.approvals)
    # They were shown how many people it reaches: others are held before it goes out.
    shown = approved.counted if approved.counted and approved.counted.people is not None else asked.counted
    agreed = asked.model_copy(update={"approvals": given, "counted": shown})
    if (
        covered >= allowed.uses
        or any(not one.covers or now - one.at > allowed.within for one in approved.approvals)
        or not asked.writers.isdisjoint(one.approver.id for one in given)
        or approved.likeness != lifecycle.likeness_now(server, asked)
        or _time_of_day(approved) != _time_of_day(asked)
        or missing(server, agreed)
        or any(one.status in GOING_OUT and one.series != asked.series for one in alike(tx, lifecycle, asked))
    ):
        return None
    return Cover(given, approved.id, covered + 1, allowed.uses, shown)


def _time_of_day(broadcast: Broadcast) -> tuple[str, str] | None:
    schedule = broadcast.schedule
    # Without the offset, which summer time changes.
    return (schedule.local[11:16], schedule.zone) if schedule else None
