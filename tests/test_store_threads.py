"""Works of the store run whole in threads of their own, whatever becomes of whoever asked for them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any, Final

import psycopg
import pytest
import pytest_asyncio

from bot.app import Parts, Worker
from bot.errors import CommitUnknown, NotAllowed, Refused, StoreError
from bot.permissions import Action
from bot.service.gate import Gate
from bot.store import Access, Store, Transaction, sqlite
from bot.store.facts import Fact
from bot.store.outbox import PostKind
from bot.store.store import POSTGRESQL_WRITERS, READERS
from tests.conftest import Postgres
from tests.harness.clock import NOW, ManualClock
from tests.harness.people import Members, member, submitted
from tests.harness.policy import GUILD, POLICY, parsed
from tests.harness.process import settings_of
from tests.waiting import until

NAME: Final = Fact("name", str, str)
# Long enough for what is wrong to go ahead; what is right is not waited for.
A_MOMENT: Final = 0.1
NOBODY: Final = member(9, "Sam")


class Held:
    """A work that has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = Event()
        self.let_go = Event()

    def wait(self, _: Transaction) -> None:
        """Wait, and change nothing."""
        self.begun.set()
        self.let_go.wait()

    def keep(self, tx: Transaction, value: str) -> None:
        """Change something before and show something after."""
        tx.facts.set(NAME, value)
        self.wait(tx)
        show(tx)

    def refuse(self, tx: Transaction) -> None:
        self.wait(tx)
        raise NotAllowed("You may not.")


def keep(tx: Transaction, value: str) -> None:
    tx.facts.set(NAME, value)


def kept(tx: Transaction) -> str | None:
    return tx.facts.get(NAME)


def show(tx: Transaction) -> None:
    tx.outbox.add_post(PostKind.FREEZE, guild_id=1, channel_id=2, at=NOW)


def fail(tx: Transaction) -> None:
    keep(tx, "half")
    show(tx)
    raise ZeroDivisionError


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with Store.open(database_url) as opened:
        yield opened


@pytest.fixture
def held() -> Iterator[Held]:
    work = Held()
    yield work
    work.let_go.set()


