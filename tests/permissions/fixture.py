"""The database on which a cell is tried: one broadcast, brought to a status by its whole history."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from pydantic import SecretStr

from bot.app import Worker
from bot.broadcast import Broadcast, Status, Step
from bot.delivery import DeliveryStatus
from bot.key_trust import Verdict, keep
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.service import Service
from bot.settings import Settings
from bot.store import Access, Store, Transaction
from bot.store.tables import metadata
from tests.database import new_file
from tests.harness.clock import NOW
from tests.harness.found import only
from tests.harness.people import Members
from tests.harness.policy import parsed
from tests.permissions.people import (
    AUDIENCE,
    GAINED_BEFORE,
    GUILD,
    KEYS,
    KIM,
    LOST_BEFORE,
    PEOPLE,
    POLICY,
    Who,
)

# Every private name in here belongs to the product.
# pyright: reportPrivateUsage=false

CHANNEL: Final = 19
Rows = dict[str, list[tuple[Any, ...]]]


class Line(NamedTuple):
    """A line of the record, as far as the table speaks of it."""

    guild: int
    actor: int
    name: str
    action: str
    broadcast: int | None
    proof: str
    detail: str


@dataclass(slots=True, kw_only=True)
class Fixture:
    """A broadcast in one status, a way back to that after each change, and sight of all tables."""

    service: Service
    it: Broadcast
    _store: Store
    _file: sqlite3.Connection
    _copy: sqlite3.Connection
    untouched: Rows = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, status: Status) -> AsyncGenerator[Self, None]:
        """Build it in a new database."""
        path = folder / "herald.db"
        async with Store.open(new_file(folder)) as store, AsyncExitStack() as stack:
            service = await stack.enter_async_context(_service(store, folder))
            number = await _composed_again(store, service)
            await _bring(store, service, number, status)
            with store.begin(Access.READ) as tx:
                it = tx.broadcasts.get(number)
            assert it.status is status
            await _hurry(store)
            with closing(sqlite3.connect(path)) as file, closing(sqlite3.connect(":memory:")) as copy:
                file.backup(copy)
                fixture = cls(service=service, it=it, _store=store, _file=file, _copy=copy)
                fixture.untouched = fixture.rows()
                yield fixture

    def reset(self) -> None:
        """Put everything back to how it was."""
        self._copy.backup(self._file)

    async def now(self) -> Broadcast:
        """Return the broadcast as it stands."""
        with self._store.begin(Access.READ) as tx:
            return tx.broadcasts.get(self.it.id)

    def rows(self) -> Rows:
        """Return everything that a refusal may not change: all rows but the record's and its mirror's."""
        return {name: self._file.execute(f"SELECT * FROM {rows}").fetchall() for name, rows in _ROWS.items()}

    def length(self) -> int:
        """Return how many lines all records have together."""
        return self._file.execute("SELECT count(*) FROM audit_events").fetchone()[0]

    def lines_after(self, length: int) -> list[Line]:
        """Return the lines that were written since there were so many."""
        rows = self._file.execute(
            "SELECT guild_id, actor_id, actor_name, action, broadcast_id, proof, detail"
            " FROM audit_events ORDER BY rowid LIMIT -1 OFFSET ?",
            (length,),
        )
        return [Line(*row) for row in rows]


_ROWS: Final = {name: name for name in metadata.tables if name != "audit_events"} | {
    "posts": "posts WHERE kind <> 'audit'"
}


async def _hurry(store: Store) -> None:
    with store.begin() as tx:
        # Each cell is tried as if its person had been refused nothing before.
        tx._connection.exec_driver_sql(
            "CREATE TRIGGER forgotten AFTER UPDATE ON refusals BEGIN DELETE FROM refusals; END"
        )
    # What a cell wrote need not outlive the machine.
    with store.begin(Access.GLANCE) as tx:
        tx._connection.exec_driver_sql("PRAGMA synchronous = OFF")


@asynccontextmanager
async def _service(store: Store, folder: Path) -> AsyncGenerator[Service, None]:
    settings = Settings.model_validate(
        {"discord_token": "fake-discord-token", "herald_config": folder / "herald.toml"}
        | {"database_url": "sqlite:///never opened", "herald_witness": folder / "herald.witness"}
    ).with_keys({key: SecretStr(f"fake {key}") for key in KEYS.values()})
    async with Worker.open(
        settings, parsed(POLICY), store=store, role_source=Members(), clock=lambda: NOW
    ) as worker:
        yield worker.service


async def _composed_again(store: Store, service: Service) -> int:
    """Let the editor write something that ends unknown, and the author compose it again."""
    words = Notification(topic="news", all=Text(subject="We are live", content="Come in"))
    editor = PEOPLE[Who.EDITOR]
    first = await service.compose(editor, audience=AUDIENCE, notification=words, channel_id=CHANNEL)
    await _bring(store, service, first.id, Status.UNKNOWN, author=Who.EDITOR)
    again = await service.send_again(PEOPLE[Who.AUTHOR], first.id, revision=1, channel_id=CHANNEL)
    sara = PEOPLE[Who.SHARED]
    await service.share(PEOPLE[Who.AUTHOR], again.id, revision=again.revision, chosen=[sara])
    return again.id


async def _bring(
    store: Store, service: Service, number: int, status: Status, *, author: Who = Who.AUTHOR
) -> None:
    """Take the steps that lead a draft to the status, each as whoever takes it in earnest."""
    if status is Status.DRAFT:
        return
    with store.begin() as tx:
        tx.members.saw(GUILD, GAINED_BEFORE.id, GAINED_BEFORE.roles, at=NOW)
        revision = (tx.broadcasts.get(number)).revision
    await service.submit(PEOPLE[author], number, revision=revision)
    await service.approve(LOST_BEFORE, number, revision=revision)
    if status is Status.REVIEW:
        return
    if status is Status.CANCELLED:
        await service.cancel(PEOPLE[author], number)
        return
    await service.approve(KIM, number, revision=revision)
    with store.begin() as tx:
        await _after_approval(tx, service, number, status)


async def _after_approval(tx: Transaction, service: Service, number: int, status: Status) -> None:
    before, lifecycle = tx.broadcasts.get(number), service.lifecycle
    if status is Status.APPROVED:
        return
    if status is Status.HELD:
        lifecycle.advance(tx, before, Step.HOLD, detail="the machine slept")
        return
    keep(tx, service.lifecycle.accounts[ACCOUNT], Verdict(honoured=True, words=""), at=NOW)
    targets = lifecycle.server_of(before).audiences[0].targets
    requests = lifecycle.accounts[ACCOUNT].gateway.build(
        before.notification, targets, new_key=lambda: "fake-key", number=number
    )
    tx.deliveries.add(before, requests, account=ACCOUNT, at=NOW)
    delivery = only(tx.deliveries.of(number))
    claim = only(tx.deliveries.claim([delivery], owner="nobody", at=NOW))
    sending = lifecycle.advance(tx, before, Step.START)
    if status is not Status.SENDING:
        step, outcome = _ENDS[status]
        tx.deliveries.settle(claim, status=outcome, detail="", at=NOW)
        lifecycle.advance(tx, sending, step)


# What becomes of the one request; a part of one request cannot be accepted, but the status is what counts.
_ENDS: Final = {
    Status.SENT: (Step.ACCEPTED, DeliveryStatus.ACCEPTED),
    Status.PARTIAL: (Step.PARTLY, DeliveryStatus.ACCEPTED),
    Status.FAILED: (Step.NOT_ACCEPTED, DeliveryStatus.REJECTED),
    Status.UNKNOWN: (Step.UNANSWERED, DeliveryStatus.UNKNOWN),
}
