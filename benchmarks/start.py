"""How long it takes from a start to the first answered command, and how much memory, beside a bare bot."""

import asyncio
import shutil
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.databases import Databases
from benchmarks.figures import Row, over, row
from benchmarks.first_command import WAYS
from bot.store import Store

BARE: Final = "a bare discord.py bot"
HERALD: Final = "Herald on SQLite"


class Start(NamedTuple):
    """From the start of the process until it has answered, and its resident memory then."""

    seconds: float
    mib: float


async def measure(databases: Databases, *, rounds: int) -> list[Row]:
    """Return the table's lines; each round starts all of them, one after the other."""
    _, folder = databases.new("SQLite")
    kept = folder / "kept.db"
    # As after a deploy: there is nothing to migrate.
    async with Store.open(f"sqlite:///{kept}"):
        pass
    starts: dict[str, list[Start]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way, some in starts.items():
            place = folder / f"{way}-{number}"
            place.mkdir()
            shutil.copy(kept, place / "herald.db")
            some.append(await _start(way, place))
    return [
        *_rows(starts, "", without=False),
        *_rows(starts, ", without the simulated Discord", without=True),
    ]


def _rows(starts: dict[str, list[Start]], how: str, *, without: bool) -> list[Row]:
    rows: list[Row] = []
    for index, (what, unit, factor) in enumerate((("started", "ms", 1000), ("memory", "MiB", 1))):
        figures = {way: [one[index] * factor for one in some] for way, some in starts.items()}
        # What the simulated Discord adds to discord.py stands in both.
        less = median(figures["simcord"]) - median(figures["discord"]) if without else 0
        bare, herald = ([one - less for one in figures[way]] for way in ("bare", "herald"))
        rows.append(row(f"{BARE}: {what}{how}", bare, unit))
        rows.append(row(f"{HERALD}: {what}{how}", herald, unit, ratios=over(herald, bare)))
    return rows


async def _start(way: str, folder: Path) -> Start:
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.first_command", way, str(folder)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{way} ended with {process.returncode}")
    moment, kib, *_ = said.decode().split()
    return Start(float(moment) - begun, int(kib) / 1024)
