"""A database that any earlier Herald left, with rows in it, is brought up to date and loses none."""

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from bot.broadcast import Status
from bot.errors import StoreError
from bot.filter import Filter
from bot.freeze import Freeze
from bot.policy.model import ACCOUNT
from bot.store import Access, Store, Transaction, migrating
from bot.store.outbox import Waiting
from bot.value import Person
from tests.conftest import Postgres
from tests.harness.found import only

# Every private name in here belongs to the product.
# pyright: reportPrivateUsage=false

LIVE = Filter(words="LIVE")
SCHEMAS = Path(__file__).with_name("schemas")
VERSIONS = sorted(path.stem for path in (migrating.MIGRATIONS / "versions").glob("0*.py"))
EARLIER = [name[:4] for name in VERSIONS[:-1]]
WORDS = '{"topic":"news","all":{"subject":"We are live","content":"Come in"}}'
# What stood in every one of them: a broadcast that was sent, one that waits, and a freeze.
ROWS = f"""
INSERT INTO broadcasts (id, guild_id, author_id, author_name, audience, notification, status, revision,
  fingerprint, origin_channel_id, note, reason, created_at, updated_at)
  VALUES (1, 7, 101, 'Maya', 'Gold members', '{WORDS}', 'sent', 1, 'f1', 3, '', '', '2026-11-01 09:41:00',
    '2026-11-01 09:41:00'),
    (2, 7, 101, 'Maya', 'Gold members', '{WORDS}', 'review', 1, 'f2', 3, 'a note', '', '2026-11-01 09:41:00',
    '2026-11-01 09:41:00');
INSERT INTO revisions (broadcast_id, revision, editor_id, editor_name, notification, at)
  VALUES (1, 1, 101, 'Maya', '{WORDS}', '2026-11-01 09:41:00'),
    (2, 1, 101, 'Maya', '{WORDS}', '2026-11-01 09:41:00');
INSERT INTO approvals (broadcast_id, approver_id, approver_name, revision, fingerprint, at)
  VALUES (2, 102, 'Omar', 1, 'f2', '2026-11-01 09:42:00');
INSERT INTO deliveries (id, broadcast_id, position, method, url, headers, body, status, attempts, next_at,
  detail)
  VALUES (1, 1, 1, 'POST', 'https://api.whop.com', '{{}}', '', 'accepted', 1, '2026-11-01 09:41:00', '');
INSERT INTO attempts (delivery_id, number, started_at, finished_at, detail)
  VALUES (1, 1, '2026-11-01 09:41:00', '2026-11-01 09:41:01', '');
INSERT INTO audit_events (guild_id, sequence, at, actor_id, actor_name, action, broadcast_id, proof, detail,
  previous, digest)
  VALUES (7, 1, '2026-11-01 09:41:00', 101, 'Maya', 'composed', 1, 'F1', 'for Gold members', 'p', 'd');
INSERT INTO cards (id, broadcast_id, channel_id, message_id, current, wanted, shown, failures, next_at)
  VALUES (1, 2, 11, 900, CAST(1 AS BOOLEAN), 2, 1, 0, '2026-11-01 09:41:00');
INSERT INTO posts (id, guild_id, channel_id, kind, broadcast_id, sequence, step, message_id, done, failures,
  next_at) VALUES (1, 7, 12, 'audit', 1, 1, '', NULL, CAST(0 AS BOOLEAN), 0, '2026-11-01 09:41:00');
INSERT INTO facts (name, value) VALUES ('unknown answers in a row', '2');
"""
FREEZES_AS_FACTS = """
INSERT INTO facts (name, value) VALUES
  ('freeze of 7', '{"guild_id":7,"by":[103,"Lena"],"at":"2026-11-01T09:43:00Z","reason":"Wrong price"}'),
  ('freeze of all', '{"guild_id":null,"by":[0,"the host"],"at":"2026-11-01T09:44:00Z","reason":"All"}')
"""
COUNTED = "INSERT INTO ended (guild_id, status, number) VALUES (7, 'sent', 1)"
FREEZES = """
INSERT INTO freezes (guild_id, by_id, by_name, at, reason) VALUES
  (7, 103, 'Lena', '2026-11-01 09:43:00', 'Wrong price'), (0, 0, 'the host', '2026-11-01 09:44:00', 'All')
"""
# Who typed the name of a large audience was told by the record alone, until an approval said so itself.
TYPED = """
INSERT INTO approvals (broadcast_id, approver_id, approver_name, revision, fingerprint, at)
  VALUES (2, 103, 'Lena', 1, 'f2', '2026-11-01 09:43:00');
INSERT INTO audit_events (guild_id, sequence, at, actor_id, actor_name, action, broadcast_id, proof, detail,
  previous, digest)
  VALUES (7, 2, '2026-11-01 09:42:00', 102, 'Omar', 'approve', 2, 'F2', '', 'd', 'd2'),
    (7, 3, '2026-11-01 09:43:00', 103, 'Lena', 'approve', 2, 'F2', 'typed the audience''s name', 'd2', 'd3');
"""
# Vera typed it when she approved the template, Nils only when he approved an earlier one of that name.
TYPED_BEFOREHAND = """
INSERT INTO approvals (broadcast_id, approver_id, approver_name, revision, fingerprint, at, template)
  VALUES (2, 104, 'Vera', 1, 'f2', '2026-11-01 09:20:00', 'Down: now'),
    (2, 105, 'Nils', 1, 'f2', '2026-11-01 09:30:00', 'Down: now');
INSERT INTO template_approvals (guild_id, fingerprint, approver_id, approver_name, at)
  VALUES (7, 'aaaabbbbcccc', 104, 'Vera', '2026-11-01 09:20:00'),
    (7, '111122223333', 105, 'Nils', '2026-11-01 09:10:00'),
    (7, 'aaaabbbbcccc', 105, 'Nils', '2026-11-01 09:30:00');
INSERT INTO audit_events (guild_id, sequence, at, actor_id, actor_name, action, proof, detail, previous,
  digest)
  VALUES (7, 4, '2026-11-01 09:20:00', 104, 'Vera', 'approve_template', 'AAAABBBB',
      'template “Down: now”: typed the audience''s name', 'd3', 'd4'),
    (7, 5, '2026-11-01 09:30:00', 105, 'Nils', 'approve_template', '11112222',
      'template “Down: now”: typed the audience''s name', 'd4', 'd5'),
    (7, 6, '2026-11-01 09:30:00', 105, 'Nils', 'approve_template', 'AAAABBBB',
      'template “Down: now”', 'd5', 'd6');
"""
OF_NO_ACCOUNT = """
INSERT INTO freezes (guild_id, account, by_id, by_name, at, reason) VALUES
  (7, '', 103, 'Lena', '2026-11-01 09:43:00', 'Wrong price'),
  (0, '', 0, 'the host', '2026-11-01 09:44:00', 'All')
"""
# What any Herald since has written beside each broadcast.
INDEXED = """
INSERT INTO search_index (broadcast_id, guild_id, topic, words)
  VALUES (1, 7, 'news', 'we are live come in'), (2, 7, 'news', 'we are live come in')
"""


