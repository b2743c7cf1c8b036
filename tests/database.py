"""Databases of tests: files that are migrated already, and the connections that are still open."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import Pool, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from bot.store import Store


def new_file(folder: Path) -> str:
    """Make a database file in the folder and return its address."""
    # Making each anew would take most of the tests' time.
    file = folder / "herald.db"
    file.write_bytes(_migrated())
    return f"sqlite:///{file}"


def open_connections() -> list[DBAPIConnection]:
    """Return the connections that engines of this process have opened and nobody has closed."""
    _opened[:] = [connection for connection in _opened if _is_open(connection)]
    return _opened.copy()


_opened: list[DBAPIConnection] = []


@event.listens_for(Pool, "connect")
def _note(connection: DBAPIConnection, _: object) -> None:  # pyright: ignore[reportUnusedFunction]
    _opened.append(connection)


def _is_open(connection: DBAPIConnection) -> bool:
    try:
        connection.cursor().close()
    except (sqlite3.ProgrammingError, psycopg.OperationalError):
        return False
    return True


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
