"""The points at which a worker can be made to die or to stop: each SQL statement, COMMIT and step of HTTP."""

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import psycopg
from sqlalchemy import Engine, Pool, PoolProxiedConnection, event
from sqlalchemy.engine.default import DefaultDialect

from bot.whop.transport import Transport

# What a worker says when it has everything in place, when it stops itself after a claim, when it has written
# something, and when it does not hear that it has.
READY, STOPPED, WRITTEN, LOST = b"ready", b"stopped", b"written", b"lost"
_WRITES = ("INSERT", "UPDATE", "DELETE")
HTTP = (
    "on_request_start",
    "on_connection_create_start",
    "on_connection_create_end",
    "on_request_headers_sent",
    "on_request_chunk_sent",
    "on_response_chunk_received",
    "on_request_end",
    "on_request_exception",
)


class Points:
    """Count the points of this process; die at one of them, or tell of each."""

    def __init__(
        self, said: Connection, *, kill_at: int | None, lose_at: int | None = None, tells: bool
    ) -> None:
        self._said = said
        self._kill_at = kill_at
        self._lose_at = lose_at
        self._writes = 0
        self._transaction = threading.local()
        self._tells = tells
        self._reached = 0
        self._one_by_one = threading.Lock()
        self._armed = False
        self._claiming = False

    def install(self) -> None:
        """Stand at every point of all databases and of the connection to Whop."""
        event.listen(Engine, "before_cursor_execute", self._before_statement)
        event.listen(Engine, "after_cursor_execute", self._after_statement)
        event.listen(Engine, "commit", self._before_commit)
        # A connection is reset as soon as its transaction is over.
        event.listen(Pool, "reset", self._transaction_over)
        _after_each_commit(self._committed)
        _whenever_a_session_opens(self._watch)
        signal.signal(signal.SIGUSR1, self._arm)
        self._said.send_bytes(READY)

    def reach(self, name: str) -> None:
        """Come to a point."""
        # The store's threads come here, too.
        with self._one_by_one:
            self._reached += 1
            if self._tells:
                self._said.send_bytes(name.encode())
            if self._reached == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _before_statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._transaction.writes = self._writing or statement.startswith(_WRITES)
        self.reach(f"before {_words(statement)}")

    def _after_statement(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._claiming |= statement.startswith("INSERT INTO attempts")
        self.reach(f"after {_words(statement)}")

    def _before_commit(self, _connection: Any) -> None:
        self.reach("before COMMIT")

    @property
    def _writing(self) -> bool:
        return getattr(self._transaction, "writes", False)

    def _committed(self, connection: PoolProxiedConnection) -> None:
        """Let the answer to one COMMIT be lost, after the database has done it."""
        if not self._writing:
            return
        with self._one_by_one:
            self._writes += 1
            if self._tells:
                self._said.send_bytes(WRITTEN)
            if self._writes != self._lose_at:
                return
        self._said.send_bytes(LOST)
        if isinstance(cut := connection.dbapi_connection, psycopg.Connection):
            # The connection itself, and not the pool's hold on it, as when a server goes away.
            cut.close()
            raise psycopg.OperationalError("the connection was cut")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    def _transaction_over(self, *_: Any) -> None:
        self._transaction.writes = False
        self.reach("after COMMIT")
        if self._claiming and self._armed:
            self._armed = False
            self._said.send_bytes(STOPPED)
            os.kill(os.getpid(), signal.SIGSTOP)
        self._claiming = False

    def _arm(self, *_: Any) -> None:
        self._armed = True

    def _watch(self, session: aiohttp.ClientSession) -> None:
        trace = aiohttp.TraceConfig()
        for name in HTTP:
            getattr(trace, name).append(self._standing_at(name))
        trace.on_request_start.append(_sign)
        trace.freeze()
        session.trace_configs.append(trace)

    def _standing_at(self, name: str) -> Callable[..., Any]:
        async def stand(*_: Any) -> None:
            self.reach(name)

        return stand


async def _sign(_session: Any, _context: Any, params: aiohttp.TraceRequestStartParams) -> None:
    # So that whoever holds the request can say which process is inside its POST.
    params.headers["Worker"] = str(os.getpid())


def _after_each_commit(tell: Callable[[PoolProxiedConnection], None]) -> None:
    commit = DefaultDialect.do_commit

    def do_commit(self: DefaultDialect, dbapi_connection: PoolProxiedConnection) -> None:
        commit(self, dbapi_connection)
        tell(dbapi_connection)

    DefaultDialect.do_commit = do_commit


def _whenever_a_session_opens(watch: Callable[[aiohttp.ClientSession], None]) -> None:
    enter = Transport.__aenter__

    async def enter_watched(self: Transport) -> Transport:
        entered = await enter(self)
        watch(entered._session)  # pyright: ignore[reportPrivateUsage]
        return entered

    Transport.__aenter__ = enter_watched


def _words(statement: str) -> str:
    words = statement.split()
    if words[0] == "SELECT" and "FROM" in words:
        return f"SELECT FROM {words[words.index('FROM') + 1]}"
    return " ".join(words[:3])
