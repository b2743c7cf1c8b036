"""How many people an audience has: what was counted, and which change of that people have to see. Pure."""

from datetime import datetime
from typing import Final, NamedTuple

from bot.sentences import people
from bot.value import Value

# Whop had no answer, or one that tells no number.
UNTOLD: Final = "Whop did not tell"


class Counted(Value):
    """What is known of the size of an audience, and since when; `why` not, where it is not known.

    `people` is at most how many it reaches. While it is counted, `so_far` are found. Where each gets it by
    name, `repeats` are those who would have got it more than once, `nameless` those who cannot be named.
    """

    people: int | None = None
    at: datetime | None = None
    why: str = ""
    so_far: int | None = None
    repeats: int | None = None
    nameless: int = 0

    @property
    def is_done(self) -> bool:
        """Tell whether it was counted, or certainly cannot be."""
        return self.at is not None

    def shown(self) -> "Counted":
        """Return what people decide about: not how far a later count has come."""
        return self.model_copy(update={"so_far": None})


class Drift(NamedTuple):
    """How much the number of people may change unseen: by more than both, a person has to look."""

    percent: int
    people: int

    def exceeded(self, shown: int, now: int) -> bool:
        """Tell whether it changed by more than that, in whichever direction."""
        change = abs(now - shown)
        return change > self.people and change * 100 > self.percent * shown


def drifted(drift: Drift, shown: Counted | None, now: Counted, *, bound: int | None) -> str:
    """Return why what approvers were shown is no longer how many people get it, or nothing.

    What was counted and can be counted no more is uncertain. The owner's `bound` stands in where nothing else
    was shown, and nothing goes to many more people than that either.
    """
    before = shown.people if shown else None
    if now.people is None:
        return f"how many people it reaches cannot be told now ({now.why}): {_were(before)}" if before else ""
    if before is not None and drift.exceeded(before, now.people):
        return f"it reaches {people(now.people)} by now: {_were(before)}"
    if bound is not None and now.people > bound and drift.exceeded(bound, now.people):
        return f"it reaches {people(now.people)}, and by the policy up to {people(bound)}"
    return ""


def _were(shown: int) -> str:
    return f"approvers were shown {people(shown)}"
