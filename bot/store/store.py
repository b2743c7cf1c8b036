"""The database: opening it, bringing it up to date, and its transactions."""

import sqlite3
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock
from filelock import Timeout as LockTimeout
from sqlalchemy import URL, Connection, event, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from bot.errors import ConfigurationError, StoreError
from bot.store import postgresql
from bot.store.audit_log import AuditLog
from bot.store.broadcasts import Broadcasts
from bot.store.deliveries import Deliveries
from bot.store.freezes import Freezes
from bot.store.members import Members
from bot.store.mirror_posts import MirrorPosts
from bot.store.outbox import Outbox
from bot.store.tables import facts, interactions
from bot.store.template_approvals import TemplateApprovals

MIGRATIONS: Final = Path(__file__).with_name("migrations")
BUSY_SECONDS: Final = 15
_BEGIN: Final = "herald_begin"
# A reader sees one state of everything, however many questions it asks.
_READING: Final[Mapping[str, Mapping[str, Any]]] = {
    "sqlite": {_BEGIN: "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
_WRITING: Final[Mapping[str, Mapping[str, Any]]] = {
    "sqlite": {_BEGIN: "BEGIN IMMEDIATE"},
    "postgresql": {},
}


class Transaction:
    """Everything that can be read and written, on one connection, to be kept or dropped as one."""

    def __init__(self, connection: AsyncConnection, *, writing: bool) -> None:
        self._connection = connection
        self._writing = writing
        self.broadcasts = Broadcasts(connection, locking=writing)
        self.deliveries = Deliveries(connection, locking=writing)
        self.audit = AuditLog(connection)
        self.outbox = Outbox(connection)
        self.freezes = Freezes(connection)
        self.members = Members(connection)
        self.templates = TemplateApprovals(connection)
        self.mirror = MirrorPosts(connection, locking=writing)

    async def fact(self, name: str) -> str | None:
        """Return a remembered value; where it may be written anew, nobody else changes it in between."""
        wanted = select(facts.c.value).where(facts.c.name == name)
        return await self._connection.scalar(wanted.with_for_update() if self._writing else wanted)

    async def remember(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        await self._connection.execute(_REMEMBER, {"name": name, "value": value})

    async def use_interaction(self, interaction_id: int, *, at: datetime) -> bool:
        """Note that an interaction changes something; return False if it already has."""
        known = select(interactions.c.id).where(interactions.c.id == interaction_id)
        if await self._connection.scalar(known) is not None:
            return False
        # Two at once: the table's key refuses the second, and with it all that it would have changed.
        await self._connection.execute(insert(interactions).values(id=interaction_id, at=at))
        return True

    async def claim_alone(self) -> None:
        """Wait until no other process claims, so that all together keep to one rate."""
        if self._connection.dialect.name == "postgresql":
            await postgresql.lock_claiming(self._connection)


_REMEMBER: Final = text(
    "INSERT INTO facts (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


class Store:
    """The database of one process: a file of its own, or a PostgreSQL server's.

    `name` is what this process is called wherever it owns something. Whoever opened the database `alone` has
    `outlived` all processes whose names begin so; None if others may be at work.
    """

    def __init__(self, engine: AsyncEngine, *, alone: bool = True) -> None:
        self._engine = engine
        role = "run" if alone else "worker"
        self.name = f"{role}-{uuid4()}"
        self.outlived: str | None = None
        if alone:
            # A file has one process; beside the one `run` of a server there may be workers.
            self.outlived = "" if engine.dialect.name == "sqlite" else role

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, *, alone: bool = True) -> AsyncGenerator[Self, None]:
        """Take the database, apply the migrations, and close everything at the end.

        Raises ConfigurationError if another process has it or it cannot be used. Stores that need not be
        `alone` may be open beside the one that runs, for a short word from the host.
        """
        url = make_url(database_url)
        async with AsyncExitStack() as stack:
            with _explained(url):
                if url.get_backend_name() == "postgresql":
                    opened = postgresql.opened(url, alone=alone)
                else:
                    opened = _file_opened(url, alone=alone)
                engine = await stack.enter_async_context(opened)
                async with engine.begin() as connection:
                    if engine.dialect.name == "postgresql":
                        await postgresql.let_one_migrate(connection)
                    await connection.run_sync(migrate)
            yield cls(engine, alone=alone)

    @classmethod
    @asynccontextmanager
    async def open_to_read(cls, database_url: str) -> AsyncGenerator[Self, None]:
        """Open a database as it is, beside whoever has it: nothing in it is made, migrated or changed.

        Raises ConfigurationError if there is none, or if it is of another version.
        """
        url = make_url(database_url)
        async with AsyncExitStack() as stack:
            with _explained(url):
                if url.get_backend_name() == "postgresql":
                    opened = postgresql.opened(url, alone=False)
                else:
                    opened = _file_opened(_existing(url), alone=False, to_read=True)
                engine = await stack.enter_async_context(opened)
                reading = engine.execution_options(**_READING[engine.dialect.name])
                async with reading.begin() as connection:
                    current = await connection.run_sync(is_current)
            if not current:
                raise ConfigurationError(
                    "DATABASE_URL: the database was written by an older Herald: `herald migrate` brings it up"
                    " to date, and so does the next start."
                )
            yield cls(engine, alone=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction, None]:
        """Open a transaction that may write: committed at the end, rolled back on an error.

        Raises StoreError if the database does not take it; then nothing of it has happened.
        """
        async with self._begin(writing=True) as transaction:
            yield transaction

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Transaction, None]:
        """Open a transaction that only reads, beside whatever is being written."""
        async with self._begin(writing=False) as transaction:
            yield transaction

    @asynccontextmanager
    async def _begin(self, *, writing: bool) -> AsyncGenerator[Transaction, None]:
        options = (_WRITING if writing else _READING)[self._engine.dialect.name]
        engine = self._engine.execution_options(**options)
        try:
            async with engine.begin() as connection:
                yield Transaction(connection, writing=writing)
        except (DBAPIError, PoolTimeout) as error:
            # PostgreSQL's own error quotes the row: neither it nor what was made of it may go on from here.
            why = postgresql.words(error) if isinstance(error, DBAPIError) else "all connections are in use"
            raise StoreError(f"The database is in trouble ({why}); nothing was changed.") from None


@asynccontextmanager
async def _file_opened(url: URL, *, alone: bool, to_read: bool = False) -> AsyncGenerator[AsyncEngine, None]:
    with _sole_use(Path(url.database or "")) if alone else nullcontext():
        engine = _create_engine(url.set(drivername="sqlite+aiosqlite"), to_read=to_read)
        try:
            yield engine
        finally:
            await engine.dispose()


def _existing(url: URL) -> URL:
    # SQLite would make what is not there.
    if not Path(url.database or "").is_file():
        raise ConfigurationError(
            f"DATABASE_URL: there is no file {url.database}: mend the path, or start Herald once."
        )
    return url


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


def _create_engine(url: Any, *, to_read: bool = False) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})

    def on_connect(connection: Any, _entry: ConnectionPoolEntry) -> None:
        # The driver would begin by itself, too late and without IMMEDIATE: that is ours to do.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # NORMAL may forget a committed claim at power loss; then a restart would push again.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if to_read:
            cursor.execute("PRAGMA query_only = ON")
            # Whoever changed a text to what is none must not keep the rest from being read.
            connection.driver_connection.text_factory = _decoded
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))

    event.listen(engine.sync_engine, "connect", on_connect)
    event.listen(engine.sync_engine, "begin", on_begin)
    return engine


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


