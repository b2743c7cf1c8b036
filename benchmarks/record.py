"""What it takes to verify the record, beside plain Python that reads, decodes and hashes the same bytes."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from benchmarks.databases import Databases
from benchmarks.figures import Row, over, row
from bot.audit.chain import NewEvent, Verifier
from bot.audit.export import FORMATS, Chapter, Export, Header
from bot.store import Access, Store
from bot.value import Person

GUILD: Final = 104900000000000001
START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
FROM_DATABASE: Final = "plain Python: rows read, lines hashed"
FROM_FILE: Final = "plain Python: lines read, decoded, hashed"


async def measure(databases: Databases, *, lines: int, rounds: int) -> list[Row]:
    """Return the table's lines; each round measures all of them, one after the other."""
    url, folder = databases.new("SQLite")
    async with Store.open(url) as store:
        await store.write(lambda tx: [tx.audit.append(_event(number)) for number in range(lines)])
    database, file = str(make_url(url).database), folder / "record.jsonl"
    _export(url, file)
    ways: dict[str, tuple[Callable[[], object], str]] = {
        FROM_DATABASE: (lambda: _read_rows(database), FROM_DATABASE),
        "herald audit verify": (lambda: _verify(url), FROM_DATABASE),
        "herald audit export": (lambda: _export(url, file), FROM_DATABASE),
        FROM_FILE: (lambda: _read_lines(file), FROM_FILE),
        "herald audit verify --file": (lambda: _verify_file(file), FROM_FILE),
    }
    speeds: dict[str, list[float]] = {what: [] for what in ways}
    for _ in range(rounds):
        for what, (way, _base) in ways.items():
            begun = time.process_time()
            way()
            speeds[what].append(lines / (time.process_time() - begun))
    return [
        row(what, speeds[what], "lines / CPU s", ratios=over(speeds[what], speeds[base]))
        for what, (_, base) in ways.items()
    ]


def _event(number: int) -> NewEvent:
    return NewEvent(
        guild_id=GUILD,
        at=START + timedelta(seconds=number, microseconds=number % 1_000_000),
        actor=Person(104900000000000031, "Maya Müller"),
        action="approve",
        broadcast_id=number // 5 + 1,
        proof="ABCD1234",
        detail="1 of 2 approvals: the market opens in five minutes",
    )


def _read_rows(database: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT * FROM audit_events ORDER BY guild_id, sequence")
        for one in rows:
            hashlib.sha256(json.dumps(one).encode()).hexdigest()


def _read_lines(file: Path) -> None:
    with file.open("rb") as stream:
        for line in stream:
            json.loads(line)
            hashlib.sha256(line).hexdigest()


def _verify(url: str) -> None:
    verifier = Verifier()
    with Store.open_to_read(url) as store, store.begin(Access.READ) as tx:
        for lines in tx.audit.lines():
            for line in lines:
                verifier.read(line)
    _hold(verifier)


def _export(url: str, file: Path) -> None:
    form = FORMATS["jsonl"]
    with Store.open_to_read(url) as store, store.begin(Access.READ) as tx, file.open("w") as stream:
        heads = {
            str(guild): Chapter(name="Benchmark", head=str(head)) for guild, head in tx.audit.heads().items()
        }
        header = Header(at=START.isoformat(), servers=heads, filters={})
        stream.write(form.begin(header))
        for lines in tx.audit.lines():
            stream.write(form.lines(header, lines))


def _verify_file(file: Path) -> None:
    export = Export(file, anchors=[])
    for _ in export.read():
        pass
    _hold(export.verifier)


def _hold(verifier: Verifier) -> None:
    if not verifier.chains or not verifier.holds:
        raise RuntimeError("the record that was written does not hold")
