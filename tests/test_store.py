"""The store keeps all or nothing, belongs to one process, and says in one sentence what keeps it shut."""

import asyncio
import os
import sqlite3
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, closing, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
import pytest_asyncio
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, func, insert, select, type_coerce, update
from sqlalchemy.ext.asyncio import create_async_engine

from bot.audit.chain import HERALD, NewEvent
from bot.broadcast import ENDED, TRANSITIONS, Approval, Broadcast, Status
from bot.delivery import Delivery, DeliveryStatus, Request
from bot.errors import ConfigurationError, StoreError
from bot.notification import Notification, Text
from bot.policy.model import ACCOUNT
from bot.store import Access, Changes, Store, Transaction, migrating, postgresql, sqlite
from bot.store.conditions import database_time
from bot.store.deliveries import LEASE
from bot.store.facts import Fact
from bot.store.tables import approvals, broadcasts, deliveries, interactions, metadata, revisions
from bot.store.transaction import FORGOTTEN_AT_ONCE
from bot.value import Person
from tests.conftest import Postgres
from tests.harness.deliveries import may_go
from tests.harness.found import only

NAME: Final = Fact("name", str, str)
OTHER: Final = Fact("other", str, str)


NOW = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
MAYA, OMAR, LENA = Person(101, "Maya"), Person(102, "Omar"), Person(103, "Lena")
TYPED = "words-that-a-person-typed"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "herald.db"


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with Store.open(database_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def file_store(file: Path) -> AsyncIterator[Store]:
    async with Store.open(url(file)) as opened:
        yield opened


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def write(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)


def read(file: Path) -> str:
    return file.read_text()


def remove(file: Path) -> None:
    file.unlink()


def words(subject: str = "We are live") -> Notification:
    return Notification(topic="news", all=Text(subject=subject, content="Come in"))


async def add_draft(
    store: Store, *, fingerprint: str = "a" * 64, at: datetime = NOW, subject: str = "We are live"
) -> Broadcast:
    with store.begin() as tx:
        return tx.broadcasts.add(
            guild_id=1,
            author=MAYA,
            audience="Gold",
            notification=words(subject),
            fingerprint=fingerprint,
            origin_channel_id=5,
            at=at,
        )


async def reload(store: Store, broadcast: Broadcast) -> Broadcast:
    with store.begin(Access.READ) as tx:
        return tx.broadcasts.get(broadcast.id)


async def add_delivery(store: Store) -> Delivery:
    broadcast = await add_draft(store)
    request = Request(method="POST", url="https://api.whop.com/x", headers={"A": "b"}, body=b"\x00\xff")
    with store.begin() as tx:
        tx.deliveries.add(broadcast, [request], account=ACCOUNT, at=NOW)
        return (tx.deliveries.of(broadcast.id))[0]


async def claim(store: Store, delivery: Delivery) -> Delivery | None:
    with store.begin() as tx:
        return next(iter(tx.deliveries.claim([delivery], owner="me", at=NOW)), None)


async def claimed(store: Store) -> Delivery:
    taken = await claim(store, await add_delivery(store))
    assert taken is not None
    return taken


async def settle(store: Store, delivery: Delivery, status: DeliveryStatus) -> bool:
    with store.begin() as tx:
        return tx.deliveries.settle(delivery, status=status, detail="", at=NOW)


async def refusal(file: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        async with Store.open(url(file)):
            pass
    return str(caught.value)


def assert_one_mendable_sentence(sentence: str, file: Path) -> None:
    assert sentence.startswith(f"DATABASE_URL: {file}") or f" on {file}:" in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert any(mend in sentence for mend in ("name another", "name a file", "stop it first", "update Herald"))


# --- the tables ------------------------------------------------------------------------------------


# That of days, which the queries' plans show to be there.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_make_exactly_the_tables(database_url: str) -> None:
    def differences(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    engine = create_engine(database_url)
    with engine.connect() as connection:
        migrating.migrate(connection)
        assert differences(connection) == []
    engine.dispose()


async def test_opening_again_keeps_what_is_there(database_url: str) -> None:
    async with Store.open(database_url) as first:
        draft = await add_draft(first)
    async with Store.open(database_url) as second:
        assert await reload(second, draft) == draft


async def test_every_connection_to_a_file_is_durable_and_checks_its_keys(file_store: Store) -> None:
    # Several at once, so that the second is a new connection and not the first again.
    with file_store.begin() as writing, file_store.begin(Access.READ) as reading:
        for tx in (writing, reading):
            connection = tx.broadcasts._connection  # pyright: ignore[reportPrivateUsage]
            pragmas = {
                name: (connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert pragmas == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "busy_timeout": sqlite.BUSY_SECONDS * 1000,
            }


async def test_a_process_that_is_suspended_inside_a_transaction_lets_go_of_its_locks(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(Store.open(postgres_url, alone=False))
        # Its connection stands, with the time that it is given otherwise.
        with other.begin() as tx:
            tx.facts.get(NAME)
        monkeypatch.setitem(postgresql._OPTIONS, "idle_in_transaction_session_timeout", "300ms")  # pyright: ignore[reportPrivateUsage]
        one = await stack.enter_async_context(Store.open(postgres_url, alone=False))

        def be_suspended() -> None:
            with one.begin() as held:
                held.claim_alone()
                # It goes on only when the other has had its turn.
                with other.begin() as tx:
                    tx.claim_alone()
                held.facts.get(NAME)

        with pytest.raises(StoreError):
            be_suspended()


async def test_every_connection_to_a_server_is_durable_and_waits_for_nothing_for_ever(
    postgres_url: str,
) -> None:
    async with Store.open(postgres_url) as store:
        with store.begin() as writing, store.begin(Access.READ) as reading:
            assert_bounded(writing, "read committed", "off")
            assert_bounded(reading, "repeatable read", "on")


def assert_bounded(tx: Transaction, isolation: str, read_only: str) -> None:
    connection = tx.broadcasts._connection  # pyright: ignore[reportPrivateUsage]
    settings = {
        name: connection.exec_driver_sql(f"SHOW {name}").scalar()
        for name in (
            "synchronous_commit", "statement_timeout", "lock_timeout",
            "idle_in_transaction_session_timeout", "transaction_isolation", "transaction_read_only",
        )
    }  # fmt: skip
    assert settings == {
        "synchronous_commit": "on",
        "statement_timeout": "15s",
        "lock_timeout": "15s",
        "idle_in_transaction_session_timeout": "10s",
        "transaction_isolation": isolation,
        "transaction_read_only": read_only,
    }


def test_a_busy_database_is_waited_for_at_least_fifteen_seconds() -> None:
    assert sqlite.BUSY_SECONDS >= 15


async def test_what_only_reads_cannot_write(postgres_url: str) -> None:
    async with Store.open(postgres_url) as store:
        with pytest.raises(StoreError, match="read-only transaction"), store.begin(Access.READ) as tx:
            tx.facts.set(NAME, "value")


async def test_a_reader_sees_one_state_of_everything(store: Store) -> None:
    with store.begin(Access.READ) as reading:
        assert reading.facts.get(NAME) is None
        with store.begin() as tx:
            tx.facts.set(OTHER, "value")
        assert reading.facts.get(OTHER) is None


async def test_what_is_remembered_again_replaces_what_was(store: Store) -> None:
    with store.begin() as tx:
        tx.facts.set(NAME, "value")
        tx.facts.set(NAME, "another")
        assert tx.facts.get(NAME) == "another"


# --- all or nothing --------------------------------------------------------------------------------


async def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    async def fail() -> None:
        with store.begin() as tx:
            tx.facts.set(NAME, "value")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    with store.begin(Access.READ) as tx:
        assert tx.facts.get(NAME) is None


async def test_a_transaction_that_is_cancelled_leaves_nothing_and_no_lock(store: Store) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        with store.begin() as tx:
            tx.facts.set(NAME, "value")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    await asyncio.wait({task})
    with store.begin() as tx:
        assert tx.facts.get(NAME) is None
        tx.facts.set(NAME, "another")


async def test_readers_see_no_half_of_a_transaction(store: Store) -> None:
    with store.begin() as writing:
        writing.facts.set(NAME, "value")
        with store.begin(Access.READ) as reading:
            assert reading.facts.get(NAME) is None


async def test_a_row_without_its_broadcast_is_refused(store: Store) -> None:
    request = Request(method="POST", url="https://api.whop.com/x", headers={}, body=b"")
    lost = (await add_draft(store)).model_copy(update={"id": 404})
    with pytest.raises(StoreError), store.begin() as tx:
        tx.deliveries.add(lost, [request], account=ACCOUNT, at=NOW)


async def test_a_database_that_another_program_locks_raises_and_nothing_changes(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with Store.open(url(file)) as store:
        with closing(sqlite3.connect(file, isolation_level=None)) as foreign:
            foreign.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="database is locked"), store.begin() as tx:
                tx.facts.set(NAME, "value")
            foreign.execute("ROLLBACK")
        with store.begin() as tx:
            assert tx.facts.get(NAME) is None
            tx.facts.set(NAME, "value")


# --- one process -----------------------------------------------------------------------------------


async def test_a_second_herald_on_the_same_file_is_refused_until_the_first_has_closed(file: Path) -> None:
    async with Store.open(url(file)):
        sentence = await refusal(file)
        assert_one_mendable_sentence(sentence, file)
        assert "another Herald is running" in sentence
    async with Store.open(url(file)):
        pass


async def test_another_process_on_the_same_file_is_refused_too(file: Path) -> None:
    async with Store.open(url(file)):
        ended, said = await open_elsewhere(file)
        assert ended == 2
        assert "another Herald is running" in said
    assert await open_elsewhere(file) == (0, "")


async def open_elsewhere(file: Path) -> tuple[int | None, str]:
    script = (
        "import asyncio, sys\n"
        "from bot.errors import ConfigurationError\n"
        "from bot.store import Store\n"
        "async def main():\n"
        "    async with Store.open(sys.argv[1]): pass\n"
        "try: asyncio.run(main())\n"
        "except ConfigurationError as error: print(error); sys.exit(2)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, url(file), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_a_start_that_failed_leaves_no_lock(file: Path) -> None:
    write(file, "a shopping list " * 100)
    await refusal(file)
    remove(file)
    async with Store.open(url(file)):
        pass


# --- what cannot be opened -------------------------------------------------------------------------


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may write anywhere: for this test it is nobody."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's own are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


async def test_a_folder_that_is_not_writable_is_named(open_folder: Path, unprivileged: None) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o500)
    file = closed / "herald.db"
    sentence = await refusal(file)
    assert_one_mendable_sentence(sentence, file)
    assert "Permission denied" in sentence


async def test_a_file_that_is_not_writable_is_named(open_folder: Path, unprivileged: None) -> None:
    file = open_folder / "herald.db"
    async with Store.open(url(file)):
        pass
    file.chmod(0o400)
    assert_one_mendable_sentence(await refusal(file), file)


async def test_a_folder_that_is_a_file_is_named(file: Path) -> None:
    write(file, "")
    file /= "herald.db"
    assert_one_mendable_sentence(await refusal(file), file)


async def test_a_path_that_is_a_directory_is_named(tmp_path: Path) -> None:
    assert_one_mendable_sentence(await refusal(tmp_path), tmp_path)


async def test_a_file_that_is_no_database_is_named_and_left_alone(file: Path) -> None:
    write(file, "a shopping list " * 100)
    assert_one_mendable_sentence(await refusal(file), file)
    assert read(file) == "a shopping list " * 100


async def test_a_database_of_a_newer_herald_is_refused_and_left_alone(file: Path) -> None:
    async with Store.open(url(file)):
        pass
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    sentence = await refusal(file)
    assert_one_mendable_sentence(sentence, file)
    assert "newer Herald" in sentence
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


async def test_a_database_of_another_program_is_refused_and_left_alone(file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE broadcasts (recipe TEXT)")
    assert_one_mendable_sentence(await refusal(file), file)
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("broadcasts",)]


async def test_a_database_that_stays_locked_at_the_start_is_not_called_broken(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with Store.open(url(file)):
        pass
    with closing(sqlite3.connect(file, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        sentence = await refusal(file)
    assert_one_mendable_sentence(sentence, file)
    assert "locked" in sentence
    assert "restore a backup" not in sentence


# --- guarded writes --------------------------------------------------------------------------------


async def test_change_succeeds_only_from_the_expected_status(store: Store) -> None:
    draft = await add_draft(store)
    with store.begin() as tx:
        assert tx.broadcasts.change(draft, status=Status.REVIEW, at=NOW)
        assert not tx.broadcasts.change(draft, status=Status.CANCELLED, at=NOW)
    assert (await reload(store, draft)).status is Status.REVIEW


async def test_change_succeeds_only_from_the_expected_revision(store: Store) -> None:
    draft = await add_draft(store)
    edit = Changes(revision=2, notification=words("Edited"), fingerprint="b" * 64)
    with store.begin() as tx:
        assert tx.broadcasts.change(draft, status=Status.DRAFT, at=NOW, **edit)
        assert not tx.broadcasts.change(draft, status=Status.REVIEW, at=NOW)
    after = await reload(store, draft)
    assert (after.status, after.title) == (Status.DRAFT, "Edited")


async def test_a_delivery_is_claimed_once_of_two(store: Store) -> None:
    pending = await add_delivery(store)
    first, second = await asyncio.gather(claim(store, pending), claim(store, pending))
    assert [first, second].count(None) == 1


async def test_a_claim_comes_with_the_very_bytes_that_were_frozen(store: Store) -> None:
    taken = await claimed(store)
    assert taken.status is DeliveryStatus.IN_FLIGHT
    assert taken.attempts == 1
    assert taken.request.body == b"\x00\xff"
    assert taken.request.headers == {"A": "b"}


async def test_an_attempt_is_settled_once(store: Store) -> None:
    taken = await claimed(store)
    assert await settle(store, taken, DeliveryStatus.UNKNOWN)
    assert not await settle(store, taken, DeliveryStatus.ACCEPTED)
    with store.begin(Access.READ) as tx:
        assert [one.status for one in tx.deliveries.of(taken.broadcast_id)] == [DeliveryStatus.UNKNOWN]


async def test_an_answer_to_an_older_attempt_settles_nothing(store: Store) -> None:
    first = await claimed(store)
    assert await settle(store, first, DeliveryStatus.PENDING)
    with store.begin(Access.READ) as tx:
        pending = (tx.deliveries.of(first.broadcast_id))[0]
    assert await claim(store, pending) is not None
    assert not await settle(store, first, DeliveryStatus.ACCEPTED)


async def test_an_unclaimed_delivery_is_due_only_when_its_time_has_come(store: Store) -> None:
    await add_delivery(store)
    with store.begin(Access.READ) as tx:
        assert may_go(tx, NOW - timedelta(microseconds=1)) == []
        assert len(may_go(tx, NOW)) == 1


async def test_so_many_interactions_are_forgotten_at_once_the_oldest_first_and_the_rest_next_time(
    store: Store,
) -> None:
    def forget() -> list[int]:
        with store.begin() as tx:
            tx.forget_interactions(before=NOW)
        with store.begin(Access.READ) as tx:
            left = select(interactions.c.id).order_by(interactions.c.id)
            return list(tx.broadcasts._connection.scalars(left))  # pyright: ignore[reportPrivateUsage]

    old = range(1, FORGOTTEN_AT_ONCE + 3)
    with store.begin() as tx:
        # The lower its number, the younger it is; one that is not old yet has the highest.
        rows = [{"id": one, "at": NOW - timedelta(seconds=one)} for one in old]
        rows.append({"id": len(old) + 1, "at": NOW})
        tx.broadcasts._connection.execute(insert(interactions), rows)  # pyright: ignore[reportPrivateUsage]
    assert forget() == [1, 2, len(old) + 1]
    assert forget() == [len(old) + 1]


async def test_a_claim_is_its_owners_for_just_as_long_as_a_lease_by_the_databases_clock(
    store: Store,
) -> None:
    pending = await add_delivery(store)
    with store.begin() as tx:
        connection = tx.broadcasts._connection  # pyright: ignore[reportPrivateUsage]
        # Not the clock that is passed in: that of the database, which all processes share.
        end = database_time(connection, LEASE)
        earliest = connection.scalar(select(end))
        tx.deliveries.claim([pending], owner="me", at=NOW)
        written = connection.scalar(select(type_coerce(deliveries.c.lease_until, end.type)))
        latest = connection.scalar(select(end))
    assert earliest is not None
    assert latest is not None
    assert written is not None
    assert earliest <= written <= latest
    for left, gone in ((timedelta(seconds=5), False), (timedelta(), True)):
        with store.begin() as tx:
            connection = tx.broadcasts._connection  # pyright: ignore[reportPrivateUsage]
            until = database_time(connection, left)
            connection.execute(update(deliveries).values(lease_until=until))
            assert bool(tx.deliveries.abandoned(owner="other", outlived=None)) is gone


async def test_what_has_ended_is_counted_by_its_status_as_it_ends_and_only_if_that_is_kept(
    database_url: str,
) -> None:
    dice = Random(7)
    async with Store.open(database_url) as store:
        drafts = [await add_draft(store) for _ in range(60)]
        for draft in drafts:
            with suppress(KeyError), store.begin() as tx:
                standing = draft
                for _ in range(dice.randrange(60)):
                    # Few that may be cancelled would ever get further.
                    steps = sorted({*TRANSITIONS[standing.status].values()} - {Status.CANCELLED})
                    if draft.id % 7 == 0 and standing.status not in ENDED:
                        steps = [Status.CANCELLED]
                    if not steps:
                        break
                    changed = tx.broadcasts.change(standing, status=dice.choice(steps), at=NOW)
                    assert changed is not None
                    # Whoever was slower changes nothing, and so ends nothing.
                    if changed.status is not standing.status:
                        assert tx.broadcasts.change(standing, status=Status.SENT, at=NOW) is None
                    standing = changed
                if draft.id % 10 == 0:
                    raise KeyError("nothing of this is kept")
        with store.begin(Access.READ) as tx:
            query = select(broadcasts.c.status, func.count()).group_by(broadcasts.c.status)
            rows = tx.broadcasts._connection.execute(query)  # pyright: ignore[reportPrivateUsage]
            expected = {status: number for status, number in rows}  # noqa: C416 - a row is no pair
            assert tx.broadcasts.count(1) == expected
            assert tx.broadcasts.count(2) == {}
    assert expected.keys() >= ENDED


# --- approvals -------------------------------------------------------------------------------------


async def approve(store: Store, broadcast: Broadcast, approver: Person) -> None:
    with store.begin() as tx:
        tx.broadcasts.approve(broadcast, Approval(approver=approver, at=NOW))


async def approvers(store: Store, broadcast: Broadcast) -> list[Person]:
    return [approval.approver for approval in (await reload(store, broadcast)).approvals]


@pytest.mark.parametrize("change", [{"revision": 2}, {"fingerprint": "b" * 64}])
async def test_nothing_changes_under_a_standing_approval(store: Store, change: dict[str, Any]) -> None:
    draft = await add_draft(store)
    await approve(store, draft, OMAR)
    with pytest.raises(StoreError), store.begin() as tx:
        tx.broadcasts.change(draft, status=Status.DRAFT, at=NOW, **change)
    assert await reload(store, draft) == draft.model_copy(
        update={"approvals": (Approval(approver=OMAR, at=NOW),)}
    )
    with store.begin() as tx:
        tx.broadcasts.void_approvals(tx.broadcasts.get(draft.id))
        assert tx.broadcasts.change(draft, status=Status.DRAFT, at=NOW, **change)


@pytest.mark.parametrize("change", ["revision = 2", f"fingerprint = '{'b' * 64}'"])
async def test_approvals_of_something_else_do_not_count(file_store: Store, file: Path, change: str) -> None:
    draft = await add_draft(file_store)
    await approve(file_store, draft, OMAR)
    assert await approvers(file_store, draft) == [OMAR]
    # This connection does not check its keys.
    with closing(sqlite3.connect(file)) as foreign, foreign:
        foreign.execute(f"UPDATE broadcasts SET {change}")
    assert await approvers(file_store, draft) == []


async def test_approvals_of_another_broadcast_do_not_count(store: Store) -> None:
    one, other = await add_draft(store), await add_draft(store)
    await approve(store, one, OMAR)
    assert await approvers(store, other) == []


async def test_nobody_approves_twice_whatever_the_code_does(store: Store) -> None:
    draft = await add_draft(store)
    await approve(store, draft, OMAR)
    with pytest.raises(StoreError):
        await approve(store, draft, OMAR)
    await approve(store, draft, LENA)
    assert await approvers(store, draft) == [OMAR, LENA]


# --- times -----------------------------------------------------------------------------------------


async def test_times_come_back_as_the_same_moment_in_utc(store: Store) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7))).replace(microsecond=123456)
    draft = await add_draft(store, at=elsewhere)
    assert draft.created_at == elsewhere
    assert draft.created_at.tzinfo is UTC


# --- what people typed -----------------------------------------------------------------------------


async def _clash(tx: Transaction) -> None:
    tx.broadcasts.add_revision(1, 1, editor=MAYA, audience="Gold", notification=words(TYPED), at=NOW)


async def _dangle(tx: Transaction) -> None:
    tx.broadcasts.add_revision(404, 1, editor=MAYA, audience="Gold", notification=words(TYPED), at=NOW)


async def _vanish(tx: Transaction) -> None:
    connection = tx.broadcasts._connection  # pyright: ignore[reportPrivateUsage]
    connection.exec_driver_sql("DROP TABLE audit_events")
    tx.audit.append(NewEvent(guild_id=1, at=NOW, actor=HERALD, action="submit", detail=TYPED))


async def _refuse_row(tx: Transaction) -> None:
    connection = tx.broadcasts._connection  # pyright: ignore[reportPrivateUsage]
    connection.execute(
        revisions.insert().values(broadcast_id=1, revision=2, editor_name=TYPED, notification=TYPED)
    )


@pytest.mark.parametrize("fault", [_clash, _dangle, _vanish, _refuse_row])
async def test_errors_of_the_database_do_not_quote_what_people_typed(
    store: Store, fault: Callable[[Transaction], Any]
) -> None:
    await add_draft(store, subject=TYPED)
    with pytest.raises(StoreError) as caught, store.begin() as tx:
        await fault(tx)
    whole = "".join(traceback.format_exception(caught.value))
    assert "The database is in trouble" in whole
    assert TYPED not in whole + repr(caught.value) + repr(caught.value.__cause__)


# --- what must never be, whatever the code does ----------------------------------------------------

AT = "'2026-11-23 09:41:00'"
FIRST, SECOND = "a" * 64, "b" * 64
WORDS = '{"topic": "news"}'
APPROVAL = (
    "INSERT INTO approvals (broadcast_id, approver_id, approver_name, revision, fingerprint, at)"
    f" VALUES ({{}}, {{}}, 'Somebody', {{}}, '{{}}', {AT})"
)
REVISION = (
    "INTO revisions (broadcast_id, revision, editor_id, editor_name, notification, at)"
    f" VALUES (1, {{}}, {{}}, 'Somebody', 'words', {AT})"
)
EVENT = f"INTO audit_events VALUES (1, {{}}, {AT}, 0, 'Herald', 'submit', 1, '', '', '{{}}', 'digest')"

# The broadcast 1 is Maya's (101) and was edited by Lena (103); Omar (102) has approved it.
ATTACKS = {
    "its author approves": APPROVAL.format(1, 101, 2, SECOND),
    "an editor approves": APPROVAL.format(1, 103, 2, SECOND),
    "an approval becomes its author's": "UPDATE approvals SET approver_id = 101",
    "an approval becomes an editor's": "UPDATE approvals SET approver_id = 103",
    "an approval is one of something else": f"UPDATE approvals SET fingerprint = '{FIRST}'",
    "somebody approves twice": APPROVAL.format(1, 102, 2, SECOND),
    "an approver edits": f"INSERT {REVISION.format(3, 102)}",
    "an approval of a broadcast that is not there": APPROVAL.format(404, 104, 1, FIRST),
    "an approval of a revision that is not there": APPROVAL.format(1, 104, 3, SECOND),
    "an approval of an older revision": APPROVAL.format(1, 104, 1, FIRST),
    "an approval of another fingerprint": APPROVAL.format(1, 104, 2, FIRST),
    "the fingerprint changes after the approval": f"UPDATE broadcasts SET fingerprint = '{FIRST}'",
    "the revision changes after the approval": "UPDATE broadcasts SET revision = 1",
    "the broadcast is removed": "DELETE FROM broadcasts",
    "a revision is changed": "UPDATE revisions SET notification = '{}' WHERE revision = 1",
    "a revision gets another editor": "UPDATE revisions SET editor_id = 104",
    "a revision is removed": "DELETE FROM revisions WHERE revision = 1",
    "a revision is written twice": f"INSERT {REVISION.format(2, 104)}",
    "a line of the record is changed": "UPDATE audit_events SET detail = 'nothing'",
    "a line of the record is removed": "DELETE FROM audit_events",
    "a line of the record is written twice": f"INSERT {EVENT.format(1, 'other')}",
    "the record forks": f"INSERT {EVENT.format(3, 'before')}",
    "an attempt has a number twice": f"INSERT INTO attempts VALUES (1, 1, {AT}, NULL, NULL, NULL, NULL, '')",
}
ATTACKS_ON = {
    "sqlite": {
        "a revision is replaced": f"INSERT OR REPLACE {REVISION.format(1, 104)}",
        "a line of the record is replaced": f"INSERT OR REPLACE {EVENT.format(1, 'other')}",
        "a line of the record is replaced by its predecessor": f"REPLACE {EVENT.format(3, 'before')}",
        "an approval is replaced": f"REPLACE {APPROVAL.format(1, 101, 2, SECOND)[7:]}",
    },
    "postgresql": {
        "all revisions are removed": "TRUNCATE revisions CASCADE",
        "the record is removed": "TRUNCATE audit_events",
        "a revision is replaced": f"INSERT {REVISION.format(1, 104)}"
        " ON CONFLICT (broadcast_id, revision) DO UPDATE SET editor_id = 104",
    },
}


@pytest_asyncio.fixture
async def approved(store: Store) -> Broadcast:
    """A broadcast of two revisions with an approval, a claimed delivery and a line in the record."""
    draft = await add_draft(store, fingerprint=FIRST)
    with store.begin() as tx:
        tx.broadcasts.add_revision(draft.id, 2, editor=LENA, audience="Gold", notification=words(), at=NOW)
        tx.broadcasts.change(draft, status=Status.DRAFT, at=NOW, revision=2, fingerprint=SECOND)
        edited = tx.broadcasts.get(draft.id)
        tx.broadcasts.approve(edited, Approval(approver=OMAR, at=NOW))
        request = Request(method="POST", url="https://api.whop.com/x", headers={}, body=b"")
        tx.deliveries.add(draft, [request], account=ACCOUNT, at=NOW)
        assert tx.deliveries.claim(tx.deliveries.of(draft.id), owner="me", at=NOW)
        execute(tx, f"INSERT {EVENT.format(1, 'before')}")
        return tx.broadcasts.get(draft.id)


def execute(tx: Transaction, statement: str) -> None:
    tx.broadcasts._connection.exec_driver_sql(statement)  # pyright: ignore[reportPrivateUsage]


async def is_refused(store: Store, statement: str) -> bool:
    try:
        with store.begin() as tx:
            execute(tx, statement)
    except StoreError:
        return True
    return False


@pytest.mark.parametrize("attack", ATTACKS)
async def test_the_database_itself_refuses_that(store: Store, approved: Broadcast, attack: str) -> None:
    assert approved.id == 1
    assert await is_refused(store, ATTACKS[attack])
    assert await reload(store, approved) == approved


async def test_the_database_itself_refuses_that_in_every_dialect(
    store: Store, approved: Broadcast, database_url: str
) -> None:
    for attack, statement in ATTACKS_ON[database_url.partition(":")[0].partition("+")[0]].items():
        assert await is_refused(store, statement), attack
    assert await reload(store, approved) == approved


@pytest.mark.parametrize(
    "statement",
    [
        APPROVAL.format(1, 104, 2, SECOND),
        "DELETE FROM approvals",
        f"INSERT {REVISION.format(3, 104)}",
        f"INSERT {EVENT.format(2, 'digest')}",
        "UPDATE broadcasts SET status = 'review'",
    ],
)
async def test_the_database_does_not_refuse_what_is_right(
    store: Store, approved: Broadcast, statement: str
) -> None:
    assert not await is_refused(store, statement)


async def test_a_database_of_an_older_herald_keeps_what_is_in_it(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        to_first_version(connection)
        connection.exec_driver_sql(DRAFT_OF_OLD)
        for statement in (
            f"INSERT {REVISION.format(1, 101)}",
            APPROVAL.format(1, 102, 1, FIRST),
            APPROVAL.format(1, 103, 1, SECOND),
            f"INSERT {EVENT.format(1, 'before')}",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    async with Store.open(database_url) as store:
        with store.begin(Access.READ) as tx:
            rows = tx.broadcasts._connection.execute(select(approvals))  # pyright: ignore[reportPrivateUsage]
            kept = only(rows.mappings())
            assert (kept["approver_id"], kept["fingerprint"], kept["at"]) == (102, FIRST, NOW)
            assert len(tx.audit.of_guild(1)) == 1
            assert (tx.broadcasts.get(1)).author == MAYA


DRAFT_OF_OLD = (
    "INSERT INTO broadcasts (id, guild_id, author_id, author_name, audience, notification, status, revision,"
    " fingerprint, origin_channel_id, note, reason, created_at, updated_at)"
    f" VALUES (1, 1, 101, 'Maya', 'Gold', '{WORDS}', 'review', 1, '{FIRST}', 5, '', '', {AT}, {AT})"
)


def to_first_version(connection: Connection) -> None:
    """Make the database what the first Herald left, from nothing."""
    metadata.drop_all(connection)
    for function in ("unchanged", "approval", "revision", "ended"):
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"DROP FUNCTION herald_{function} CASCADE")
    connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    config = Config()
    config.set_main_option("script_location", str(migrating.MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


# --- a server --------------------------------------------------------------------------------------


async def refusal_of(database_url: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        async with Store.open(database_url):
            pass
    sentence = str(caught.value)
    assert sentence.startswith("DATABASE_URL: ")
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def with_password(database_url: str) -> str:
    return database_url.replace("postgres:@", f"postgres:{SECRET}@")


SECRET = "fake-password"


async def test_a_second_herald_on_the_same_server_is_refused_until_the_first_has_closed(
    postgres_url: str,
) -> None:
    async with Store.open(with_password(postgres_url)):
        sentence = await refusal_of(with_password(postgres_url))
        assert "another Herald is running" in sentence
        assert "stop it first" in sentence
        assert SECRET not in sentence
        async with Store.open(postgres_url, alone=False):
            pass
    async with Store.open(postgres_url):
        pass


async def test_several_that_start_at_once_migrate_once(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgraded: list[str] = []

    def upgrade(config: Config, revision: str) -> None:
        upgraded.append(revision)
        really(config, revision)

    really = command.upgrade
    monkeypatch.setattr(command, "upgrade", upgrade)
    database = postgres.new(template="template0")

    async def start() -> int:
        async with Store.open(postgres.url(database), alone=False) as store:
            return (await add_draft(store)).id

    drafts = await asyncio.gather(*(start() for _ in range(4)))
    assert sorted(drafts) == [1, 2, 3, 4]
    assert upgraded == ["head"]
    postgres.drop(database)


async def test_a_server_that_cannot_be_reached_is_named_without_its_password() -> None:
    sentence = await refusal_of(f"postgresql+psycopg://herald:{SECRET}@127.0.0.1:1/herald")
    assert "postgresql+psycopg://herald:***@127.0.0.1:1/herald cannot be reached" in sentence
    assert SECRET not in sentence


async def test_a_database_that_is_not_there_is_named(postgres_url: str) -> None:
    sentence = await refusal_of(with_password(postgres_url).replace("/herald_", "/nothing_"))
    assert "does not exist" in sentence
    assert SECRET not in sentence


async def test_a_servers_database_of_a_newer_herald_is_refused_and_left_alone(postgres_url: str) -> None:
    await run_sql(postgres_url, "UPDATE alembic_version SET version_num = '9999'")
    assert "newer Herald" in await refusal_of(postgres_url)
    assert await run_sql(postgres_url, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_a_servers_database_of_another_program_is_refused_and_left_alone(postgres: Postgres) -> None:
    database = postgres.new(template="template0")
    await run_sql(postgres.url(database), "CREATE TABLE broadcasts (recipe TEXT)")
    assert "not a database that Herald can use" in await refusal_of(postgres.url(database))
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert await run_sql(postgres.url(database), tables) == [("broadcasts",)]
    postgres.drop(database)


async def run_sql(database_url: str, statement: str) -> list[Any]:
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        done = await connection.exec_driver_sql(statement)
        rows = [tuple(row) for row in done] if done.returns_rows else []
    await engine.dispose()
    return rows


async def test_without_the_driver_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    sentence = await refusal_of("postgresql+psycopg://herald@db/herald")
    assert "make install in Herald's folder" in sentence


async def test_a_connection_that_the_server_has_closed_is_replaced(postgres_url: str) -> None:
    async with Store.open(postgres_url) as store:
        draft = await add_draft(store)
        await run_sql(
            postgres_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        assert await reload(store, draft) == draft


async def test_a_server_that_may_forget_what_it_confirmed_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgresql._OPTIONS, "synchronous_commit", "off")  # pyright: ignore[reportPrivateUsage]
    assert "may still forget" in await refusal_of(postgres_url)