@contextmanager
def _explained(url: URL) -> Generator[None, None, None]:
    """Turn what keeps the database shut into the sentence that the start ends with."""
    server = url.get_backend_name() == "postgresql"
    place = url.render_as_string(hide_password=True) if server else url.database
    another = "name another database" if server else "name another file"
    try:
        yield
    except CommandError:
        raise ConfigurationError(
            f"DATABASE_URL: {place} was written by a newer Herald: update Herald, or {another}."
        ) from None
    except DBAPIError as error:
        why = postgresql.words(error)
        sqlstate: str | None = getattr(error.orig, "sqlstate", None)
        if (
            getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            or sqlstate in postgresql.BUSY
        ):
            problem = f"is locked by another program: stop it first, or {another}"
        elif server and sqlstate is None:
            problem = f"cannot be reached ({why}): start it, mend the address, the user or the password"
        else:
            problem = f"is not a database that Herald can use ({why}): {another}, or restore a backup"
        raise ConfigurationError(f"DATABASE_URL: {place} {problem}.") from None


def migrate(connection: Connection) -> None:
    """Apply the migrations that the database does not have yet."""
    if MigrationContext.configure(connection).get_current_heads() == (_newest(),):
        # Alembic would read all of them to find that there is nothing to do.
        return
    config = _configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Tell whether the database has all migrations; raise CommandError if it has one of a newer Herald."""
    script = ScriptDirectory.from_config(_configuration())
    found = MigrationContext.configure(connection).get_current_heads()
    script.get_revisions(found)
    return set(found) == set(script.get_heads())


def _newest() -> str:
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))[:4]


def _configuration() -> Config:
    config = Config()
    # A percent sign would be taken for the beginning of a variable.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
