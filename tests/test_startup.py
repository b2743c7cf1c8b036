"""The start: a crash loop and a database from a backup freeze, and nothing else does."""

import asyncio
import json
import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from bot.broadcast import Status
from bot.delivery import DeliveryStatus
from bot.errors import StoreError
from bot.sandbox.whop import Fault
from bot.sending import startup
from bot.sending.restore_guard import Mark, RestoreGuard
from bot.store import Access
from tests.desk import LENA, OMAR, Desk, Office, labels, words

RESTORED = "the database was restored from a copy; it may have gone out since that was made"
ALIEN = "the database and herald.witness beside it do not belong together"
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def office(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Office, None]:
    async with Office.open(sqlite_url, tmp_path) as opened:
        yield opened


async def begun(office: Office) -> Desk:
    """Start a process as `herald run` does."""
    desk = await office.join(alone=True)
    await desk.startup.begin()
    return desk


async def why_frozen(desk: Desk) -> list[str]:
    return [one.reason for one in await desk.freezes()]


# --- a crash loop ----------------------------------------------------------------------------------


async def crash(office: Office, times: int, *, every: timedelta = MINUTE) -> None:
    for _ in range(times):
        await (await begun(office)).leave()
        office.time.go_on(every)


async def test_the_sixth_start_after_crashes_within_ten_minutes_freezes_the_fifth_does_not(
    office: Office,
) -> None:
    await crash(office, 4)
    fifth = await begun(office)
    assert await why_frozen(fifth) == []
    await fifth.leave()

    sixth = await begun(office)
    assert await why_frozen(sixth) == ["Herald was started 6 times within ten minutes"]
    assert await sixth.lines("freeze") == await why_frozen(sixth)


async def test_a_freeze_after_crashes_survives_and_holds_everything_until_a_person_lifts_it(
    office: Office,
) -> None:
    await crash(office, 6)
    desk = await begun(office)
    await desk.due()
    await desk.tick()
    assert office.whop.exchanges == []
    await desk.service.unfreeze(OMAR)
    await desk.tick()
    assert await desk.status() is Status.SENT


async def test_crashes_longer_ago_than_ten_minutes_do_not_count(office: Office) -> None:
    await crash(office, 8, every=timedelta(minutes=2, seconds=1))
    assert await why_frozen(await begun(office)) == []


async def test_starts_that_ended_in_order_do_not_count(office: Office) -> None:
    for _ in range(7):
        desk = await begun(office)
        await desk.startup.end()
        await desk.leave()
    assert await why_frozen(await begun(office)) == []


@pytest.fixture
def running() -> Generator[list[int], None, None]:
    """Give the numbers of processes that run."""
    with ExitStack() as stack:
        processes = [stack.enter_context(subprocess.Popen(["/bin/sleep", "60"])) for _ in range(6)]
        for one in processes:
            stack.callback(one.kill)
        yield [one.pid for one in processes]


@pytest.fixture
def gone() -> int:
    """Give the number of a process that is gone."""
    with subprocess.Popen(["/bin/sleep", "0"]) as ended:
        ended.wait()
    return ended.pid


