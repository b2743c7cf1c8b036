"""Measure Herald: deliveries, what people wait for, the record, and what it costs to start and to idle."""

import argparse
import asyncio
import os
import platform
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import (
    acknowledgement,
    databases,
    flood,
    idle,
    latency,
    lists,
    rate,
    record,
    resolving,
    start,
    throughput,
    use_cases,
    workers,
)
from benchmarks.databases import Databases
from benchmarks.figures import Row
from bot import log

Measure = Callable[[], Awaitable[list[Row]]]

# Of the table, in characters.
WIDTH: Final = 128


def main() -> None:
    """Run all measurements and print their table."""
    options = _options()
    # Whoever ends it early leaves neither a database server nor a process behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A socket's path has to be short.
    with (
        TemporaryDirectory(prefix="herald-") as folder,
        # Each line is written as in production, to where it costs nothing to keep.
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
    ):
        log.configure(level="info", style="console", secrets=(), stream=nowhere)
        sections = asyncio.run(_measure(Path(folder), options))
    console = Console()
    # Written to a file, the lines need not fit a terminal.
    console.print(_table(sections), width=None if console.is_terminal else WIDTH)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute: fewer rounds, v5's rate only")
    parser.add_argument("--only", help="one section, such as idle")
    parser.add_argument("--v5-windows", type=int, default=3, help="of 10 s each, at v5's rate")
    parser.add_argument("--v1-windows", type=int, default=1, help="of 60 s each, at v1's rate")
    options = parser.parse_args()
    if options.quick:
        options.v5_windows, options.v1_windows = 1, 0
    return options


async def _measure(folder: Path, options: argparse.Namespace) -> dict[str, list[Row]]:
    progress = Console(stderr=True)
    sections: dict[str, list[Row]] = {}
    with databases.opened(folder) as stock:
        for name, (title, measure) in _sections(stock, options).items():
            if options.only in {None, name}:
                progress.print(f"{name} …")
                sections[title] = await measure()
    return sections


def _sections(stock: Databases, options: argparse.Namespace) -> dict[str, tuple[str, Measure]]:
    quick: bool = options.quick
    rates: dict[str, int] = {"v5": options.v5_windows, "v1": options.v1_windows}
    sections: dict[str, tuple[str, Measure]] = {
        "speed": (
            "Speed; ratio to aiohttp alone",
            lambda: throughput.measure(stock, posts=40 if quick else 100, rounds=2 if quick else 3),
        ),
        "workers": (
            "Several workers, with no limit to their rate; ratio to one",
            lambda: workers.measure(stock, posts=500 if quick else 2000, rounds=1 if quick else 3),
        ),
        "latency": (
            "Approval to first byte; ratio to aiohttp alone",
            lambda: latency.measure(stock, sends=20 if quick else 100, windows=3 if quick else 15),
        ),
        "idle": (
            "Idle, Discord out of reach; ratio to Python asleep",
            lambda: idle.measure(stock, seconds=6 if quick else 15),
        ),
        "start": (
            "Start to the first answered command; ratio to a bare discord.py bot",
            lambda: start.measure(stock, rounds=3 if quick else 7),
        ),
        "acknowledgement": (
            "Press to answer; ratio to a bare discord.py bot",
            lambda: acknowledgement.measure(
                stock, times=20 if quick else 50, past_broadcasts=10_000 if quick else 100_000
            ),
        ),
        "flood": (
            "A flood of refused presses, on a Discord of our own",
            lambda: flood.measure(stock, presses=500 if quick else 10_000),
        ),
        "use-cases": (
            "What people do, on SQLite; ratio to one bare row",
            lambda: use_cases.measure(stock, times=20 if quick else 100),
        ),
        "lists": (
            "What people look for, after a long past; ratio to the newest rows by a bare connection",
            lambda: lists.measure(
                stock, times=20 if quick else 50, past_broadcasts=10_000 if quick else 100_000
            ),
        ),
        "resolving": (
            "An audience of a hundred thousand, each by name once, on v1; ratio to the documented rate",
            lambda: resolving.measure(stock, at_rate=not quick),
        ),
        "record": (
            "The record; ratio to plain Python",
            lambda: record.measure(stock, lines=10_000 if quick else 50_000, rounds=3 if quick else 5),
        ),
    }
    for api, windows in rates.items():
        if windows:
            sections[f"rate-{api}"] = (
                f"Share of {api}'s rate, on PostgreSQL; ratio to the documented rate",
                partial(rate.measure, stock, api=api, windows=windows),
            )
    if options.v1_windows:
        sections["large"] = (
            "One audience of a thousand requests on v1, on SQLite; ratio to what the rate allows",
            lambda: rate.measure_large(stock),
        )
    return sections


def _table(sections: Mapping[str, Sequence[Row]]) -> Table:
    table = Table(
        "what",
        "median",
        "lowest … highest",
        "ratio",
        title=f"Herald: {os.cpu_count()} cores, Python {platform.python_version()}",
    )
    for title, rows in sections.items():
        table.add_section()
        table.add_row(f"[bold]{title}[/]")
        for one in rows:
            table.add_row(one.what, one.figure, one.spread, one.ratio)
    return table


if __name__ == "__main__":
    main()
