"""SQLite: how Herald opens its file and has it for itself."""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from filelock import FileLock
from filelock import Timeout as LockTimeout
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from bot.errors import ConfigurationError, StoreError, Superseded
from bot.file_rights import make_private, narrow, with_companions
from bot.store import write_ahead

BUSY_SECONDS: Final = 15
# The option of a connection that says how its transactions begin.
BEGIN: Final = "herald_begin"


@contextmanager
def opened(
    url: URL, *, alone: bool, to_read: bool = False
) -> Generator[tuple[Engine, Callable[[], bool]], None, None]:
    """Open the file, for this process alone if it has to be; raise ConfigurationError if another has it.

    Beside the engine is what tells whether that still holds; it raises Superseded.
    """
    file = Path(url.database or "")
    with _sole_use(file) if alone else nullcontext(bool) as hold:
        # Before the first connection, which would take what lies beside it.
        if alone or not _is_used(file):
            write_ahead.refuse_foreign(file)
        if not alone and not to_read:
            # OSError: opening it says why.
            with suppress(OSError):
                make_private(file)
        narrow(with_companions(file))
        engine = _create_engine(url, to_read=to_read)
        try:
            yield engine, hold
        finally:
            engine.dispose()


def existing(url: URL) -> URL:
    """Return the address of a file that is there; raise ConfigurationError if it is not."""
    # SQLite would make what is not there.
    if not Path(url.database or "").is_file():
        raise ConfigurationError(
            f"DATABASE_URL: there is no file {url.database}: mend the path, or start Herald once."
        )
    return url


def writable(url: URL) -> URL:
    """Return the address of a file that is there and can be written; raise ConfigurationError otherwise."""
    file = Path(existing(url).database or "")
    try:
        file.open("ab").close()
    except OSError as error:
        raise _unwritable(file, error) from None
    return url


def _lock(file: Path) -> FileLock:
    return FileLock(file.with_name(f"{file.name}.lock"), thread_local=False, mode=0o600)


def _is_used(file: Path) -> bool:
    """Tell whether a process has the file for itself, without making anything."""
    lock = _lock(file)
    if not Path(lock.lock_file).exists():
        return False
    try:
        lock.acquire(timeout=0)
    except (LockTimeout, OSError):
        return True
    lock.release()
    return False


@contextmanager
def _sole_use(file: Path) -> Generator[Callable[[], bool], None, None]:
    lock = _RunLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.take()
        # SQLite would open a file that it cannot write, and fail only at the first change.
        make_private(file)
        file.open("ab").close()
    except LockTimeout:
        raise ConfigurationError(
            f"DATABASE_URL: another Herald is running on {file}: stop it first, or name another file."
        ) from None
    except OSError as error:
        lock.release()
        raise _unwritable(file, error) from None
    try:
        yield lock.hold
    finally:
        lock.release()


class _RunLock:
    """A lock on a file beside the database: it says nothing to whoever makes that file anew."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = Path(_lock(database).lock_file)
        self._locks: list[FileLock] = []
        self._taken: _Identity | None = None

    def take(self) -> None:
        lock = _lock(self._database)
        lock.acquire(timeout=0)
        self._locks.append(lock)
        self._taken = _identity(self._file)

    def hold(self) -> bool:
        """Tell whether it is held, after taking it again if its file was deleted; raise Superseded."""
        if _identity(self._file) == self._taken:
            return True
        try:
            self.take()
        except LockTimeout:
            raise Superseded(
                f"{self._file} was deleted while Herald ran, and another Herald has taken the database over,"
                " so this one ends."
            ) from None
        except OSError:
            return False
        return True

    def release(self) -> None:
        for lock in self._locks:
            lock.release()


_Identity = tuple[int, int]


def _identity(file: Path) -> _Identity | None:
    """Return what tells a file from another one of the same name, or None if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _unwritable(file: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"DATABASE_URL: {file} cannot be written ({error.strerror}): mend its rights or its folder's,"
        " or name another file."
    )


def _create_engine(url: Any, *, to_read: bool = False) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    file = Path(url.database or "")
    opened: list[_Identity] = []

    def refuse_another() -> None:
        # What is written to a file that was deleted is lost, and what is read from it is not true any more.
        if opened and _identity(file) != opened[0]:
            raise StoreError(
                f"The database is in trouble ({file} was deleted or replaced while Herald runs: stop it,"
                " put the file back, and start it again); nothing was changed."
            )

    def on_connecting(*_: object) -> None:
        # SQLite would make anew what is not there.
        refuse_another()

    def on_connect(connection: Any, _entry: ConnectionPoolEntry) -> None:
        try:
            _prepare(connection, to_read=to_read)
        except sqlite3.Error:
            # What is no database is opened all the same, and the pool does not know of it yet.
            connection.close()
            raise
        if not opened and (found := _identity(file)):
            opened.append(found)

    def on_begin(connection: Connection) -> None:
        refuse_another()
        if begin := connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE"):
            connection.exec_driver_sql(begin)

    event.listen(engine, "do_connect", on_connecting)
    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)
    return engine


def _prepare(connection: sqlite3.Connection, *, to_read: bool) -> None:
    # The driver would begin by itself, too late and without IMMEDIATE: that is ours to do.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # NORMAL may forget a committed claim at power loss; then a restart would push again.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if to_read:
        connection.execute("PRAGMA query_only = ON")
        # Whoever changed a text to what is none must not keep the rest from being read.
        connection.text_factory = _decoded


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
