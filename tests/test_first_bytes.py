"""What a process had begun to send is known after it was killed, so that what never left refutes no proof."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from bot.broadcast import Status
from bot.clock import utc_now
from bot.key_trust import REFUTED, REFUTED_BY
from bot.sending.first_bytes import KEPT, FirstBytes
from tests.harness.process import UNDONE, Cluster, Process

MANY = REFUTED_BY + 3


@pytest.fixture
async def cluster(tmp_path: Path, sqlite_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(sqlite_url, tmp_path) as opened:
        yield opened


async def killed_before_the_first_byte(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process claim everything, and be killed before anything of it leaves."""
    process = await cluster.join()
    await process.prove()
    for _ in range(MANY):
        await process.approved()
    await process.count()
    cluster.clock.advance(UNDONE)
    held, all_held = asyncio.Event(), asyncio.Event()
    seen: list[object] = []

    async def never(request: object, **_: Any) -> None:
        seen.append(request)
        if len(seen) == MANY:
            all_held.set()
        await held.wait()

    monkeypatch.setattr(process.wire, "send", never)
    ticking = asyncio.create_task(process.tick())
    await all_held.wait()
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    await process.leave()


async def settled_by_the_next(cluster: Cluster) -> Process:
    process = await cluster.join()
    await process.let_leases_end()
    for _ in range(MANY):
        await process.tick()
    return process


async def test_what_never_left_before_a_crash_is_sent_and_refutes_no_proof(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await killed_before_the_first_byte(cluster, monkeypatch)
    process = await settled_by_the_next(cluster)
    assert [await process.status(number) for number in range(1, MANY + 1)] == [Status.SENT] * MANY
    assert len(cluster.whop.pushes) == MANY
    assert await process.freezes() == []


async def test_where_nobody_knows_what_had_begun_a_proof_ends_as_ever(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await killed_before_the_first_byte(cluster, monkeypatch)
    for notes in cluster.folder.glob("begun-*"):
        notes.unlink()
    process = await settled_by_the_next(cluster)
    assert [one.reason for one in await process.freezes()] == [REFUTED]


def noted(folder: Path, owner: str, *attempts: tuple[int, int]) -> FirstBytes:
    notes = FirstBytes(folder, owner=owner, clock=utc_now)
    notes.open()
    for delivery, attempt in attempts:
        notes.note(delivery, attempt)
    return notes


def test_what_had_begun_is_known_to_others_of_the_machine(tmp_path: Path) -> None:
    noted(tmp_path, "one", (7, 1), (8, 2))
    other = FirstBytes(tmp_path, owner="other", clock=utc_now)
    assert other.begun_by("one") == {(7, 1), (8, 2)}
    assert other.begun_by("nobody") is None


def test_of_a_process_that_was_killed_at_its_first_claim_it_is_known_that_nothing_had_begun(
    tmp_path: Path,
) -> None:
    noted(tmp_path, "one")
    assert FirstBytes(tmp_path, owner="other", clock=utc_now).begun_by("one") == set()


def test_after_the_machine_was_restarted_the_notes_tell_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted(tmp_path, "one", (7, 1))
    restarted = tmp_path / "boot_id"
    restarted.write_text("another start\n", encoding="utf-8")
    monkeypatch.setattr("bot.clock._BOOT", restarted)
    assert FirstBytes(tmp_path, owner="other", clock=utc_now).begun_by("one") is None


def test_where_a_machine_does_not_say_when_it_was_started_nothing_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.clock._BOOT", tmp_path / "nothing")
    noted(tmp_path, "one", (7, 1))
    assert FirstBytes(tmp_path, owner="other", clock=utc_now).begun_by("one") is None
    assert [*tmp_path.iterdir()] == []


def test_notes_that_cannot_be_completed_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = noted(tmp_path, "one", (7, 1))

    def full(_: int, noted: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        notes.note(8, 1)
    notes.note(9, 1)
    notes.open()
    assert FirstBytes(tmp_path, owner="other", clock=utc_now).begun_by("one") is None


def test_notes_that_cannot_be_removed_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = noted(tmp_path, "one", (7, 1))

    def stays(_: Path, **_more: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "unlink", stays)
    notes.close()
    assert FirstBytes(tmp_path, owner="other", clock=utc_now).begun_by("one") is None


def test_whoever_ends_in_order_leaves_no_notes_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    noted(tmp_path, "old")
    old = tmp_path / "begun-old"
    long_ago = old.stat().st_mtime - KEPT.total_seconds() - 1
    os.utime(old, (long_ago, long_ago))
    noted(tmp_path, "young")
    assert [one.name for one in tmp_path.iterdir()] == ["begun-young"]
    noted(tmp_path, "one", (7, 1)).close()
    assert [one.name for one in tmp_path.iterdir()] == ["begun-young"]
