"""What people look for after a long past, beside the newest rows by their number on a bare connection."""

import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks import workload
from benchmarks.databases import Databases, Kind
from benchmarks.figures import Row, latency
from benchmarks.workload import MAYA, OMAR, Unlimited
from bot.filter import Filter
from bot.permissions import Action
from bot.service import PAGE, Service
from bot.store import Store, Transaction
from cogs.choices import of_audience, offered
from tests.harness.past import lay_past
from tests.harness.people import GUILD
from tests.harness.policy import COMPOSE, audience

BEGIN: Final = datetime(2025, 1, 1, tzinfo=UTC)
NOWHERE: Final = "http://127.0.0.1:1"
BARE: Final = f"bare connection: the newest {PAGE + 1} rows"
NEWEST: Final = f"SELECT * FROM broadcasts ORDER BY id DESC LIMIT {PAGE + 1}"
# About as long as a notification with its subject, so that looking through all of them is no less work.
SAID: Final = " ".join(["the market opens in five minutes, and we are there"] * 6)
# An author of that past, who wrote each fiftieth.
AUTHOR: Final = 7
WRITER: Final = replace(OMAR, id=AUTHOR, roles=OMAR.roles | {COMPOSE})

Ask = Callable[[Service], Awaitable[object]]


def _history(**what: Any) -> Ask:
    return lambda service: service.history(OMAR, Filter(**what))


CASES: Final[Mapping[str, Ask]] = {
    "history": _history(),
    "history: words that nobody said": _history(words="never said"),
    "history: words that everybody said": _history(words="market"),
    "history: a person": _history(person=AUTHOR),
    "history: an audience, and words that nobody said": _history(audience="Audience 7", words="never said"),
    "history: a topic": _history(topic="topic1"),
    "history: until long ago, and words that nobody said": _history(
        until=date(2025, 3, 1), words="never said"
    ),
    "queue": lambda service: service.queue(OMAR),
    "drafts": lambda service: service.drafts(WRITER),
    "drafts: words that nobody said": lambda service: service.drafts(WRITER, Filter(words="never said")),
    "keystroke of autocomplete: broadcasts": lambda service: service.suggestions(WRITER),
    "keystroke of autocomplete: audiences and topics": lambda service: service.offered_searches(WRITER),
}


# Of one server.
AUDIENCES: Final = 1_000


async def measure(databases: Databases, *, times: int, past_broadcasts: int) -> list[Row]:
    """Return the table's lines: each question so often, after so many broadcasts, on both databases."""
    rows: list[Row] = []
    for kind in ("SQLite", "PostgreSQL"):
        url, folder = databases.new(kind)
        async with Store.open(url) as store:
            await store.write(_lay, past_broadcasts)
        bare = _bare(kind, url, folder, times)
        base = sorted(bare)[len(bare) // 2]
        rows.append(latency(f"{kind}, {BARE}", bare, of="times"))
        async with workload.opened(url, folder, Unlimited(NOWHERE), origin=NOWHERE) as herald:
            for what, ask in CASES.items():
                seconds = [await _timed(ask, herald.service) for _ in range(times)]
                rows.append(latency(f"{kind}, {what}", seconds, base=base, of="times"))
    return [*rows, await _keystrokes(databases, times)]


async def _keystrokes(databases: Databases, times: int) -> Row:
    """Return how long it takes to offer some of very many audiences, as at each keystroke."""
    url, folder = databases.new("SQLite")
    many = (audience(f"Audience {number}", f"exp_{number}") for number in range(AUDIENCES))
    told = workload.policy() + "".join(many)
    async with workload.opened(url, folder, Unlimited(NOWHERE), origin=NOWHERE, told=told) as herald:
        seconds: list[float] = []
        for number in range(times):
            begun = time.perf_counter()
            open_to = herald.service.audiences(MAYA, Action.COMPOSE)
            if not offered(f"audience {number}", [of_audience(one) for one in open_to]):
                raise RuntimeError("no audience was offered")
            seconds.append(time.perf_counter() - begun)
    return latency(f"keystroke of autocomplete: {AUDIENCES:,} audiences", seconds, of="times")


def _lay(tx: Transaction, rows: int) -> None:
    lay_past(tx, guild=GUILD, rows=rows, begin=BEGIN, said=SAID)


async def _timed(ask: Ask, service: Service) -> float:
    begun = time.perf_counter()
    await ask(service)
    return time.perf_counter() - begun


def _bare(kind: Kind, url: str, folder: Path, times: int) -> list[float]:
    """Return how long a bare connection takes for as many rows."""
    connection: Any = (
        sqlite3.connect(folder / "herald.db")
        if kind == "SQLite"
        else psycopg.connect(url.replace("+psycopg", ""))
    )
    seconds: list[float] = []
    with closing(connection):
        for _ in range(times):
            begun = time.perf_counter()
            connection.execute(NEWEST).fetchall()
            seconds.append(time.perf_counter() - begun)
    return seconds
