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
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot import seal
from bot.broadcast import Status, Step
from bot.delivery import DeliveryStatus
from bot.errors import ConfigurationError, StoreError
from bot.lifecycle import CHANGED
from bot.sandbox.whop import Fault
from bot.sending import startup
from bot.store import Access, Post
from bot.store.facts import STARTS
from bot.store.history import Mark
from bot.store.outbox import PostKind
from tests.harness.cards import labels, review_card, words
from tests.harness.found import only
from tests.harness.outbox import cards_to_draw, posts_to_make
from tests.harness.people import LENA, MAYA, OMAR
from tests.harness.policy import GUILD, ONE, POLICY, audience, parsed, rules, server
from tests.harness.process import Cluster, Process
from tests.waiting import until

RESTORED = "the database was restored from a copy; it may have gone out since that was made"
ALIEN = "the database and herald.witness beside it do not belong together"
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


async def begun(cluster: Cluster) -> Process:
    """Start a process as `herald run` does."""
    process = await cluster.join(alone=True)
    await process.startup.begin()
    return process


async def why_frozen(process: Process) -> list[str]:
    return [one.reason for one in await process.freezes()]


# --- a crash loop ----------------------------------------------------------------------------------


async def crash(cluster: Cluster, times: int, *, every: timedelta = MINUTE) -> None:
    for _ in range(times):
        await (await begun(cluster)).leave()
        cluster.clock.advance(every)


async def test_the_sixth_start_after_crashes_within_ten_minutes_freezes_the_fifth_does_not(
    cluster: Cluster,
) -> None:
    await crash(cluster, 4)
    fifth = await begun(cluster)
    assert await why_frozen(fifth) == []
    await fifth.leave()

    sixth = await begun(cluster)
    assert await why_frozen(sixth) == ["Herald was started 6 times within ten minutes"]
    assert await sixth.lines("freeze") == await why_frozen(sixth)


async def test_a_freeze_after_crashes_survives_and_holds_everything_until_a_person_lifts_it(
    cluster: Cluster,
) -> None:
    await crash(cluster, 6)
    process = await begun(cluster)
    await process.due()
    await process.tick()
    assert cluster.whop.exchanges == []
    await process.unfreeze(OMAR)
    await process.tick()
    assert await process.status() is Status.SENT


async def test_crashes_longer_ago_than_ten_minutes_do_not_count(cluster: Cluster) -> None:
    await crash(cluster, 8, every=timedelta(minutes=2, seconds=1))
    assert await why_frozen(await begun(cluster)) == []


async def test_crashes_that_a_clock_set_back_has_moved_far_ahead_do_not_count(cluster: Cluster) -> None:
    await crash(cluster, 5)
    cluster.clock.jump(-timedelta(days=1))
    assert await why_frozen(await begun(cluster)) == []


async def test_a_crash_counts_until_it_is_ten_minutes_ago(cluster: Cluster) -> None:
    await crash(cluster, 5, every=timedelta(minutes=2))
    assert len(await why_frozen(await begun(cluster))) == 1


async def test_starts_that_ended_in_order_do_not_count(cluster: Cluster) -> None:
    for _ in range(7):
        process = await begun(cluster)
        await process.startup.end()
        await process.leave()
    assert await why_frozen(await begun(cluster)) == []


async def test_a_start_that_ends_with_a_sentence_is_no_crash(cluster: Cluster) -> None:
    for _ in range(7):
        process = await cluster.join(alone=True)
        with pytest.raises(ConfigurationError):
            async with process.startup.counted():
                raise ConfigurationError("HEALTH_ADDRESS: it cannot be used.")
        await process.leave()
    assert await why_frozen(await begun(cluster)) == []


async def test_a_start_whose_beginning_ends_with_a_sentence_is_no_crash(cluster: Cluster) -> None:
    witness(cluster).mkdir()
    for _ in range(3):
        process = await cluster.join(alone=True)
        with pytest.raises(StoreError):
            async with process.startup.counted():
                pass
        with process.store.begin(Access.READ) as tx:
            assert tx.facts.get(STARTS) == []
        await process.leave()


async def test_who_is_called_off_has_not_crashed(cluster: Cluster) -> None:
    for _ in range(6):
        process = await cluster.join(alone=True)
        with pytest.raises(asyncio.CancelledError):
            async with process.startup.counted():
                raise asyncio.CancelledError
        await process.leave()
    assert await why_frozen(await begun(cluster)) == []


