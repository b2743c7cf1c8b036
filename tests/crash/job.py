"""One trial of one mode, with a database, a Whop and workers of its own."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from tests.crash.crowds import frozen_neighbour, large_broadcasts, resolved_audiences
from tests.crash.restores import failovers, restores
from tests.crash.tally import Tally
from tests.crash.trial import Mode, Trial, dice_of
from tests.crash.trials import Progress, every_point, lost_commits, moved_clocks, random_kills, zombies

POINTS, COMMITS, RANDOM, CLOCKS, ZOMBIES = "points", "commits", "random", "clocks", "zombies"
FROZEN, LARGE, RESTORES, FAILOVERS, RESOLVED = "frozen", "large", "restores", "failovers", "resolved"
# Several processes may send from one PostgreSQL database, and only one from a file.
SLOTS: Final = {"sqlite": 1, "postgresql": 3}


class Run(Protocol):
    """Go through a trial so many times, by so many workers."""

    async def __call__(
        self, trial: Trial, dice: random.Random, amount: int, *, slots: int, progress: Progress
    ) -> None: ...


TRIALS: Final[Mapping[str, Run]] = MappingProxyType(
    {
        POINTS: every_point,
        COMMITS: lost_commits,
        RANDOM: random_kills,
        CLOCKS: moved_clocks,
        ZOMBIES: zombies,
        FROZEN: frozen_neighbour,
        LARGE: large_broadcasts,
        RESOLVED: resolved_audiences,
        RESTORES: restores,
        FAILOVERS: failovers,
    }
)
# What is no fault there: nobody repeats what cannot be dated, believes what was said of roles hours ago, or
# sends what may have gone out since a copy was made.
RIGHTLY_HELD: Final = frozenset({CLOCKS, RESTORES, FAILOVERS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Which trial, and how much of it; for points and commits, from which to the next."""

    mode: Mode
    trial: str
    amount: int
    seed: int

    def __str__(self) -> str:
        return f"{self.mode} {self.trial}"

    async def run(self, folder: Path, url: str, progress: Progress = lambda _: None) -> Tally:
        """Do it on an empty database, and return what came of it."""
        dice = dice_of(self.seed, self)
        async with Trial.open(self.mode, folder=folder, url=url) as trial:
            slots = SLOTS[self.mode.database]
            await TRIALS[self.trial](trial, dice, self.amount, slots=slots, progress=progress)
            found = await trial.count()
        return replace(found, needless=0, held=0) if self.trial in RIGHTLY_HELD else found
