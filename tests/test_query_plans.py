"""No question that a person or a loop waits for reads through a table that grows: the planners are asked."""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Engine, event

from bot.audit.search import Search
from bot.broadcast import OPEN, Status
from bot.store import Store, Transaction

ROWS: Final = 100_000
GUILD: Final = 104900000000000001
NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
LATER: Final = NOW + timedelta(days=400)
# What grows with each broadcast, press and post.
GROWING: Final = (
    "broadcasts", "revisions", "approvals", "deliveries", "attempts", "audit_events", "cards", "posts",
    "interactions",
)  # fmt: skip
# The index of what waits is small, however much there ever was: it may be read as a whole.
SMALL: Final = "USING INDEX ix_cards_unshown"
WORDS: Final = '{"topic":"news","all":{"subject":"We are live","content":"Come in"}}'

# Each line of the past, by its number n: nearly all of it has ended, as it does.
PAST: Final = f"""
INSERT INTO broadcasts (id, guild_id, author_id, author_name, audience, notification, status, revision,
  fingerprint, origin_channel_id, note, reason, due_at, review_expires_at, created_at, updated_at)
  SELECT n, {GUILD}, n % 50, 'Maya',
    CASE n % 25000 WHEN 0 THEN 'Rare' ELSE 'Audience ' || (n % 40) END, '{WORDS}',
    CASE WHEN n % 10000 = 0 THEN 'review' WHEN n % 10000 = 1 THEN 'approved' WHEN n % 3 = 0 THEN 'draft'
      ELSE 'sent' END,
    1, 'f' || n, 1, '', '', '2026-12-24 09:41:00', '2026-12-24 09:41:00', '2026-11-01 09:41:00',
    '2026-11-01 09:41:00' FROM numbers;
INSERT INTO revisions (broadcast_id, revision, editor_id, editor_name, notification, at)
  SELECT n, 1, n % 50, 'Maya', '{WORDS}', '2026-11-01 09:41:00' FROM numbers;
INSERT INTO approvals (broadcast_id, approver_id, approver_name, revision, fingerprint, at)
  SELECT n, 1000 + n % 50, 'Omar', 1, 'f' || n, '2026-11-01 09:41:00' FROM numbers;
INSERT INTO deliveries (id, broadcast_id, position, method, url, headers, body, status, attempts, next_at,
  detail)
  SELECT n, n, 1, 'POST', 'https://api.whop.com', '{{}}', '', 'accepted', 1, '2026-11-01 09:41:00', ''
    FROM numbers;
INSERT INTO attempts (delivery_id, number, started_at, finished_at, detail)
  SELECT n, 1, '2026-11-01 09:41:00', '2026-11-01 09:41:01', '' FROM numbers;
INSERT INTO audit_events (guild_id, sequence, at, actor_id, actor_name, action, broadcast_id, proof, detail,
  previous, digest)
  SELECT {GUILD}, n, '2026-11-01 09:41:00', n % 50, 'Maya', 'composed', n, 'F' || (n % 9000), '', 'p' || n,
    'd' || n FROM numbers;
INSERT INTO cards (id, broadcast_id, channel_id, message_id, current, wanted, shown, failures, next_at)
  SELECT n, n, 1, n, CAST(1 AS BOOLEAN), 2, 2, 0, '2026-11-01 09:41:00' FROM numbers;
INSERT INTO posts (id, guild_id, channel_id, kind, broadcast_id, sequence, step, message_id, done, failures,
  next_at)
  SELECT n, {GUILD}, 1, 'audit', n, n, '', n, CAST(1 AS BOOLEAN), 0, '2026-11-01 09:41:00' FROM numbers;
INSERT INTO interactions (id, at) SELECT n, '2026-11-01 09:41:00' FROM numbers;
"""
NUMBERS: Final = {
    "sqlite": "CREATE TEMP TABLE numbers AS WITH RECURSIVE s(n) AS"
    f" (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ROWS}) SELECT n FROM s",
    "postgresql": f"CREATE TEMP TABLE numbers AS SELECT n FROM generate_series(1, {ROWS}) AS n",
}

