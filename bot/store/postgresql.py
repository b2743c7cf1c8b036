"""PostgreSQL: how Herald connects to it, has it for itself, and tells of its troubles."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, Table, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.errors import ConfigurationError, Superseded
from bot.store.history import IDENTITY

CONNECT_SECONDS: Final = 5
WAIT_SECONDS: Final = 15
SUSPENDED_SECONDS: Final = 10
RESTART_SECONDS: Final = 2
# lock_not_available, and query_canceled after a timeout.
BUSY: Final = frozenset({"55P03", "57014"})
# Advisory locks are numbers that all programs on the database share: this one says that it is Herald's.
_HERALD: Final = 0x48657261
_RUNNING, _MIGRATING, _CLAIMING = 1, 2, 3
# What each session is marked with, to see whether it stays with whoever opened it.
_MARK: Final = "herald.session"
# What tells one database from another, a standby that took over from the server before it, and tables that
# were written back from those that stood there.
_IDENTITY: Final = (
    "(SELECT CAST(system_identifier AS text) FROM pg_control_system())",
    "(SELECT CAST(oid AS text) FROM pg_database WHERE datname = current_database())",
    "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)",
    "(SELECT CAST(CAST(to_regclass('history') AS oid) AS text))",
)
# One that gives out its connections by chance is not noticed at once.
_LOOKS: Final = 3
_OPTIONS: Final = {
    # A commit that the server may still forget would let a restart push again.
    "synchronous_commit": "on",
    "statement_timeout": f"{WAIT_SECONDS}s",
    "lock_timeout": f"{WAIT_SECONDS}s",
    # A process that is suspended in the middle of a transaction lets go of its locks while others still wait.
    "idle_in_transaction_session_timeout": f"{SUSPENDED_SECONDS}s",
    # The session that says that Herald runs is idle for as long as it does.
    "idle_session_timeout": "0",
    # What became of a client that says nothing is asked for after so long, and a lost one is let go.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}
# The same the other way round: a server that is gone without a word is noticed within half a minute.
_KEEPALIVE: Final = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_WHO: Final = text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
_HELD: Final = text(
    "SELECT count(*) FROM pg_locks"
    " WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = :herald AND objid = :running"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND pid = pg_backend_pid()"
).bindparams(herald=_HERALD, running=_RUNNING)
_END: Final = text(
    "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
    " WHERE pid = :pid AND backend_start = :started"
)


@contextmanager
def opened(url: URL, *, alone: bool) -> Generator[tuple[Engine, Callable[[], bool]], None, None]:
    """Connect, make sure that commits last, and that no other Herald is running if it has to be `alone`.

    Beside the engine is what tells whether that still holds; it raises Superseded.
    """
    engine = _create_engine(url)
    lock = RunLock(engine)
    try:
        with _session(engine) as session:
            # Its connection is the first that somebody gets afterwards.
            with _session(engine) as other:
                _refuse_shared(session, other, url)
            _check(session, url)
            identity = _identity(session)
        if alone and not lock.take():
            place = url.render_as_string(hide_password=True)
            raise ConfigurationError(
                f"DATABASE_URL: another Herald is running on {place}: stop it first,"
                " or name another database."
            )
        yield engine.execution_options(**{IDENTITY: identity}), lock.hold
    finally:
        lock.release()
        engine.dispose()


class RunLock:
    """The lock of the one `run`: a session holds it, and it is gone when that session is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None
        # How the server calls the session that held it last.
        self._who: dict[str, Any] = {}

    def take(self) -> bool:
        """Take it; return False if another session keeps it."""
        session = self._session = self._session or _session(self._engine)
        # The server needs a moment to notice that the process before, which was just restarted, is gone.
        session.execute(text(f"SET lock_timeout = '{RESTART_SECONDS}s'"))
        try:
            session.execute(select(func.pg_advisory_lock(_HERALD, _RUNNING)))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in BUSY:
                raise
            return False
        pid, started = session.execute(_WHO).one()
        self._who = {"pid": pid, "started": started}
        return True

    def hold(self) -> bool:
        """Tell whether it is held, after taking it again if its session was lost; False if nobody can say.

        Raises Superseded if another process has it now.
        """
        try:
            if self._session is not None and _is_held(self._session):
                return True
            self.release()
            # What was cut on the way is a session of this process's that the server still takes for alive.
            if self.take() or (self._end_own() and self.take()):
                return True
        except (DBAPIError, PoolTimeout):
            self.release()
            return False
        raise Superseded(
            "Another `herald run` has taken the database over while this one was cut off from it,"
            " so this one ends."
        )

    def release(self) -> None:
        """Let it go with its session."""
        if self._session is not None:
            # Also out of the pool: the next to use the connection would keep the lock.
            self._session.invalidate()
            self._session.close()
            self._session = None

    def _end_own(self) -> bool:
        return bool(self._session and self._session.scalar(_END, self._who))