def migrate_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrating.MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def rows_of_names_typed(revision: str) -> list[str]:
    """Return what the Herald with that newest migration wrote of names that were typed."""
    of_approvals = (TYPED, TYPED_BEFOREHAND) if revision >= "0005" else (TYPED,)
    rows = ";\n".join(of_approvals if revision < "0015" else ())
    return [statement for statement in rows.split(";\n") if statement.strip()]


def leave(url: str, revision: str) -> None:
    """Leave a database as the Herald with that newest migration did."""
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate_to(connection, revision)
        more = (FREEZES, COUNTED) if revision >= "0006" else (FREEZES_AS_FACTS,)
        if revision >= "0013":
            more = (OF_NO_ACCOUNT, COUNTED)
        if revision >= "0022":
            more = (*more, INDEXED)
        rows = ROWS
        if revision >= "0030":
            rows = rows.replace("notification, at)", "notification, at, audience)")
            rows = rows.replace(
                f"'{WORDS}', '2026-11-01 09:41:00')", f"'{WORDS}', '2026-11-01 09:41:00', 'Gold members')"
            )
        for statement in filter(str.strip, [*rows.split(";\n"), *more, *rows_of_names_typed(revision)]):
            connection.execute(text(statement.replace(":", "\\:")))
    engine.dispose()