ASKED: Final[dict[str, Callable[[Transaction], object]]] = {
    "the dispatcher's look": lambda tx: tx.deliveries.work(NOW, owner="me", outlived=None),
    "the announcer's look": lambda tx: tx.outbox.waiting(cards_until=NOW, posts_until=NOW),
    "cards to draw": lambda tx: tx.outbox.cards_to_draw(NOW, limit=50),
    "posts to make": lambda tx: tx.outbox.posts_to_make(NOW, limit=50),
    "the mirror's condition": lambda tx: tx.mirror.condition(GUILD),
    "posts found tampered with": lambda tx: tx.mirror.tampered(GUILD),
    "a deleted message": lambda tx: tx.mirror.untold([7], gone=True),
    "the mirror's newest posts": lambda tx: tx.mirror.newest(GUILD, limit=1000),
    "one broadcast": lambda tx: tx.broadcasts.find(7),
    "what is due": lambda tx: tx.broadcasts.due(NOW, limit=100),
    "reviews that expired": lambda tx: tx.broadcasts.expired(NOW, limit=100),
    "the queue": lambda tx: tx.broadcasts.in_status(GUILD, sorted(OPEN), limit=25),
    "the history": lambda tx: tx.broadcasts.in_status(GUILD, [Status.SENT, Status.FAILED], limit=25),
    "drafts": lambda tx: tx.broadcasts.of_author(GUILD, 7, Status.DRAFT, limit=25),
    "a broadcast's deliveries": lambda tx: tx.deliveries.of(7),
    "whether a broadcast is under way": lambda tx: tx.deliveries.is_under_way(7),
    "what became of a broadcast": lambda tx: tx.deliveries.results(7),
    "deliveries to claim": lambda tx: tx.deliveries.due(NOW, limit=100),
    "abandoned claims": lambda tx: tx.deliveries.abandoned(owner="me", outlived=None),
    "Whop's rate": lambda tx: tx.deliveries.arrived_since(LATER),
    "one event": lambda tx: tx.audit.get(GUILD, 7),
    "a broadcast's events": lambda tx: tx.audit.of_broadcast(7, limit=25),
    "the newest events": lambda tx: tx.audit.newest(Search(guild_id=GUILD), limit=25),
    "events of a person": lambda tx: tx.audit.newest(Search(guild_id=GUILD, person=7), limit=25),
    "events of a proof code": lambda tx: tx.audit.newest(Search(guild_id=GUILD, proof="F7"), limit=25),
    "events of a broadcast": lambda tx: tx.audit.newest(Search(guild_id=GUILD, broadcast_id=7), limit=25),
    "events since a date": lambda tx: tx.audit.newest(Search(guild_id=GUILD, since=LATER), limit=25),
    "events of a large audience": lambda tx: tx.audit.newest(
        Search(guild_id=GUILD, audience="Audience 7"), limit=25
    ),
    "events of a rare audience": lambda tx: tx.audit.newest(
        Search(guild_id=GUILD, audience="Rare"), limit=25
    ),
    "events until a date": lambda tx: tx.audit.newest(Search(guild_id=GUILD, until=NOW), limit=25),
    "the end of a chain": lambda tx: tx.audit.heads(GUILD),
    "the audiences of a server": lambda tx: tx.audit.audiences(GUILD),
    "of which posts an event tells": lambda tx: tx.mirror.told_in(GUILD, 7),
    "cards that wait": lambda tx: tx.outbox.cards_waiting(GUILD),
    "attempts under way": lambda tx: tx.deliveries.under_way_since(NOW),
    "when the next falls due": lambda tx: tx.broadcasts.next_moment(),
}


@contextmanager
def statements() -> Generator[list[tuple[str, Any]]]:
    """Collect what is executed meanwhile, with its values."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def read_through(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    """Yield each table that the planner means to read from one end to the other."""
    if connection.dialect.name == "sqlite":
        for *_, detail in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            step, _, rest = detail.partition(" ")
            if step == "SCAN" and rest.split()[0] in GROWING and not rest.endswith(SMALL):
                yield f"{rest.split()[0]} ({detail})"
        return
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    yield from _scanned((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])


def _scanned(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"].endswith("Seq Scan") and node.get("Relation Name") in GROWING:
        yield f"{node['Relation Name']} (cost {node['Total Cost']})"
    for inner in node.get("Plans", []):
        yield from _scanned(inner)


@pytest.mark.timeout(180)
async def test_no_question_that_somebody_waits_for_reads_through_a_table_that_grows(
    database_url: str,
) -> None:
    async with Store.open(database_url) as store:
        with store.begin() as tx:
            connection = tx._connection  # pyright: ignore[reportPrivateUsage]
            connection.exec_driver_sql(NUMBERS[connection.dialect.name])
            is_server = connection.dialect.name == "postgresql"
            for statement in filter(str.strip, PAST.split(";")):
                connection.exec_driver_sql(statement.replace("%", "%%") if is_server else statement)
            if is_server:
                # It does so by itself after a while; SQLite never does, and goes by the indexes alone.
                connection.exec_driver_sql("ANALYZE")
        faults: list[str] = []
        with store.begin() as tx:
            connection = tx._connection  # pyright: ignore[reportPrivateUsage]
            for name, ask in ASKED.items():
                with statements() as asked:
                    ask(tx)
                assert asked, name
                for statement, parameters in asked:
                    scans = list(read_through(connection, statement, parameters))
                    faults += [f"{name}: {scan}: {' '.join(statement.split())[:300]}" for scan in scans]
    assert faults == [], "\n" + "\n".join(faults)