def _is_held(session: Connection) -> bool:
    """Tell whether a session still has the lock; as long as the server says nothing, nothing has changed."""
    driver: Any = session.connection.driver_connection
    if driver is None or driver.closed:
        return False
    with DefaultSelector() as selector:
        selector.register(driver.fileno(), EVENT_READ)
        if not selector.select(timeout=0):
            return True
    try:
        return bool(session.scalar(_HELD))
    except DBAPIError:
        return False


def _session(engine: Engine) -> Connection:
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def let_one_migrate(connection: Connection) -> None:
    """Wait until no other process migrates, and let this transaction take all the time it needs."""
    connection.scalar(select(func.pg_advisory_xact_lock(_HERALD, _MIGRATING)))
    connection.execute(text("SET LOCAL statement_timeout = 0"))


def lock_claiming(connection: Connection) -> None:
    """Wait until no other transaction claims; the lock goes with the transaction."""
    connection.scalar(select(func.pg_advisory_xact_lock(_HERALD, _CLAIMING)))


def lock_lending(connection: Connection, guild_id: int) -> None:
    """Wait until no other transaction lends in the server; the lock goes with the transaction."""
    # Of one number, as those of the records: a server's id has its highest bit to spare.
    connection.scalar(select(func.pg_advisory_xact_lock(-guild_id)))


def lock_starting(connection: Connection, guild_id: int) -> None:
    """Wait until no other transaction starts anything in the server; the lock goes with the transaction."""
    connection.scalar(select(func.pg_advisory_xact_lock(-guild_id - 2)))


def lock_naming(connection: Connection, guild_id: int) -> None:
    """Wait until no other transaction names a template in the server; the lock goes with the transaction."""
    connection.scalar(select(func.pg_advisory_xact_lock(-guild_id - 1)))


def lock_guild(connection: Connection, guild_id: int) -> None:
    """Wait until no other transaction writes into the server's record; the lock goes with the transaction."""
    # One number instead of two: these never meet the locks above.
    connection.scalar(select(func.pg_advisory_xact_lock(guild_id)))


def number_above(connection: Connection, table: Table, highest: int) -> None:
    """Let the table's own numbers go on above that one, if they do not yet; this is never taken back."""
    numbers = func.pg_get_serial_sequence(table.name, "id")
    connection.scalar(select(func.setval(numbers, func.greatest(func.nextval(numbers), highest))))


def words(error: DBAPIError) -> str:
    """Return what the server says, without the details in which it quotes the row."""
    primary: str | None = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return primary or " ".join(str(error.orig).split("\n", 1)[0].split())


def _create_engine(url: URL) -> Engine:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "options": " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items()),
        "application_name": "herald",
        # Without it, a database that knows no encoding gives bytes where the driver expects words.
        "client_encoding": "utf8",
        **_KEEPALIVE,
    }
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args=arguments,
        )
    except ImportError:
        raise ConfigurationError(
            "DATABASE_URL: PostgreSQL needs another package: make install in Herald's folder brings it;"
            " or name a file."
        ) from None


def _refuse_shared(session: Connection, other: Connection, url: URL) -> None:
    """Raise ConfigurationError if a pooler hands sessions round, and their locks with them."""
    seen = select(func.current_setting(_MARK, True))
    for _ in range(_LOOKS):
        mark = str(uuid4())
        session.execute(select(func.set_config(_MARK, mark, False)))
        if other.scalar(seen) == mark or session.scalar(seen) != mark:
            raise ConfigurationError(
                f"DATABASE_URL: {url.render_as_string(hide_password=True)} is a pooler that shares"
                " connections between transactions: connect to the server itself, or let the pooler keep"
                " one connection for each session."
            )


def _check(session: Connection, url: URL) -> None:
    place = url.render_as_string(hide_password=True)
    if session.scalar(text("SHOW synchronous_commit")) != "on":
        raise ConfigurationError(
            f"DATABASE_URL: {place} confirms what it may still forget: connect to the server itself,"
            " with synchronous_commit on."
        )
    if (encoding := session.scalar(text("SHOW server_encoding"))) != "UTF8":
        raise ConfigurationError(
            f"DATABASE_URL: {place} keeps its texts in {encoding}, which lacks most of the world's"
            " characters: make a database with ENCODING 'UTF8'."
        )


def _identity(session: Connection) -> str:
    """Return the question by which the server tells which database this is, as far as it may be asked."""
    told = (part if _is_answered(session, part) else "''" for part in _IDENTITY)
    return " || '/' || ".join(f"coalesce({part}, '')" for part in told)


def _is_answered(session: Connection, part: str) -> bool:
    # A server of somebody else's may keep some of it to itself.
    try:
        session.execute(text(f"SELECT {part}"))
    except DBAPIError:
        return False
    return True
