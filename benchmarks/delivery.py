"""Measure deliveries: speed, latency, the share of Whop's rate, and what an idle Herald costs."""

import argparse
import asyncio
import os
import platform
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import databases, idle, latency, rate, throughput, whop
from benchmarks.figures import Row
from bot import log

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
    parser.add_argument("--quick", action="store_true", help="under a minute: fewer rounds, v5's rate only")
    parser.add_argument("--v5-windows", type=int, default=3, help="of 10 s each, at v5's rate")
    parser.add_argument("--v1-windows", type=int, default=1, help="of 60 s each, at v1's rate")
    options = parser.parse_args()
    if options.quick:
        options.v5_windows, options.v1_windows = 1, 0
    return options


async def _measure(folder: Path, options: argparse.Namespace) -> dict[str, list[Row]]:
    quick: bool = options.quick
    progress = Console(stderr=True)
    sections: dict[str, list[Row]] = {}
    with databases.opened(folder) as stock:
        progress.print("speed …")
        async with whop.opened() as server:
            sections["Speed; ratio to aiohttp alone"] = await throughput.measure(
                server, stock, posts=40 if quick else 100, rounds=2 if quick else 3
            )
        progress.print("latency …")
        sections["Approval to first byte; ratio to aiohttp alone"] = await latency.measure(
            stock, sends=20 if quick else 100, windows=3 if quick else 15
        )
        progress.print("idle …")
        sections["Idle, Discord out of reach; ratio to Python asleep"] = await idle.measure(
            stock, seconds=6 if quick else 15
        )
        progress.print("rate …")
        for api, windows in {"v5": options.v5_windows, "v1": options.v1_windows}.items():
            if windows:
                sections[
                    f"Share of {api}'s rate, on PostgreSQL; ratio to the documented rate"
                ] = await rate.measure(stock, api=api, windows=windows)
    return sections


def _table(sections: Mapping[str, Sequence[Row]]) -> Table:
    table = Table(
        "what",
        "median",
        "lowest … highest",
        "ratio",
        title=f"Herald's deliveries: {os.cpu_count()} cores, Python {platform.python_version()}",
    )
    for title, rows in sections.items():
        table.add_section()
        table.add_row(f"[bold]{title}[/]")
        for one in rows:
            table.add_row(one.what, one.figure, one.spread, one.ratio)
    return table


if __name__ == "__main__":
    main()
