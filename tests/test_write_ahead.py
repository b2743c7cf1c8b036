"""A copy that is put beside what a killed process left is refused, and never merged with it."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import ConfigurationError
from bot.store import Access, Store, write_ahead
from tests.database import new_file
from tests.test_audit import make_entry


@pytest.fixture(autouse=True)
def no_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what follows within a moment count as what follows much later: no test waits."""
    monkeypatch.setattr(write_ahead, "SLACK_SECONDS", 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    new_file(tmp_path)
    return tmp_path / "herald.db"


Change = Callable[[Store], None]


def note(store: Store, many: int = 1) -> None:
    for number in range(many):
        with store.begin() as tx:
            tx.audit.append(make_entry(number))


async def leave_killed(file: Path, change: Change = note) -> None:
    """Leave the file and what lies beside it as a process does that is killed."""
    killed = file.with_name("killed")
    async with Store.open(f"sqlite:///{file}") as store:
        change(store)
        killed.mkdir()
        # In the order in which they were written.
        for ending in ("", "-wal"):
            shutil.copyfile(f"{file}{ending}", killed / f"{file.name}{ending}")
    for ending in ("", "-wal"):
        (killed / f"{file.name}{ending}").replace(f"{file}{ending}")
    killed.rmdir()
    assert file.with_name("herald.db-wal").stat().st_size > 0
    _let_the_files_clock_tick(file)


def _let_the_files_clock_tick(file: Path) -> None:
    """Come back when what is changed from now on is later than what was left, as the file system counts."""
    probe = file.with_name("probe")
    probe.touch()
    while probe.stat().st_ctime <= file.with_name("herald.db-wal").stat().st_ctime:
        probe.touch()


def change_owner(file: Path) -> None:
    """Touch the file as an administrator may, without writing into it."""
    file.chmod(0o600)


async def lines(file: Path) -> int:
    async with Store.open(f"sqlite:///{file}") as store:
        with store.begin(Access.READ) as tx:
            return tx.audit.count()


@pytest.mark.parametrize("preserving", [False, True])
@pytest.mark.parametrize("alone", [True, False])
async def test_a_copy_beside_what_a_killed_process_left_is_refused_until_that_is_removed(
    file: Path, preserving: bool, alone: bool
) -> None:
    backup = file.with_name("backup.db")
    shutil.copyfile(file, backup)
    os.utime(backup, (1_700_000_000, 1_700_000_000))
    await leave_killed(file)
    (shutil.copy2 if preserving else shutil.copyfile)(backup, file)
    with pytest.raises(ConfigurationError, match=r"herald\.db was put there after herald\.db-wal was writ"):
        async with Store.open(f"sqlite:///{file}", alone=alone):
            pass
    file.with_name("herald.db-wal").unlink()
    assert await lines(file) == 0


async def test_a_copy_that_is_moved_there_is_refused(file: Path) -> None:
    backup = file.with_name("backup.db")
    shutil.copyfile(file, backup)
    await leave_killed(file)
    backup.replace(file)
    with pytest.raises(ConfigurationError, match="was put there after"):
        await lines(file)


async def test_what_a_killed_process_left_is_taken_as_ever(file: Path) -> None:
    await leave_killed(file)
    assert await lines(file) == 1


async def test_what_was_brought_into_the_file_already_is_no_reason_to_refuse_it(file: Path) -> None:
    def change(store: Store) -> None:
        note(store)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint")

    await leave_killed(file, change)
    change_owner(file)
    assert await lines(file) == 1


async def test_one_that_touches_what_was_left_goes_on_with_it(file: Path) -> None:
    await leave_killed(file)
    change_owner(file)
    with pytest.raises(ConfigurationError, match=r"touch herald\.db-wal"):
        await lines(file)
    file.with_name("herald.db-wal").touch()
    assert await lines(file) == 1


async def test_what_only_the_last_commits_changed_counts_and_no_torn_end(file: Path) -> None:
    await leave_killed(file, lambda store: note(store, 5))
    wal = file.with_name("herald.db-wal")
    with wal.open("ab") as written:
        written.write(b"torn")
    assert await lines(file) == 5


async def test_a_command_beside_a_running_process_asks_nothing_of_its_files(file: Path) -> None:
    async with Store.open(f"sqlite:///{file}") as store:
        note(store)
        _let_the_files_clock_tick(file)
        change_owner(file)
        async with Store.open(f"sqlite:///{file}", alone=False) as other:
            note(other)
    assert await lines(file) == 2