async def test_a_fault_of_our_own_is_a_crash(cluster: Cluster) -> None:
    for _ in range(5):
        process = await cluster.join(alone=True)
        with pytest.raises(ZeroDivisionError):
            async with process.startup.counted():
                raise ZeroDivisionError
        await process.leave()
    assert len(await why_frozen(await begun(cluster))) == 1


async def test_an_end_that_the_database_does_not_take_keeps_nobody_waiting(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "END_SECONDS", 0.05)
    process = await cluster.join(alone=True)
    async with process.startup.counted():
        locker = sqlite3.connect(cluster.folder / "herald.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
    locker.execute("ROLLBACK")
    locker.close()


async def test_once_the_freeze_is_lifted_crashes_count_anew(cluster: Cluster) -> None:
    await crash(cluster, 6, every=timedelta(seconds=10))
    process = await begun(cluster)
    await process.unfreeze(OMAR)
    await process.leave()
    await crash(cluster, 4, every=timedelta(seconds=10))
    fifth = await begun(cluster)
    assert await why_frozen(fifth) == []
    await fifth.leave()
    assert len(await why_frozen(await begun(cluster))) == 1


async def test_processes_of_one_host_are_not_counted_together(cluster: Cluster) -> None:
    for number in range(8):
        worker = await cluster.join(restore_guard=cluster.folder / f"{number}.witness")
        await worker.startup.begin()
        assert await why_frozen(worker) == []
        await worker.leave()


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
    cluster: Cluster, running: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in running:
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        await crash(cluster, 1)
    monkeypatch.undo()
    assert await why_frozen(await begun(cluster)) == []


async def test_processes_that_are_gone_count(
    cluster: Cluster, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: gone)
    await crash(cluster, 5, every=timedelta())
    monkeypatch.undo()
    assert len(await why_frozen(await begun(cluster))) == 1


async def test_crashes_on_other_hosts_do_not_count(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    await crash(cluster, 5)
    monkeypatch.undo()
    assert await why_frozen(await begun(cluster)) == []


async def test_an_orderly_end_takes_back_only_its_own_start(cluster: Cluster) -> None:
    await crash(cluster, 4)
    ended = await begun(cluster)
    await ended.startup.end()
    await ended.leave()
    await crash(cluster, 1)
    assert len(await why_frozen(await begun(cluster))) == 1


def test_a_process_of_somebody_else_is_alive() -> None:
    assert startup._is_alive(1)  # pyright: ignore[reportPrivateUsage]
    assert startup._is_alive(os.getpid())  # pyright: ignore[reportPrivateUsage]


# --- a database from a backup ----------------------------------------------------------------------


def back_up(cluster: Cluster, name: str = "backup.db") -> None:
    """Copy the database while it is used, as the README says."""
    source, target = (sqlite3.connect(cluster.folder / one) for one in ("herald.db", name))
    source.backup(target)
    source.close()
    target.close()


def restore(cluster: Cluster, name: str = "backup.db") -> None:
    for ending in ("-wal", "-shm"):
        (cluster.folder / f"herald.db{ending}").unlink(missing_ok=True)
    shutil.copy(cluster.folder / name, cluster.folder / "herald.db")


async def restored(cluster: Cluster) -> Process:
    """Send two since the backup, one of which waited for its first try, and restore it."""
    process = await begun(cluster)
    sending = await process.due()
    await process.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    assert await process.status(sending.id) is Status.SENDING
    approved = await process.approved()
    back_up(cluster)
    await process.tick(timedelta(seconds=11))
    assert {await process.status(one.id) for one in (approved, sending)} == {Status.SENT}
    await process.startup.end()
    await process.leave()
    restore(cluster)
    return await begun(cluster)


async def test_after_a_restore_nothing_that_may_have_gone_out_since_goes_out_again(
    cluster: Cluster,
) -> None:
    process = await restored(cluster)
    assert await why_frozen(process) == ["the database was restored from a copy"]
    assert (await process.status(1), (await process.get(1)).reason) == (Status.UNKNOWN, RESTORED)
    assert (await process.status(2), (await process.get(2)).reason) == (Status.HELD, RESTORED)
    assert f"Nobody knows whether customers got it: {RESTORED}." in words(await review_card(process, 1))
    assert f"It will **not** go out by itself: {RESTORED}." in words(await review_card(process, 2))

    await process.unfreeze(LENA)
    await process.tick(timedelta(minutes=2))
    assert len(cluster.whop.exchanges) == 2


async def test_a_restore_is_an_alarm_once(cluster: Cluster) -> None:
    process = await restored(cluster)
    await process.startup.end()
    await process.leave()
    again = await begun(cluster)
    assert len(await again.lines("freeze")) == 1
    await again.unfreeze(LENA)
    await again.startup.end()
    await again.leave()
    assert await why_frozen(await begun(cluster)) == []


async def test_after_a_restore_it_is_not_offered_to_check_what_may_have_been_sent_long_ago(
    cluster: Cluster,
) -> None:
    process = await cluster.join(alone=True)
    await process.prove()
    await process.leave()
    process = await restored(cluster)
    await process.unfreeze(LENA)
    cluster.clock.advance(timedelta(hours=30))
    assert await process.status(1) is Status.UNKNOWN
    assert "Check again" not in labels(await review_card(process, 1))


async def test_a_restore_settles_an_answered_request_as_it_was_and_the_other_as_unknown(
    cluster: Cluster,
) -> None:
    cluster.whop.fail_next(Fault.NONE)
    cluster.whop.fail_next(Fault.RATE_LIMITED)
    process = await begun(cluster)
    await process.due("Two")
    await process.tick()
    back_up(cluster)
    await process.tick(MINUTE)
    assert await process.status() is Status.SENT
    await process.leave()
    restore(cluster)
    process = await begun(cluster)
    assert await process.status() is Status.UNKNOWN
    statuses = sorted(one.status for one in await process.deliveries())
    assert statuses == [DeliveryStatus.ACCEPTED, DeliveryStatus.UNKNOWN]


async def test_drafts_reviews_and_what_has_ended_stay_as_they_are_after_a_restore(
    cluster: Cluster,
) -> None:
    process = await begun(cluster)
    sent, waiting = await process.due(), await process.submitted()
    await process.tick()
    back_up(cluster)
    await process.due()
    await process.tick()
    await process.leave()
    restore(cluster)
    process = await begun(cluster)
    assert await process.status(sent.id) is Status.SENT
    assert await process.status(waiting.id) is Status.REVIEW


async def test_approvals_of_what_may_have_gone_out_since_count_no_more_after_a_restore(
    cluster: Cluster,
) -> None:
    twice = parsed(POLICY.replace("approvals = 1", "approvals = 2"))
    process = await cluster.join(alone=True, policy=twice)
    await process.startup.begin()
    await process.due()
    back_up(cluster)
    await process.service.approve(LENA, 1, revision=1)
    await process.tick(timedelta(seconds=11))
    assert len(cluster.whop.exchanges) == 1
    await process.leave()
    restore(cluster)
    # By now one approval would be enough.
    process = await begun(cluster)
    waiting = await process.get()
    assert (waiting.status, waiting.agreed) == (Status.REVIEW, 0)
    assert await process.lines("approvals void") == [RESTORED]


# --- another policy --------------------------------------------------------------------------------


async def waiting_cards(process: Process) -> dict[int, int]:
    """Return how many changes each broadcast's card is to show."""
    with process.store.begin(Access.READ) as tx:
        cards = cards_to_draw(tx, process.clock() + timedelta(days=1))
    return {one.broadcast_id: one.wanted for one in cards}


async def test_what_was_agreed_to_under_another_policy_is_void_or_held_and_all_else_stands(
    cluster: Cluster,
) -> None:
    twice = POLICY.replace("approvals = 1", "approvals = 2")
    process = await cluster.join(alone=True, policy=parsed(twice))
    for name in ("One", "Two"):
        for approvers in ((), (OMAR,), (OMAR, LENA)):
            waiting = await process.submitted(name)
            for one in approvers:
                await process.service.approve(one, waiting.id, revision=1)
    wanted = await waiting_cards(process)
    await process.leave()

    changed = twice.replace("exp_silver", "exp_other")
    process = await cluster.join(alone=True, policy=parsed(changed))
    await process.startup.begin()
    found = [await process.get(number) for number in range(1, 7)]
    assert [(one.status, one.agreed, one.reason) for one in found] == [
        (Status.REVIEW, 0, ""),
        (Status.REVIEW, 1, ""),
        (Status.APPROVED, 2, ""),
        (Status.REVIEW, 0, ""),
        (Status.REVIEW, 0, ""),
        (Status.HELD, 2, CHANGED),
    ]
    told = [(one.broadcast_id, one.action) for one in await process.record() if one.detail == CHANGED]
    assert told == [(5, "approvals void"), (6, "hold")]
    after = await waiting_cards(process)
    assert [number for number in after if after[number] > wanted[number]] == [1, 2, 3, 4, 5, 6]


async def test_what_was_approved_for_a_server_that_the_policy_lost_is_held_and_the_start_goes_on(
    cluster: Cluster,
) -> None:
    process = await cluster.join(alone=True)
    await process.approved()
    await process.leave()
    kept = tuple(one for one in parsed().servers if one.guild != GUILD)
    process = await cluster.join(alone=True, policy=parsed().model_copy(update={"servers": kept}))
    await process.startup.begin()
    held = await process.get()
    assert (held.status, held.reason) == (Status.HELD, CHANGED)


def is_waited_for(process: Process) -> bool:
    with process.store.begin(Access.READ) as tx:
        asked = tx._connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted")  # pyright: ignore[reportPrivateUsage]
        return asked.scalar_one() > 0


async def test_what_somebody_withdraws_at_that_moment_is_left_to_them_and_the_start_goes_on(
    tmp_path: Path, postgres_url: str
) -> None:
    async with Cluster.open(postgres_url, tmp_path) as cluster:
        before = await cluster.join(policy=parsed(server(ONE, rules=rules(2))))
        for _ in range(2):
            waiting = await before.submitted()
            await before.service.approve(OMAR, waiting.id, revision=1)
        # By its policy one approval is enough.
        process = await cluster.join(restore_guard=tmp_path / "another.witness")
        with before.store.begin() as tx:
            before.service.lifecycle.advance(tx, tx.broadcasts.get(1), Step.WITHDRAW, actor=MAYA.person)
            starting = asyncio.create_task(process.startup.begin())
            await until(lambda: is_waited_for(before))
        await starting
        assert [await process.status(number) for number in (1, 2)] == [Status.DRAFT, Status.APPROVED]


TEMPLATE = """
[[server.template]]
name = "We are down"
audience = "One"
topic = "news"
subject = "We are down"
content = "Come back"
"""


def drawn(process: Process) -> list[str]:
    """Let a process draw all cards that wait, and return by what they are sealed."""
    with process.store.begin() as tx:
        cards = cards_to_draw(tx, process.clock() + timedelta(days=1))
        for one in cards:
            tx.outbox.card_drawn(one, message_id=900, next_at=process.clock())
        lifecycle = process.service.lifecycle
        return [seal.of_broadcast(lifecycle, tx.broadcasts.get(one.broadcast_id)) for one in cards]


async def test_a_worker_with_another_policy_takes_nothing_from_the_one_that_shows_it(
    cluster: Cluster,
) -> None:
    changed = parsed(server(audience("One", "exp_gold", size=30), TEMPLATE))
    before = await begun(cluster)
    await before.submitted()
    old = only(drawn(before))
    worker = await cluster.join(policy=changed)
    await worker.startup.begin()
    # What still runs has the old policy, and would draw and answer by that.
    assert await templates_asked(before) == []
    assert drawn(before) == []
    await before.leave()

    process = await cluster.join(alone=True, policy=changed)
    await process.startup.begin()
    assert len(await templates_asked(process)) == 1
    shown = only(drawn(process))
    assert shown != old
    await process.service.approve(replace(OMAR, seen=shown), 1, revision=1)


async def templates_asked(process: Process) -> list[Post]:
    with process.store.begin(Access.READ) as tx:
        posts = posts_to_make(tx, process.clock() + timedelta(days=1))
    return [one for one in posts if one.kind is PostKind.TEMPLATE]


# --- the restore_guard -----------------------------------------------------------------------------------


async def used(cluster: Cluster) -> None:
    """Leave a database that has sent something, and its restore_guard."""
    process = await begun(cluster)
    await process.due()
    await process.tick()
    await process.startup.end()
    await process.leave()


def witness(cluster: Cluster) -> Path:
    return cluster.folder / "herald.witness"


def kept(cluster: Cluster) -> Mark:
    read = json.loads(witness(cluster).read_text())
    return Mark(read["counter"], read["mark"])


async def test_the_witness_knows_each_claim_before_the_first_byte(cluster: Cluster) -> None:
    process = await begun(cluster)
    await process.due()
    before = kept(cluster)
    barrier = process.wire.stop_before()
    ticking = asyncio.create_task(process.tick())
    await barrier.reached.wait()
    after = kept(cluster)
    barrier.opened.set()
    await ticking
    assert after.counter == before.counter + 1
    assert after.value != before.value
    await process.tick()
    assert kept(cluster) == after


async def test_where_nothing_may_be_claimed_the_witness_counts_nothing(cluster: Cluster) -> None:
    process = await begun(cluster)
    await process.due()
    await process.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    await process.service.freeze(LENA, reason="a test")
    before = witness(cluster).read_text()
    await process.tick()
    assert witness(cluster).read_text() == before
    assert cluster.whop.exchanges == []


async def test_an_ordinary_restart_is_no_alarm(cluster: Cluster) -> None:
    for _ in range(3):
        await used(cluster)
    assert await why_frozen(await begun(cluster)) == []


@pytest.mark.parametrize(
    "content",
    ['["another", 1]', "garbage", "", "[]", "7", '{"counter": 1}', '["a", "b"]', "\xff"],
)
async def test_the_witness_of_another_database_or_an_unreadable_one_freezes(
    cluster: Cluster, content: str
) -> None:
    await used(cluster)
    witness(cluster).write_text(content, encoding="latin-1")
    assert await why_frozen(await begun(cluster)) == [ALIEN]


async def test_a_missing_witness_freezes(cluster: Cluster) -> None:
    await used(cluster)
    witness(cluster).unlink()
    assert await why_frozen(await begun(cluster)) == [ALIEN]


async def test_one_of_several_processes_may_come_without_a_witness_of_its_own(cluster: Cluster) -> None:
    await used(cluster)
    worker = await cluster.join(restore_guard=cluster.folder / "elsewhere" / "herald.witness")
    await worker.startup.begin()
    assert await why_frozen(worker) == []
    assert worker.restore_guard.file.exists()


async def test_one_of_several_processes_notices_a_restore_by_the_witness_that_it_has(
    cluster: Cluster,
) -> None:
    await used(cluster)
    witness(cluster).write_text(json.dumps(["lost", kept(cluster).counter + 1]))
    worker = await cluster.join()
    await worker.startup.begin()
    assert await why_frozen(worker) == ["the database was restored from a copy"]


async def test_an_empty_database_beside_an_old_witness_is_another_one_and_freezes(cluster: Cluster) -> None:
    witness(cluster).write_text('{"counter": 7, "mark": "another", "broadcasts": 3, "events": {}}')
    process = await begun(cluster)
    assert await why_frozen(process) == [ALIEN]
    assert kept(cluster).counter > 7
    await process.unfreeze(LENA)
    await process.startup.end()
    await process.leave()
    assert await why_frozen(await begun(cluster)) == []


async def test_what_an_older_herald_wrote_beside_its_database_is_understood(cluster: Cluster) -> None:
    await used(cluster)
    mark = kept(cluster)
    witness(cluster).write_text(json.dumps([mark.value, mark.counter]))
    assert await why_frozen(await begun(cluster)) == []


async def test_a_database_from_before_there_was_a_witness_is_no_alarm(cluster: Cluster) -> None:
    process = await cluster.join(alone=True)
    await process.approved()
    await process.startup.begin()
    assert await why_frozen(process) == []


async def test_a_kill_between_the_commit_and_the_witness_is_no_alarm(cluster: Cluster) -> None:
    await used(cluster)
    process = await begun(cluster)
    with process.store.begin() as tx:
        process.restore_guard.advance(tx)
    await process.leave()
    assert await why_frozen(await begun(cluster)) == []


async def test_without_a_witness_that_can_be_written_nothing_is_sent_until_that_is_mended(
    cluster: Cluster,
) -> None:
    process = await begun(cluster)
    await process.due()
    in_the_way = witness(cluster)
    in_the_way.unlink()
    in_the_way.mkdir()
    for _ in range(2):
        await process.tick()
        delivery = only(await process.deliveries())
        assert delivery.status is DeliveryStatus.PENDING
        assert "herald.witness cannot be written" in delivery.detail
        cluster.clock.advance(timedelta(seconds=61))
    assert cluster.whop.exchanges == []
    assert await process.status() is Status.SENDING
    assert "herald.witness cannot be written" in words(await review_card(process))

    in_the_way.rmdir()
    await process.tick()
    assert await process.status() is Status.SENT
    assert len(cluster.whop.exchanges) == 1


async def test_a_start_without_a_witness_that_can_be_written_ends_with_a_sentence(
    cluster: Cluster,
) -> None:
    witness(cluster).mkdir()
    process = await cluster.join(alone=True)
    with pytest.raises(StoreError, match=r"herald\.witness cannot be written .* mend its folder"):
        await process.startup.begin()


async def test_two_processes_of_one_folder_can_write_the_witness_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await cluster.join(), await cluster.join()
    put = Path.replace

    def overtaken(self: Path, target: Path) -> Path:
        monkeypatch.undo()
        other.restore_guard.keep(Mark(12, "twelve"))
        return put(self, target)

    monkeypatch.setattr(Path, "replace", overtaken)
    one.restore_guard.keep(Mark(11, "eleven"))
    assert kept(cluster) in (Mark(11, "eleven"), Mark(12, "twelve"))
    assert list(cluster.folder.glob("herald.witness*")) == [witness(cluster)]
