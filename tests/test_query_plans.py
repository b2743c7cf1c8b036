"""No question that a person or a loop waits for reads through a table that grows: the planners are asked."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Engine, event

from bot.audit.search import Search
from bot.broadcast import OPEN, DraftState, Status
from bot.digest import Span
from bot.filter import Filter
from bot.policy.model import ACCOUNT
from bot.repeats import GOING_OUT, GONE_OUT
from bot.store import Store, Transaction
from bot.store.conditions import Deadlines
from tests.harness.past import lay_past

ROWS: Final = 100_000
GUILD: Final = 104900000000000001
NOW: Final = datetime(2026, 11, 23, 9, 41, tzinfo=UTC)
LATER: Final = NOW + timedelta(days=400)
# The first line was written then, and one each five minutes since: for nearly a year.
BEGIN: Final = datetime(2025, 12, 1, 9, 41, tzinfo=UTC)
EARLY, MIDDLE = BEGIN + timedelta(days=5), BEGIN + timedelta(days=170)
# What a planner calls a search may still go through a whole chain, row by row: so what it does is counted.
# To pass by each of so many rows takes SQLite's machine more than twice as many steps.
MOST_STEPS: Final = ROWS // 2
STEPS_AT_ONCE: Final = 100
MOST_ROWS: Final = ROWS // 20
# What grows with each broadcast, press and post.
GROWING: Final = (
    "broadcasts", "revisions", "approvals", "deliveries", "attempts", "audit_events", "cards", "posts",
    "interactions", "loans",
)  # fmt: skip
# The indexes of what waits are small, however much there ever was: they may be read as a whole.
SMALL: Final = ("USING INDEX ix_cards_unshown", "USING INDEX ix_cards_of_channel")

DEADLINES: Final = Deadlines(
    {GUILD: EARLY, GUILD + 1: EARLY}, {GUILD: ACCOUNT, GUILD + 1: ACCOUNT}, [ACCOUNT]
)


def events(**what: Any) -> Callable[[Transaction], object]:
    """Return the question for a page of those events, with one more to see whether there is another page."""
    return lambda tx: tx.audit.newest(Search(guild_id=GUILD, **what), limit=26)


def searched(**what: Any) -> Callable[[Transaction], object]:
    """Return the question for a page of those broadcasts of the past."""
    statuses = [Status.SENT, Status.FAILED]
    return lambda tx: tx.broadcasts.in_status(GUILD, statuses, only=Filter(**what), limit=11)


ASKED: Final[dict[str, Callable[[Transaction], object]]] = {
    "the dispatcher's look": lambda tx: tx.deliveries.work(
        NOW, owner="me", outlived=None, deadlines=DEADLINES
    ),
    "the announcer's look": lambda tx: tx.outbox.waiting(cards_until=NOW, posts_until=NOW),
    "cards to draw": lambda tx: tx.outbox.cards_to_draw(11, NOW, limit=50),
    "which messages are noted": lambda tx: tx.outbox.are_known([7, 8]),
    "what stood in messages that are gone": lambda tx: tx.outbox.lost([7, 8]),
    "where cards stand": lambda tx: tx.outbox.places([7, 8]),
    "posts to make": lambda tx: tx.outbox.posts_to_make(12, NOW, limit=50),
    "the mirror's condition": lambda tx: tx.mirror.condition(GUILD),
    "posts found tampered with": lambda tx: tx.mirror.tampered(GUILD),
    "a deleted message": lambda tx: tx.mirror.untold([7], gone=True),
    "the mirror's newest posts": lambda tx: tx.mirror.newest(GUILD, limit=1000),
    "one broadcast": lambda tx: tx.broadcasts.find(7),
    "what is due": lambda tx: tx.broadcasts.due(NOW, deadlines=DEADLINES, limit=100),
    "reviews that expired": lambda tx: tx.broadcasts.expired(NOW, limit=100),
    "the queue": lambda tx: tx.broadcasts.in_status(GUILD, sorted(OPEN), limit=11),
    "an old page of the queue": lambda tx: tx.broadcasts.in_status(GUILD, sorted(OPEN), before=9, limit=11),
    "the history": lambda tx: tx.broadcasts.in_status(GUILD, [Status.SENT, Status.FAILED], limit=11),
    "an old page of the history": lambda tx: tx.broadcasts.in_status(
        GUILD, [Status.SENT, Status.FAILED], before=50, limit=11
    ),
    "a middle page of the history": lambda tx: tx.broadcasts.in_status(
        GUILD, [Status.SENT, Status.FAILED], before=ROWS // 2, limit=11
    ),
    "a newer page of the history": lambda tx: tx.broadcasts.in_status(
        GUILD, [Status.SENT, Status.FAILED], after=ROWS // 2, limit=11
    ),
    "drafts": lambda tx: tx.broadcasts.drafts_of(GUILD, 7, limit=11),
    "a middle page of drafts": lambda tx: tx.broadcasts.drafts_of(GUILD, 7, before=ROWS // 2, limit=11),
    "a newer page of drafts": lambda tx: tx.broadcasts.drafts_of(GUILD, 7, after=ROWS // 2, limit=11),
    "the history of an audience": searched(audience="Audience 7"),
    "the history of a rare audience": searched(audience="Rare"),
    "words of a rare audience": searched(audience="Rare", words="nobody said"),
    "words of an audience": searched(audience="Audience 7", words="nobody said"),
    "the history of an author": searched(person=7),
    "the history of an approver": searched(person=1007),
    "the history of nobody": searched(person=999),
    "words of an author": searched(person=7, words="nobody said"),
    "the history of a topic": searched(topic="topic1"),
    "the history of a rare topic": searched(topic="rare"),
    "words that many said": searched(words="live"),
    "the history of a day long ago": searched(since=EARLY.date(), until=EARLY.date()),
    "the history since half of the time": searched(since=MIDDLE.date()),
    "the history until long ago": searched(until=EARLY.date()),
    "words of a day": searched(since=MIDDLE.date(), until=MIDDLE.date(), words="nobody said"),
    "the history of a day to come": searched(since=LATER.date()),
    "what waits, for the calendar": lambda tx: tx.agenda.waiting(GUILD),
    "where a page of the calendar ended": lambda tx: tx.agenda.find(GUILD, 7),
    "how many requests a page tells of": lambda tx: tx.tallies.requests(range(1, 12)),
    "what a week's digest counts": lambda tx: tx.tallies.results(
        GUILD, Span(MIDDLE, MIDDLE + timedelta(days=7))
    ),
    "what a kept search looks for": lambda tx: tx.searches.find(GUILD, "a" * 16),
    "the topics of a server": lambda tx: tx.search_index.topics(GUILD),
    "drafts that came back": lambda tx: tx.broadcasts.drafts_of(
        GUILD, 7, state=DraftState.CAME_BACK, limit=11
    ),
    "drafts that are shared": lambda tx: tx.broadcasts.drafts_of(GUILD, 7, state=DraftState.SHARED, limit=11),
    "drafts that say something": lambda tx: tx.broadcasts.drafts_of(GUILD, 7, words="nobody said", limit=11),
    "a broadcast's deliveries": lambda tx: tx.deliveries.of(7),
    "what became of a broadcast": lambda tx: tx.deliveries.results([7]),
    "deliveries to claim": lambda tx: tx.deliveries.may_go(
        NOW, account=ACCOUNT, guild_ids=[GUILD, GUILD + 1], limit=100
    ),
    "deliveries that are late": lambda tx: tx.deliveries.late(DEADLINES, limit=100),
    "abandoned claims": lambda tx: tx.deliveries.abandoned(owner="me", outlived=None),
    "Whop's rate": lambda tx: tx.deliveries.ended_after(LATER, account=ACCOUNT, most=600),
    "one event": lambda tx: tx.audit.get(GUILD, 7),
    "a broadcast's events": lambda tx: tx.audit.of_broadcast(7, limit=25),
    "what a broadcast's summary tells": lambda tx: tx.audit.told([7], ["stop", "accepted"]),
    "broadcasts to export": lambda tx: tx.audit.broadcasts(Search(guild_id=GUILD), after=7, limit=100),
    "deliveries to export": lambda tx: tx.deliveries.of_all([7, 8]),
    "what says the same": lambda tx: tx.broadcasts.alike(["f7"], statuses=GOING_OUT, since=BEGIN),
    "what says the same as what is due": lambda tx: tx.broadcasts.alike(
        [f"f{number}" for number in range(100)], statuses=GONE_OUT, since=BEGIN
    ),
    "what sends a broadcast again": lambda tx: tx.broadcasts.copies(7),
    "what templates have lent lately": lambda tx: tx.loans.since(GUILD, LATER),
    "what broadcasts were lent": lambda tx: tx.loans.of([7, 8]),
    "revisions to export": lambda tx: tx.revisions.of([7, 8]),
    "what approvers read of a broadcast before": lambda tx: tx.revisions.read_before(7),
    "the newest events": events(),
    "events of a person": events(person=7),
    "events of a part of a name": events(person="aya"),
    "events of a proof code": events(proof="F7"),
    "events of a broadcast": events(broadcast_id=7),
    "events of a large audience": events(audience="Audience 7"),
    "events of a rare audience": events(audience="Rare"),
    "events since a date to come": events(since=LATER),
    "events since long ago": events(since=EARLY),
    "events since half of the time": events(since=MIDDLE),
    "events until long ago": events(until=EARLY),
    "events until half of the time": events(until=MIDDLE),
    "events until before the first": events(until=BEGIN - timedelta(days=1)),
    "events of one day": events(since=MIDDLE, until=MIDDLE + timedelta(days=1)),
    "events of a person until long ago": events(person=7, until=EARLY),
    "events of a large audience until long ago": events(audience="Audience 7", until=EARLY),
    "events of nobody on one day": events(person="nobody", since=MIDDLE, until=MIDDLE + timedelta(days=1)),
    "the end of a chain": lambda tx: tx.audit.heads(GUILD),
    "the audiences of a server": lambda tx: tx.audit.audiences(GUILD),
    "of which posts an event tells": lambda tx: tx.mirror.told_in(GUILD, 7),
    "cards that wait": lambda tx: tx.outbox.cards_waiting(GUILD),
    "attempts under way": lambda tx: tx.deliveries.under_way(ACCOUNT),
    "broadcasts by their status": lambda tx: tx.broadcasts.count(GUILD),
    "when the next falls due": lambda tx: tx.broadcasts.next_moment(),
}


# What nobody said is looked for in all that was said, and in nothing else.
IN_ALL_WORDS: Final[dict[str, Callable[[Transaction], object]]] = {
    "words that nobody said": searched(words="nobody said"),
    "words that nobody said on a topic": searched(topic="topic1", words="nobody said"),
    "words that nobody said until half of the time": searched(until=MIDDLE.date(), words="nobody said"),
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
    yield from _scanned(plan_of(connection, "FORMAT JSON", statement, parameters))


def plan_of(connection: Connection, how: str, statement: str, parameters: Any) -> dict[str, Any]:
    """Return PostgreSQL's plan of a statement."""
    plan = connection.exec_driver_sql(f"EXPLAIN ({how}) {statement}", parameters).scalar_one()
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def _scanned(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"].endswith("Seq Scan") and node.get("Relation Name") in GROWING:
        yield f"{node['Relation Name']} (cost {node['Total Cost']})"
    for inner in node.get("Plans", []):
        yield from _scanned(inner)


@contextmanager
def steps(connection: Connection) -> Generator[Callable[[], int]]:
    """Count what SQLite's machine does meanwhile, in steps that depend on the rows alone."""
    taken = count()
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: next(taken) < 0, STEPS_AT_ONCE)
    try:
        yield lambda: next(taken) * STEPS_AT_ONCE
    finally:
        driver.set_progress_handler(None, 0)


