"""A long past, laid into a database at once: as many of everything as years bring about."""

from datetime import datetime
from typing import Final

from bot.store import Transaction

_WORDS: Final = '{"topic":"news","all":{"subject":"We are live","content":"Come in"}}'

# Each line of the past, by its number n: nearly all of it has ended, as it does.
_PAST: Final = f"""
INSERT INTO broadcasts (id, guild_id, author_id, author_name, audience, notification, status, revision,
  fingerprint, origin_channel_id, note, reason, due_at, review_expires_at, created_at, updated_at)
  SELECT n, GUILD, n % 50, 'Maya',
    CASE n % 25000 WHEN 0 THEN 'Rare' ELSE 'Audience ' || (n % 40) END, '{_WORDS}',
    CASE WHEN n % 10000 = 0 THEN 'review' WHEN n % 10000 = 1 THEN 'approved' WHEN n % 29 = 0 THEN 'draft'
      ELSE 'sent' END,
    1, 'f' || n, 1, '', '', '2026-12-24 09:41:00', '2026-12-24 09:41:00', WRITTEN, WRITTEN
    FROM numbers;
INSERT INTO search_index (broadcast_id, guild_id, topic, words)
  SELECT n, GUILD, CASE n % 25000 WHEN 0 THEN 'rare' ELSE 'topic' || (n % 3) END,
    'we are live ' || n || ' SAID' FROM numbers;
INSERT INTO revisions (broadcast_id, revision, editor_id, editor_name, notification, at)
  SELECT n, 1, n % 50, 'Maya', '{_WORDS}', '2026-11-01 09:41:00' FROM numbers;
INSERT INTO shares (broadcast_id, person_id, person_name, at)
  SELECT n, n % 50, 'Maya', '2026-11-01 09:41:00' FROM numbers;
INSERT INTO approvals (broadcast_id, approver_id, approver_name, revision, fingerprint, at)
  SELECT n, 1000 + n % 50, 'Omar', 1, 'f' || n, '2026-11-01 09:41:00' FROM numbers;
INSERT INTO deliveries (id, broadcast_id, position, method, url, headers, body, status, attempts, next_at,
  detail, guild_id, turn)
  SELECT n, n, 1, 'POST', 'https://api.whop.com', '{{}}', '', 'accepted', 1, '2026-11-01 09:41:00', '',
    GUILD, n
    FROM numbers;
INSERT INTO attempts (delivery_id, number, started_at, finished_at, detail)
  SELECT n, 1, '2026-11-01 09:41:00', '2026-11-01 09:41:01', '' FROM numbers;
INSERT INTO audit_events (guild_id, sequence, at, actor_id, actor_name, action, broadcast_id, proof, detail,
  previous, digest)
  SELECT GUILD, n, WRITTEN, n % 50, 'Maya', 'composed', n, 'F' || (n % 9000), '', 'p' || n,
    'd' || n FROM numbers;
INSERT INTO cards (id, broadcast_id, channel_id, message_id, current, wanted, shown, failures, next_at)
  SELECT n, n, 1, n, CAST(1 AS BOOLEAN), 2, 2, 0, '2026-11-01 09:41:00' FROM numbers;
INSERT INTO posts (id, guild_id, channel_id, kind, broadcast_id, sequence, step, message_id, done, failures,
  next_at)
  SELECT n, GUILD, 1, 'audit', n, n, '', n, CAST(1 AS BOOLEAN), 0, '2026-11-01 09:41:00' FROM numbers;
INSERT INTO interactions (id, at) SELECT n, '2026-11-01 09:41:00' FROM numbers;
INSERT INTO loans (broadcast_id, guild_id, template, fingerprint, person_id, at, void)
  SELECT n, GUILD, 't' || (n % 3), 'f' || n, n % 50, '2026-11-01 09:41:00', CAST(0 AS BOOLEAN) FROM numbers;
"""
_NUMBERS: Final = {
    "sqlite": "CREATE TEMP TABLE numbers AS WITH RECURSIVE s(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ROWS) SELECT n FROM s",
    "postgresql": "CREATE TEMP TABLE numbers AS SELECT n FROM generate_series(1, ROWS) AS n",
}
_WRITTEN: Final = {
    "sqlite": "datetime('BEGIN', (n * 5) || ' minutes') || '.000000'",
    "postgresql": "timestamp 'BEGIN' + n * interval '5 minutes'",
}


def lay_past(tx: Transaction, *, guild: int, rows: int, begin: datetime, said: str = "come in") -> None:
    """Fill an empty database with so many broadcasts of a server, and with a line of its record for each.

    The first was written when it begins, and one each five minutes since.
    """
    connection = tx._connection  # pyright: ignore[reportPrivateUsage]
    kind = connection.dialect.name
    known = {
        "WRITTEN": _WRITTEN[kind],
        "BEGIN": f"{begin:%F %T}",
        "GUILD": str(guild),
        "ROWS": str(rows),
        "SAID": said,
    }
    for statement in filter(str.strip, (_NUMBERS[kind], *_PAST.split(";"))):
        laid = statement
        for name, value in known.items():
            laid = laid.replace(name, value)
        connection.exec_driver_sql(laid.replace("%", "%%") if kind == "postgresql" else laid)
    if kind == "postgresql":
        # It does so by itself after a while; SQLite never does, and goes by the indexes alone.
        connection.exec_driver_sql("ANALYZE")
