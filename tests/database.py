"""Database files that are migrated already: making each anew would take most of the tests' time."""

import asyncio
import gc
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.store import Store


def new_file(folder: Path) -> str:
    """Make a database file in the folder and return its address."""
    file = folder / "herald.db"
    file.write_bytes(_migrated())
    return f"sqlite:///{file}"


def close_what_was_killed() -> None:
    """Close the connections of a task that was killed in the midst of a statement, as an end would."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@cache
def _migrated() -> bytes:
    # In a thread of its own, since the caller may be in the midst of a loop.
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        file = Path(folder) / "herald.db"
        pool.submit(asyncio.run, _make(file)).result()
        return file.read_bytes()


async def _make(file: Path) -> None:
    async with Store.open(f"sqlite:///{file}"):
        pass
