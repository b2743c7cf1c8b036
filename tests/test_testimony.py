"""What the rest of the database knows speaks against a record that was cut off or emptied."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from bot.notification import Notification, Text
from bot.store import Access, Transaction
from bot.store.testimony import Contradiction
from tests.harness.people import LENA, MAYA, OMAR, submitted
from tests.harness.policy import GUILD, POLICY, parsed
from tests.harness.process import Cluster, Process

# Every private name in here belongs to the product.
# pyright: reportPrivateUsage=false

TEMPLATE: Final = """
[[server.template]]
name = "We are down"
audience = "One"
topic = "news"
subject = "We are down"
content = "Come back"
"""
SECOND: Final = '[[server.audience]]\nname = "Two"'
PARSED: Final = parsed(POLICY.replace(SECOND, f"{TEMPLATE}\n{SECOND}", 1))


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncGenerator[Cluster, None]:
    async with Cluster.open(database_url, tmp_path) as opened:
        yield opened


async def a_life(cluster: Cluster) -> Process:
    """Let broadcasts come to several ends, and one wait with an approval."""
    process = await cluster.join(policy=PARSED)
    await process.due("Two")
    await process.tick()
    await process.approved()
    await process.service.stop(OMAR, 2, revision=1)
    await process.service.submit(MAYA, 2, revision=1)
    await process.service.reject(LENA, 2, revision=1, reason="No")
    await process.due()
    cluster.members.roles[OMAR.id] = frozenset()
    await process.tick()
    standing = (await process.service.templates(OMAR))[0]
    await process.service.approve_template(OMAR, standing.number)
    await process.submitted()
    return process


def spoil(tx: Transaction, *statements: str) -> None:
    """Change rows past Herald, triggers and all."""
    connection = tx._connection
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
    else:
        for name in connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
            connection.execute(text(f"DROP TRIGGER {name}"))
    for statement in statements:
        connection.execute(text(statement))


def against(process: Process, guild_id: int | None = None) -> list[Contradiction]:
    with process.store.begin(Access.READ) as tx:
        return tx.testimony.against(guild_id)


async def test_nothing_speaks_against_a_record_that_was_left_alone(cluster: Cluster) -> None:
    assert against(await a_life(cluster)) == []


async def test_what_a_template_approved_by_a_clock_that_went_ahead_has_lent_is_no_contradiction(
    cluster: Cluster,
) -> None:
    process = await cluster.join(policy=PARSED)
    standing = (await process.service.templates(OMAR))[0]
    cluster.clock.advance(timedelta(hours=3))
    await process.service.approve_template(OMAR, standing.number)
    cluster.clock.jump(-timedelta(hours=3))
    words = Notification(topic="news", all=Text(subject="We are down", content="Come back"))
    lent = await submitted(process.service, words=words)
    assert [one.approver for one in lent.lent] == [OMAR.person]
    assert against(process) == []


async def test_a_record_that_was_emptied_is_found_by_each_thing_that_it_should_tell(cluster: Cluster) -> None:
    process = await a_life(cluster)
    last = (await process.record())[-1].sequence
    with process.store.begin() as tx:
        spoil(tx, "DELETE FROM audit_events")
    found = {one.what for one in against(process, GUILD)}
    assert f"lines 1-{last}: posted, or to be posted, and not in the record" in found
    assert "no line tells what happened last to #1, #2, #3, #4" in found
    assert "no line tells that Omar approved #1" in found
    assert any(one.startswith("no line tells that Omar approved the template ") for one in found)
    assert against(process, GUILD + 1) == []


async def test_the_last_five_lines_that_were_cut_off_are_found_though_their_posts_are_gone_too(
    cluster: Cluster,
) -> None:
    process = await a_life(cluster)
    first = (await process.record())[-1].sequence - 4
    with process.store.begin() as tx:
        spoil(tx, f"DELETE FROM audit_events WHERE guild_id = {GUILD} AND sequence >= {first}")
    assert f"lines {first}-{first + 4}: posted, or to be posted, and not in the record" in {
        one.what for one in against(process)
    }
    with process.store.begin() as tx:
        spoil(tx, f"DELETE FROM posts WHERE sequence >= {first}")
    found = {one.what for one in against(process)}
    assert "no line tells what happened last to #3, #4" in found


async def test_an_approval_that_somebody_put_in_is_found(cluster: Cluster) -> None:
    process = await a_life(cluster)
    with process.store.begin() as tx:
        spoil(
            tx,
            "INSERT INTO approvals (broadcast_id, approver_id, approver_name, revision, fingerprint, at)"
            f" SELECT id, {LENA.id}, 'Lena', revision, fingerprint, updated_at FROM broadcasts WHERE id = 4",
        )
    assert against(process) == [Contradiction(GUILD, "no line tells that Lena approved #4")]
