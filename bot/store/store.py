"""The database: opening it, bringing it up to date, and running whole transactions in threads of its own."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Concatenate, Final, ParamSpec, Self, TypeVar
from uuid import uuid4

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.errors import CommitUnknown, ConfigurationError, Refused, StoreError
from bot.store import migrating, postgresql, sqlite
from bot.store.migrating import NewerDatabase
from bot.store.transaction import Transaction
from bot.wakeup import Wakeup

# SQLite has one writer at a time: in one thread they take turns without asking the file again and again.
SQLITE_WRITERS: Final = 1
READERS: Final = 3
POSTGRESQL_WRITERS: Final = 4
# How often whoever has the database alone looks whether that is still so.
LOOK_SECONDS: Final = 1.0


class Access(Enum):
    """How a transaction begins, on each database."""

    WRITE = MappingProxyType({"sqlite": {sqlite.BEGIN: "BEGIN IMMEDIATE"}, "postgresql": {}})
    # A reader sees one state of everything, however many questions it asks.
    READ = MappingProxyType(
        {
            "sqlite": {sqlite.BEGIN: "BEGIN"},
            "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        }
    )
    # One question needs no transaction around it.
    GLANCE = MappingProxyType({"sqlite": {sqlite.BEGIN: ""}, "postgresql": {"isolation_level": "AUTOCOMMIT"}})


P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Transaction, P], T]
Wake = Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Recording:
    """What was refused, and when that will have been written down."""

    refusal: Refused
    end: Future[None]


class Store:
    """The database of one process: a file of its own, or a PostgreSQL server's.

    `name` is what this process is called wherever it owns something. Whoever opened the database `alone` is
    the only one who does. Processes whose names begin with what it has `outlived` are certainly gone; None if
    that is known of none.
    """

    def __init__(
        self, engine: Engine, *, alone: bool = True, is_still_alone: Callable[[], bool] = bool
    ) -> None:
        self.name = f"{'run' if alone else 'worker'}-{uuid4()}"
        self.alone = alone
        self._is_still_alone = is_still_alone
        # Whether it was so when it was asked for the last time.
        self.holds_lock = alone
        is_file = engine.dialect.name == "sqlite"
        # A file has one process; beside the one `run` of a server there may be workers.
        self.outlived: str | None = "" if alone and is_file else None
        self._engines = {mode: engine.execution_options(**mode.value[engine.dialect.name]) for mode in Access}
        writers = ThreadPoolExecutor(SQLITE_WRITERS if is_file else POSTGRESQL_WRITERS, "herald-writer")
        readers = ThreadPoolExecutor(READERS, "herald-reader")
        self._threads = {Access.WRITE: writers, Access.READ: readers, Access.GLANCE: readers}
        self.wakeup = Wakeup()
        # Asked before each commit, without a question to the database; it may raise StoreError.
        self.before_commit: Callable[[Transaction], None] = _accept

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, *, alone: bool = True) -> AsyncGenerator[Self, None]:
        """Take the database, apply the migrations, and close everything at the end.

        Raises ConfigurationError if another process has it or it cannot be used. Stores that need not be
        `alone` may be open beside the one that runs, for a short word from the host. Whatever is written for
        people to see, or to be sent, wakes those who listen to its `wakeup`.
        """
        url = make_url(database_url)
        stack = ExitStack()
        try:
            yield await asyncio.to_thread(cls._opened, stack, url, alone=alone)
        finally:
            await asyncio.to_thread(stack.close)

    @classmethod
    def _opened(cls, stack: ExitStack, url: URL, *, alone: bool) -> Self:
        with _explained(url):
            kind = postgresql if url.get_backend_name() == "postgresql" else sqlite
            engine, hold = stack.enter_context(kind.opened(url, alone=alone))
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    postgresql.let_one_migrate(connection)
                migrating.migrate(connection)
        return stack.enter_context(cls(engine, alone=alone, is_still_alone=hold))

    @classmethod
    def reach(cls, database_url: str) -> None:
        """Connect once, and change nothing; raise ConfigurationError if the database cannot be used."""
        url = make_url(database_url)
        if url.get_backend_name() == "sqlite":
            # One that runs has to write, and a check changes nothing.
            sqlite.writable(url)
        with ExitStack() as stack:
            cls._reached(stack, url)

    @classmethod
    def _reached(cls, stack: ExitStack, url: URL) -> tuple[Engine, bool]:
        with _explained(url):
            if url.get_backend_name() == "postgresql":
                engine, _ = stack.enter_context(postgresql.opened(url, alone=False))
            else:
                opened = sqlite.opened(sqlite.existing(url), alone=False, to_read=True)
                engine, _ = stack.enter_context(opened)
            reading = engine.execution_options(**Access.READ.value[engine.dialect.name])
            with reading.begin() as connection:
                return engine, migrating.is_current(connection)

    @classmethod
    @contextmanager
    def open_to_read(cls, database_url: str) -> Generator[Self, None, None]:
        """Open a database as it is, beside whoever has it: nothing in it is made, migrated or changed.

        Raises ConfigurationError if there is none, or if it is of another version.
        """
        with ExitStack() as stack:
            engine, current = cls._reached(stack, make_url(database_url))
            if not current:
                raise ConfigurationError(
                    "DATABASE_URL: the database was written by an older Herald: `herald migrate` brings it up"
                    " to date, and so does the next start."
                )
            yield stack.enter_context(cls(engine, alone=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever was begun is finished, also when whoever asked for it no longer waits.
        # Readers first: what one was refused has yet to be written.
        for mode in (Access.READ, Access.WRITE):
            self._threads[mode].shutdown(wait=True)

    async def stay_alone(self) -> None:
        """Look again and again whether it is still the only one who opened the database alone.

        What was lost with a connection, or with a file, is taken again. Raises Superseded if another process
        was faster.
        """
        loop = asyncio.get_running_loop()
        while True:
            self.holds_lock = await loop.run_in_executor(self._threads[Access.READ], self._is_still_alone)
            await asyncio.sleep(LOOK_SECONDS)

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` as one transaction in a thread: committed if it returns, dropped if it raises.

        Raises StoreError if the database does not take it; then nothing of it has happened. Whoever is
        cancelled while waiting leaves it either wholly done or not begun.
        """
        return await self._run(Access.WRITE, lambda tx: work(tx, *args, **kwargs))

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread on one state of the database, beside whatever is being written."""
        return await self._run(Access.READ, lambda tx: work(tx, *args, **kwargs))

    async def glance(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work`, which asks a single question, in a thread."""
        return await self._run(Access.GLANCE, lambda tx: work(tx, *args, **kwargs))

    async def attempt(
        self, mode: Access, work: Callable[[Transaction], T], record: Callable[[Transaction, Refused], None]
    ) -> T:
        """Run `work`; if it is refused, let `record` write that in the next transaction, then raise it.

        Both belong together: whoever is cancelled while waiting keeps no refusal from being recorded.
        """
        done = await self._hop(mode, lambda wake: self._attempted(wake, mode, work, record))
        if isinstance(done, _Recording):
            await asyncio.shield(asyncio.wrap_future(done.end))
            raise done.refusal
        return done

    async def _run(self, mode: Access, work: Callable[[Transaction], T]) -> T:
        return await self._hop(mode, lambda wake: self._whole(wake, mode, work))

    async def _hop(self, mode: Access, whole: Callable[[Wake], T]) -> T:
        loop = asyncio.get_running_loop()
        # From the thread: whoever asked may be gone by the time there is something to show.
        wake = partial(loop.call_soon_threadsafe, self.wakeup.wake)
        return await loop.run_in_executor(self._threads[mode], whole, wake)

    def _attempted(
        self,
        wake: Wake,
        mode: Access,
        work: Callable[[Transaction], T],
        record: Callable[[Transaction, Refused], None],
    ) -> "T | _Recording":
        try:
            return self._whole(wake, mode, work)
        except Refused as error:
            refusal = error
        write = partial(self._whole, wake, Access.WRITE, lambda tx: record(tx, refusal))
        if mode is Access.WRITE:
            write()
            raise refusal
        # In its turn with all that is written; this thread is for those who read.
        return _Recording(refusal, self._threads[Access.WRITE].submit(write))

    def _whole(self, wake: Wake, mode: Access, work: Callable[[Transaction], T]) -> T:
        with self.begin(mode) as tx:
            result = work(tx)
        if tx.outbox.is_filled:
            wake()
        return result

    @contextmanager
    def begin(self, mode: Access = Access.WRITE) -> Generator[Transaction, None, None]:
        """Open a transaction in the calling thread: committed at the end, rolled back on an error.

        For whoever has a thread to spare, such as a command; a loop's own thread uses `write` and `read`.
        Raises StoreError if the database does not take it, and then nothing of it has happened; or
        CommitUnknown if its answer to the commit was lost.
        """
        committing = False
        try:
            with self._engines[mode].begin() as connection:
                transaction = Transaction(connection, writing=mode is Access.WRITE)
                yield transaction
                transaction.finish()
                self.before_commit(transaction)
                committing = mode is Access.WRITE
        except (DBAPIError, PoolTimeout) as error:
            # PostgreSQL's own error quotes the row: neither it nor what was made of it may go on from here.
            why = postgresql.words(error) if isinstance(error, DBAPIError) else "all connections are in use"
            if committing and isinstance(error, DBAPIError) and not _is_refusal(error):
                raise CommitUnknown(
                    f"The database broke off while it was writing ({why});"
                    " whether anything was changed is not known."
                ) from None
            raise StoreError(f"The database is in trouble ({why}); nothing was changed.") from None


def _is_refusal(error: DBAPIError) -> bool:
    """Tell whether the database itself said no, so that it certainly has not committed."""
    if isinstance(error.orig, sqlite3.Error):
        # The low byte is the kind of error, what is above it the circumstance.
        return error.orig.sqlite_errorcode & 0xFF != sqlite3.SQLITE_IOERR
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    # Of a connection that was closed, from whichever side, nobody knows what came before.
    return sqlstate is not None and sqlstate[:2] not in {"08", "57"}


def _accept(_: Transaction) -> None:
    """Let everything be committed."""


@contextmanager
def _explained(url: URL) -> Generator[None, None, None]:
    """Turn what keeps the database shut into the sentence that the start ends with."""
    server = url.get_backend_name() == "postgresql"
    place = url.render_as_string(hide_password=True) if server else url.database
    another = "name another database" if server else "name another file"
    try:
        yield
    except NewerDatabase:
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
