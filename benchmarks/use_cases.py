"""What each thing that a person does asks of the database and costs in CPU, beside one bare row."""

import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks import workload
from benchmarks.databases import Databases
from benchmarks.figures import Row, row
from benchmarks.workload import MAYA, OMAR, ONE, TOPIC, Unlimited, Workload
from bot.audit.search import Search
from bot.broadcast import Broadcast
from bot.errors import Refused
from bot.notification import Notification, Text
from bot.permissions import Action, Actor
from bot.service import PAGE, Service
from tests.harness.people import CHANNEL, GUILD, submitted
from tests.harness.policy import AUDIT
from tests.harness.statements import counted

BARE: Final = "plain sqlite3: one INSERT, and COMMIT"
WORDS: Final = Notification(topic=TOPIC, all=Text(subject="We are live", content="Come in"))
# Nothing is due meanwhile.
UNDO_SECONDS: Final = 3600
LISTED: Final = 25
# Nothing is sent.
NOWHERE: Final = "http://127.0.0.1:1"
_PRESSES: Final = count(1)

Prepare: TypeAlias = Callable[[Service], Awaitable[Broadcast]]
Act: TypeAlias = Callable[[Service, Broadcast], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Case:
    """What somebody does, and what it is done to."""

    prepare: Prepare
    act: Act


def _press(actor: Actor) -> Actor:
    """Return someone whose press is an interaction of its own, as Discord's are."""
    return replace(actor, interaction=next(_PRESSES))


async def _draft(service: Service) -> Broadcast:
    return await service.compose(_press(MAYA), audience=ONE, notification=WORDS, channel_id=CHANNEL)


async def _review(service: Service) -> Broadcast:
    return await submitted(service, ONE, author=MAYA, words=WORDS)


async def _approved(service: Service) -> Broadcast:
    waiting = await _review(service)
    return await service.approve(_press(OMAR), waiting.id, revision=1)


async def _refused(service: Service, broadcast: Broadcast) -> None:
    with suppress(Refused):
        await service.approve(_press(MAYA), broadcast.id, revision=1)


AUDITOR: Final = replace(OMAR, roles=OMAR.roles | {AUDIT})
CASES: Final[Mapping[str, Case]] = {
    "compose": Case(_draft, lambda service, _: _draft(service)),
    "edit": Case(
        _draft, lambda service, one: service.edit(_press(MAYA), one.id, revision=1, notification=WORDS)
    ),
    "press Submit": Case(_draft, lambda service, one: service.submittable(MAYA, one.id, revision=1)),
    "submit": Case(_draft, lambda service, one: service.submit(_press(MAYA), one.id, revision=1)),
    "press Approve": Case(
        _review, lambda service, one: service.ask(OMAR, Action.APPROVE, one.id, revision=1)
    ),
    "approve": Case(_review, lambda service, one: service.approve(_press(OMAR), one.id, revision=1)),
    "approve one's own, refused": Case(_review, _refused),
    "ask for changes": Case(
        _review,
        lambda service, one: service.request_changes(_press(OMAR), one.id, revision=1, reason="Too long"),
    ),
    "reject": Case(
        _review, lambda service, one: service.reject(_press(OMAR), one.id, revision=1, reason="Not now")
    ),
    "withdraw": Case(_review, lambda service, one: service.withdraw(_press(MAYA), one.id, revision=1)),
    "stop": Case(_approved, lambda service, one: service.stop(_press(OMAR), one.id, revision=1)),
    "cancel": Case(_draft, lambda service, one: service.cancel(_press(MAYA), one.id, revision=1)),
    "show": Case(_review, lambda service, one: service.look(OMAR, one.id)),
    f"page of {PAGE}, of {LISTED}": Case(_review, lambda service, _: service.queue(OMAR)),
    "keystroke of autocomplete": Case(_review, lambda service, _: service.suggestions(OMAR)),
    "page of the record": Case(
        _review, lambda service, _: service.audit(AUDITOR, Search(guild_id=GUILD, person=MAYA.id))
    ),
}


async def measure(databases: Databases, *, times: int) -> list[Row]:
    """Return the table's lines."""
    url, folder = databases.new("SQLite")
    bare = _bare(folder / "bare.db", times * 5)
    rows = [row(BARE, [seconds * 1000 for seconds in bare], "ms of CPU")]
    base = sorted(bare)[len(bare) // 2]
    async with workload.opened(url, folder, Unlimited(NOWHERE), origin=NOWHERE, undo=UNDO_SECONDS) as herald:
        for _ in range(LISTED):
            await _review(herald.service)
        for what, case in CASES.items():
            statements, seconds = await _measured(herald, case, times)
            rows.append(
                row(
                    f"{what}; statements: {statements}",
                    [one * 1000 for one in seconds],
                    "ms of CPU",
                    ratios=[one / base for one in seconds],
                )
            )
    return rows


async def _measured(herald: Workload, case: Case, times: int) -> tuple[int, list[float]]:
    """Return the number of statements, and the CPU of all threads each time."""
    done = await case.prepare(herald.service)
    with counted() as statements:
        await case.act(herald.service, done)
    seconds: list[float] = []
    for _ in range(times):
        one = await case.prepare(herald.service)
        begun = time.process_time()
        await case.act(herald.service, one)
        seconds.append(time.process_time() - begun)
    return len(statements), seconds


def _bare(file: Path, times: int) -> list[float]:
    """Return the CPU of each row that is written as durably as Herald does."""
    seconds: list[float] = []
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, words TEXT)")
        for _ in range(times):
            begun = time.process_time()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO notes (words) VALUES (?)", (WORDS.model_dump_json(),))
            connection.execute("COMMIT")
            seconds.append(time.process_time() - begun)
    return seconds
