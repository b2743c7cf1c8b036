"""The database: opening it, bringing it up to date, and its transactions."""

import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from filelock import FileLock
from filelock import Timeout as LockTimeout
from sqlalchemy import Connection, event, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from bot.errors import ConfigurationError, StoreError
from bot.store.announcements import Announcements
from bot.store.broadcasts import Broadcasts
from bot.store.deliveries import Deliveries
from bot.store.record import Record
from bot.store.tables import facts

MIGRATIONS: Final = Path(__file__).with_name("migrations")
BUSY_SECONDS: Final = 15
_BEGIN: Final = "herald_begin"


class Transaction:
    """Everything that can be read and written, on one connection, to be kept or dropped as one."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.broadcasts = Broadcasts(connection)
        self.deliveries = Deliveries(connection)
        self.record = Record(connection)
        self.announcements = Announcements(connection)

    async def fact(self, name: str) -> str | None:
        """Return a remembered value."""
        return await self._connection.scalar(select(facts.c.value).where(facts.c.name == name))

    async def remember(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        done = await self._connection.execute(facts.update().where(facts.c.name == name).values(value=value))
        if not done.rowcount:
            await self._connection.execute(facts.insert().values(name=name, value=value))


class Store:
    """The embedded database of one process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str) -> AsyncGenerator[Self, None]:
        """Take the data folder, apply the migrations, and close everything at the end.

        Raises ConfigurationError if another process has the folder or the file cannot be used.
        """
        url = make_url(database_url)
        file = Path(url.database or "")
        with _sole_use(file):
            engine = _create_engine(url.set(drivername="sqlite+aiosqlite"))
            try:
                await _migrate(engine, file)
                yield cls(engine)
            finally:
                await engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction, None]:
        """Open a transaction that may write: committed at the end, rolled back on an error.

        Raises StoreError if the database does not take it; then nothing of it has happened.
        """
        async with self._begin("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Transaction, None]:
        """Open a transaction that only reads, beside whatever is being written."""
        async with self._begin("BEGIN") as transaction:
            yield transaction

    @asynccontextmanager
    async def _begin(self, statement: str) -> AsyncGenerator[Transaction, None]:
        engine = self._engine.execution_options(**{_BEGIN: statement})
        try:
            async with engine.begin() as connection:
                yield Transaction(connection)
        except DatabaseError as error:
            # The driver's own words name no value; SQLAlchemy's would quote the statement.
            raise StoreError(f"The database is in trouble ({error.orig}); nothing was changed.") from error


@contextmanager
def _sole_use(file: Path) -> Generator[None, None, None]:
    lock = FileLock(file.with_name(f"{file.name}.lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        # SQLite would open a file that it cannot write, and fail only at the first change.
        file.open("ab").close()
    except LockTimeout:
        raise ConfigurationError(
            f"DATABASE_URL: another Herald is running on {file}: stop it first, or name another file."
        ) from None
    except OSError as error:
        lock.release()
        raise ConfigurationError(
            f"DATABASE_URL: {file} cannot be written ({error.strerror}): mend its rights or its folder's,"
            " or name another file."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _create_engine(url: Any) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})

    def on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver would begin by itself, too late and without IMMEDIATE: that is ours to do.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # NORMAL may forget a committed claim at power loss; then a restart would push again.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
    return engine


async def _migrate(engine: AsyncEngine, file: Path) -> None:
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    except CommandError:
        raise ConfigurationError(
            f"DATABASE_URL: {file} was written by a newer Herald: update Herald, or name another file."
        ) from None
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            problem = "is locked by another program: stop it first, or name another file"
        else:
            problem = (
                f"is not a database that Herald can use ({error.orig}):"
                " name another file, or restore a backup"
            )
        raise ConfigurationError(f"DATABASE_URL: {file} {problem}.") from None


def migrate(connection: Connection) -> None:
    """Apply the migrations that the database does not have yet."""
    config = Config()
    # A percent sign would be taken for the beginning of a variable.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