async def test_processes_that_still_run_do_not_count(
    office: Office, running: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in running:
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        await crash(office, 1)
    monkeypatch.undo()
    assert await why_frozen(await begun(office)) == []


async def test_processes_that_are_gone_count(
    office: Office, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: gone)
    await crash(office, 5, every=timedelta())
    monkeypatch.undo()
    assert len(await why_frozen(await begun(office))) == 1


async def test_crashes_on_other_hosts_do_not_count(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    await crash(office, 5)
    monkeypatch.undo()
    assert await why_frozen(await begun(office)) == []


async def test_an_orderly_end_takes_back_only_its_own_start(office: Office) -> None:
    await crash(office, 4)
    ended = await begun(office)
    await ended.startup.end()
    await ended.leave()
    await crash(office, 1)
    assert len(await why_frozen(await begun(office))) == 1


def test_a_process_of_somebody_else_is_alive() -> None:
    assert startup._is_alive(1)  # pyright: ignore[reportPrivateUsage]
    assert startup._is_alive(os.getpid())  # pyright: ignore[reportPrivateUsage]


# --- a database from a backup ----------------------------------------------------------------------


def back_up(office: Office, name: str = "backup.db") -> None:
    """Copy the database while it is used, as the README says."""
    source, target = (sqlite3.connect(office.folder / one) for one in ("herald.db", name))
    source.backup(target)
    source.close()
    target.close()


def restore(office: Office, name: str = "backup.db") -> None:
    for ending in ("-wal", "-shm"):
        (office.folder / f"herald.db{ending}").unlink(missing_ok=True)
    shutil.copy(office.folder / name, office.folder / "herald.db")


async def restored(office: Office) -> Desk:
    """Send two since the backup, one of which waited for its first try, and restore it."""
    desk = await begun(office)
    sending = await desk.due()
    await desk.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    assert await desk.status(sending.id) is Status.SENDING
    approved = await desk.approved()
    back_up(office)
    await desk.tick(timedelta(seconds=11))
    assert {await desk.status(one.id) for one in (approved, sending)} == {Status.SENT}
    await desk.startup.end()
    await desk.leave()
    restore(office)
    return await begun(office)


async def test_after_a_restore_nothing_that_may_have_gone_out_since_goes_out_again(office: Office) -> None:
    desk = await restored(office)
    assert await why_frozen(desk) == ["the database was restored from a copy"]
    assert (await desk.status(1), (await desk.get(1)).reason) == (Status.UNKNOWN, RESTORED)
    assert (await desk.status(2), (await desk.get(2)).reason) == (Status.HELD, RESTORED)
    assert f"Nobody knows whether customers got it: {RESTORED}." in words(await desk.card(1))
    assert f"It will **not** go out by itself: {RESTORED}." in words(await desk.card(2))

    await desk.service.unfreeze(LENA)
    await desk.tick(timedelta(minutes=2))
    assert len(office.whop.exchanges) == 2


async def test_a_restore_is_an_alarm_once(office: Office) -> None:
    desk = await restored(office)
    await desk.startup.end()
    await desk.leave()
    again = await begun(office)
    assert len(await again.lines("freeze")) == 1
    await again.service.unfreeze(LENA)
    await again.startup.end()
    await again.leave()
    assert await why_frozen(await begun(office)) == []


async def test_after_a_restore_it_is_not_offered_to_check_what_may_have_been_sent_long_ago(
    office: Office,
) -> None:
    desk = await office.join(alone=True)
    await desk.prove()
    await desk.leave()
    desk = await restored(office)
    await desk.service.unfreeze(LENA)
    office.time.go_on(timedelta(hours=30))
    assert await desk.status(1) is Status.UNKNOWN
    assert "Check again" not in labels(await desk.card(1))


async def test_a_restore_settles_an_answered_request_as_it_was_and_the_other_as_unknown(
    office: Office,
) -> None:
    office.whop.fail_next(Fault.NONE)
    office.whop.fail_next(Fault.RATE_LIMITED)
    desk = await begun(office)
    await desk.due("Two")
    await desk.tick()
    back_up(office)
    await desk.tick(MINUTE)
    assert await desk.status() is Status.SENT
    await desk.leave()
    restore(office)
    desk = await begun(office)
    assert await desk.status() is Status.UNKNOWN
    statuses = sorted(one.status for one in await desk.deliveries())
    assert statuses == [DeliveryStatus.ACCEPTED, DeliveryStatus.UNKNOWN]


async def test_drafts_reviews_and_what_has_ended_stay_as_they_are_after_a_restore(office: Office) -> None:
    desk = await begun(office)
    sent, waiting = await desk.due(), await desk.submitted()
    await desk.tick()
    back_up(office)
    await desk.due()
    await desk.tick()
    await desk.leave()
    restore(office)
    desk = await begun(office)
    assert await desk.status(sent.id) is Status.SENT
    assert await desk.status(waiting.id) is Status.REVIEW


# --- the restore_guard -----------------------------------------------------------------------------------


async def used(office: Office) -> None:
    """Leave a database that has sent something, and its restore_guard."""
    desk = await begun(office)
    await desk.due()
    await desk.tick()
    await desk.startup.end()
    await desk.leave()


def witness(office: Office) -> Path:
    return office.folder / "herald.witness"


async def test_the_witness_counts_each_claim_before_the_first_byte(office: Office) -> None:
    desk = await begun(office)
    await desk.due()
    before = Mark(*json.loads(witness(office).read_text()))
    gate = desk.wire.stop_before()
    ticking = asyncio.create_task(desk.tick())
    await gate.reached.wait()
    after = Mark(*json.loads(witness(office).read_text()))
    gate.opened.set()
    await ticking
    assert after == Mark(before.instance, before.counter + 1)
    await desk.tick()
    assert Mark(*json.loads(witness(office).read_text())) == after


async def test_an_ordinary_restart_is_no_alarm(office: Office) -> None:
    for _ in range(3):
        await used(office)
    assert await why_frozen(await begun(office)) == []


@pytest.mark.parametrize(
    "content",
    ['["another", 7]', '["another", 1]', "garbage", "", "[]", "7", '{"instance": 1}', '["a", "b"]', "\xff"],
)
async def test_the_witness_of_another_database_or_an_unreadable_one_freezes(
    office: Office, content: str
) -> None:
    await used(office)
    witness(office).write_text(content, encoding="latin-1")
    assert await why_frozen(await begun(office)) == [ALIEN]


async def test_a_missing_witness_freezes(office: Office) -> None:
    await used(office)
    witness(office).unlink()
    assert await why_frozen(await begun(office)) == [ALIEN]


async def test_one_of_several_processes_may_come_without_a_witness_of_its_own(office: Office) -> None:
    await used(office)
    worker = await office.join(restore_guard=office.folder / "elsewhere" / "herald.witness")
    await worker.startup.begin()
    assert await why_frozen(worker) == []
    assert worker.restore_guard.file.exists()


async def test_one_of_several_processes_notices_a_restore_by_the_witness_that_it_has(office: Office) -> None:
    await used(office)
    mark = Mark(*json.loads(witness(office).read_text()))
    witness(office).write_text(json.dumps([mark.instance, mark.counter + 1]))
    worker = await office.join()
    await worker.startup.begin()
    assert await why_frozen(worker) == ["the database was restored from a copy"]


async def test_a_new_database_beside_an_old_witness_is_no_alarm(office: Office) -> None:
    witness(office).write_text('["another", 7]')
    desk = await begun(office)
    assert await why_frozen(desk) == []
    await desk.leave()
    assert await why_frozen(await begun(office)) == []


async def test_a_database_from_before_there_was_a_witness_is_no_alarm(office: Office) -> None:
    desk = await office.join(alone=True)
    await desk.approved()
    await desk.startup.begin()
    assert await why_frozen(desk) == []


async def test_a_kill_between_the_commit_and_the_witness_is_no_alarm(office: Office) -> None:
    await used(office)
    desk = await begun(office)
    with desk.store.begin() as tx:
        desk.restore_guard.advance(tx)
    await desk.leave()
    again = await begun(office)
    assert await why_frozen(again) == []
    with again.store.begin(Access.READ) as tx:
        assert again.restore_guard.doubt(tx, newcomer=False) == ""


async def test_without_a_witness_that_can_be_written_nothing_is_sent_until_that_is_mended(
    office: Office,
) -> None:
    desk = await begun(office)
    await desk.due()
    in_the_way = witness(office)
    in_the_way.unlink()
    in_the_way.mkdir()
    for _ in range(2):
        await desk.tick()
        [delivery] = await desk.deliveries()
        assert delivery.status is DeliveryStatus.PENDING
        assert "herald.witness cannot be written" in delivery.detail
        office.time.go_on(timedelta(seconds=61))
    assert office.whop.exchanges == []
    assert await desk.status() is Status.SENDING
    assert "herald.witness cannot be written" in words(await desk.card())

    in_the_way.rmdir()
    await desk.tick()
    assert await desk.status() is Status.SENT
    assert len(office.whop.exchanges) == 1


async def test_a_start_without_a_witness_that_can_be_written_ends_with_a_sentence(office: Office) -> None:
    witness(office).mkdir()
    desk = await office.join(alone=True)
    with pytest.raises(StoreError, match=r"herald\.witness cannot be written .* mend its folder"):
        await desk.startup.begin()


def test_two_processes_of_one_folder_can_write_the_witness_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (RestoreGuard(tmp_path / "herald.witness") for _ in range(2))
    replace = Path.replace

    def overtaken(self: Path, target: Path) -> Path:
        monkeypatch.undo()
        other.keep(Mark("database", 12))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", overtaken)
    one.keep(Mark("database", 11))
    assert json.loads(one.file.read_text()) in (["database", 11], ["database", 12])
    assert list(tmp_path.iterdir()) == [one.file]