async def cancelled(task: "asyncio.Task[Any]") -> None:
    """Cancel, and see that whoever waited is told of nothing else."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture(autouse=True)
async def told() -> AsyncIterator[None]:
    """Nothing goes wrong behind the back of whoever asked."""
    behind: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: behind.append(context))
    yield
    assert behind == []


# --- whoever is cancelled ---------------------------------------------------------------------------


async def test_whoever_is_cancelled_before_their_work_begins_leaves_nothing(database_url: str) -> None:
    held = Held()
    async with Store.open(database_url) as store:
        busy = [asyncio.create_task(store.write(held.wait)) for _ in range(POSTGRESQL_WRITERS)]
        waiting = asyncio.create_task(store.write(keep, "value"))
        await until(held.begun.is_set)
        await cancelled(waiting)
        held.let_go.set()
        await asyncio.gather(*busy)
    async with Store.open(database_url) as store:
        assert await store.read(kept) is None


async def test_whoever_is_cancelled_in_the_midst_leaves_it_wholly_done(database_url: str, held: Held) -> None:
    async with Store.open(database_url) as store:
        heard = store.wakeup.listen()
        writing = asyncio.create_task(store.write(held.keep, "value"))
        await until(held.begun.is_set)
        await cancelled(writing)
        assert await store.read(kept) is None
        held.let_go.set()
        # What is to be shown is told, though nobody waits for it.
        await heard.wait()
        assert await store.write(kept) == "value"


async def test_a_work_that_fails_after_its_caller_was_cancelled_leaves_nothing_and_tells_nobody(
    store: Store, held: Held
) -> None:
    def fail_late(tx: Transaction) -> None:
        held.keep(tx, "half")
        fail(tx)

    writing = asyncio.create_task(store.write(fail_late))
    await until(held.begun.is_set)
    await cancelled(writing)
    held.let_go.set()
    await store.write(keep, "whole")
    assert await store.read(kept) == "whole"


async def test_closing_waits_for_the_work_under_way(database_url: str) -> None:
    begun, closed, early = Event(), Event(), list[bool]()

    def outlast(tx: Transaction) -> None:
        keep(tx, "value")
        begun.set()
        early.append(closed.wait(A_MOMENT))

    async with Store.open(database_url) as store:
        writing = asyncio.create_task(store.write(outlast))
        await until(begun.is_set)
    closed.set()
    await writing
    assert early == [False]
    async with Store.open(database_url) as store:
        assert await store.read(kept) == "value"


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Access.WRITE, Access.READ], ids=["write", "read"])
async def test_a_refusal_is_recorded_though_whoever_was_refused_no_longer_waits(
    database_url: str, mode: Access, held: Held
) -> None:
    def record(tx: Transaction, refusal: Refused) -> None:
        keep(tx, str(refusal))

    async with Store.open(database_url) as store:
        asking = asyncio.create_task(store.attempt(mode, held.refuse, record))
        await until(held.begun.is_set)
        await cancelled(asking)
        held.let_go.set()
    async with Store.open(database_url) as store:
        assert await store.read(kept) == "You may not."


async def test_whoever_stops_waiting_while_their_refusal_is_recorded_keeps_it_from_nothing(
    database_url: str, held: Held
) -> None:
    def refuse(_: Transaction) -> None:
        raise NotAllowed("You may not.")

    def record(tx: Transaction, refusal: Refused) -> None:
        keep(tx, str(refusal))

    async with Store.open(database_url) as store:
        busy = [asyncio.create_task(store.write(held.wait)) for _ in range(POSTGRESQL_WRITERS)]
        await until(held.begun.is_set)
        asking = asyncio.create_task(store.attempt(Access.READ, refuse, record))
        # Those who read have all had their turn: the refusal waits for a writer.
        for _ in range(2 * READERS):
            await store.read(kept)
        await cancelled(asking)
        held.let_go.set()
        await asyncio.gather(*busy)
    async with Store.open(database_url) as store:
        assert await store.read(kept) == "You may not."


async def test_refusals_that_wait_for_a_writer_keep_nobody_from_reading(store: Store, held: Held) -> None:
    def refuse(_: Transaction) -> None:
        raise NotAllowed("You may not.")

    def record(_: Transaction, __: Refused) -> None:
        """Only its turn counts."""

    busy = [asyncio.create_task(store.write(held.wait)) for _ in range(POSTGRESQL_WRITERS)]
    await until(held.begun.is_set)
    asking = [asyncio.create_task(store.attempt(Access.READ, refuse, record)) for _ in range(2 * READERS)]
    # They are asked first, and so have their turn before whoever only reads.
    await asyncio.sleep(0)
    assert await store.read(kept) is None
    held.let_go.set()
    refused = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(one) for one in refused] == ["You may not."] * len(asking)
    await asyncio.gather(*busy)


@pytest.mark.parametrize("only_asks", [False, True])
async def test_a_refused_press_stands_in_the_record_though_it_was_cancelled(
    database_url: str, tmp_path: Path, held: Held, monkeypatch: pytest.MonkeyPatch, only_asks: bool
) -> None:
    really = Gate.decide

    def decide(gate: Gate, *args: Any) -> None:
        held.begun.set()
        held.let_go.wait()
        really(gate, *args)

    settings = settings_of(database_url, tmp_path, origin="https://sandbox-api.whop.com")
    clock = ManualClock()
    async with Store.open(database_url) as store:
        parts = Parts(store=store, role_source=Members(), clock=clock, steady=clock.steady)
        async with Worker.open(settings, parsed(POLICY), **parts) as worker:
            waiting = await submitted(worker.service)
            monkeypatch.setattr(Gate, "decide", decide)
            service = worker.service
            press = (
                service.ask(NOBODY, Action.APPROVE, waiting.id, revision=1)
                if only_asks
                else service.approve(NOBODY, waiting.id, revision=1)
            )
            pressing = asyncio.create_task(press)
            await until(held.begun.is_set)
            await cancelled(pressing)
            held.let_go.set()
    async with Store.open(database_url) as store:
        last = (await store.read(lambda tx: tx.audit.of_guild(GUILD)))[-1]
    assert (last.action, last.actor, last.broadcast_id) == ("refused approve", NOBODY.person, waiting.id)


# --- turns ------------------------------------------------------------------------------------------


async def test_works_on_a_file_take_turns_in_the_order_they_were_asked(sqlite_url: str, held: Held) -> None:
    turns: list[int] = []

    def turn(_: Transaction, number: int) -> None:
        turns.append(number)

    async with Store.open(sqlite_url) as store:
        first = asyncio.create_task(store.write(held.wait))
        rest = [asyncio.create_task(store.write(turn, number)) for number in range(20)]
        await until(held.begun.is_set)
        held.let_go.set()
        await asyncio.gather(first, *rest)
    assert turns == list(range(20))


async def test_readers_and_the_loop_go_on_beside_a_writer(store: Store, held: Held) -> None:
    await store.write(keep, "before")
    writing = asyncio.create_task(store.write(held.keep, "after"))
    await until(held.begun.is_set)
    for _ in range(2 * READERS):
        assert await store.read(kept) == "before"
        assert await store.glance(kept) == "before"
    assert not writing.done()
    held.let_go.set()
    await writing
    assert await store.read(kept) == "after"


@pytest.mark.parametrize("access", ["write", "read", "glance"])
async def test_the_loop_goes_on_while_a_work_waits(store: Store, held: Held, access: str) -> None:
    working = asyncio.create_task(getattr(store, access)(held.wait))
    # Only a loop that goes on can let it go.
    await until(held.begun.is_set)
    held.let_go.set()
    await working


# --- errors -----------------------------------------------------------------------------------------


async def test_a_work_that_raises_leaves_nothing_and_its_own_error_comes_out(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await store.write(fail)
    assert await store.read(kept) is None


@pytest.mark.parametrize("access", ["write", "read"])
async def test_an_error_in_one_work_does_not_hurt_the_next(store: Store, access: str) -> None:
    def break_the_statement(tx: Transaction) -> None:
        tx.facts._connection.exec_driver_sql("SELECT * FROM nothing")  # pyright: ignore[reportPrivateUsage]

    def break_the_work(_: Transaction) -> None:
        raise ZeroDivisionError

    run = getattr(store, access)
    # As often as every thread and every connection has had one.
    for _ in range(2 * POSTGRESQL_WRITERS):
        with pytest.raises(StoreError):
            await run(break_the_statement)
        with pytest.raises(ZeroDivisionError):
            await run(break_the_work)
    await store.write(keep, "value")
    assert await run(kept) == "value"


def in_trouble(why: str) -> str:
    return f"The database is in trouble ({why}); nothing was changed."


async def assert_trouble(store: Store, why: str) -> None:
    with pytest.raises(StoreError) as caught:
        await store.write(keep, "value")
    assert str(caught.value) == in_trouble(why)


async def test_a_file_that_another_program_locks_gives_one_sentence(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with Store.open(sqlite_url) as store, Store.open(sqlite_url, alone=False) as other:
        with other.begin():
            await assert_trouble(store, "database is locked")
        await store.write(keep, "value")


async def test_a_file_that_is_full_gives_one_sentence_and_is_written_again_once_it_is_not(
    sqlite_url: str,
) -> None:
    def limit(tx: Transaction, pages: int) -> None:
        tx.facts._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # pyright: ignore[reportPrivateUsage]

    def fill(tx: Transaction) -> None:
        # No fewer than there are: then it is full as it stands.
        limit(tx, 1)
        keep(tx, "x" * 1_000_000)

    async with Store.open(sqlite_url) as store:
        with pytest.raises(StoreError) as caught:
            await store.write(fill)
        assert str(caught.value) == in_trouble("database or disk is full")
        assert await store.read(kept) is None
        await store.write(limit, 1_000_000)
        await store.write(keep, "value")
        assert await store.read(kept) == "value"


async def test_a_file_that_can_only_be_read_gives_one_sentence(sqlite_url: str) -> None:
    with Store.open_to_read(sqlite_url) as store:
        await assert_trouble(store, "attempt to write a readonly database")


async def test_a_servers_database_that_is_gone_gives_one_sentence(postgres: Postgres) -> None:
    name = postgres.new()
    async with Store.open(postgres.url(name)) as store:
        await store.write(keep, "value")
        postgres.drop(name)
        with pytest.raises(StoreError, match=f'database "{name}" does not exist') as caught:
            await store.write(keep, "another")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; nothing was changed.")


LOST: Final[Mapping[str, Callable[[], Exception]]] = {
    "sqlite": lambda: _with_code(sqlite3.OperationalError("disk I/O error"), sqlite3.SQLITE_IOERR),
    "postgresql": lambda: psycopg.OperationalError("server closed the connection unexpectedly"),
}
REFUSED: Final[Mapping[str, Callable[[], Exception]]] = {
    "sqlite": lambda: _with_code(sqlite3.OperationalError("database is full"), sqlite3.SQLITE_FULL),
    "postgresql": lambda: psycopg.errors.SerializationFailure("could not serialize access"),
}


def _with_code(error: sqlite3.Error, code: int) -> sqlite3.Error:
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "refused"])
async def test_a_commit_whose_answer_was_lost_is_not_taken_for_nothing_changed(
    store: Store, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    def dialect(tx: Transaction) -> Any:
        return tx.facts._connection.dialect  # pyright: ignore[reportPrivateUsage]

    found = await store.read(dialect)
    commit, what = found.do_commit, (LOST if lost else REFUSED)[found.name]

    def broken(connection: Any) -> None:
        if lost:
            commit(connection)
        raise what()

    monkeypatch.setattr(found, "do_commit", broken)
    with pytest.raises(StoreError) as caught:
        await store.write(keep, "value")
    monkeypatch.undo()
    assert isinstance(caught.value, CommitUnknown) is lost
    assert await store.read(kept) == ("value" if lost else None)


# --- the wakeup -------------------------------------------------------------------------------------


async def test_who_listens_is_woken_by_what_is_to_be_shown_and_by_nothing_else(store: Store) -> None:
    heard = store.wakeup.listen()
    with pytest.raises(ZeroDivisionError):
        await store.write(fail)
    await store.write(keep, "value")
    await store.read(kept)
    assert not heard.is_set()
    await store.write(show)
    assert heard.is_set()