def rows_looked_at(node: Mapping[str, Any]) -> int:
    """Return how many rows PostgreSQL took from tables that grow or from their indexes, used or not."""
    looked = sum(rows_looked_at(inner) for inner in node.get("Plans", []))
    if node.get("Relation Name") in GROWING and "Actual Rows" in node:
        passed_by = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        looked += round((node["Actual Rows"] + passed_by) * node["Actual Loops"])
    return looked


def visited(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    """Yield what was visited to answer, if that is more than an answer needs."""
    if connection.dialect.name == "sqlite":
        with steps(connection) as taken:
            connection.exec_driver_sql(statement, parameters).all()
            if (number := taken()) > MOST_STEPS:
                yield f"{number} steps"
        return
    plan = plan_of(connection, "ANALYZE, FORMAT JSON", statement, parameters)
    if (number := rows_looked_at(plan)) > MOST_ROWS:
        yield f"{number} rows"


@pytest.mark.timeout(180)
async def test_no_question_that_somebody_waits_for_reads_through_a_table_that_grows(
    database_url: str,
) -> None:
    async with Store.open(database_url) as store:
        with store.begin() as tx:
            connection = tx._connection  # pyright: ignore[reportPrivateUsage]
            lay_past(tx, guild=GUILD, rows=ROWS, begin=BEGIN)
        faults: list[str] = []
        with store.begin() as tx:
            connection = tx._connection  # pyright: ignore[reportPrivateUsage]
            for name, ask in IN_ALL_WORDS.items():
                with statements() as asked:
                    ask(tx)
                for statement, parameters in asked:
                    faults += [f"{name}: {one}" for one in read_through(connection, statement, parameters)]
                    if "search_index" not in statement:
                        faults += [f"{name}: {one}" for one in visited(connection, statement, parameters)]
        with store.begin() as tx:
            connection = tx._connection  # pyright: ignore[reportPrivateUsage]
            for name, ask in ASKED.items():
                with statements() as asked:
                    ask(tx)
                assert asked, name
                for statement, parameters in asked:
                    found = [
                        *read_through(connection, statement, parameters),
                        *visited(connection, statement, parameters),
                    ]
                    faults += [f"{name}: {one}: {' '.join(statement.split())[:300]}" for one in found]
    assert faults == [], "\n" + "\n".join(faults)
