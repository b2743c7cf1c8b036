"""A database that went back in time sends nothing by itself, whoever notices it and however late."""

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from bot.audit.chain import SKIPPED, Event, chain, first_broken
from bot.broadcast import Broadcast, Status
from bot.chat.channels import ChannelReader
from bot.errors import StoreError
from bot.sandbox.sandbox import UNDONE
from bot.store import Access
from tests.conftest import OpenSandbox
from tests.harness.backup import back_up, dump_into_itself, standby
from tests.harness.cards import review_card, words
from tests.harness.found import only
from tests.harness.people import LENA, MAYA, OMAR, WORDS
from tests.harness.process import Cluster, Process
from tests.test_audit import make_entry

ALIEN = "the database and herald.witness beside it do not belong together"
COPY = "the database was restored from a copy"
MOVED = "the database was restored from a copy, or a standby has taken over"
RESTORED = "the database was restored from a copy; it may have gone out since that was made"
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def cluster(tmp_path: Path, database_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
async def server(tmp_path: Path, postgres_url: str) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(postgres_url, tmp_path) as opened:
        yield opened


async def begun(cluster: Cluster, machine: str = "one") -> Process:
    """Start a process on a machine, which has a witness file of its own."""
    process = await cluster.join(restore_guard=cluster.folder / machine / "herald.witness")
    await process.startup.begin()
    return process


async def end(process: Process) -> None:
    await process.startup.end()
    await process.leave()


async def five_due(process: Process) -> Sequence[Broadcast]:
    """Let five broadcasts be due, two of which are on their way and wait for their first try."""
    due = [await process.due() for _ in range(2)]
    await process.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    return [*due, *[await process.due() for _ in range(3)]]


async def assert_nothing_goes_out(process: Process, *reasons: str) -> None:
    """Let it send what it would, and see that all is frozen, held and told."""
    for _ in range(3):
        await process.tick(MINUTE)
    assert [one.reason for one in await process.freezes()] == [*reasons]
    assert await process.lines("freeze") == [*reasons]
    found = [await process.get(number) for number in range(1, 6)]
    assert [one.status for one in found] == [Status.UNKNOWN] * 2 + [Status.HELD] * 3
    assert {one.reason for one in found} == {RESTORED}
    assert f"It will **not** go out by itself: {RESTORED}." in words(await review_card(process, 5))


async def test_a_copy_that_is_put_under_a_running_process_sends_nothing(cluster: Cluster) -> None:
    process = await begun(cluster)
    await five_due(process)
    put_back = back_up(cluster.url, cluster.folder)
    await process.tick()
    assert len(cluster.whop.exchanges) == 5
    put_back()
    await assert_nothing_goes_out(process, COPY)
    assert len(cluster.whop.exchanges) == 5


async def test_a_copy_in_which_something_is_on_its_way_already_claims_nothing(cluster: Cluster) -> None:
    process = await begun(cluster)
    await process.due()
    await process.dispatcher._start_due()  # pyright: ignore[reportPrivateUsage]
    put_back = back_up(cluster.url, cluster.folder)
    await process.tick()
    put_back()
    await process.tick(MINUTE)
    assert [one.reason for one in await process.freezes()] == [COPY]
    assert (await process.status(), (await process.get()).reason) == (Status.UNKNOWN, RESTORED)
    assert len(cluster.whop.exchanges) == 1


async def test_what_was_held_after_a_restore_is_released_one_by_one_after_two_have_agreed(
    cluster: Cluster,
) -> None:
    process = await begun(cluster)
    await five_due(process)
    put_back = back_up(cluster.url, cluster.folder)
    await process.tick()
    put_back()
    await assert_nothing_goes_out(process, COPY)
    await process.unfreeze(LENA)
    await process.tick(MINUTE)
    assert len(cluster.whop.exchanges) == 5
    held = await process.get(5)
    await process.service.release(LENA, held.id, revision=held.revision)
    await process.service.approve(OMAR, held.id, revision=held.revision)
    await process.tick(MINUTE)
    assert await process.status(5) is Status.SENT
    assert len(cluster.whop.exchanges) == 6


async def test_a_copy_under_a_process_that_has_not_sent_anything_since_is_noticed_by_its_mark(
    server: Cluster,
) -> None:
    process = await begun(server)
    put_back = dump_into_itself(server.url, server.folder)
    await five_due(process)
    put_back()
    await process.due()
    await process.tick()
    assert [one.reason for one in await process.freezes()] == [MOVED]
    assert await process.status() is Status.HELD
    assert server.whop.exchanges == []


async def test_after_a_restore_the_machine_that_sent_nothing_last_may_start_first(server: Cluster) -> None:
    one, two = await begun(server, "one"), await begun(server, "two")
    await five_due(one)
    put_back = back_up(server.url, server.folder)
    await end(two)
    await one.tick()
    await end(one)
    put_back()
    two = await begun(server, "two")
    await assert_nothing_goes_out(two, MOVED)
    one = await begun(server, "one")
    await one.tick(MINUTE)
    assert len(server.whop.exchanges) == 5


async def test_after_a_restore_a_machine_that_is_new_may_start_first(server: Cluster) -> None:
    one = await begun(server, "one")
    await five_due(one)
    put_back = back_up(server.url, server.folder)
    await one.tick()
    await end(one)
    put_back()
    await assert_nothing_goes_out(await begun(server, "new"), MOVED)
    assert len(server.whop.exchanges) == 5


async def test_a_standby_that_took_over_sends_nothing_by_itself_whoever_starts_first(
    server: Cluster,
) -> None:
    one = await begun(server, "one")
    await five_due(one)
    with standby(server.url) as take_over:
        # Both know of all that was sent: the standby lost nothing, but nobody can know that.
        await end(one)
        server.url = take_over()
        new = await begun(server, "new")
        await assert_nothing_goes_out(new, MOVED)
        assert server.whop.exchanges == []
        await new.leave()


async def test_a_copy_that_another_machine_has_gone_on_with_is_still_told_from_the_original(
    server: Cluster,
) -> None:
    one, two = await begun(server, "one"), await begun(server, "two")
    put_back = dump_into_itself(server.url, server.folder)
    await five_due(one)
    await one.tick()
    put_back()
    # The other knows nothing of what was lost, and counts on past it.
    with two.store.begin() as tx:
        for _ in range(20):
            two.restore_guard.keep(two.restore_guard.advance(tx))
    await one.due()
    await one.tick()
    assert len(await one.freezes()) == 1
    assert len(server.whop.exchanges) == 5


async def test_a_server_that_keeps_its_identity_to_itself_is_told_by_its_marks(server: Cluster) -> None:
    process = await begun(server)
    with process.store.begin(Access.READ) as tx:
        found = tx.history.find(1)
    assert len([part for part in found.here.split("/") if part]) == 4
    assert not found.has_moved
    assert not found._replace(here="///").has_moved
    assert not found._replace(identity="").has_moved
    for place in range(4):
        parts = found.here.split("/")
        parts[place] = "another"
        assert found._replace(here="/".join(parts)).has_moved


# --- what happened, and nothing was sent -----------------------------------------------------------


async def watched(process: Process) -> Process:
    """Let what happened be kept beside the database, as the loop does at once."""
    await process.restore_watch.look()
    return process


async def test_a_copy_is_noticed_though_nothing_was_sent_since_it_was_made(cluster: Cluster) -> None:
    process = await watched(await begun(cluster))
    await process.approved()
    await watched(process)
    put_back = back_up(cluster.url, cluster.folder)
    await process.submitted()
    await watched(process)
    put_back()
    await watched(process)
    assert [one.reason for one in await process.freezes()] == [COPY]
    assert await process.status() is Status.HELD
    assert cluster.whop.exchanges == []


async def test_an_event_moves_the_mark_once_and_a_moment_without_any_does_not(cluster: Cluster) -> None:
    process = await watched(await begun(cluster))

    def counter() -> int:
        with process.store.begin(Access.READ) as tx:
            newest = tx.history.find(0).newest
        assert newest
        return newest.counter

    await watched(process)
    before = counter()
    await process.submitted()
    await watched(process)
    assert counter() == before + 1
    await watched(process)
    assert counter() == before + 1


async def test_another_empty_database_is_noticed_under_a_running_process(
    cluster: Cluster,
) -> None:
    put_back = back_up(cluster.url, cluster.folder)
    process = await begun(cluster)
    await process.approved()
    await watched(process)
    put_back()
    await watched(process)
    assert [one.reason for one in await process.freezes()] == [ALIEN]
    assert (await process.submitted()).id > 1


@pytest.mark.parametrize("started_anew", [True, False])
async def test_no_number_that_was_given_out_is_given_out_again(cluster: Cluster, started_anew: bool) -> None:
    process = await watched(await begun(cluster))
    draft = await process.submitted()
    put_back = back_up(cluster.url, cluster.folder)
    lost = [(await process.submitted()).id for _ in range(3)]
    changed = await process.service.request_changes(OMAR, draft.id, revision=1, reason="shorter")
    changed = await process.service.edit(MAYA, draft.id, revision=1, notification=WORDS)
    lines = [one.sequence for one in await process.record()]
    await watched(process)
    if started_anew:
        await end(process)
    put_back()
    process = await begun(cluster) if started_anew else await watched(process)

    fresh = await process.submitted()
    assert fresh.id > max(lost)
    await process.service.request_changes(OMAR, draft.id, revision=1, reason="longer")
    again = await process.service.edit(MAYA, draft.id, revision=1, notification=WORDS)
    assert again.revision > changed.revision
    record = await process.record()
    skipped = only(one for one in record if one.action == SKIPPED)
    assert skipped.sequence > max(lines)
    kept = [one.sequence for one in record if one.sequence < skipped.sequence]
    assert skipped.detail.startswith(f"lines {max(kept) + 1} to {skipped.sequence - 1} are left out, and")
    assert [one.sequence for one in record if one.sequence > skipped.sequence] == list(
        range(skipped.sequence + 1, skipped.sequence + 1 + len(record) - len(kept) - 1)
    )
    assert first_broken(record) is None


async def test_until_it_is_discovered_nothing_is_committed_under_a_number_that_was_given_out(
    cluster: Cluster,
) -> None:
    process = await watched(await begun(cluster))
    put_back = back_up(cluster.url, cluster.folder)
    lost = await process.submitted()
    await watched(process)
    put_back()
    with pytest.raises(StoreError, match="went back to an earlier time; nothing was changed"):
        await process.submitted()
    assert await process.record() == []
    await watched(process)
    assert (await process.submitted()).id > lost.id


def test_a_line_behind_which_numbers_are_left_out_is_whole_and_any_other_is_not() -> None:
    def event(action: str, previous: Event | None, above: int = 0) -> Event:
        return chain(make_entry(1, action=action), previous=previous, above=above)

    first = event("submit", None)
    skipped = event(SKIPPED, first, above=1000)
    after = event("submit", skipped)
    assert [one.sequence for one in (first, skipped, after)] == [1, 1001, 1002]
    assert first_broken([first, skipped, after]) is None
    assert first_broken([event(SKIPPED, None, above=1000)]) is None
    assert first_broken([first, event("submit", first, above=1000)]) == 2
    assert first_broken([first, event(SKIPPED, event("edit", first), above=1000)]) == 2
    assert first_broken([skipped, after]) == 1


# --- the record's channel --------------------------------------------------------------------------


async def test_the_records_channel_tells_of_a_copy_that_was_restored_together_with_its_witness(
    open_sandbox: OpenSandbox, database_url: str
) -> None:
    async with open_sandbox("v5", database_url=database_url) as sandbox:
        await sandbox.submit(await sandbox.compose())
        await sandbox.herald.startup.begin()
        witness = sandbox.settings.witness_file
        put_back, told = back_up(database_url, witness.parent), witness.read_text()
        await sandbox.press("Omar", "Approve")
        await sandbox.wait(UNDONE)
        shown = len(sandbox.channel("audit").history())
        put_back()
        witness.write_text(told)
        await sandbox.restart()
        # Beside its copy, the server's identity tells; here only the channel is asked.
        await sandbox.herald.watcher.compare(ChannelReader(sandbox.herald.client))
        with sandbox.herald.store.begin(Access.READ) as tx:
            freeze = only(tx.freezes.standing())
            last = tx.audit.heads()[sandbox.world.guild.id].sequence or 0
        server = sandbox.policy.servers[0]
        assert freeze.reason == (
            f"the record's channel of {server.name} shows line {shown}, which the database lacks"
        )
        assert last > shown
        await sandbox.settle()
        await sandbox.herald.watcher.compare(ChannelReader(sandbox.herald.client))
        assert sum("found that the database went back" in text for text in sandbox.texts("audit")) == 1


async def test_a_record_that_has_all_that_its_channel_shows_is_no_alarm(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox("v5") as sandbox:
        await sandbox.approved()
        await sandbox.herald.restore_watch.compare(ChannelReader(sandbox.herald.client))
        with sandbox.herald.store.begin(Access.READ) as tx:
            assert tx.freezes.standing() == []


async def test_an_answer_to_what_the_copy_does_not_know_is_nobodys_and_the_process_goes_on(
    cluster: Cluster,
) -> None:
    process = await begun(cluster)
    await process.due()
    put_back = back_up(cluster.url, cluster.folder)
    ticking, barrier = await process.stopped_after_the_answer()
    put_back()
    barrier.opened.set()
    await ticking
    for _ in range(2):
        await process.tick(MINUTE)
    assert [one.reason for one in await process.freezes()] == [COPY]
    assert (await process.status(), (await process.get()).reason) == (Status.HELD, RESTORED)
    assert len(cluster.whop.exchanges) == 1


async def test_an_answer_to_a_broadcast_that_the_copy_does_not_know_is_nobodys(cluster: Cluster) -> None:
    put_back = back_up(cluster.url, cluster.folder)
    process = await begun(cluster)
    await process.due()
    ticking, barrier = await process.stopped_after_the_answer()
    put_back()
    barrier.opened.set()
    await ticking
    await watched(process)
    assert [one.reason for one in await process.freezes()] == [ALIEN]
