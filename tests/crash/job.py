"""One trial of one mode, with a database, a Whop and workers of its own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.crash.tally import Tally
from tests.crash.trial import Mode, Trial, dice_of
from tests.crash.trials import Progress, every_point, moved_clocks, random_kills, zombies

POINTS, RANDOM, CLOCKS, ZOMBIES = "points", "random", "clocks", "zombies"
# Several processes may send from one PostgreSQL database, and only one from a file.
SLOTS: Final = {"sqlite": 1, "postgresql": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Which trial, and how much of it: kills, moves of a clock, zombies, or from which point to the next."""

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
            match self.trial:
                case "points":
                    await every_point(trial, dice, stride=self.amount, progress=progress)
                case "random":
                    slots = SLOTS[self.mode.database]
                    await random_kills(trial, dice, kills=self.amount, slots=slots, progress=progress)
                case "clocks":
                    slots = SLOTS[self.mode.database]
                    await moved_clocks(trial, dice, moves=self.amount, slots=slots, progress=progress)
                    # Nobody repeats what cannot be dated, or believes what was said of roles hours ago.
                    return replace(await trial.count(), needless=0, held=0)
                case _:
                    await zombies(trial, dice, number=self.amount, progress=progress)
            return await trial.count()
