"""What a trial found, by the count of whoever pushed: sums that can be added up."""

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was done to the processes and the database, and what became of the broadcasts.

    `inside` are the kills while Whop held a request of the process, `cuts` the answers to a COMMIT that were
    lost, `restores` how often the database went back.

    `doubled` reached customers twice in silence, `told` twice as its card says, or as counts against the
    proof of the key; `lost` never left review; `stuck` was approved and came neither to an end nor to a
    person; `starved` had to wait for what is frozen or larger; `false_sent` is recorded as accepted and
    reached nobody; `false_failed` is recorded as rejected and reached customers.
    """

    kills: int = 0
    inside: int = 0
    zombies: int = 0
    cuts: int = 0
    restores: int = 0
    broadcasts: int = 0
    pushed: int = 0
    doubled: int = 0
    told: int = 0
    lost: int = 0
    stuck: int = 0
    starved: int = 0
    false_sent: int = 0
    false_failed: int = 0
    held: int = 0
    unknown: int = 0
    # Unknown although a proven key would have settled it.
    needless: int = 0

    def __add__(self, other: Self) -> "Tally":
        names = [field.name for field in fields(self)]
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __str__(self) -> str:
        shown = [field.name.replace("_", "-") for field in fields(self)]
        return " · ".join(f"{name} {getattr(self, name.replace('-', '_'))}" for name in shown)

    @property
    def is_good(self) -> bool:
        """Tell whether every promise was kept."""
        sent = self.doubled + self.false_sent + self.false_failed
        waiting = self.lost + self.stuck + self.starved + self.held + self.needless
        return not sent + waiting
