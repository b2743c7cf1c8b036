"""What can go wrong with a request; each broadcast carries its own plan of that in its words."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

# How long a request is held, so that a process can be killed or stopped inside its POST.
HOLD_SECONDS: Final = 0.4
# What is answered where nothing goes wrong.
OK: Final = 202
# Longer than a worker of the trial waits for an answer.
SILENT_SECONDS: Final = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """When the customers get it, how long the answer takes, and what it is; no status closes without one."""

    pushes: Literal["at once", "late", "never"]
    status: int | None
    seconds: float = 0.0
    holds: bool = False
    cut: bool = False


FAULTS: Final = MappingProxyType(
    {
        "ok": Fault(pushes="at once", status=202),
        "slow": Fault(pushes="at once", status=202, seconds=0.2),
        "cut": Fault(pushes="at once", status=202, cut=True),
        "hold": Fault(pushes="at once", status=202, seconds=HOLD_SECONDS, holds=True),
        # Whoever asked may be gone by the time when the customers get it.
        "late": Fault(pushes="late", status=202, seconds=HOLD_SECONDS, holds=True),
        "lost": Fault(pushes="never", status=None, seconds=HOLD_SECONDS, holds=True),
        "silent": Fault(pushes="at once", status=None, seconds=SILENT_SECONDS),
        "closed": Fault(pushes="never", status=None),
        "dropped": Fault(pushes="at once", status=None),
        "busy": Fault(pushes="never", status=429),
        "down": Fault(pushes="never", status=503),
        "broken": Fault(pushes="at once", status=500),
        "refused": Fault(pushes="never", status=422),
    }
)
HOLDING: Final = ("hold", "hold", "late", "lost")
# Whop would remember its refusal of a key; without one, nothing stands beside the one answer.
_WEIGHTS: Final = MappingProxyType(dict.fromkeys(FAULTS, 1) | {"slow": 2, "dropped": 3, "refused": 0})


def random_plan(dice: random.Random, *, may_refuse: bool) -> Sequence[str]:
    """Return what happens to the first requests of each delivery; all later ones go well."""
    if may_refuse and dice.random() < 0.03:
        return ("refused",)
    return dice.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=dice.randint(0, 3))


def written(plan: Sequence[str]) -> str:
    """Return the plan as words of a notification."""
    return f"plan: {' '.join(plan)}."


def plan_in(body: bytes) -> Sequence[str]:
    """Return the plan that a request carries."""
    found = re.search(rb"plan: ([a-z ]*)\.", body)
    return found[1].decode().split() if found else ()