def assert_kept(tx: Transaction, revision: str) -> None:
    first, second = tx.broadcasts.get(1), tx.broadcasts.get(2)
    assert (first.status, first.title, first.author) == (Status.SENT, "We are live", Person(101, "Maya"))
    assert (second.status, second.note) == (Status.REVIEW, "a note")
    expected = {"Omar": False}
    if revision < "0015":
        expected |= {"Lena": True} | ({"Vera": True, "Nils": False} if revision >= "0005" else {})
    assert {one.approver.name: one.named for one in (*second.approvals, *second.lent)} == expected
    assert [one.audience for some in tx.revisions.of([1, 2]).values() for one in some] == ["Gold members"] * 2
    assert tx.broadcasts.count(7) == {"sent": 1, "review": 1}
    assert [one.id for one in tx.broadcasts.in_status(7, [*Status], only=LIVE, limit=9)] == [2, 1]
    assert tx.search_index.topics(7) == ["news"]
    delivery = only(tx.deliveries.of(1))
    assert (delivery.account, delivery.attempts, len(delivery.past)) == (ACCOUNT, 1, 1)
    assert tx.audit.get(7, 1).detail == "for Gold members"
    assert tx.outbox.waiting(cards_until=first.created_at, posts_until=first.created_at) == {
        11: Waiting(cards=True, posts=False),
        12: Waiting(cards=False, posts=True),
    }
    everything, server = tx.freezes.standing()
    assert everything == Freeze(guild_id=None, by=Person(0, "the host"), at=everything.at, reason="All")
    assert (server.guild_id, server.by, server.reason) == (7, Person(103, "Lena"), "Wrong price")
    assert server.at.isoformat() == "2026-11-01T09:43:00+00:00"


@pytest.mark.parametrize("revision", EARLIER)
async def test_a_file_of_every_earlier_version_is_brought_up_to_date_with_its_rows(
    tmp_path: Path, revision: str
) -> None:
    file = tmp_path / "herald.db"
    with sqlite3.connect(file) as connection:
        # What was really written then, and not what the migrations make of it now.
        connection.executescript((SCHEMAS / f"{revision}.sql").read_text("utf-8"))
        connection.executescript(";\n".join(rows_of_names_typed(revision)))
    connection.close()
    async with Store.open(f"sqlite:///{file}") as store:
        with store.begin(Access.READ) as tx:
            assert_kept(tx, revision)
        with pytest.raises(StoreError, match="what was written is never changed"), store.begin() as tx:
            tx._connection.execute(text("UPDATE approvals SET approver_name = 'Maya'"))
        with pytest.raises(StoreError, match="what was written is never changed"), store.begin() as tx:
            tx._connection.execute(text("UPDATE revisions SET audience = 'Everyone'"))


@pytest.mark.parametrize("revision", EARLIER)
async def test_a_servers_database_of_every_earlier_version_is_brought_up_to_date_with_its_rows(
    postgres: Postgres, revision: str
) -> None:
    name = postgres.new(template="template0")
    leave(postgres.url(name), revision)
    async with Store.open(postgres.url(name)) as store:
        with store.begin(Access.READ) as tx:
            assert_kept(tx, revision)
        with pytest.raises(StoreError, match="what was written is never changed"), store.begin() as tx:
            tx._connection.execute(text("UPDATE approvals SET approver_name = 'Maya'"))
        with pytest.raises(StoreError, match="what was written is never changed"), store.begin() as tx:
            tx._connection.execute(text("UPDATE revisions SET audience = 'Everyone'"))
    postgres.drop(name)


def test_each_earlier_version_has_its_file() -> None:
    assert [path.stem for path in sorted(SCHEMAS.glob("*.sql"))] == EARLIER
